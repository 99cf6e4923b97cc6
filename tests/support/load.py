"""load.py - for end-to-end tests: clients that ask a server until it refuses connections.

What goes wrong meanwhile is kept and fails the test that looks. A client may pause between
requests, so that a test can say how much load it makes.
"""
import json
import threading
import time

REQUEST = b'GET /related/p%d?k=5 HTTP/1.1\r\nHost: localhost\r\n\r\n'


def read_answer(s):
    """(status line, headers, body) of one answer, whole."""
    data = b''
    while b'\r\n\r\n' not in data:
        more = s.recv(65536)
        if not more:
            raise EOFError('closed after %d bytes' % len(data))
        data += more
    headers, body = data.split(b'\r\n\r\n', 1)
    length = int(headers.lower().split(b'content-length: ')[1].split(b'\r\n')[0])
    while len(body) < length:
        more = s.recv(65536)
        if not more:
            raise EOFError('an answer was cut')
        body += more
    return headers.split(b'\r\n')[0], headers.lower(), body


class Client(threading.Thread):
    """Asks without pause, on one connection as long as the server keeps it; ends when
    connections are refused. What else goes wrong is a failure."""

    def __init__(self, server, seed, pause=0):
        super().__init__(daemon=True)
        self.server, self.n, self.pause = server, seed, pause
        self.answers, self.closes, self.failures = 0, 0, []
        self.start()

    def run(self):
        while not self.failures:
            try:
                s = self.server.connect()
            except ConnectionRefusedError:
                return
            except OSError as e:
                self.failures.append(e)
                return
            try:
                self.use(s)
            except Exception as e:  # every kind counts
                self.failures.append(e)
            finally:
                s.close()

    def use(self, s):
        while True:
            self.n += 1
            s.sendall(REQUEST % (self.n % 60))
            status, headers, body = read_answer(s)
            assert status == b'HTTP/1.1 200 OK', status
            assert len(json.loads(body.decode())['results']) == 5
            self.answers += 1
            time.sleep(self.pause)
            if b'connection: close' in headers:
                self.closes += 1
                return


def ends(clients):
    for c in clients:
        c.join(60)
        assert not c.is_alive()
    failures = [repr(f) for c in clients for f in c.failures]
    assert not failures, failures
