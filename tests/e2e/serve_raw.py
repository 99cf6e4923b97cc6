"""serve_raw.py - bytes on a socket: what proxies and we could read differently is refused,
and nobody may hold a connection by dripping."""
import json
import re
import socket
import sys
import time

sys.path.insert(0, 'tests/support')
from serving import Server, make_catalog, run, scratch, test

catalog = make_catalog(scratch())
server = Server(catalog, '--body-bytes', '1000', '--url-bytes', '2000')
HOST = b'Host: localhost\r\n'


def head(target=b'/livez', lines=HOST, method=b'GET', version=b'HTTP/1.1'):
    return method + b' ' + target + b' ' + version + b'\r\n' + lines + b'\r\n'


def statuses(data):
    return [int(n) for n in re.findall(rb'HTTP/1\.1 (\d{3}) ', data)]


def refused(data, status, words=b'', by=server):
    """Exactly one answer of that status, in our shape, and then the connection ends: what
    follows on it is never read as a request."""
    out = by.raw(data + head())
    assert statuses(out) == [status], out
    assert not out.endswith(b'...'), 'the connection stays open'
    top, body = out.split(b'\r\n\r\n', 1)
    assert b'\r\nContent-Type: application/json\r\n' in top + b'\r\n', top
    e = json.loads(body.decode())
    assert sorted(e) == ['code', 'details', 'message'] and words in e['message'].encode(), e


@test
def requests_may_be_pipelined():
    out = server.raw(head() * 3 + head(lines=HOST + b'Connection: close\r\n'))
    assert statuses(out) == [200] * 4 and not out.endswith(b'...'), out


@test
def two_hosts_are_refused():
    refused(head(lines=HOST + b'Host: y\r\n'), 400, b'Host')


@test
def a_missing_host_is_refused():
    refused(head(lines=b''), 400, b'Host')


@test
def a_length_told_twice_is_refused():
    for lines in (b'Content-Length: 3\r\nContent-Length: 4\r\n',
                  b'Content-Length: 3\r\ncontent-length: 3\r\n'):
        refused(head(lines=HOST + lines, method=b'POST') + b'abc', 400, b'length')


@test
def a_length_beside_chunks_is_refused():
    for lines in (b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n',
                  b'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n'):
        refused(head(lines=HOST + lines, method=b'POST') + b'abc', 400, b'length')


@test
def a_length_that_is_no_number_is_refused():
    for length in (b'-1', b'+3', b'3, 3', b'0x3', b'', b'3 3', b'99999999999999999999999'):
        line = b'Content-Length: ' + length + b'\r\n'
        status, words = (413, b'body') if len(length) > 9 else (400, b'Content-Length')
        refused(head(lines=HOST + line, method=b'POST') + b'abc', status, words)
        out = server.raw(head() + head(lines=HOST + line, method=b'POST') + b'abc')
        assert statuses(out) == [200, status], 'behind another request: %r' % out


@test
def odd_transfer_codings_are_refused():
    for coding in (b'xchunked', b'gzip, chunked', b'identity', b'chunked, chunked', b''):
        refused(head(lines=HOST + b'Transfer-Encoding: ' + coding + b'\r\n', method=b'POST'),
                501, b'coding')


@test
def blanks_in_header_names_are_refused():
    for line in (b'Content-Length : 3\r\n', b'X Y: 1\r\n', b'X\x01: 1\r\n', b'X(: 1\r\n'):
        refused(head(lines=HOST + line, method=b'POST') + b'abc', 400, b'header')


@test
def chunks_are_not_for_http_1_0():
    refused(head(lines=HOST + b'Transfer-Encoding: chunked\r\n', method=b'POST',
                 version=b'HTTP/1.0') + b'3\r\nabc\r\n0\r\n\r\n', 400, b'HTTP/1.0')


@test
def lines_that_end_in_a_bare_lf_are_refused():
    for data in (b'GET /livez HTTP/1.1\nHost: localhost\r\n\r\n',
                 b'GET /livez HTTP/1.1\r\nHost: localhost\n\r\n',
                 b'GET /livez HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n',
                 b'GET /livez HTTP/1.1\r\nHost: localhost\r\n\n',
                 b'GET /livez HTTP/1.1\nHost: localhost\n\n'):
        refused(data, 400, b'line')


@test
def folded_lines_are_refused():
    for lines in (b'X: a\r\n b\r\n', b'X: a\r\n\tb\r\nY: c\r\n',
                  b'Transfer-Encoding:\r\n chunked\r\n'):
        refused(head(lines=HOST + lines), 400, b'folded')


@test
def a_nul_or_a_bare_cr_in_a_header_is_refused():
    for lines in (b'X: a\0b\r\n', b'X: a\0\r\nY: c\r\n', b'\0X: a\r\n', b'X: a\rb\r\n',
                  b'X: a\r\r\n', b'Transfer-Encoding: chunked\0x\r\n'):
        refused(head(lines=HOST + lines), 400)
    refused(head(lines=HOST + b'X\0Y: a\r\n'), 400, b'header line')


@test
def a_line_without_a_colon_is_refused():
    refused(head(lines=HOST + b'nonsense\r\n'), 400, b'header line')
    refused(head(lines=b'nonsense\r\n' + HOST), 400, b'header line')


@test
def what_is_no_request_line_is_refused():
    for data in (b'GARBAGE\r\n\r\n', b'\r\nGET\r\n\r\n', b'GET /livez\r\n\r\n', b'x\n'):
        refused(data, 400, b'request line')
    with server.connect() as s:  # in pieces it may be one
        data = head(lines=HOST + b'Connection: close\r\n')
        for piece in data[:2], data[2:5], data[5:15], data[15:]:
            s.sendall(piece)
            time.sleep(0.05)
        assert statuses(s.recv(65536)) == [200]


@test
def a_header_may_come_in_pieces_and_be_long():
    lines = HOST + b''.join(b'X-%d: %s\r\n' % (i, b'v' * i) for i in range(100)) + b'Empty:\r\n'
    data = b'\r\n' + head(lines=lines) + head(lines=HOST + b'Connection: close\r\n')
    with server.connect() as s:
        for i in range(0, len(data), 97):
            s.sendall(data[i:i + 97])
        out = b''
        while more := s.recv(65536):
            out += more
    assert statuses(out) == [200, 200], out


@test
def methods_are_known_and_in_capitals():
    for method in (b'get', b'BREW', b'Get', b'track', b'X' * 300):
        refused(head(method=method), 501, b'method')
    for method in (b'CONNECT', b'TRACE', b'TRACK'):
        refused(head(method=method), 405, b'method')
        assert b'\r\nAllow: GET, ' in server.raw(head(method=method))


@test
def only_http_1_is_spoken():
    refused(head(version=b'HTTP/1.2'), 505)
    assert statuses(server.raw(head(version=b'HTTP/1.0', lines=b''))) == [200]


@test
def a_nul_in_the_request_line_is_refused():
    refused(head(b'/livez\0/x'), 400, b'request line')


@test
def an_encoded_nul_is_refused():
    out = server.raw(head(b'/related/a%00b') + head())
    assert statuses(out) == [400, 200] and b'"invalid_argument"' in out, out


@test
def http_2_is_not_spoken():
    refused(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, b'HTTP/1.1')


@test
def bad_escapes_are_refused_and_the_connection_goes_on():
    for target in (b'/related/%zz', b'/related/%', b'/related/%ff',
                   b'/related/p1?method=%2', b'/related/a#b', b'relative'):
        out = server.raw(head(target) + head())
        assert statuses(out) == [400, 200], (target, out)
        assert b'"invalid_argument"' in out


@test
def a_space_in_the_target_is_refused():
    refused(head(b'/livez /x'), 400, b'request line')
    refused(head(b'/livez '), 400, b'request line')


@test
def an_encoded_slash_never_makes_a_path():
    out = server.raw(head(b'/images%2F..%2Fcatalog') + head(b'/a%2F..%2Flivez'))
    assert statuses(out) == [404, 404], out


@test
def absolute_form_is_understood():
    assert statuses(server.raw(head(b'http://x/livez'))) == [200]


@test
def a_target_that_is_too_long_is_refused():
    refused(head(b'/related/' + b'a' * 2000), 414, b'target')
    refused(head(b'/related/' + b'a' * 20000), 414, b'target')
    refused(head(b'/related/' + b'a' * 90000), 414, b'target')


def in_flight(of):
    """Requests that the server thinks it is at, beside the one that asks; the one that
    asked before may just be ending."""
    for _ in range(50):
        text = of.ask('/metrics')[2].decode()
        n = int(re.search(r'^pinsage_http_requests_in_flight (\d+)$', text, re.M).group(1))
        if n == 1:
            break
        time.sleep(0.1)
    return n - 1


@test
def as_many_parameters_as_fit_the_target_are_taken_apart():
    wide = Server(catalog)
    for n in (450, 512):
        query = '&'.join('exclude=p%d' % i for i in range(n))
        a = wide.json('/related/p1?k=1000&' + query)
        assert a['results'] and not [r for r in a['results'] if r['pin'] == 'p2'], a
    for query in ('&' * 7900, '=&' * 3900, 'verbose' + '&' * 7000, '?' * 7900):
        assert wide.ask('/livez?' + query)[0] in (200, 400), query[:20]
    assert wide.ask('/version?' + 'a=b&' * 1900)[0] == 400
    for data in (head(b'/livez\0?' + b'&' * 7900), head(b'/livez\0x?' + b'a=b&' * 1900)):
        out = wide.raw(data)
        assert statuses(out) in ([400], [431]) and b'"code"' in out, out
    assert in_flight(wide) == 0
    assert wide.stop() == 0


@test
def floods_of_headers_are_refused():
    refused(head(lines=HOST + b'X: ' + b'a' * 90000 + b'\r\n'), 431)
    refused(head(lines=HOST + b'X: a\r\n' * 9000), 431)
    refused(head(lines=HOST + b'a:\r\n' * 9000), 431)


@test
def the_memory_for_headers_is_an_option():
    small = Server(catalog, '--header-bytes', '4096')
    refused(head(lines=HOST + b'X: ' + b'a' * 5000 + b'\r\n'), 431, b'header', small)
    assert small.stop() == 0


@test
def bodies_have_a_limit():
    def post(lines):
        return head(b'/related', HOST + lines, b'POST')

    refused(post(b'Content-Length: 1001\r\n'), 413, b'body')
    refused(post(b'Content-Length: 4000000000\r\n'), 413, b'body')
    expect = b'Expect: 100-continue\r\nContent-Length: 5000\r\n'
    assert statuses(server.raw(post(expect))) == [413], 'no 100 before'


@test
def chunked_bodies_have_the_same_limit():
    chunk = b'258\r\n' + b'x' * 600 + b'\r\n'
    chunked = head(b'/related', HOST + b'Transfer-Encoding: chunked\r\n', b'POST')
    assert statuses(server.raw(chunked + chunk + b'0\r\n\r\n')) == [415]
    refused(chunked + chunk * 2 + b'0\r\n\r\n', 413, b'body')
    refused(chunked + chunk * 2000, 413, b'body')


@test
def tls_on_this_port_does_no_harm():
    server.raw(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(range(200)), 3)
    assert server.ask('/livez')[0] == 200


@test
def broken_chunks_are_refused():
    chunked = head(b'/related', HOST + b'Transfer-Encoding: chunked\r\n', b'POST')
    for chunk in (b'zz\r\nabc\r\n', b'-3\r\nabc\r\n', b'3\r\nabcdef', b'\r\n', b'0x3\r\nabc',
                  b'fffffffffffffffff\r\nabc'):
        refused(chunked + chunk + b'\r\n', 413 if chunk[0] == 102 else 400)


@test
def a_body_that_stops_short_is_no_request():
    out = server.raw(head(b'/related', HOST + b'Content-Length: 900\r\n', b'POST') + b'x', 2)
    assert statuses(out) == [], out


@test
def a_client_that_leaves_in_the_middle_is_not_waited_for():
    upload = head(b'/related', HOST + b'Content-Length: 900\r\n', b'POST') + b'x'
    for data in (b'GET /livez HT', head()[:-2], upload):
        for _ in range(5):
            with server.connect() as s:
                s.sendall(data)
    for _ in range(5):
        with server.connect() as s:  # after a whole one, too
            s.sendall(head() + b'GET')
            s.recv(65536)
        s = server.connect()
        s.sendall(head())
        s.shutdown(socket.SHUT_WR)
    start = time.monotonic()
    while '\npinsage_connections 1\n' not in server.ask('/metrics')[2].decode():
        assert time.monotonic() - start < 5, 'they are still open'
        time.sleep(0.05)
    assert in_flight(server) == 0


@test
def who_still_sends_when_refused_reads_the_refusal():
    size = 8 << 20
    with server.connect() as s:
        s.sendall(head(b'/pins/x', HOST + b'Content-Length: %d\r\n' % size, b'PUT'))
        for _ in range(size >> 16):
            s.sendall(b'x' * 65536)
        out = s.recv(65536)
    assert statuses(out) == [413], out


@test
def quiet_connections_are_closed_after_their_time():
    quiet = Server(catalog, '--idle-timeout', '1s', '--header-timeout', '60s')
    with quiet.connect() as s:
        s.sendall(head())
        assert s.recv(65536).startswith(b'HTTP/1.1 200')
        start = time.monotonic()
        s.settimeout(20)
        assert s.recv(65536) == b'' and time.monotonic() - start < 15
    assert quiet.stop() == 0


@test
def answers_that_nobody_takes_are_given_up():
    slow = Server(catalog, '--send-timeout', '500ms', '--cache-bytes', '0')
    with slow.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        start = time.monotonic()
        s.settimeout(0.2)
        try:
            while time.monotonic() - start < 20:
                s.sendall(head(b'/metrics') * 50)
        except (socket.timeout, OSError):
            pass
        while time.monotonic() - start < 20:
            text = slow.ask('/metrics')[2].decode()
            if '\npinsage_connections_timed_out_total 1\n' in text:
                break
            time.sleep(0.1)
        assert '\npinsage_connections_timed_out_total 1\n' in text
    assert slow.stop() == 0


def drip(s, data, pause=0.05, seconds=20):
    """Seconds until the server hung up on bytes that come one by one."""
    start = time.monotonic()
    s.settimeout(pause)
    while time.monotonic() - start < seconds:
        try:
            s.sendall(data[:1] or b'x')
            data = data[1:]
            if s.recv(65536) == b'':
                return time.monotonic() - start
        except socket.timeout:
            continue
        except OSError:
            return time.monotonic() - start
    raise AssertionError('it was still open')


@test
def slow_requests_are_cut_off():
    slow = Server(catalog, '--read-only', '--header-timeout', '700ms', '--idle-timeout', '1s')
    with slow.connect() as s:
        drip(s, b'GET /livez HTTP/1.1\r\nX: ')
    assert statuses(slow.raw(b'GET /livez HTTP/1.1\r\nX: ', 5)) == [408]
    with slow.connect() as s:
        s.sendall(head(b'/related', HOST + b'Content-Length: 900\r\n', b'POST'))
        drip(s, b'')
    with slow.connect() as s:  # a long body that does come may take its time
        s.sendall(head(b'/related', HOST + b'Content-Length: 100000\r\n', b'POST'))
        for _ in range(20):
            s.sendall(b'x' * 5000)
            time.sleep(0.1)
        assert s.recv(65536).startswith(b'HTTP/1.1 415')
    with slow.connect() as s:
        s.sendall(head())
        assert s.recv(65536).startswith(b'HTTP/1.1 200')
        drip(s, b'GET /livez HTTP/1.1\r\nX: ')
    text = slow.ask('/metrics')[2].decode()
    assert '\npinsage_connections_timed_out_total 4\n' in text, text
    assert slow.stop() == 0


@test
def refusals_are_counted_and_the_server_lives():
    text = server.ask('/metrics')[2].decode()
    count = [x for x in text.splitlines() if x.startswith('pinsage_http_refused_total')][0]
    assert int(count.split()[1]) > 20, count
    assert server.stop() == 0, server.lines


run()
