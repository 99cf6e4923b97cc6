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
HOST = b'Host: x\r\n'


def head(target=b'/livez', lines=HOST, method=b'GET', version=b'HTTP/1.1'):
    return method + b' ' + target + b' ' + version + b'\r\n' + lines + b'\r\n'


def statuses(data):
    return [int(n) for n in re.findall(rb'HTTP/1\.1 (\d{3}) ', data)]


def refused(data, status, words=b''):
    """Exactly one answer of that status, in our shape, and then the connection ends: what
    follows on it is never read as a request."""
    out = server.raw(data + head())
    assert statuses(out) == [status], out
    assert not out.endswith(b'...'), 'the connection stays open'
    e = json.loads(out.split(b'\r\n\r\n', 1)[1].decode())
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
                  b'Content-Length: 3\r\ncontent-length: 3\r\n',
                  b'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n',
                  b'Transfer-Encoding: chunked\r\nContent-Length: 3\r\n'):
        refused(head(lines=HOST + lines, method=b'POST') + b'abc', 400, b'length')


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
def methods_are_known_and_in_capitals():
    for method in (b'get', b'BREW', b'Get', b'CONNECT', b'TRACE'):
        refused(head(method=method), 501, b'method')


@test
def only_http_1_is_spoken():
    refused(head(version=b'HTTP/1.2'), 505)
    assert statuses(server.raw(head(version=b'HTTP/1.0', lines=b''))) == [200]


@test
def a_nul_in_the_request_line_is_refused():
    refused(head(b'/livez\0/x'), 400, b'request line')


@test
def bad_escapes_are_refused_and_the_connection_goes_on():
    for target in (b'/related/a%00b', b'/related/%zz', b'/related/%', b'/related/%ff',
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
    assert statuses(server.raw(head(b'/related/' + b'a' * 90000)))[0] in (414, 431)
    assert 431 in statuses(server.raw(head(lines=HOST + b'X: ' + b'a' * 90000 + b'\r\n')))


@test
def bodies_have_a_limit():
    refused(head(lines=HOST + b'Content-Length: 1001\r\n', method=b'POST'), 413, b'body')
    refused(head(lines=HOST + b'Content-Length: 4000000000\r\n', method=b'POST'), 413)
    expect = HOST + b'Expect: 100-continue\r\nContent-Length: 5000\r\n'
    assert statuses(server.raw(head(lines=expect, method=b'POST'))) == [413], 'no 100 before'
    chunk = b'258\r\n' + b'x' * 600 + b'\r\n'
    chunked = head(b'/related/p1', HOST + b'Transfer-Encoding: chunked\r\n')
    assert statuses(server.raw(chunked + chunk + b'0\r\n\r\n')) == [200]
    assert statuses(server.raw(chunked + chunk * 2 + b'0\r\n\r\n')) == [413]
    assert statuses(server.raw(chunked + chunk * 2000)) == [], 'an endless upload is cut'


@test
def tls_on_this_port_does_no_harm():
    server.raw(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + bytes(range(200)), 3)
    assert server.ask('/livez')[0] == 200


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
def dripping_requests_are_cut_off():
    slow = Server(catalog, '--read-only', '--header-timeout', '700ms', '--idle-timeout', '1s')
    with slow.connect() as s:
        drip(s, b'GET /livez HTTP/1.1\r\nX: ')
    with slow.connect() as s:
        s.sendall(head(lines=HOST + b'Content-Length: 900\r\n', method=b'POST'))
        drip(s, b'')
    with slow.connect() as s:
        s.sendall(head())
        assert s.recv(65536).startswith(b'HTTP/1.1 200')
        drip(s, b'GET /livez HTTP/1.1\r\nX: ')
    text = slow.ask('/metrics')[2].decode()
    assert '\npinsage_connections_overtime_total 3\n' in text, text
    assert slow.stop() == 0


@test
def refusals_are_counted_and_the_server_lives():
    text = server.ask('/metrics')[2].decode()
    count = [x for x in text.splitlines() if x.startswith('pinsage_http_refused_total')][0]
    assert int(count.split()[1]) > 20, count
    assert server.stop() == 0, server.lines


run()
