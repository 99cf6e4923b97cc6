"""service_manager.py - the test starts a server as systemd does: it listens for it, hands
the sockets over, is told when it is ready, and wants signs of life."""
import os
import re
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, run, scratch, test

where = scratch()
catalog = make_catalog(where)


def listening():
    s = socket.socket(socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', 0))
    s.listen(128)
    return s


class Managed(Server):
    """A server with a manager: sockets by name, and a socket it talks to."""

    def __init__(self, sockets, *args, watchdog=None, catalog=catalog):
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = '@pinsage-manager-%d-%d' % (os.getpid(), id(self))
        self.told.bind(name.replace('@', '\0'))
        self.told.settimeout(60)
        fds = [s.fileno() for s in sockets.values()]
        env = dict(os.environ, NOTIFY_SOCKET=name, LISTEN_FDS=str(len(fds)),
                   LISTEN_FDNAMES=':'.join(sockets))
        if watchdog:
            env['WATCHDOG_USEC'] = str(int(watchdog * 1e6))

        def before():
            high = [os.dup(fd) for fd in fds]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
            os.closerange(3 + len(fds), 256)

        # The shell gives the process the variable that names it, and becomes it.
        self.process = subprocess.Popen(
            ['sh', '-c', 'LISTEN_PID=$$ exec "$0" "$@"', PINSAGE, 'serve', catalog, *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, close_fds=False,
            preexec_fn=before)
        self.lines, self.rest = [], b''
        self.port = sockets['http'].getsockname()[1] if 'http' in sockets else None

    def next(self, want):
        """The next message that begins so; signs of life are passed over."""
        while True:
            text = self.told.recv(4096).decode()
            if text.startswith(want):
                return text
            assert text == 'WATCHDOG=1', (want, text, self.lines)


@test
def the_manager_is_told_of_start_reload_and_end():
    server = Managed({'http': listening()}, '--drain-delay', '0')
    assert re.fullmatch(r'READY=1\nSTATUS=serving gen-\d+, 70 pins, at 127.0.0.1:%d'
                        % server.port, server.next('READY=1'))
    assert server.json('/related/p1?k=3')['pin'] == 'p1'
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.send(signal.SIGHUP)
    usec = int(server.next('RELOADING=1\nMONOTONIC_USEC=').rsplit('=')[-1])
    assert before <= usec <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    server.next('READY=1')
    server.send(signal.SIGTERM)
    server.next('STOPPING=1')
    assert server.stop(0) == 0, server.lines


@test
def a_reload_that_fails_ends_too_and_says_why():
    other = scratch()
    moved = make_catalog(other)
    server = Managed({'http': listening()}, '--drain-delay', '0', catalog=moved)
    server.next('READY=1')
    os.rename(moved, moved + '.away')
    server.send(signal.SIGHUP)
    server.next('RELOADING=1')
    assert 'the reload failed' in server.next('READY=1')
    assert server.ask('/readyz')[0] == 200
    assert server.stop() == 0, server.lines


@test
def a_server_that_cannot_start_says_nothing_of_being_ready():
    server = Managed({'http': listening()}, catalog=where + '/nothing')
    assert server.process.wait(60) == 74
    server.told.settimeout(0.2)
    try:
        raise AssertionError(server.told.recv(4096))
    except socket.timeout:
        pass


@test
def signs_of_life_come_while_it_lives_and_stop_when_it_hangs():
    server = Managed({'http': listening()}, '--drain-delay', '0', watchdog=0.6)
    server.next('READY=1')
    for _ in range(3):
        assert server.told.recv(4096) == b'WATCHDOG=1'
    server.send(signal.SIGSTOP)
    server.told.settimeout(1.5)
    try:
        while True:
            assert server.told.recv(4096) == b'WATCHDOG=1'  # sent before it stopped
    except socket.timeout:
        pass
    server.send(signal.SIGCONT)
    server.told.settimeout(60)
    assert server.told.recv(4096) == b'WATCHDOG=1'
    assert server.stop() == 0, server.lines


@test
def each_socket_serves_its_own_and_replaces_the_address_asked_for():
    http, admin = listening(), listening()
    taken = listening()  # --listen names it: it must not even be tried
    server = Managed({'admin': admin, 'http': http}, '--threads', '3', '--drain-delay', '0',
                     '--listen', '127.0.0.1:%d' % taken.getsockname()[1])
    server.next('READY=1')
    line = server.wait_for('msg=listening')
    assert 'addr=127.0.0.1:%d ' % server.port in line, line
    assert 'admin=127.0.0.1:%d' % admin.getsockname()[1] in line, line
    for _ in range(20):
        assert server.json('/related/p1?k=3')['results']
    server.port = admin.getsockname()[1]
    assert server.ask('/readyz')[0] == 200
    assert server.stop() == 0, server.lines


@test
def who_comes_between_two_servers_waits_and_is_answered():
    """The socket outlives the server, by every way it ends: who connects then waits in
    its queue for the next one."""
    http = listening()
    for signals in ([signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM], [signal.SIGKILL]):
        first = Managed({'http': http}, '--drain-delay', '100ms')
        first.next('READY=1')
        assert first.ask('/related/p1')[0] == 200
        for number in signals:
            first.send(number)
            time.sleep(0.05)
        while first.read_log(30):
            pass
        assert first.process.wait(60) == (0 if signal.SIGKILL not in signals else -9)
        with first.connect() as waiting:
            waiting.sendall(b'GET /related/p2?k=3 HTTP/1.1\r\nHost: localhost\r\n'
                            b'Connection: close\r\n\r\n')
            second = Managed({'http': http}, '--drain-delay', '0')
            second.next('READY=1')
            assert waiting.recv(4096).startswith(b'HTTP/1.1 200 OK'), signals
        assert second.ask('/related/p1')[0] == 200
        assert second.stop() == 0, second.lines


@test
def a_socket_of_no_use_is_refused_in_words():
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(('127.0.0.1', 0))
    server = Managed({'http': bound})
    assert server.process.wait(60) == 64
    server.wait_for('no listening TCP socket', 10)
    server = Managed({'http': listening(), 'more': listening()})
    assert server.process.wait(60) == 64
    server.wait_for('is one too many', 10)


run()
