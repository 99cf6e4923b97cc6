"""live.py - writes over HTTP: seen at once by everybody, refused in words, kept.

Many clients write and read a few pins at once; afterwards an order of all requests is
looked for that agrees with every answer. Kills and compactions: live_kills.py.
"""
import atexit
import json
import os
import random
import signal
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from histories import Op, UNKNOWN, check
from serving import PINS, PINSAGE, Server, direction, make_catalog, run, scratch, test
from writers import JSON, SUBJECTS, Client, address, at_once, escape, must_fit


def told(kind, what, said, began, ended):
    return Op(kind, what, None, said, began, ended)


@test
def the_checker_tells_what_cannot_have_been():
    x, y = frozenset('x'), frozenset('xy')
    first = told('put', ('a', x), ('ok', True, '1'), 0, 2)
    second = told('put', ('b', y), ('ok', False, '2'), 3, 4)
    seen = told('get', None, ('ok', 'a', x, '1'), 5, 6)
    assert check([first, seen]) is None
    assert check([first, second, seen]), 'a write that was lost, or seen too late'
    assert check([first, told('get', None, ('missing',), 3, 4)]), 'the same of the first'
    assert check([first, told('get', None, ('missing',), 1, 4)]) is None, 'at the same time'
    assert check([first, second, told('get', None, ('ok', 'a', y, '1'), 5, 6)]), 'a torn one'
    assert check([first, told('get', None, ('ok', 'b', y, '2'), 1, 1.5), second]), 'too early'
    killed = told('put', ('b', y), UNKNOWN, 3, 0)
    later = told('get', None, ('ok', 'b', y, '2'), 7, 8)
    assert check([first, killed, seen]) is None and check([first, killed, later]) is None
    assert check([first, killed, later, told('get', None, seen.said, 9, 10)]), 'it was undone'
    assert check([first, told('save', 'z', ('ok', True), 3, 4), seen]), 'a lost save'
    assert check([first, told('delete', None, ('ok',), 3, 4), seen]), 'back from the dead'


@test
def what_many_clients_see_agrees_with_one_order_of_all_they_did():
    server = Server(make_catalog(scratch()), '--drain-delay', '0')
    clients = [Client(server.port, seed) for seed in range(8)]
    at_once([lambda c=c: [c.anything(i) for i in range(150)] for c in clients])
    for pin in SUBJECTS:
        clients[0].get(pin)
    must_fit(clients)
    assert server.stop() == 0


@test
def what_was_deleted_is_in_no_file_after_a_compaction():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    c = Client(server.port, 1)
    assert c.put('live 1', 'a secret', {'new 1'})[0] == 'ok'
    assert c.call('PUT', '/pins/other', '{"title":"kept"}', JSON)[0] == 200
    assert c.delete('live 1') == ('ok',)
    assert c.call('DELETE', '/pins/lonely')[0] == 200
    assert c.call('POST', '/admin/compact?keep=0')[0] == 200

    def held(words):
        return [name for folder, _, names in os.walk(catalog) for name in names
                if words in open(os.path.join(folder, name), 'rb').read()]
    assert held(b'kept') == ['pins.mdb'], held(b'kept')
    for words in (b'a secret', b'live 1', b'new 1', b'title of lonely'):
        assert held(words) == [], (words, held(words))
    for pin in ('live 1', 'lonely'):
        done = subprocess.run([PINSAGE, 'verify', '--erased', pin, catalog],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, (pin, done)
    assert server.stop() == 0


@test
def a_pin_is_found_by_its_like_at_once_and_never_once_it_is_deleted():
    server = Server(make_catalog(scratch()), '--drain-delay', '0')

    def related(c, pin):
        status, _, text = c.call('GET', '/related/%s?k=30' % escape(pin))
        assert status == 200, text
        return [r['pin'] for r in json.loads(text)['results']]

    def post_and_delete(seed):
        # Another connection asks than the one that wrote.
        c, other = Client(server.port, seed), Client(server.port, seed)
        c.history = other.history = {'mine %d' % seed: []}
        for i in range(12):
            pin, like = 'mine %d' % seed, 'p%d' % ((seed * 7 + i) % 60)
            assert c.put(pin, 'x', {'b0'}, vector=direction(PINS.index(like)))[0] == 'ok'
            assert pin in related(other, like)
            assert like in related(other, pin)
            assert c.delete(pin) == ('ok',)
            assert pin not in related(other, like)
            assert other.call('GET', '/related/' + escape(pin))[0] == 404
    at_once([lambda s=s: post_and_delete(s) for s in range(6)])
    assert server.stop() == 0


@test
def writing_the_same_again_changes_nothing_and_the_last_write_wins():
    server = Server(make_catalog(scratch()), '--drain-delay', '0')
    c = Client(server.port, 1)
    assert c.put('live 1', 'one', {'b0'})[:2] == ('ok', True)
    assert c.put('live 1', 'one', {'b0'})[:2] == ('ok', False)
    assert c.change('save', 'live 1', 'b0') == ('ok', False)
    assert c.change('unsave', 'live 1', 'new 1') == ('ok', False)
    assert c.change('save', 'live 1', 'new 1') == ('ok', True)
    assert c.get('live 1')[1:3] == ('one', {'b0', 'new 1'})
    assert c.put('live 1', 'two', set())[:2] == ('ok', False)
    assert c.get('live 1')[1:3] == ('two', frozenset())
    assert c.delete('live 1') == ('ok',) and c.delete('live 1') == ('missing',)
    assert c.change('save', 'live 1', 'b0') == ('missing',)
    must_fit([c])


@test
def if_match_wants_the_version_that_was_read():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    c = Client(server.port, 1)
    assert c.put('live 1', 'zero', set(), '*') == ('mismatch',)
    first = c.put('live 1', 'one', set())[2]
    assert c.get('live 1')[3] == first
    second = c.put('live 1', 'two', set(), first)[2]
    assert c.put('live 1', 'three', set(), first) == ('mismatch',)
    assert c.delete('live 1', first) == ('mismatch',)
    assert c.put('live 1', 'three', {'b0'}, '*')[0] == 'ok'
    assert c.put('live 1', 'four', set(), second) == ('mismatch',)
    third = c.get('live 1')[3]
    # A board more is another version too: it would be lost by who did not see it.
    assert c.change('save', 'live 1', 'new 1') == ('ok', True)
    assert c.put('live 1', 'five', {'b0'}, third) == ('mismatch',)
    assert c.delete('live 1', c.get('live 1')[3]) == ('ok',)
    stored = c.get('p3')[3]
    assert c.change('save', 'p3', 'new 1') == ('ok', True)
    assert c.put('p3', 'x', set(), stored) == ('mismatch',)
    must_fit([c])
    kept = [c.get(pin) for pin in SUBJECTS]
    assert server.stop() == 0
    server = Server(catalog, '--drain-delay', '0')
    c.move(server.port)
    assert [c.get(pin) for pin in SUBJECTS] == kept, 'etags are the same after a restart'


@test
def a_server_that_only_reads_shows_what_was_written_until_it_looked():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    c = Client(server.port, 1)
    assert c.put('live 1', 'one', {'new 1'}, vector=direction(3))[0] == 'ok'
    assert c.delete('p3') == ('ok',)
    reader = Server(catalog, '--read-only', '--drain-delay', '0')
    r = Client(reader.port, 2)
    assert r.get('live 1') == c.get('live 1') and r.get('p3') == ('missing',)
    status, _, text = r.call('GET', '/related/p4?k=10')
    assert status == 200 and 'live 1' in [x['pin'] for x in json.loads(text)['results']]
    assert r.call('PUT', '/pins/x', '{}', JSON)[0] == 403
    assert c.put('live 1', 'two', set())[0] == 'ok'
    assert r.get('live 1')[1] == 'one'
    for end_first in (False, True):
        if end_first:
            assert c.put('live 1', 'three', set())[0] == 'ok'
            assert server.stop() == 0
        reader.lines.clear()
        reader.send(signal.SIGHUP)
        reader.wait_for('msg=reloaded')
        assert r.get('live 1')[1] == ('three' if end_first else 'two')
    assert reader.stop() == 0


# ------------------------------ Bulk -----------------------------------------

def bulk(server, lines):
    status, heads, text = server.ask('/pins', 'POST', {'Content-Type': 'application/x-ndjson'},
                                     b'\n'.join(lines) + b'\n')
    assert status == 200 and heads['Content-Type'] == 'application/x-ndjson', (status, text)
    return [json.loads(line) for line in text.splitlines()]


@test
def ten_thousand_lines_are_answered_one_by_one_and_bad_ones_hinder_no_other():
    catalog = make_catalog(scratch())
    server = Server(catalog, '--drain-delay', '0')
    bad = {b'{': 'JSON', b'[1]': 'object', b'{"pin":""}': 'pin', b'{"title":"x"}': 'pin',
           b'{"pin":"x","features":{"visual":[1,2]}}': 'features.visual',
           b'{"pin":"x","features":{"nose":[1,2,3,4]}}': 'nose',
           b'{"pin":"x","titel":"y"}': 'titel', b'\xff\xfe': 'JSON',
           b'{"pin":"%s"}' % (b'x' * 512): '511'}
    lines, wrong = [], {}
    for i in range(10000):
        if i % 97 == 5:
            text = list(bad)[i // 97 % len(bad)]
            wrong[i + 1] = bad[text]
        else:
            text = json.dumps({'pin': 'bulk %d' % (i % 9000), 'title': 'line %d' % i,
                               'boards': ['bulk', 'b%d' % (i % 6)]}).encode()
        lines.append(text)
    answers = bulk(server, lines)
    assert [a['line'] for a in answers] == list(range(1, 10001))
    for a in answers:
        if a['line'] in wrong:
            assert a['code'] == 'invalid_argument' and wrong[a['line']] in a['message'], a
        else:
            assert 'code' not in a and a['etag'], a
    last = {}
    for i in range(10000):
        if i + 1 not in wrong:
            last['bulk %d' % (i % 9000)] = i
    created = sum(a.get('created', False) for a in answers)
    assert created == len(last), (created, len(last))
    server.kill()
    server = Server(catalog, '--drain-delay', '0')
    for pin in random.Random(1).sample(sorted(last), 200):
        a = server.json(address(pin))
        assert a['title'] == 'line %d' % last[pin], a
        assert sorted(a['boards']) == sorted(['bulk', 'b%d' % (last[pin] % 6)]), a
    pages = [server.json('/boards/bulk?limit=1000&offset=%d' % at)['pins']
             for at in range(0, 10000, 1000)]
    assert sorted(on['pin'] for page in pages for on in page) == sorted(last)


# ------------------------------ A full disk ----------------------------------

def small_disk(megabytes):
    """A directory on a file system of its own, or None."""
    where = scratch()
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dm' % megabytes, 'tmpfs', where],
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        return None
    atexit.register(subprocess.run, ['umount', '-l', where])
    return where


def fill_up(c, first):
    """Write pins of some size until one is refused; how many were written."""
    i = first
    while True:
        body = json.dumps({'title': 'filler %d' % i, 'text': 'x' * 20000, 'boards': ['b0']})
        status, heads, text = c.call('PUT', '/pins/filler%20' + str(i), body, JSON)
        if status != 200:
            answer = json.loads(text)
            assert (status, answer['code']) == (503, 'resource_exhausted'), (status, answer)
            assert 'No space left' in answer['message'] and int(heads['Retry-After']) > 0
            return i
        i += 1
        assert i < 100000


@test
def a_full_disk_refuses_writes_keeps_answering_and_takes_writes_again_given_room():
    where = small_disk(8)
    if where is None:
        return 'no file system can be mounted here'
    catalog = make_catalog(where)
    ballast = where + '/ballast'
    with open(ballast, 'wb') as f:
        f.write(b'x' * 2000000)
    server = Server(catalog, '--drain-delay', '0')
    c = Client(server.port, 1)
    n = fill_up(c, 0)
    assert n > 20, n
    for _ in range(3):
        assert c.call('GET', '/readyz')[0] == 200
        assert c.call('GET', '/related/p1')[0] == 200
        assert json.loads(c.call('GET', '/pins/filler%200')[2])['title'] == 'filler 0'
        assert c.call('GET', '/pins/filler%20' + str(n))[0] == 404
    os.unlink(ballast)
    more = fill_up(c, n)
    assert more > n, 'room was made'
    server.kill()
    server = Server(catalog, '--drain-delay', '0')
    c = Client(server.port, 2)
    for i in range(more):
        assert json.loads(c.call('GET', '/pins/filler%20' + str(i))[2])['title'] == 'filler %d' % i
    assert c.call('GET', '/pins/filler%20' + str(more))[0] == 404
    assert server.stop() == 0


@test
def a_full_map_grows_while_clients_are_at_it():
    server = Server(make_catalog(scratch()), '--drain-delay', '0', '--live-map-bytes', '1M')
    clients = [Client(server.port, seed) for seed in range(4)]

    def write(c, seed):
        for i in range(40):
            body = json.dumps({'title': 't', 'text': 'x' * 30000})
            assert c.call('PUT', '/pins/large%%20%d.%d' % (seed, i), body, JSON)[0] == 200
            c.anything(i)
    at_once([lambda c=c, i=i: write(c, i) for i, c in enumerate(clients)])
    must_fit(clients)
    assert server.stop() == 0


run()
