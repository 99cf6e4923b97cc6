"""writers.py - clients of a server that is written to, which remember what they were told.

They write and read a few pins, of which two are in the catalog, at once, and through
servers that are killed; `must_fit` looks for an order of all that they did (histories.py).
"""
import http.client
import json
import random
import signal
import threading
import time
from urllib.parse import quote

from histories import Op, Pin, UNKNOWN, check
from serving import PINS, Server, boards_of, direction

JSON = {'Content-Type': 'application/json'}
BOARDS = ['b0', 'odd/one', 'new 1', 'new 2']
# Two of the catalog, two that are written first.
SUBJECTS = ['p3', 'a/b c', 'live 1', '\U0001f408/live?']

class Gone(Exception):
    """The server does not answer any more."""


class Client:
    """One connection; what it asked and was told is in .history, by pin."""

    def __init__(self, port, seed):
        self.port, self.random = port, random.Random(seed)
        self.connection, self.history = None, {pin: [] for pin in SUBJECTS}

    def move(self, port):
        """To another server."""
        self.port, self.connection = port, None

    def call(self, method, path, body=None, headers=None):
        """(status, headers, body); Gone when there is no answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        try:
            self.connection.request(method, path, body, headers or {})
            r = self.connection.getresponse()
            return r.status, r.headers, r.read()
        except (OSError, http.client.HTTPException) as e:
            self.connection.close()
            self.connection = None
            raise Gone() from e

    def note(self, pin, kind, what, match, ask):
        """Do what ask does, which returns what was said, and write it down."""
        began = time.monotonic()
        try:
            said = ask()
        except Gone:
            self.history[pin].append(Op(kind, what, match, UNKNOWN, began, 0))
            raise
        self.history[pin].append(Op(kind, what, match, said, began, time.monotonic()))
        return said

    def put(self, pin, title, boards, match=None, vector=None):
        body = {'title': title, 'boards': sorted(boards)}
        if vector:
            body['features'] = {'visual': vector}
        headers = dict(JSON, **({'If-Match': match} if match else {}))

        def ask():
            status, heads, text = self.call('PUT', address(pin), json.dumps(body), headers)
            if status != 200:
                return refusal(status, text)
            answer = json.loads(text)
            assert answer['pin'] == pin and answer['etag'] == heads['ETag'], answer
            return 'ok', answer['created'], answer['etag']
        return self.note(pin, 'put', (title, frozenset(boards)), match, ask)

    def delete(self, pin, match=None):
        def ask():
            headers = {'If-Match': match} if match else {}
            status, _, text = self.call('DELETE', address(pin), headers=headers)
            return ('ok',) if status == 200 else refusal(status, text)
        return self.note(pin, 'delete', None, match, ask)

    def change(self, kind, pin, board):
        def ask():
            method = 'PUT' if kind == 'save' else 'DELETE'
            status, _, text = self.call(method, '/boards/%s%s' % (escape(board), address(pin)))
            return ('ok', json.loads(text)['changed']) if status == 200 else refusal(status, text)
        return self.note(pin, kind, board, None, ask)

    def get(self, pin):
        def ask():
            status, heads, text = self.call('GET', address(pin))
            if status != 200:
                return refusal(status, text)
            answer = json.loads(text)
            assert answer['etag'] == heads['ETag']
            assert len(answer['boards']) == answer['board_count']
            return 'ok', answer['title'], frozenset(answer['boards']), answer['etag']
        return self.note(pin, 'get', None, None, ask)

    def anything(self, number):
        """One request of any kind about any of the subjects."""
        r = self.random
        pin, board = r.choice(SUBJECTS), r.choice(BOARDS)
        title = '%s by %d' % (number, id(self) % 9973)
        dice = r.random()
        if dice < 0.4:
            return self.get(pin)
        if dice < 0.6:
            return self.put(pin, title, set(r.sample(BOARDS, r.randrange(3))),
                            vector=direction(number % 60) if r.random() < 0.5 else None)
        if dice < 0.65:
            seen = self.get(pin)
            return self.put(pin, title, {board}, seen[3] if seen[0] == 'ok' else '*')
        if dice < 0.75:
            return self.delete(pin)
        return self.change('save' if dice < 0.9 else 'unsave', pin, board)


def escape(name):
    return quote(name, safe='')


def address(pin):
    return '/pins/' + escape(pin)


def refusal(status, text):
    known = {404: 'missing', 412: 'mismatch', 429: 'refused', 503: 'refused'}
    assert status in known, (status, text)
    return (known[status],)


# ------------------------------ Together -------------------------------------

def start_state(pin):
    if pin not in PINS:
        return None
    return Pin('title of ' + pin, frozenset(boards_of(PINS.index(pin))), None)


def without_etags(op):
    """After a compaction a pin has another etag, which nobody is told."""
    said = op.said[:-1] + (None,) if op.kind in ('put', 'get') and op.said[0] == 'ok' else op.said
    match = op.match if op.match == '*' else None
    return Op(op.kind, op.what, match, said, op.began, op.ended)


def must_fit(clients, compactions=False):
    """Fails unless all that the clients saw can have been."""
    for pin in SUBJECTS:
        ops = [op for c in clients for op in c.history[pin]]
        if compactions:
            ops = [op if op.said is UNKNOWN else without_etags(op) for op in ops
                   if op.match in (None, '*') or op.said != ('mismatch',)]
        etags = [op.said[2] for op in ops
                 if op.kind == 'put' and op.said is not UNKNOWN and op.said[0] == 'ok']
        assert compactions or len(etags) == len(set(etags)), 'an etag was given twice'
        wrong = check(ops, start_state(pin))
        assert wrong is None, '%s: no order of these fits:\n%s' % (
            pin, '\n'.join(map(repr, wrong)))


def at_once(functions, killed=False):
    """Run them in threads of their own; the first exception is raised here. killed: the
    server is, which ends those that ask it."""
    failed = []

    def guarded(function):
        try:
            function()
        except BaseException as e:  # told below
            if not (killed and isinstance(e, Gone)):
                failed.append(e)
    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def compact_on(client, done):
    """Compact again and again, until the server is gone."""
    while True:
        status, _, text = client.call('POST', '/admin/compact?keep=%d' % client.random.randrange(2))
        assert status in (200, 409), (status, text)
        done.append(json.loads(text).get('compacted'))


def lives(catalog, kills, seconds, clients, *args, between=lambda: None, beside=None):
    """Server after server on one catalog, each killed while all clients are at it, and
    something else beside them."""
    chance = random.Random(kills)
    for life in range(kills + 1):
        if life:
            between()
        server = Server(catalog, '--drain-delay', '0', *args)
        for c in clients:
            c.move(server.port)
        for pin in SUBJECTS:  # what is left, before anything else
            clients[0].get(pin)
        if life == kills:
            return server

        def go_on(c):
            for i in range(life * 1000000, life * 1000000 + 1000000):
                c.anything(i)

        def kill():
            time.sleep(chance.random() * seconds)
            server.kill()
            assert server.stop(0) == -signal.SIGKILL, server.lines
        others = [lambda: beside(server)] if beside else []
        at_once([kill] + others + [lambda c=c: go_on(c) for c in clients], killed=True)
