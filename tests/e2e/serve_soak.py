"""serve_soak.py - damaged requests, for as long as PS_SOAK says (seconds; 5 without): each
gets one answer, none stays in flight, and the memory stays flat.

    PS_SOAK=600 python3 tests/e2e/serve_soak.py        ten minutes
"""
import gzip
import json
import os
import random
import re
import socket
import sys
import threading
import time

sys.path.insert(0, 'tests/support')
from serving import SAN, Server, make_catalog, run, scratch, test

SECONDS = float(os.environ.get('PS_SOAK', '5'))
CLIENTS = 4
server = Server(make_catalog(scratch()), '--drain-delay', '0', '--body-bytes', '64K',
                '--bulk-bytes', '256K', '--header-timeout', '2s', '--body-memory', '4M')
HOST = b'Host: localhost\r\nConnection: close\r\n'
OPEN = b'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'


def head(target, lines=b'', method=b'GET', version=b'HTTP/1.1'):
    return method + b' ' + target + b' ' + version + b'\r\n' + HOST + lines + b'\r\n'


def post(lines, body=b'', target=b'/related'):
    return head(target, b'Content-Type: application/json\r\n' + lines, b'POST') + body


def sized(body, more=b''):
    return post(more + b'Content-Length: %d\r\n' % len(body), body)


BOMB = gzip.compress(b' ' * 3000000)
# What is sent, and the statuses that may come back; none: nobody waits for an answer.
SHAPES = [
    (head(b'/related/p1?' + b'&'.join(b'exclude=p%d' % i for i in range(450))), (200,)),
    (head(b'/related/p1?' + b'&'.join(b'exclude=x%d' % i for i in range(512))), (200,)),
    (head(b'/livez?' + b'&' * 7900), (200,)),
    (head(b'/livez?' + b'=&' * 3900), (200, 400)),
    (head(b'/livez\0?' + b'&' * 7900), (400, 431)),
    (head(b'/related/' + b'a' * 9000), (414,)),
    (head(b'/related/' + b'a' * 70000), (414,)),
    (head(b'/livez', b'X: ' + b'a' * 70000 + b'\r\n'), (431,)),
    (head(b'/livez', b'a:\r\n' * 9000), (431,)),
    (head(b'/livez', b'nonsense\r\n'), (400,)),
    (head(b'/livez', version=b'HTTP/3.0'), (505,)),
    (head(b'/livez', method=b'TRACE'), (405,)),
    (head(b'/livez', method=b'BREW'), (501,)),
    (b'GARBAGE\r\n\r\n', (400,)),
    *[(post(b'Content-Length: ' + n + b'\r\n', b'xx'), (400,))
      for n in (b'2a', b'+2', b'', b'2, 2', b'-1')],
    (post(b'Content-Length: 99999999999999999999999\r\n', b'xx'), (413,)),
    (post(b'Content-Length: 70000\r\n', b'x' * 9000), (413,)),
    (post(b'Transfer-Encoding: chunked\r\n', b'zz\r\n'), (400,)),
    (post(b'Transfer-Encoding: chunked\r\n', b'ffff\r\n' + b'x' * 65535 + b'\r\n2\r\nxx'), (413,)),
    (sized(BOMB, b'Content-Encoding: gzip\r\n'), (413,)),
    (sized(BOMB[:500], b'Content-Encoding: gzip\r\n'), (400, 413)),
    (sized(b'no gzip', b'Content-Encoding: gzip\r\n'), (400,)),
    (sized(b'x', b'Content-Encoding: br\r\n'), (415,)),
    (head(b'/pins/p1', b'Content-Length: 900\r\n', b'DELETE'), (400,)),
    (OPEN + post(b'Content-Length: 2a\r\n'), (200, 400)),
    (sized(b'{"positives":[{"pin":"p1"}],"k":5}'), (200,)),
    (head(b'/livez')[:-2], ()),
    (post(b'Content-Length: 900\r\n', b'x' * 899), ()),
    (post(b'Transfer-Encoding: chunked\r\n', b'400\r\n' + b'x' * 500), ()),
]


def metric(name):
    text = server.ask('/metrics')[2].decode()
    return float(re.search(r'^%s (\S+)$' % name, text, re.M).group(1))


def answers_to(data):
    """All that comes until the server has nothing more to say."""
    out = b''
    with server.connect() as s:
        s.settimeout(10)
        try:
            s.sendall(data)
        except OSError:
            pass  # it was refused before its end
        try:
            while more := s.recv(65536):
                out += more
        except OSError:
            pass
    return out


def ask_for(seconds, seed, counts, wrong):
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end and not wrong:
        data, wanted = chance.choice(SHAPES)
        if not wanted:
            with server.connect() as s:
                s.sendall(data)  # and goes
            continue
        out = answers_to(data)
        got = [int(n) for n in re.findall(rb'HTTP/1\.1 (\d{3}) ', out)]
        pipelined = data.startswith(OPEN)
        good = got == list(wanted) if pipelined else len(got) == 1 and got[0] in wanted
        if not good or b'<html' in out:
            wrong.append((data[:60], wanted, out[:300]))
        counts[seed] += 1


def spend(seconds):
    counts, wrong = [0] * CLIENTS, []
    threads = [threading.Thread(target=ask_for, args=(seconds, i, counts, wrong))
               for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[0]
    return sum(counts)


@test
def damaged_requests_have_one_answer_and_leave_nothing_behind():
    for data, wanted in SHAPES:  # each once, whatever chance brings
        if wanted:
            out = answers_to(data)
            assert any(out.startswith(b'HTTP/1.1 %d ' % status) for status in wanted), (
                data[:160], wanted, out)
    spend(SECONDS / 5)
    before = metric('pinsage_resident_anon_bytes')
    n = spend(SECONDS * 4 / 5)
    start = time.monotonic()
    while metric('pinsage_http_requests_in_flight') > 1 and time.monotonic() - start < 10:
        time.sleep(0.1)
    after = metric('pinsage_resident_anon_bytes')
    print('# %d requests in %g s: resident %d KiB, then %d KiB' % (
        n, SECONDS * 4 / 5, before // 1024, after // 1024))
    assert metric('pinsage_http_requests_in_flight') == 1
    assert metric('pinsage_http_request_bodies_held_bytes') == 0
    assert SAN or after - before < 4 << 20, (before, after)
    assert json.loads(server.ask('/related/p1')[2].decode())['results']


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
