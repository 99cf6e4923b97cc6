"""prometheus.py - alert rules and dashboard, judged by Prometheus: by its own tests, and
against a real server that it scrapes. And the runbook's table of metrics against /metrics.
"""
import atexit
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, 'tests/support')
from serving import Server, make_catalog, run, scratch, test

RULES, RULE_TESTS = 'deploy/prometheus/pinsage.rules.yaml', 'deploy/prometheus/pinsage.test.yaml'
RUNBOOK, DASHBOARD = 'deploy/README.md', 'deploy/grafana/pinsage.json'
MISSING = None if shutil.which('promtool') and shutil.which('prometheus') else \
    'no prometheus on this machine'
where = os.path.abspath(scratch())
server = Server(make_catalog(where), '--drain-delay', '0', '--recall-every', '100ms')


def visit():
    """Something of everything: the labels of what never happened are not there."""
    for path in ('/related/p1', '/related/p2?method=pixie', '/related/bare', '/related/nobody',
                 '/pins/p3', '/', '/readyz', '/metrics'):
        server.ask(path)
    server.ask('/related', 'POST', {'Content-Type': 'application/json'},
               b'{"positive":[{"pin":"p1"}],"k":3}')
    server.ask('/embed', 'POST', {'Content-Type': 'application/json'},
               b'{"features":{"visual":[1,0,0.25,0]},"k":3}')
    server.ask('/pins/new', 'PUT', {'Content-Type': 'application/json'}, b'{"title":"new"}')


def promtool(*args, data=None):
    done = subprocess.run(['promtool', *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          input=data, text=True)
    return done.returncode, done.stdout


# ------------------------------ The page and the runbook --------------------

def families():
    """{name: (type, help)} of /metrics, and {name: labels} of its samples."""
    visit()
    page = server.ask('/metrics')[2].decode()
    types = dict(re.findall(r'(?m)^# TYPE (\S+) (\S+)$', page))
    helps = dict(re.findall(r'(?m)^# HELP (\S+) (.*)$', page))
    labels = {name: set() for name in types}
    for name, inner in re.findall(r'(?m)^(\w+)\{(.*)\} \S+$', page):
        family = name if name in types else re.sub('_(bucket|sum|count)$', '', name)
        labels[family] |= set(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', inner)) - {'le'}
    return {name: (types[name], helps[name]) for name in types}, labels


def table():
    """The rows of the runbook's table: {name: (type, labels, help)}."""
    with open(RUNBOOK) as f:
        text = f.read()
    rows = re.findall(r'(?m)^\| `([a-z0-9_]+)` \| (\w+) \| ([a-z, ]*) \| (.*) \|$', text)
    names = [row[0] for row in rows]
    assert len(names) == len(set(names)), 'a metric stands there twice'
    return {name: (kind, set(labels.replace(',', ' ').split()), told)
            for name, kind, labels, told in rows}


@test
def the_runbook_lists_every_metric_and_no_other():
    real, labels = families()
    told = table()
    missing = ['| `%s` | %s | %s | %s |' % (name, kind, ', '.join(sorted(labels[name])), text)
               for name, (kind, text) in real.items() if name not in told]
    assert not missing, 'rows to add to %s:\n%s' % (RUNBOOK, '\n'.join(missing))
    assert not set(told) - set(real), 'no such metric: %s' % (set(told) - set(real))
    for name, (kind, text) in real.items():
        assert told[name][0] == kind, (name, told[name][0], kind)
        assert told[name][2] == text, (name, told[name][2], text)
        assert labels[name] <= told[name][1], (name, labels[name], told[name][1])
    assert len(told) > 30 and labels['pinsage_http_requests_total'] == {'method', 'route', 'code'}


@test
def prometheus_own_linter_is_content_with_the_page():
    if MISSING:
        return MISSING
    visit()
    status, said = promtool('check', 'metrics', data=server.ask('/metrics')[2].decode())
    assert status == 0 and not said, said
    assert promtool('check', 'metrics', data='# TYPE a counter\na 1\n')[0] != 0


# ------------------------------ Rules ---------------------------------------

def alerts():
    with open(RULES) as f:
        text = f.read()
    return re.findall(r'- alert: (\w+)\n((?: {8}.*\n)+)', text)


@test
def rules_are_well_formed_and_every_alert_is_tested_and_has_its_place_in_the_runbook():
    with open(RULE_TESTS) as f:
        tests = f.read()
    with open(RUNBOOK) as f:
        anchors = {re.sub(r'[^a-z0-9 -]', '', h.lower()).replace(' ', '-')
                   for h in re.findall(r'(?m)^#+ (.*)$', f.read())}
    assert len(alerts()) >= 8
    for name, body in alerts():
        for wanted in ('summary:', 'description:', 'severity:'):
            assert wanted in body, (name, wanted)
        anchor = re.search(r'runbook: %s#(\S+)' % RUNBOOK, body).group(1)
        assert anchor in anchors, (name, anchor)
        assert re.search(r'alertname: %s\n +exp_alerts:' % name, tests), name + ' is not tested'
        assert 'alertname: %s}' % name in tests, name + ' has no test of staying quiet'
    if MISSING:
        return MISSING
    status, said = promtool('check', 'rules', RULES)
    assert status == 0, said


@test
def alerts_fire_when_they_should_and_not_otherwise():
    if MISSING:
        return MISSING
    status, said = promtool('test', 'rules', RULE_TESTS)
    assert status == 0, said
    folder = scratch()
    with open(RULES) as f:
        rules = f.read().replace('pinsage_ready == 0', 'pinsage_ready == 1')
    with open(folder + '/pinsage.rules.yaml', 'w') as f:
        f.write(rules)
    shutil.copy(RULE_TESTS, folder)
    assert promtool('test', 'rules', folder + '/pinsage.test.yaml')[0] != 0, 'a wrong rule passes'


# ------------------------------ A real scrape -------------------------------

class Prometheus:
    def __init__(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            self.port = s.getsockname()[1]
        folder = os.path.abspath(scratch())
        with open(folder + '/prometheus.yml', 'w') as f:
            json.dump({'global': {'scrape_interval': '500ms', 'scrape_timeout': '500ms',
                                  'evaluation_interval': '1s'},
                       'rule_files': [os.path.abspath(RULES)],
                       'scrape_configs': [{'job_name': 'pinsage', 'static_configs': [
                           {'targets': ['127.0.0.1:%d' % server.port]}]}]}, f)
        self.log = open(folder + '/log', 'w+')
        self.process = subprocess.Popen(
            ['prometheus', '--config.file=' + folder + '/prometheus.yml', '--storage.tsdb.path='
             + folder + '/data', '--web.listen-address=127.0.0.1:%d' % self.port,
             '--log.level=warn'], stdout=self.log, stderr=subprocess.STDOUT)
        atexit.register(self.stop)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def ask(self, path, **query):
        url = 'http://127.0.0.1:%d/api/v1/%s?%s' % (self.port, path,
                                                    urllib.parse.urlencode(query))
        try:
            with urllib.request.urlopen(url, timeout=10) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            return json.load(e)

    def value(self, expression):
        said = self.ask('query', query=expression)
        assert said['status'] == 'success', (expression, said)
        return said['data']['result']

    def wait_for(self, expression):
        end = time.monotonic() + 60
        while True:
            visit()
            try:
                if self.value(expression):
                    return
            except OSError:
                pass
            assert self.process.poll() is None and time.monotonic() < end, \
                self.log.seek(0) or self.log.read()
            time.sleep(0.3)


_prometheus = []


def scraped():
    if not _prometheus:
        _prometheus.append(Prometheus())
        _prometheus[0].wait_for('count_over_time(up{job="pinsage"}[1m]) >= 12')
    return _prometheus[0]


@test
def every_expression_of_the_dashboard_has_a_value_on_a_real_scrape():
    if MISSING:
        return MISSING
    with open(DASHBOARD) as f:
        dashboard = json.load(f)
    panels = [p for p in dashboard['panels'] if p['type'] != 'row']
    assert len({p['id'] for p in dashboard['panels']}) == len(dashboard['panels'])
    prometheus, n = scraped(), 0
    for panel in panels:
        assert panel['targets'] and panel['title'] and panel['gridPos']['w'] <= 24, panel
        for target in panel['targets']:
            real = target['expr']
            for name, value in (('$__rate_interval', '5s'), ('$job', 'pinsage'),
                                ('$instance', '.*')):
                real = real.replace(name, value)
            assert '$' not in real, real
            found = prometheus.value(real)
            assert found, '%s: nothing for %s' % (panel['title'], real)
            assert all(v['value'][1] != 'NaN' for v in found) or 'histogram' in real, (real, found)
            for word in re.findall(r'\{\{(\w+)\}\}', target['legendFormat']):
                assert word in found[0]['metric'], (real, word)
            n += 1
    print('# %d expressions in %d panels' % (n, len(panels)))
    assert not prometheus.value('no_such_metric{job="pinsage"}')


@test
def every_rule_is_evaluated_without_error_and_only_knows_metrics_that_exist():
    if MISSING:
        return MISSING
    prometheus = scraped()
    prometheus.wait_for('pinsage:related_p99_seconds:rate5m')
    groups = prometheus.ask('rules')['data']['groups']
    rules = [r for g in groups for r in g['rules']]
    assert len(rules) >= 12 and all(r['health'] == 'ok' for r in rules), \
        [(r['name'], r.get('lastError')) for r in rules]
    known = set(families()[0]) | {r['name'] for r in rules} | {'up'}
    known |= {name + '_bucket' for name in known}
    for rule in rules:
        used = set(re.findall(r'\b((?:pinsage|process)[a-z0-9_:]+)\b(?!")', rule['query']))
        assert used <= known, (rule['name'], used - known)
    for name in ('pinsage:requests:rate5m', 'pinsage:errors:ratio_rate5m'):
        assert prometheus.value(name), name


@test
def openmetrics_is_what_prometheus_reads():
    if MISSING:
        return MISSING
    scraped()
    targets = _prometheus[0].ask('targets')['data']['activeTargets']
    assert [t['health'] for t in targets] == ['up'], targets
    assert not targets[0]['lastError']


run()
