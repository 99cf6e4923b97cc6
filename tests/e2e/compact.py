"""compact.py - POST /admin/compact: the next generation comes into use while the server is asked
and written to; what stands in its way is told; what was deleted is in no file.

Kills under concurrent writes are in live.py.
"""
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
from load import Client, ends
from serving import PINSAGE, Server, direction, make_catalog, run, scratch, test, write_npy

JSON = {'Content-Type': 'application/json'}
ID = 'an-id-like-no-other-4711'
TITLE = 'a title like no other xyzzy'


def put(server, pin, **content):
    body = json.dumps(content).encode()
    return server.json('/pins/' + quote(pin, safe=''), method='PUT', headers=JSON, body=body)


def compact(server, want=200, query=''):
    return server.json('/admin/compact' + query, want, method='POST')


def metric(server, name):
    for line in server.ask('/metrics')[2].decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[-1])
    raise AssertionError('no ' + name)


def erased(catalog, pin):
    """(is it, what was said)"""
    done = subprocess.run([PINSAGE, 'verify', '-q', catalog, '--erased', pin],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode in (0, 1), done.stdout
    return done.returncode == 0, done.stdout


def raw(catalog, text):
    """Files that hold these bytes."""
    found = []
    for folder, _, names in os.walk(catalog):
        for name in names:
            with open(os.path.join(folder, name), 'rb') as f:
                if text.encode() in f.read():
                    found.append(name)
    return found


def large_catalog(where, pins=25000):
    """One whose index takes a moment to build."""
    chance = random.Random(1)
    with open(where + '/pins.tsv', 'w') as f:
        f.write('pin\n' + ''.join('p%d\n' % i for i in range(pins)))
    with open(where + '/edges.tsv', 'w') as f:
        f.write('pin\tboard\n' + ''.join('p%d\tb%d\n' % (i, i % 999) for i in range(pins)))
    write_npy(where + '/visual.npy', [[chance.gauss(0, 1) for _ in range(32)]
                                      for _ in range(pins)])
    for args in (['import', where + '/catalog', '--pins', where + '/pins.tsv', '--edges',
                  where + '/edges.tsv', '--feature', 'visual=' + where + '/visual.npy'],
                 ['index', where + '/catalog', '--factory', 'IVF200,PQ16x4fs']):
        subprocess.run([PINSAGE, *args, '-q'], check=True, stdout=subprocess.DEVNULL)
    return where + '/catalog'


# ------------------------------ Tests ----------------------------------------

@test
def a_compaction_takes_in_what_was_written_and_answers_stay_the_same():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0', '--sandbox', 'auto')
    put(server, 'live/1', title='one', boards=['b0', 'new'],
        features={'visual': direction(3)})
    put(server, 'p7', title='another', boards=['b1'], features={'visual': direction(7)})
    assert server.ask('/pins/p9', 'DELETE')[0] == 200
    before = [server.json('/related/%s?k=5' % p)['results'] for p in ('live%2F1', 'p7', 'p10')]
    first = server.json('/version')
    answer = compact(server)
    assert answer['compacted'] and answer['generation'] > first['generation'], answer
    assert (answer['added'], answer['replaced'], answer['deleted']) == (1, 1, 1), answer
    assert answer['pins'] == first['pins'], answer
    assert server.json('/version')['generation'] == answer['generation']
    after = [server.json('/related/%s?k=5' % p)['results'] for p in ('live%2F1', 'p7', 'p10')]
    assert after == before, (before, after)
    assert server.json('/pins/live%2F1')['boards'] == ['b0', 'new']
    assert server.json('/pins/p9', 404)
    assert metric(server, 'pinsage_store_records') == 0
    assert metric(server, 'pinsage_live_pins') == 0
    assert metric(server, 'pinsage_compactions_total') == 1
    again = compact(server)
    assert not again['compacted'] and again['generation'] == answer['generation'], again
    assert server.stop() == 0
    server = Server(catalog, '--drain-delay', '0')
    assert server.json('/pins/live%2F1')['title'] == 'one'
    assert server.stop() == 0


@test
def no_request_fails_while_compactions_go_on():
    server = Server(make_catalog(scratch()), '--drain-delay', '1s')
    clients = [Client(server, 7 * i, pause=0.002) for i in range(4)]
    for i in range(12):
        put(server, 'live %d' % i, title='t', boards=['b%d' % (i % 6)],
            features={'visual': direction(i)})
        assert compact(server)['pins'] == 70 + i + 1
    for i in range(12):
        assert server.json('/pins/live%%20%d' % i)['boards'] == ['b%d' % (i % 6)]
    assert server.stop(signal.SIGTERM) == 0
    ends(clients)
    assert sum(c.answers for c in clients) > 100
    print('# %d answers, 12 compactions' % sum(c.answers for c in clients))


@test
def a_deleted_pin_is_in_no_file_once_the_compaction_is_answered():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    put(server, ID, title=TITLE, boards=['b0'])
    vote = {'query': ID, 'left': {'method': 'pinsage'}, 'right': {'method': 'pixie'},
            'winner': 'left'}
    server.json('/votes', method='POST', headers=JSON, body=json.dumps(vote).encode())
    compact(server)
    assert raw(catalog, ID) and raw(catalog, TITLE)
    assert server.ask('/pins/' + ID, 'DELETE')[0] == 200
    there, said = erased(catalog, ID)
    assert not there and 'live' in said, said
    kept = compact(server)['generation']
    there, said = erased(catalog, ID)
    assert not there and 'compact --keep 0' in said, said
    assert 'ok     ' + kept in said and 'ok     live' in said, said
    put(server, 'other', title='t', boards=['b0'])
    compact(server, query='?keep=0')
    there, said = erased(catalog, ID)
    assert there, said
    assert raw(catalog, ID) == raw(catalog, TITLE) == []
    assert sorted(n for n in os.listdir(catalog) if n.startswith('gen-')) == \
        [server.json('/version')['generation']]
    assert server.stop() == 0


@test
def what_stands_in_the_way_is_told():
    catalog = large_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    put(server, 'x', title='t', boards=['b0'])
    done = subprocess.run([PINSAGE, 'compact', catalog], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and 'POST /admin/compact' in done.stderr, done.stderr
    first = []
    thread = threading.Thread(target=lambda: first.append(compact(server)))
    thread.start()
    while not metric(server, 'pinsage_compaction_running'):
        time.sleep(0.005)
    server.error('/admin/compact', 409, 'aborted', method='POST')
    put(server, 'y', title='meanwhile', boards=['b0'])
    thread.join()
    assert first[0]['compacted'] and first[0]['added'] == 1, first
    assert server.json('/pins/y')['title'] == 'meanwhile'
    assert compact(server)['added'] == 1
    put(server, 'z', title='t', boards=['b0'])
    with open(catalog + '/lock', 'w', encoding='ascii') as lock:  # as any step holds it
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write('process 7, train\n')
        lock.flush()
        e = server.error('/admin/compact', 409, 'aborted', method='POST')
        assert 'process 7, train' in e['message'], e
    assert compact(server)['added'] == 1
    server.error('/admin/compact?keep=x', 400, 'invalid_argument', method='POST')
    server.error('/admin/compact?keep=1001', 400, 'invalid_argument', method='POST')
    assert server.stop() == 0
    reader = Server(catalog, '--read-only')
    reader.error('/admin/compact', 403, 'permission_denied', method='POST')
    assert reader.stop() == 0


@test
def a_server_that_ends_calls_its_compaction_off():
    catalog = large_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    put(server, 'x', title='t', boards=['b0'])
    before = server.json('/version')['generation']
    said = []
    thread = threading.Thread(target=lambda: said.append(server.ask('/admin/compact', 'POST')))
    thread.start()
    while not metric(server, 'pinsage_compaction_running'):
        time.sleep(0.005)
    assert server.stop(signal.SIGTERM) == 0
    thread.join()
    assert said[0][0] in (200, 503), said
    if said[0][0] == 503:
        assert os.readlink(catalog + '/current') == before
    assert not [n for n in os.listdir(catalog) if n.startswith('.draft')]
    server = Server(catalog, '--drain-delay', '0')
    assert server.json('/pins/x')['title'] == 't'
    assert server.stop() == 0
    print('# the compaction was answered %d' % said[0][0])


run()
