"""containers.py - for tests of images: podman with storage and settings of its own.

What the machine has stays as it is. Containers have no network but their own loopback, and
are asked from inside it. Everything is removed at the end, but for images by name.
"""
import atexit
import os
import shutil
import subprocess
import tempfile
import time

from serving import BUILD

NEEDED = ('buildah', 'podman', 'runc', 'mmdebstrap', 'nsenter')
MISSING = [name for name in NEEDED if not shutil.which(name)]
WHY = 'root alone can do this' if os.geteuid() else 'missing here: ' + ' '.join(MISSING)
IMAGE = 'localhost/pinsage:test'


def needs_image(function):
    def body():
        return WHY if MISSING or os.geteuid() else function()
    body.__name__ = function.__name__
    return body


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


if not MISSING and not os.geteuid():
    settle()
