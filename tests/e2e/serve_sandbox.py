"""serve_sandbox.py - the server in its sandbox: every thread is inside, and it still reloads,
serves images, reads tokens and certificates anew."""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, pinsage, run, scratch, test

where = scratch()
catalog = make_catalog(where)
pictures, secrets = where + '/pictures', where + '/secrets'
os.makedirs(pictures + '/sub')
os.makedirs(secrets)
with open(pictures + '/sub/pic 1.png', 'wb') as f:
    f.write(b'picture')
with open(secrets + '/tokens', 'w') as f:
    f.write('bot a-token-of-twenty-one\n')
os.chmod(secrets + '/tokens', 0o600)
server = Server(catalog, '--images', pictures, '--token-file', secrets + '/tokens',
                '--drain-delay', '0')
SANITIZED = bool(os.environ.get('PS_SAN'))


def state(key):
    """The values of a line of /proc/PID/task/*/status."""
    at = '/proc/%d/task' % server.process.pid
    found = []
    for task in os.listdir(at):
        with open('%s/%s/status' % (at, task)) as status:
            found += re.findall(r'^%s:\s*(\S+)' % key, status.read(), re.M)
    return found


@test
def every_thread_is_filtered():
    line = server.wait_for('msg=sandbox')
    if SANITIZED:
        assert 'sanitizer' in line
        return 'a sanitizer is in use'
    if 'calls=seccomp' not in line:
        return 'this kernel has no seccomp'
    assert len(state('Seccomp')) > 4 and set(state('Seccomp')) == {'2'}, state('Seccomp')
    assert set(state('NoNewPrivs')) == {'1'}


@test
def images_and_metrics_are_served():
    assert server.ask('/images/sub%2Fpic%201.png')[2] == b'picture'
    page = server.ask('/metrics')[2].decode()
    fds = re.search(r'^process_open_fds (\d+)', page, re.M)
    assert int(fds.group(1)) > 5, 'its own /proc cannot be read'
    assert int(re.search(r'^process_threads (\d+)', page, re.M).group(1)) > 4


@test
def new_generations_are_taken():
    before = server.json('/version')['generation']
    for _ in range(3):
        pinsage('index', catalog, '--factory', 'Flat')
        server.send(signal.SIGHUP)
        server.wait_for('msg=reloaded')
        server.lines.clear()
    assert server.json('/version')['generation'] > before
    assert server.json('/related/p1?k=3')['results']


@test
def walks_and_scans_on_workers_are_answered():
    for method in server.json('/version')['methods']:
        assert server.json('/related/p3?k=5&method=' + method)['results'], method


@test
def tokens_are_read_anew():
    with open(secrets + '/new', 'w') as f:
        f.write('bot another-token-of-that-length\n')
    os.rename(secrets + '/new', secrets + '/tokens')
    server.wait_for('tokens read anew')


@test
def the_server_ends_well():
    assert server.stop() == 0


@test
def certificates_are_read_anew():
    for name in ('one', 'two'):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj',
                        '/CN=' + name, '-keyout', where + '/%s.key' % name, '-out',
                        where + '/%s.crt' % name], check=True, stderr=subprocess.DEVNULL)
    for suffix in ('.crt', '.key'):
        shutil.copy(where + '/one' + suffix, secrets + '/tls' + suffix)
    inside = Server(catalog, '--tls-cert', secrets + '/tls.crt', '--tls-key',
                    secrets + '/tls.key', '--drain-delay', '0')
    for suffix in ('.crt', '.key'):
        shutil.copy(where + '/two' + suffix, secrets + '/tls.new')
        os.rename(secrets + '/tls.new', secrets + '/tls' + suffix)
    inside.wait_for('certificate read anew')
    assert inside.stop() == 0


@test
def modes_are_told_and_strict_is_all_or_nothing():
    off = Server(catalog, '--sandbox', 'off', '--drain-delay', '0')
    assert 'it is off' in off.wait_for('msg=sandbox')
    assert off.stop() == 0
    log = Server(catalog, '--sandbox', 'log', '--drain-delay', '0')
    assert SANITIZED or 'logged' in log.wait_for('msg=sandbox')
    assert log.json('/related/p1?k=1') and log.stop() == 0
    strict = subprocess.Popen([PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:0',
                               '--sandbox', 'strict', '--drain-delay', '0'],
                              stderr=subprocess.PIPE)
    said = strict.stderr.readline().decode()
    strict.send_signal(signal.SIGINT)
    strict.stderr.read()
    strict.wait(30)
    assert 'msg=sandbox' in said or 'strict is wanted' in said, said


run()
