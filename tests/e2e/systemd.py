"""systemd.py - the units: systemd finds nothing wrong, calls them safe, and what they
allow is what a running server needs."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, SAN, Server, make_catalog, run, scratch, test

UNITS = 'deploy/systemd'
UNIT_NAMES = ('pinsage.service', 'pinsage.socket', 'pinsage-compact.service',
              'pinsage-compact.timer')
EXPOSURE_MAX = 2.0
HARMLESS = {'mbind'}  # OpenBLAS prefers memory nearby, and goes on when told no
MISSING = None if shutil.which('systemd-analyze') else 'no systemd-analyze on this machine'


def analyze(*args):
    done = subprocess.run(['systemd-analyze', *args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def units(change=lambda text: text):
    """A folder with the units as they would be installed, the service changed."""
    folder = scratch()
    os.mkdir(folder + '/pinsage.service.d')
    shutil.copy(UNITS + '/tokens.conf', folder + '/pinsage.service.d')
    for name in UNIT_NAMES:
        shutil.copy(UNITS + '/' + name, folder)
    with open(UNITS + '/pinsage.service') as f:
        text = f.read()
    assert 'ExecStart=/usr/local/bin/pinsage serve' in text
    text = text.replace('/usr/local/bin/pinsage', os.path.abspath(PINSAGE))
    with open(folder + '/pinsage.service', 'w') as f:
        f.write(change(text))
    return folder


def verify(folder):
    return analyze('verify', '--man=no', *(folder + '/' + name for name in UNIT_NAMES))


@test
def systemd_finds_nothing_wrong_with_the_units():
    if MISSING:
        return MISSING
    status, said = verify(units())
    assert status == 0 and not said.strip(), said


@test
def the_verifier_would_see_a_misspelt_setting():
    if MISSING:
        return MISSING
    status, said = verify(units(lambda text: text.replace('ProtectSystem=', 'ProtectSytem=')))
    assert 'ProtectSytem' in said, said


@test
def the_exposure_is_low():
    if MISSING:
        return MISSING
    for name in ('pinsage.service', 'pinsage-compact.service'):
        status, said = analyze('security', '--offline=true', units() + '/' + name)
        exposure = float(re.search(r'exposure level for \S+: ([\d.]+)', said).group(1))
        print('# %s: exposure %.1f, at most %.1f' % (name, exposure, EXPOSURE_MAX))
        assert exposure <= EXPOSURE_MAX, said
    status, said = analyze('security', '--offline=true', '--threshold=%d' % (EXPOSURE_MAX * 10),
                           units(lambda text: re.sub('(?m)^Protect.*$', '', text)
                                 .replace('SystemCallFilter', '#')) + '/pinsage.service')
    assert status != 0, 'a unit without its protections passes as well: ' + said


def seconds(text):
    number, unit = re.fullmatch(r'(\d+)(ms|s|m)', text).groups()
    return int(number) * {'ms': 0.001, 's': 1, 'm': 60}[unit]


@test
def systemd_waits_longer_than_a_drain_lasts():
    helped = subprocess.run([PINSAGE, 'serve', '--help'], stdout=subprocess.PIPE,
                            text=True).stdout
    helped = ' '.join(helped.split())
    drain = sum(seconds(re.search(r'--%s=TIME .*?\(default (\w+),' % name, helped).group(1))
                for name in ('drain-delay', 'drain-limit'))
    with open(UNITS + '/pinsage.service') as f:
        stop = int(re.search(r'(?m)^TimeoutStopSec=(\d+)$', f.read()).group(1))
    assert stop > drain, (stop, drain)


def filter_of(name):
    """The system calls of one of systemd's sets, and of the sets in it."""
    status, said = analyze('syscall-filter', name)
    assert status == 0, said
    calls = set()
    for line in said.split('\n')[1:]:
        word = line.strip()
        if word.startswith('@'):
            calls |= filter_of(word)
        elif word and not word.startswith('#'):
            calls.add(word)
    return calls


def allowed():
    calls = set()
    with open(UNITS + '/pinsage.service') as f:
        for words in re.findall(r'(?m)^SystemCallFilter=(.*)$', f.read()):
            named = set()
            for word in words.lstrip('~').split():
                named |= filter_of(word) if word.startswith('@') else {word}
            calls = calls - named if words.startswith('~') else calls | named
    return calls


@test
def a_server_at_work_makes_no_system_call_that_the_unit_refuses():
    if MISSING or not shutil.which('strace'):
        return MISSING or 'no strace on this machine'
    if SAN:
        return 'a sanitizer makes calls of its own'
    where = scratch()
    catalog = make_catalog(where)
    server = Server(catalog, '--drain-delay', '100ms', '--admin-listen', '127.0.0.1:0',
                    before=['strace', '-D', '-f', '-qq', '-o', where + '/calls'])
    for path in ('/related/p1', '/related/bare', '/related/p2?method=pixie', '/metrics', '/',
                 '/readyz?verbose'):
        server.ask(path)
    server.ask('/pins/p3', 'DELETE')
    server.send(signal.SIGHUP)
    server.wait_for('msg=reloaded')
    assert server.stop(signal.SIGTERM) == 0, server.lines
    with open(where + '/calls', errors='replace') as f:
        made = set(re.findall(r'(?m)^\d+ +(\w+)\(', f.read()))
    assert {'mmap', 'accept4', 'epoll_wait'} & made, made
    refused = made - allowed() - HARMLESS
    assert not refused, 'refused: ' + ' '.join(sorted(refused))


@test
def the_user_can_be_made():
    if not shutil.which('systemd-sysusers'):
        return 'no systemd-sysusers on this machine'
    root = scratch()
    os.mkdir(root + '/etc')
    done = subprocess.run(['systemd-sysusers', '--root=' + root,
                           os.path.abspath(UNITS + '/pinsage.sysusers')],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with open(root + '/etc/passwd') as f:
        assert re.search(r'(?m)^pinsage:.*:/var/lib/pinsage:', f.read()), done.stdout


run()
