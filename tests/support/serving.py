"""serving.py - for end-to-end tests: TAP, a small catalog, and a server to ask.

The catalog has pins with awkward ids, a pin without content ("bare"), one that is on no
board either ("lonely"), and pictures in a folder. p0..p59 lie on a circle in the block
`visual`, so that the neighbours of a pin are known.
"""
import atexit
import csv
import http.client
import json
import math
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

PINSAGE = os.environ.get('PINSAGE', 'build/pinsage')
BUILD = os.environ.get('BUILD', 'build')
SAN = os.environ.get('PS_SAN', '')
AWKWARD = ['a/b c', '"quoted"', '\U0001f408 cat', 'x,y', '100%', "it's", 'a+b', 'q?a=1&b#c']
ON_CIRCLE = 60
PINS = ['p%d' % i for i in range(ON_CIRCLE)] + AWKWARD + ['bare', 'lonely']

# ------------------------------ TAP -----------------------------------------

_tests = []

if not os.access(PINSAGE, os.X_OK):
    print('1..0 # SKIP no program at ' + PINSAGE)
    sys.exit(0)


def test(function):
    """A test whose name is its function's; assertions and exceptions fail it."""
    _tests.append(function)
    return function


def run():
    failed = 0
    print('1..%d' % len(_tests), flush=True)
    for i, function in enumerate(_tests, 1):
        try:
            why = function()
            note = ' # SKIP ' + why if isinstance(why, str) else ''
            print('ok %d - %s%s' % (i, function.__name__, note), flush=True)
        except BaseException:  # a failure of any kind is a result
            failed += 1
            print('not ok %d - %s' % (i, function.__name__))
            print(re.sub('^', '# ', traceback.format_exc().rstrip(), flags=re.M), flush=True)
    sys.exit(1 if failed else 0)


def scratch():
    path = tempfile.mkdtemp(prefix='serve.', dir=BUILD)
    atexit.register(shutil.rmtree, path, True)
    return path


# ------------------------------ A catalog -----------------------------------

def write_npy(path, rows):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (
        len(rows), len(rows[0]))
    head += ' ' * (63 - (len(head) + 10) % 64) + '\n'
    with open(path, 'wb') as f:
        f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head)) + head.encode())
        for row in rows:
            f.write(struct.pack('<%df' % len(row), *row))


def direction(i):
    angle = 2 * math.pi * i / ON_CIRCLE
    return [math.cos(angle), math.sin(angle), 0.25, 0.0]


def boards_of(i):
    return [] if PINS[i] == 'lonely' else ['b%d' % (i % 6), 'all pins'] + ['odd/one'] * (i % 2)


def pinsage(*args):
    done = subprocess.run([PINSAGE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (args, done.stderr.decode())
    return done.stdout.decode()


def make_catalog(where, titles='title of %s'):
    with open(where + '/pins.tsv', 'w', encoding='utf-8') as f:
        table = csv.writer(f, 'excel-tab')  # ids with quotes in them are quoted
        table.writerow(['pin', 'title', 'text', 'image', 'author'])
        for i, pin in enumerate(PINS):
            image = 'sub/pic %d.png' % i if i % 2 else 'https://img.example/%d.jpg' % i
            table.writerow([pin, titles % pin, 'text %d' % i, image, 'me'])
    with open(where + '/edges.tsv', 'w', encoding='utf-8') as f:
        table = csv.writer(f, 'excel-tab')
        table.writerow(['pin', 'board'])
        for i, pin in enumerate(PINS):
            table.writerows([pin, board] for board in boards_of(i))
    visual = [direction(i) for i in range(ON_CIRCLE)]
    visual += [[0.0, 0.0, 0.1, 1.0 + i] for i in range(len(AWKWARD))] + [[0.0] * 4] * 2
    write_npy(where + '/visual.npy', visual)
    pinsage('import', where + '/catalog', '--pins', where + '/pins.tsv', '--edges',
            where + '/edges.tsv', '--feature', 'visual=' + where + '/visual.npy')
    pinsage('index', where + '/catalog')
    return where + '/catalog'


# ------------------------------ A server ------------------------------------

class Server:
    """A server on a free port of the loopback; its log lines are in .lines."""

    writers = {}  # catalog -> the server that may write to it

    def __init__(self, catalog, *args, wait=True, before=()):
        writer = Server.writers.get(catalog)
        if writer and writer.process.poll() is None and '--read-only' not in args:
            args = (*args, '--read-only')  # one may write; others may read beside it
        else:
            Server.writers[catalog] = self
        self.process = subprocess.Popen(
            [*before, PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:0', *args],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        atexit.register(self.kill)
        self.lines, self.rest, self.port = [], b'', None
        if wait:
            line = self.wait_for('msg=listening')
            self.port = int(re.search(r'addr=\S*:(\d+)', line).group(1))

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def read_log(self, seconds):
        fd = self.process.stderr.fileno()
        if not select.select([fd], [], [], seconds)[0]:
            return False
        data = os.read(fd, 65536)
        whole = (self.rest + data).split(b'\n')
        self.rest = whole.pop()
        self.lines += [line.decode('utf-8', 'replace') for line in whole]
        return bool(data)

    def wait_for(self, text, seconds=60):
        end = time.monotonic() + seconds
        seen = 0
        while True:
            for line in self.lines[seen:]:
                if text in line:
                    return line
            seen = len(self.lines)
            more = self.read_log(max(0, min(1, end - time.monotonic())))
            dead = self.process.poll() is not None and not more
            assert not dead and time.monotonic() < end, 'no "%s" in %r' % (text, self.lines)

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGINT):
        """Ends the server (0: it is ending already); its exit status. What a sanitizer
        reports is a failure."""
        if self.process.poll() is None:
            self.send(number)
        while self.read_log(30):
            pass
        status = self.process.wait(30)
        trouble = [line for line in self.lines if 'Sanitizer' in line]
        assert not trouble, '\n'.join(self.lines)
        return status

    def connect(self):
        s = socket.create_connection(('127.0.0.1', self.port), 20)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, seconds=20):
        """Sends bytes and returns all that comes until the server closes, or b'...' more
        once it is quiet for a moment."""
        with self.connect() as s:
            s.sendall(data)
            s.settimeout(seconds)
            out = b''
            try:
                while True:
                    more = s.recv(65536)
                    if not more:
                        return out
                    out += more
                    s.settimeout(1.0)
            except socket.timeout:
                return out + b'...'
            except ConnectionResetError:
                return out

    def ask(self, path, method='GET', headers=None, body=None):
        """(status, headers, body) of a request whose path is sent as it stands."""
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        try:
            c.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                c.putheader(name, value)
            if body is not None:
                c.putheader('Content-Length', str(len(body)))
            c.endheaders(body)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def json(self, path, want=200, **how):
        status, headers, body = self.ask(path, **how)
        assert status == want, (path, status, body)
        assert headers['Content-Type'] == 'application/json', headers
        assert headers['X-Content-Type-Options'] == 'nosniff'
        return json.loads(body.decode('utf-8'))

    def error(self, path, want, code, **how):
        e = self.json(path, want, **how)
        assert sorted(e) == ['code', 'details', 'message'], e
        assert e['code'] == code and e['message'], e
        return e
