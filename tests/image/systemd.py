"""systemd.py - the units under a real systemd, in a container that has little else.

Part of `make check-image` alone. The container is a Debian with systemd and what
`make install` installs; it has no network.
"""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, 'tests/support')
from containers import needs_image, podman
from serving import SAN, make_catalog, run, scratch, test

LIBRARIES = ('libmicrohttpd12 libjansson4 libprotobuf-c1 libuv1 liblmdb0 libxxhash0 '
             'libutf8proc2 libopenblas0-pthread libgomp1 libstdc++6')
BASE, IMAGE, NAME = 'localhost/pinsage-base:', 'localhost/pinsage-systemd:test', 'managed'
TOKEN = 'Authorization: Bearer ' + '5f' * 32
JSON = 'Content-Type: application/json'


def needs_container(function):
    def body():
        return 'the installed program has a sanitizer' if SAN else needs_image(function)()
    body.__name__ = function.__name__
    return body


def build():
    """The image of the container; its base is the one that `make image` made."""
    where = scratch()
    make_catalog(where)
    root = os.path.abspath(where) + '/context/root'
    subprocess.run(['make', '-s', 'install', 'DESTDIR=' + root, 'PREFIX=/usr'], check=True,
                   stdout=subprocess.DEVNULL)
    os.makedirs(root + '/var/lib/pinsage')
    shutil.copytree(where + '/catalog', root + '/var/lib/pinsage/catalog', symlinks=True)
    base = [i for i in podman('images', '--format', '{{.Repository}}:{{.Tag}}').split()
            if i.startswith(BASE)]
    with open(where + '/context/Dockerfile', 'w') as f:
        f.write('FROM %s\n'
                'RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy install '
                '--no-install-recommends systemd curl %s >/dev/null\n'
                'COPY root/ /\n'
                'RUN systemd-sysusers && chown -R pinsage:pinsage /var/lib/pinsage && '
                'systemctl enable pinsage.socket pinsage.service\n'
                'CMD ["/lib/systemd/systemd"]\n' % (base[0], LIBRARIES))
    done = subprocess.run(['buildah', 'bud', '--quiet', '--isolation', 'chroot', '--network',
                           'host', '-t', IMAGE, where + '/context'], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def inside(script):
    """What a shell in the container says."""
    done = subprocess.run(['podman', 'exec', '-i', NAME, 'sh', '-c', script], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=120)
    return done.stdout.strip()


def show(what, unit='pinsage.service'):
    return inside('systemctl show -p %s --value %s' % (what, unit))


def wait_for(what, value):
    end = time.monotonic() + 60
    while show(what) != value:
        assert time.monotonic() < end, inside('journalctl -u pinsage --no-pager | tail -30')
        time.sleep(0.2)


def ask(path, *args):
    return inside("curl -s -m 20 %s 'http://127.0.0.1:8080%s'" % (' '.join(args), path))


@test
@needs_container
def systemd_starts_it_and_knows_when_it_is_ready():
    build()
    podman('run', '-d', '--name', NAME, '--privileged', '--systemd=always', '--network=none',
           '--no-healthcheck', IMAGE)
    wait_for('ActiveState', 'active')
    assert 'serving gen-000002, 70 pins' in show('StatusText'), show('StatusText')
    assert len(json.loads(ask('/related/p1?k=3'))['results']) == 3
    assert 'msg=sandbox' in inside('journalctl -u pinsage --no-pager'), 'it keeps itself in too'


@test
@needs_container
def it_writes_below_its_own_folder_alone():
    said = ask('/pins/new', '-X PUT', "-H '%s'" % JSON, "-d '{\"title\":\"t\"}'")
    assert json.loads(said)['created'] is True, said
    pid = show('MainPID')
    mounts = inside('cat /proc/%s/mountinfo' % pid)
    writable = [m.split()[4] for m in mounts.split('\n') if m.split()[5].startswith('rw')]
    assert '/var/lib/pinsage' in writable and '/' not in writable and '/etc' not in writable
    status = inside('cat /proc/%s/status' % pid)
    assert 'CapBnd:\t0000000000000000' in status and 'NoNewPrivs:\t1' in status, status


@test
@needs_container
def a_restart_refuses_nobody_and_loses_nothing():
    asking = subprocess.Popen(
        ['podman', 'exec', NAME, 'sh', '-c', 'for i in $(seq 150); do curl -s -m 20 -o /dev/null'
         ' -w "%{http_code} " "127.0.0.1:8080/related/p1?k=3"; sleep 0.03; done'],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    inside('systemctl reload pinsage; systemctl restart pinsage')
    codes = asking.communicate(timeout=120)[0].split()
    print('# %d answers across a reload and a restart: %s' % (len(codes), set(codes)))
    assert codes == ['200'] * 150, codes
    assert json.loads(ask('/pins/new'))['title'] == 't'


@test
@needs_container
def a_server_that_hangs_is_started_again_and_tokens_come_by_the_drop_in():
    podman('cp', 'deploy/systemd/tokens.conf', NAME + ':/tokens.conf')
    inside('mkdir -p /etc/pinsage /etc/systemd/system/pinsage.service.d;'
           'cp /tokens.conf /etc/systemd/system/pinsage.service.d/;'
           'printf "[Service]\\nWatchdogSec=2\\n" > /etc/systemd/system/pinsage.service.d/dog.conf;'
           'install -o root -g pinsage -m 0640 /dev/null /etc/pinsage/tokens;'
           'echo %s >> /etc/pinsage/tokens; systemctl daemon-reload; systemctl restart pinsage'
           % TOKEN.split()[-1])
    put = ('-X PUT', "-H '%s'" % JSON, "-d '{}'")
    assert json.loads(ask('/pins/other', *put))['code'] == 'unauthenticated'
    assert json.loads(ask('/pins/other', "-H '%s'" % TOKEN, *put))['created'] is True
    before = show('MainPID')
    inside('kill -STOP ' + before)
    wait_for('NRestarts', '1')
    wait_for('ActiveState', 'active')
    assert show('MainPID') != before
    assert json.loads(ask('/pins/other'))['pin'] == 'other'
    assert 'Watchdog timeout' in inside('journalctl -u pinsage --no-pager')


@test
@needs_container
def the_nightly_compact_makes_a_generation_of_what_was_written():
    inside('install -o root -g pinsage -m 0640 /dev/null /etc/pinsage/compact-header;'
           'echo "%s" > /etc/pinsage/compact-header; systemctl start pinsage-compact.service' % TOKEN)
    assert show('Result', 'pinsage-compact.service') == 'success', inside('journalctl -u pinsage-compact')
    assert 'serving gen-000003, 72 pins' in show('StatusText'), show('StatusText')
    assert json.loads(ask('/pins/new'))['title'] == 't'


run()
