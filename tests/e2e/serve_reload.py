"""serve_reload.py - new generations come into use, bad ones do not, and servers are replaced,
all while they are asked."""
import json
import os
import random
import shutil
import signal
import sys
import threading
import time

sys.path.insert(0, 'tests/support')
from load import REQUEST, Client, ends, read_answer
from serving import Server, make_catalog, run, scratch, test


def place(name):
    path = scratch() + '/' + name
    os.mkdir(path)
    return path


def current(catalog):
    return os.readlink(catalog + '/current')


def switch(catalog, generation):
    os.symlink(generation, catalog + '/new')
    os.rename(catalog + '/new', catalog + '/current')


def two_generations():
    """A catalog and its two generations, each with an index; the first is current."""
    where = place('two')
    catalog = make_catalog(where)
    first = current(catalog)
    aside = where + '/aside'  # the old ones do not stay for ever
    shutil.copytree(os.path.join(catalog, first), aside)
    make_catalog(where, titles='new title of %s')
    second = current(catalog)
    if not os.path.exists(os.path.join(catalog, first)):
        os.rename(aside, os.path.join(catalog, first))
    switch(catalog, first)
    return catalog, first, second


def copy_of(catalog, generation, name):
    shutil.copytree(os.path.join(catalog, generation), os.path.join(catalog, name))
    return name


def reload(server, **how):
    status, headers, body = server.ask('/admin/reload', 'POST', **how)
    return status, json.loads(body.decode())


def metric(server, name):
    for line in server.ask('/metrics')[2].decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[-1])
    raise AssertionError('no ' + name)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not come'
        time.sleep(0.02)


@test
def a_new_current_is_taken_up_by_itself():
    catalog, first, second = two_generations()
    server = Server(catalog)
    assert server.json('/version')['generation'] == first
    switch(catalog, second)
    until(lambda: server.json('/version')['generation'] == second)
    switch(catalog, first)
    switch(catalog, second)  # a change of mind within a moment is none
    time.sleep(1.5)
    assert server.json('/version')['generation'] == second
    assert metric(server, 'pinsage_reloads_total') in (1, 3)
    assert server.ask('/readyz')[0] == 200
    assert server.stop() == 0, server.lines


@test
def or_only_when_somebody_asks():
    catalog, first, second = two_generations()
    server = Server(catalog, '--no-watch')
    switch(catalog, second)
    time.sleep(1.5)
    assert server.json('/version')['generation'] == first
    assert reload(server) == (200, {'generation': second})
    assert server.json('/related/p1')['generation'] == second, 'before it was answered'
    assert reload(server) == (200, {'generation': second}), 'the same again is fine'
    switch(catalog, first)
    server.send(signal.SIGHUP)
    server.wait_for('msg=reloaded generation=' + first)
    assert server.ask('/admin/reload')[0] == 405
    assert server.stop() == 0, server.lines


@test
def many_who_ask_at_once_are_all_answered():
    catalog, first, second = two_generations()
    server = Server(catalog)
    switch(catalog, second)
    answers = []
    askers = [threading.Thread(target=lambda: answers.append(reload(server))) for _ in range(20)]
    for a in askers:
        a.start()
    for a in askers:
        a.join(60)
    assert answers == [(200, {'generation': second})] * 20, answers
    assert server.stop() == 0, server.lines


@test
def a_stop_in_between_leaves_nobody_waiting():
    catalog, _, _ = two_generations()
    server = Server(catalog, '--drain-delay', '0', '--drain-limit', '0')
    sockets = [server.connect() for _ in range(20)]
    for s in sockets:
        s.sendall(b'POST /admin/reload HTTP/1.1\r\nHost: localhost\r\n\r\n')
    server.send(signal.SIGTERM)
    for s in sockets:
        s.settimeout(30)
        s.recv(65536)  # an answer, or the end
    assert server.stop(0) == 0, server.lines


def breaks(catalog, good, how, words):
    """A generation broken so is refused with these words, and the one before stays."""
    server = Server(catalog, '--read-only')
    bad = copy_of(catalog, good, 'gen-000099')
    how(os.path.join(catalog, bad))
    switch(catalog, bad)
    server.wait_for('reload failed')
    status, e = reload(server)
    assert status == 409 and e['code'] == 'failed_precondition', (status, e)
    assert words in e['message'] and good + ' stays' in e['message'], e
    assert server.json('/related/p1')['generation'] == good
    assert server.ask('/readyz')[0] == 200, 'the old one still answers'
    time.sleep(2.5)
    failed = metric(server, 'pinsage_reloads_failed_total')
    assert failed == 2, 'what was refused is not tried on and on: %d' % failed
    switch(catalog, good)
    assert reload(server) == (200, {'generation': good})
    assert server.stop() == 0, server.lines
    shutil.rmtree(os.path.join(catalog, bad))


@test
def a_broken_generation_is_refused():
    catalog, first, _ = two_generations()

    def cut_index(folder):
        with open(folder + '/index.faiss', 'r+b') as f:
            f.truncate(100)

    breaks(catalog, first, cut_index, 'index.faiss')
    breaks(catalog, first, lambda folder: os.remove(folder + '/manifest.json'), 'manifest.json')
    breaks(catalog, first, lambda folder: os.remove(folder + '/pins.mdb'), 'pins.mdb')


@test
def a_generation_that_answers_nonsense_is_refused():
    catalog, first, _ = two_generations()

    def spoil(folder):  # every number becomes a NaN
        path = folder + '/features/visual.npy'
        size = os.path.getsize(path)
        with open(path, 'r+b') as f:
            f.seek(128)
            f.write(b'\xff' * (size - 128))

    breaks(catalog, first, spoil, 'test question')


@test
def fifty_reloads_under_load_fail_no_request():
    catalog, first, second = two_generations()
    server = Server(catalog, '--no-watch')
    clients = [Client(server, 5 * i, pause=0.002) for i in range(8)]
    walkers = [Client(server, 7 * i, pause=0.01) for i in range(2)]
    for i in range(50):
        switch(catalog, second if i % 2 == 0 else first)
        status, answer = reload(server)
        assert (status, answer) == (200, {'generation': current(catalog)})
        assert server.json('/related/p1?method=pixie&k=5')['generation'] == current(catalog)
    assert metric(server, 'pinsage_reloads_total') == 50
    server.send(signal.SIGTERM)
    ends(clients + walkers)
    assert sum(c.answers for c in clients) > 1000
    assert server.stop(0) == 0, server.lines


class Fleet:
    """Servers behind a balancer that asks who is ready, as a cluster does."""

    def __init__(self, *servers):
        self.servers, self.ready, self.running = list(servers), list(servers), True
        self.prober = threading.Thread(target=self.probe, daemon=True)
        self.prober.start()

    def probe(self):
        while self.running:
            self.ready = [s for s in list(self.servers) if self.is_ready(s)]
            time.sleep(0.05)

    @staticmethod
    def is_ready(server):
        try:
            return server.ask('/readyz')[0] == 200
        except OSError:
            return False

    def ask(self, n, kept):
        server = random.choice(self.ready)
        s = kept.pop(server, None) or server.connect()
        s.sendall(REQUEST % (n % 60))
        status, headers, body = read_answer(s)
        assert status == b'HTTP/1.1 200 OK' and len(json.loads(body.decode())['results']) == 5
        if b'connection: close' in headers:
            s.close()
        else:
            kept[server] = s

    def replace(self, old, new):
        old.send(signal.SIGTERM)
        assert old.stop(0) == 0, old.lines
        self.servers[self.servers.index(old)] = new()
        until(lambda: len(self.ready) == len(self.servers))


@test
def a_rolling_restart_under_load_fails_no_request():
    catalog, first, second = two_generations()

    def start():
        return Server(catalog, '--read-only', '--drain-delay', '1s', '--threads', '1')

    fleet = Fleet(start(), start())
    answers, failures = [0], []

    def client(n):
        kept = {}
        while fleet.running and not failures:
            try:
                fleet.ask(n, kept)
                answers[0] += 1
            except Exception as e:  # every kind counts
                failures.append(repr(e))
            n += 1
            time.sleep(0.003)

    clients = [threading.Thread(target=client, args=(7 * i,), daemon=True) for i in range(6)]
    for c in clients:
        c.start()
    switch(catalog, second)
    for old in list(fleet.servers):
        fleet.replace(old, start)
    fleet.running = False
    for c in clients:
        c.join(60)
    assert not failures and answers[0] > 500, (failures, answers)
    for s in fleet.servers:
        assert s.json('/version')['generation'] == second and s.stop() == 0


@test
def signals_that_come_while_it_ends_do_not_kill_it():
    catalog, _, _ = two_generations()
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        for _ in range(3):
            server = Server(catalog, '--drain-delay', '0')
            server.send(signal.SIGTERM)
            while server.process.poll() is None:
                server.send(number)
                time.sleep(0.0005)
            assert server.process.returncode == 0, (number, server.process.returncode)


@test
def strangers_may_not_reload():
    catalog, first, _ = two_generations()
    with open(catalog + '.tokens', 'w') as f:
        f.write('operator a-token-of-some-length\n')
    server = Server(catalog, '--token-file', catalog + '.tokens')
    assert reload(server)[0] == 401
    token = {'Authorization': 'Bearer a-token-of-some-length'}
    assert reload(server, headers=token) == (200, {'generation': first})
    assert server.stop() == 0


run()
