"""serve_auth.py - who may write, asked over HTTP, and files of tokens that are no good."""
import http.client
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, SAN, Server, make_catalog, run, scratch, test

where = scratch()
catalog = make_catalog(where)


def refused_start(*args):
    done = subprocess.run([PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:0', *args],
                          stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stderr.decode()


@test
def a_token_file_that_is_no_good_stops_the_start_in_words():
    for text, words in (('', 'holds no token'), ('a b c\n', ':1: a line has'),
                        ('secret-token\nx secret-token\n', ':2: this token stands twice')):
        with open(where + '/bad', 'w') as f:
            f.write(text)
        status, said = refused_start('--token-file', where + '/bad')
        assert status == 65 and words in said and where + '/bad' in said and 'secret-token' not in said, (
            status, said)
    status, said = refused_start('--token-file', where + '/none')
    assert status != 0 and where + '/none' in said, said


@test
def unwise_files_of_tokens_are_told():
    with open(where + '/tokens', 'w') as f:
        f.write('short\n')
    os.chmod(where + '/tokens', 0o644)
    server = Server(catalog, '--token-file', where + '/tokens', '--drain-delay', '0')
    server.wait_for('may read the tokens')
    server.wait_for('shorter than 16')
    assert server.json('/version'), 'reading needs no token'
    assert server.stop() == 0
    assert not [line for line in server.lines if 'short ' in line or '=short' in line]


BODY = b'{"title":"t"}'


def write(server, path='/pins/new', **headers):
    """Status and error of a write; (None, None) when it was let in."""
    named = {name.replace('_', '-'): value for name, value in headers.items()}
    status, sent, body = server.ask(path, 'PUT', {'Content-Type': 'application/json', **named},
                                    BODY)
    if status not in (401, 403, 429):
        return None, None
    e = json.loads(body.decode())
    return (status, e['code']), sent


MEBIBYTE = 1 << 20


def start_upload(server, lines, size=MEBIBYTE, headers=''):
    """A connection on which all but the last byte of a body was sent, and what came back
    until then."""
    s = server.connect()
    s.settimeout(20)
    try:
        s.sendall(('%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s\r\n' % (
            lines, size, headers)).encode() + b'x' * (size - 1))
    except OSError:
        pass  # it was refused already
    return s


@test
def a_token_is_asked_for_before_the_body_is_read():
    with open(where + '/tokens', 'w') as f:
        f.write('a-token-of-some-length\n')
    server = Server(catalog, '--token-file', where + '/tokens', '--drain-delay', '0',
                    '--body-bytes', '1M')
    rpc = 'POST /pinsage.v1.RecommendService/'
    doors = ['PUT /pins/x', 'POST /pins', 'POST /votes', 'DELETE /pins/x', 'POST /admin/reload',
             'POST /admin/compact', 'PUT /boards/b/pins/p', 'DELETE /boards/b/pins/p',
             *(rpc + m for m in ('PutPin', 'DeletePin', 'SavePin', 'UnsavePin', 'Vote'))]
    before = metric(server, 'pinsage_http_request_body_bytes_total')
    for line in doors:
        for headers in ('', 'Expect: 100-continue\r\n', 'Authorization: Bearer wrong\r\n'):
            with start_upload(server, line, 1000, headers) as s:
                out = s.recv(65536)
            assert out.startswith(b'HTTP/1.1 401 ') and b'"unauthenticated"' in out, (line, out)
    assert metric(server, 'pinsage_http_request_body_bytes_total') == before
    assert server.stop() == 0


def metric(server, name):
    for line in server.ask('/metrics')[2].decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[1])
    raise AssertionError(name)


@test
def bodies_take_no_more_memory_than_they_may():
    server = Server(catalog, '--token-file', where + '/tokens', '--drain-delay', '0',
                    '--body-memory', '8M', '--header-timeout', '60s')
    start = metric(server, 'pinsage_resident_anon_bytes')
    held = [start_upload(server, line) for line in
            ['PUT /pins/x'] * 40 + ['POST /related'] * 40]
    for _ in range(100):  # what was sent is still on its way
        if metric(server, 'pinsage_http_request_bodies_refused_total') >= 30:
            break
        time.sleep(0.1)
    most = metric(server, 'pinsage_resident_anon_bytes') - start
    assert metric(server, 'pinsage_http_request_bodies_held_bytes') <= 8 * MEBIBYTE
    assert metric(server, 'pinsage_http_request_bodies_refused_total') >= 30
    assert server.ask('/livez')[0] == 200 and server.json('/related/p1')
    status, headers, _ = server.ask('/related', 'POST', {'Content-Type': 'application/json'},
                                    b'{"positives":[{"pin":"p1"}]}' + b' ' * (MEBIBYTE * 3 // 4))
    print('# %d bytes more for 80 uploads' % most)
    assert SAN or most < 40 * MEBIBYTE, most
    assert (status, headers['Retry-After']) in ((503, '1'), (200, None)), status
    for s in held:
        s.close()
    for _ in range(100):
        if not metric(server, 'pinsage_http_request_bodies_held_bytes'):
            break
        time.sleep(0.1)
    assert metric(server, 'pinsage_http_request_bodies_held_bytes') == 0
    assert metric(server, 'pinsage_http_requests_in_flight') == 1
    assert server.json('/related', method='POST', headers={'Content-Type': 'application/json'},
                       body=b'{"positives":[{"pin":"p1"}]}')['results']
    assert server.stop() == 0


def bearer(token):
    return {'Authorization': 'Bearer ' + token}


def with_tokens(text, *args):
    path = where + '/tokens'
    with open(path, 'w') as f:
        f.write(text)
    os.chmod(path, 0o600)
    return Server(catalog, '--token-file', path, '--drain-delay', '0', *args)


@test
def with_tokens_each_transport_asks_for_one():
    server = with_tokens('bot a-token-of-twenty-one\n', '--access-log', 'all')
    rpc = '/pinsage.v1.RecommendService/Vote'
    for path, method in (('/pins/a', 'PUT'), ('/pins/a', 'DELETE'), ('/votes', 'POST'),
                         ('/boards/b/pins/a', 'PUT'), (rpc, 'POST')):
        e = server.error(path, 401, 'unauthenticated', method=method, body=b'{}',
                         headers={'Content-Type': 'application/json'})
        assert 'Bearer' in e['message']
    refusal, sent = write(server)
    assert refusal == (401, 'unauthenticated') and sent['WWW-Authenticate'].startswith('Bearer')
    assert write(server, **bearer('a-token-of-twenty-two'))[0] == (401, 'unauthenticated')
    assert write(server, **bearer('a-token-of-twenty-one'))[0] is None
    assert server.json('/related/p1?k=1', headers=bearer('wrong')), 'reading is open'
    traced = {'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'}
    assert server.json('/related/p2?k=1', headers=traced)

    with open(where + '/tokens', 'w') as f:
        f.write('bot a-token-of-twenty-two\n')
    server.wait_for('tokens read anew')
    assert write(server, **bearer('a-token-of-twenty-one'))[0] == (401, 'unauthenticated')
    assert write(server, **bearer('a-token-of-twenty-two'))[0] is None
    with open(where + '/tokens', 'w'):
        pass
    server.wait_for('the tokens stay as they were')
    assert write(server, **bearer('a-token-of-twenty-two'))[0] is None
    assert server.stop() == 0
    assert [line for line in server.lines if 'msg=request' in line and ' who=bot' in line]
    assert [line for line in server.lines if 'path="/related/p2?k=1"' in line and
            ' trace_id=0af7651916cd43dd8448eb211c80319c' in line], server.lines
    assert not [line for line in server.lines if 'a-token-of' in line], 'a token was logged'


@test
def without_tokens_the_host_must_be_this_machine():
    server = Server(catalog, '--drain-delay', '0')
    public = Server(catalog, '--listen', '0.0.0.0:0', '--drain-delay', '0')
    named = Server(catalog, '--allowed-hosts', 'shop.example,b.example', '--drain-delay', '0')
    doors = [('/pins/new', 'PUT', BODY), ('/pins/new', 'DELETE', None),
             ('/boards/b/pins/p1', 'PUT', None), ('/votes', 'POST', BODY),
             ('/admin/reload', 'POST', None), ('/admin/compact', 'POST', None),
             ('/pinsage.v1.RecommendService/PutPin', 'POST', BODY),
             ('/pinsage.v1.RecommendService/SavePin', 'POST', BODY)]

    def status(at, host, path='/related/p1', method='GET', body=None, **more):
        c = http.client.HTTPConnection('127.0.0.1', at.port, timeout=30)
        c.putrequest(method, path, skip_host=True)
        for name, value in {'Host': host, 'Content-Type': 'application/json', **more}.items():
            c.putheader(name.replace('_', '-'), value)
        if body is not None:
            c.putheader('Content-Length', str(len(body)))
        c.endheaders(body)
        answer = c.getresponse()
        e = json.loads(answer.read().decode())
        c.close()
        return answer.status, e.get('code')

    for path, method, body in doors:
        for host in ('evil.example', 'evil.example:80', '127.0.0.1.evil.example', ''):
            assert status(server, host, path, method, body)[0] == 421, (path, host)
            assert status(public, host, path, method, body)[0] == 403, (path, host)
        for header in ('X_Real_IP', 'X_Forwarded_For', 'X_Forwarded_Host', 'X_Forwarded_Proto',
                       'Forwarded', 'Via', 'X_Client_IP', 'CF_Connecting_IP'):
            assert status(server, 'localhost', path, method, body,
                          **{header: '1.2.3.4'}) == (403, 'permission_denied'), (path, header)
    for host in ('localhost', 'LOCALHOST:1', '127.0.0.1:8080', '[::1]:8080', '10.1.2.3'):
        assert status(server, host)[0] == 200, host
        assert status(server, host, '/pins/new', 'PUT', BODY)[0] == 200, host
    assert status(server, 'shop.example') == (421, 'permission_denied')
    assert status(public, 'shop.example')[0] == 200, 'reads of all that can reach it'
    for host in ('shop.example', 'B.example:443', 'localhost', '10.0.0.1:8080'):
        assert status(named, host)[0] == 200, host
    assert status(named, 'c.example')[0] == 421
    put = b'PUT /pins/x HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}'
    assert server.raw(put).startswith(b'HTTP/1.1 403 '), 'as proxies speak'
    assert server.raw(b'GET /livez HTTP/1.0\r\n\r\n').startswith(b'HTTP/1.1 200 ')
    for s in (named, public, server):
        assert s.stop() == 0
    status, said = refused_start('--allowed-hosts', 'https://shop.example')
    assert status != 0 and 'shop.example, commas between' in said, said


@test
def what_is_written_is_for_who_runs_the_server_alone():
    live = catalog + '/live'
    for path, mode in ((live, 0o777), (live + '/data.mdb', 0o666), (live + '/lock', 0o644)):
        os.chmod(path, mode)
    server = Server(catalog, '--drain-delay', '0',
                    before=('sh', '-c', 'umask 0; exec "$@"', 'sh'))
    assert write(server)[0] is None
    beside = Server(catalog, '--drain-delay', '0')  # reads only
    modes = {name: oct(os.stat(live + '/' + name).st_mode & 0o777) for name in os.listdir(live)}
    assert oct(os.stat(live).st_mode & 0o777) == '0o700', 'the folder'
    assert set(modes.values()) == {'0o600'} and len(modes) >= 3, modes
    assert server.ask('/admin/compact', 'POST')[0] == 200
    modes = {name: oct(os.stat(live + '/' + name).st_mode & 0o777) for name in os.listdir(live)}
    assert set(modes.values()) == {'0o600'}, modes
    assert beside.stop() == 0 and server.stop() == 0


@test
def without_tokens_this_machine_writes_but_neither_proxies_nor_pages_do():
    server = Server(catalog, '--drain-delay', '0')
    here = '127.0.0.1:%d' % server.port
    assert write(server)[0] is None
    assert write(server, Origin='http://' + here)[0] is None
    for headers in ({'X-Forwarded-For': '127.0.0.1'}, {'Forwarded': 'for=127.0.0.1'},
                    {'Via': '1.1 proxy'}, {'Origin': 'http://evil.example'},
                    {'Origin': 'null'}):
        assert write(server, **headers)[0] == (403, 'permission_denied'), headers
    assert server.json('/related/p1?k=1', headers={'X-Forwarded-For': '10.0.0.1'})
    assert server.stop() == 0


@test
def a_read_only_server_refuses_writes():
    server = Server(catalog, '--drain-delay', '0', '--read-only')
    assert write(server)[0] == (403, 'permission_denied')
    assert server.json('/related/p1?k=1') and server.stop() == 0


@test
def a_token_that_writes_too_often_is_slowed_down():
    server = with_tokens('a token-a-token-a-token\nb token-b-token-b-token\n', '--rate-limit',
                         '1/m', '--rate-burst', '2')
    for _ in range(2):
        assert write(server, **bearer('token-a-token-a-token'))[0] is None
    refusal, sent = write(server, **bearer('token-a-token-a-token'))
    assert refusal == (429, 'resource_exhausted') and 50 <= int(sent['Retry-After']) <= 60
    assert write(server, **bearer('token-b-token-b-token'))[0] is None
    assert server.stop() == 0


@test
def a_bad_rate_is_a_usage_error():
    for rate in ('fast', '-1', '3/h', '1e9'):
        status, said = refused_start('--rate-limit', rate)
        assert status == 64 and '--rate-limit' in said, (rate, status, said)


run()
