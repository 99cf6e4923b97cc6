"""live_kills.py - kill -9 while many clients write, and while compactions run: what was
acknowledged is there, nothing is there by halves.

PS_KILLS sets how many kills a test makes, 8 by default.
"""
import json
import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from histories import UNKNOWN
from serving import PINSAGE, Server, make_catalog, run, scratch, test
from writers import Client, at_once, compact_on, lives, must_fit

KILLS = int(os.environ.get('PS_KILLS', '8'))


@test
def nothing_acknowledged_is_lost_or_torn_by_kills():
    clients = [Client(0, seed) for seed in range(6)]
    server = lives(make_catalog(scratch()), KILLS, 0.4, clients)
    must_fit(clients)
    done = [op for c in clients for ops in c.history.values() for op in ops]
    print('# %d kills, %d requests, %d without an answer' % (
        KILLS, len(done), sum(op.said is UNKNOWN for op in done)))
    assert server.stop() == 0


@test
def nothing_is_lost_by_compactions_that_are_killed_between_servers_that_are():
    catalog, chance, ends = make_catalog(scratch()), random.Random(5), []

    def compact():
        process = subprocess.Popen([PINSAGE, 'compact', '-q', catalog], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            process.communicate(timeout=chance.random() * 0.25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        ends.append(process.returncode)
        assert process.returncode in (0, -signal.SIGKILL), process.returncode
    clients = [Client(0, seed) for seed in range(6)]
    server = lives(catalog, KILLS, 0.3, clients, between=compact)
    must_fit(clients, compactions=True)
    print('# %d compactions, %d of them killed' % (len(ends), len([e for e in ends if e])))
    assert server.stop() == 0


@test
def nothing_is_lost_by_kills_while_a_compaction_is_running():
    clients, done = [Client(0, seed) for seed in range(6)], []
    server = lives(make_catalog(scratch()), KILLS, 0.8, clients,
                   beside=lambda server: compact_on(Client(server.port, 99), done))
    must_fit(clients, compactions=True)
    print('# %d compactions that ended' % done.count(True))
    assert server.stop() == 0


@test
def compactions_fail_no_request_and_lose_no_write():
    server = Server(make_catalog(scratch()), '--drain-delay', '0')
    clients, done, left = [Client(server.port, seed) for seed in range(6)], [], [6]

    def work(c):
        try:
            for i in range(200):
                assert c.anything(i) != ('refused',)
        finally:
            left[0] -= 1

    def compact():
        c = Client(server.port, 99)
        while left[0] > 0:
            status, _, text = c.call('POST', '/admin/compact')
            assert status == 200, (status, text)
            done.append(json.loads(text)['compacted'])
    at_once([compact] + [lambda c=c: work(c) for c in clients])
    must_fit(clients, compactions=True)
    assert done.count(True) > 0, done
    assert server.stop() == 0


run()
