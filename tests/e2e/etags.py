"""etags.py - one ETag, one answer: whatever happened between two answers that have the same
ETag, in whatever process they were made, they are equal.

Every answer is put into one table under its path and ETag, and must be what is there.
"""
import json
import os
import shutil
import signal
import sys
import threading
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
from serving import Server, direction, make_catalog, pinsage, run, scratch, test

JSON = {'Content-Type': 'application/json'}
PATHS = ['/related/p1?method=pixie', '/related/p1', '/boards/fresh', '/pins/p1', '/pins/p2',
         '/related/p2?board=fresh']


class Answers:
    def __init__(self):
        self.body, self.made_by, self.conflicts = {}, {}, []

    def take(self, server, path, who=''):
        status, headers, body = server.ask(path)
        if status == 404:
            return None
        assert status == 200, (path, status, body)
        key = path, headers['ETag']
        if headers['ETag'] is None:
            return None
        if self.body.setdefault(key, body) != body:
            self.conflicts.append((key, self.made_by[key], who))
        self.made_by.setdefault(key, who)
        return headers['ETag']

    def all(self, server, who):
        return [self.take(server, path, who) for path in PATHS]

    def must_be_one_each(self):
        assert not self.conflicts, (len(self.conflicts), self.conflicts[:4])


def save(server, i):
    status, _, body = server.ask('/boards/fresh/pins/p%d' % i, 'PUT')
    assert status == 200, body


def put(server, pin, at, title='live'):
    body = {'title': title, 'boards': ['fresh'], 'features': {'visual': direction(at)}}
    status, _, said = server.ask('/pins/' + quote(pin), 'PUT', JSON, json.dumps(body).encode())
    assert status in (200, 201), said


def start(catalog, *args):
    return Server(catalog, '--drain-delay', '0', *args)


def reloaded(server, catalog):
    assert server.ask('/admin/reload', 'POST')[0] == 200
    return server


def hung_up(server, catalog):
    server.lines.clear()
    server.send(signal.SIGHUP)
    server.wait_for('msg=reloaded')
    return server


def restarted(server, catalog):
    assert server.stop() == 0
    return start(catalog)


def killed(server, catalog):
    server.kill()
    return start(catalog)


def compacted(server, catalog):
    assert server.ask('/admin/compact', 'POST')[0] == 200
    return server


def untouched(server, catalog):
    return server


def writes_before_and_after(event):
    catalog = make_catalog(scratch())
    answers, server = Answers(), start(catalog)
    follower = start(catalog)
    for turn in range(2):
        for i in range(6):
            save(server, 10 * turn + i)
            put(server, 'live %d' % i if i % 2 else 'p%d' % (30 + i), i + turn)
            answers.all(server, '%s, turn %d, save %d' % (event.__name__, turn, i))
        server = event(server, catalog)
        answers.all(server, event.__name__)
        answers.all(follower, 'a follower that lags')
        follower.lines.clear()
        follower.send(signal.SIGHUP)
        follower.wait_for('msg=reloaded')
        answers.all(follower, 'a follower')
    answers.must_be_one_each()
    assert follower.stop() == 0 and server.stop() == 0


for event in (untouched, reloaded, hung_up, restarted, killed, compacted):
    def one(event=event):
        writes_before_and_after(event)
    one.__name__ = 'an_etag_stands_for_one_answer_when_the_server_was_' + event.__name__
    test(one)


@test
def as_long_as_nothing_was_written_servers_of_a_generation_agree():
    catalog = make_catalog(scratch())
    copy = scratch() + '/copy'
    shutil.copytree(catalog, copy, symlinks=True)
    answers, one, other = Answers(), start(catalog), start(copy)
    first = answers.all(one, 'one')
    assert first == answers.all(other, 'other')
    assert first == answers.all(hung_up(one, catalog), 'again')
    assert first == answers.all(restarted(other, copy), 'anew')
    answers.must_be_one_each()


@test
def a_catalog_made_anew_in_the_place_of_another_has_other_etags():
    where = scratch()
    catalog, answers = make_catalog(where), Answers()
    server = start(catalog)
    first = answers.all(server, 'first')
    number = os.readlink(catalog + '/current')
    assert server.stop() == 0
    shutil.rmtree(catalog)
    make_catalog(where, titles='another title of %s')
    assert os.readlink(catalog + '/current') == number, 'the numbers are the same'
    server = start(catalog)
    tag = [t for t in first if t]
    assert not set(tag) & set(answers.all(server, 'second'))
    answers.must_be_one_each()
    stale = server.ask('/pins/p1', 'PUT', {**JSON, 'If-Match': first[3]}, b'{"title":"x"}')
    assert stale[0] >= 400, stale  # it is not the pin that was read
    assert server.stop() == 0


@test
def answers_made_while_vectors_change_are_of_no_version():
    catalog = make_catalog(scratch())
    server, answers = start(catalog, '--cache-bytes', '0'), Answers()
    ended = threading.Event()

    def write():
        for i in range(400):
            put(server, 'p%d' % (20 + i % 3), i)
        ended.set()

    def read():
        while not ended.is_set():
            for path in ('/related/p1?k=30', '/related/p20?k=30'):
                answers.take(server, path, 'reader')
    threads = [threading.Thread(target=f) for f in (write, read, read, read)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers.body) > 50, len(answers.body)
    answers.must_be_one_each()
    assert server.stop() == 0


def near(server, pin):
    e = server.error('/related/' + quote(pin), 404, 'not_found')
    return [name for d in e['details'] for name in d['debug']['pins']]


@test
def pins_are_suggested_while_they_are_there():
    catalog = make_catalog(scratch())
    server = start(catalog)
    assert 'p12' in near(server, 'p122') and near(server, 'zebrb') == []
    put(server, 'zebra', 1, 'striped horse')
    assert near(server, 'zebrb') == ['zebra'] and near(server, 'striped') == ['zebra']
    for pin in ('p12', 'zebra'):
        assert server.ask('/pins/' + pin, 'DELETE')[0] == 200
    assert near(server, 'zebrb') == []

    def nowhere(server):
        for asked in ('p12', 'p122', 'p1x2', 'title of p12', 'zebra', 'zebr'):
            assert not {'p12', 'zebra'} & set(near(server, asked)), asked
    nowhere(server)
    put(server, 'p13', 1, 'renamed')
    assert 'p13' not in near(server, 'title of p13')
    assert near(server, 'renamed') == ['p13']
    follower = start(catalog)
    nowhere(follower)
    nowhere(reloaded(server, catalog))
    nowhere(compacted(server, catalog))
    nowhere(restarted(server, catalog))


run()
