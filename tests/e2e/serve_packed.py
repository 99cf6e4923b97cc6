"""serve_packed.py - request bodies that come as gzip: REST, RPC and many writes at once."""
import base64
import gzip
import json
import sys
import zlib
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
from serving import SAN, Server, make_catalog, run, scratch, test

server = Server(make_catalog(scratch()), '--drain-delay', '0', '--body-bytes', '100000',
                '--bulk-bytes', '1000000')
JSON = {'Content-Type': 'application/json'}
RPC = '/pinsage.v1.RecommendService/'
QUESTION = b'{"positives":[{"pin":"p1"}],"k":3}'


def post(path, body, coding='gzip', method='POST', kind='application/json', **more):
    return server.ask(path, method, {'Content-Type': kind, 'Content-Encoding': coding, **more},
                      body)


def refused(answer, status, code, words):
    e = json.loads(answer[2].decode())
    assert (answer[0], e['code']) == (status, code) and words in e['message'], answer
    return answer[1]


def chunks(body, size):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in pieces) + b'0\r\n\r\n'


@test
def a_packed_question_has_the_answer_of_a_plain_one():
    plain = server.ask('/related', 'POST', JSON, QUESTION)
    assert plain[0] == 200
    for coding in ('gzip', 'GZIP', ' gzip ', 'x-gzip'):
        assert post('/related', gzip.compress(QUESTION), coding)[2] == plain[2], coding
    for coding in ('identity', '', 'Identity'):
        assert post('/related', QUESTION, coding)[2] == plain[2], coding
    calls = server.ask(RPC + 'Recommend', 'POST', JSON, QUESTION)
    assert calls[0] == 200
    assert post(RPC + 'Recommend', gzip.compress(QUESTION))[2] == calls[2]
    two = gzip.compress(QUESTION[:9]) + gzip.compress(QUESTION[9:])
    assert post('/related', two)[2] == plain[2], 'two members are one body'


@test
def it_may_come_in_chunks_and_bytes():
    plain = server.json('/related', method='POST', headers=JSON, body=QUESTION)
    packed = gzip.compress(QUESTION)
    for size in (1, 7, 1000):
        out = server.raw(b'POST /related HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n'
                         b'Content-Type: application/json\r\nContent-Encoding: gzip\r\n'
                         b'Transfer-Encoding: chunked\r\n\r\n' + chunks(packed, size))
        assert json.loads(out.split(b'\r\n\r\n', 1)[1].decode()) == plain, out


@test
def writes_may_be_packed():
    body = json.dumps({'title': 'packed', 'features': {'visual': [1, 0, 0, 0]}}).encode()
    assert post('/pins/packed', gzip.compress(body), method='PUT')[0] in (200, 201)
    assert server.json('/pins/packed')['title'] == 'packed'
    call = json.dumps({'pin': 'called', 'title': 'by a call'}).encode()
    assert post(RPC + 'PutPin', gzip.compress(call))[0] == 200
    assert server.json('/pins/called')['title'] == 'by a call'
    lines = b''.join(b'{"pin":"many%d","title":"of many, and alike"}\n' % i for i in range(5000))
    packed = gzip.compress(lines)
    assert len(packed) < 100000 < len(lines) < 1000000
    status, _, out = post('/pins', packed, kind='application/x-ndjson')
    assert status == 200, out[:300]
    assert server.json('/pins/many4999')['title'] == 'of many, and alike'


@test
def the_limit_is_for_what_is_unpacked():
    def padded(size):
        return QUESTION + b' ' * (size - len(QUESTION))

    assert post('/related', gzip.compress(padded(100000)))[0] == 200
    refused(post('/related', gzip.compress(padded(100001))), 413, 'resource_exhausted', 'long')
    for path in ('/related', RPC + 'Recommend', '/embed'):
        refused(post(path, gzip.compress(b' ' * 50000000)), 413, 'resource_exhausted', 'long')
    bomb = gzip.compress(b'\n' * 900000000, 6)
    assert len(bomb) < 1000000
    before = metric('pinsage_resident_anon_bytes')
    for _ in range(3):
        refused(post('/pins', bomb, kind='application/x-ndjson'), 413, 'resource_exhausted',
                'long')
    assert SAN or metric('pinsage_resident_anon_bytes') - before < 16 << 20
    assert metric('pinsage_http_request_bodies_held_bytes') == 0


def metric(name):
    lines = server.ask('/metrics')[2].decode().splitlines()
    return float([line for line in lines if line.startswith(name + ' ')][0].split()[1])


@test
def damage_is_refused_in_words():
    packed = gzip.compress(QUESTION)
    for body in (QUESTION, packed[:-1] + b'?', packed + b'plain text behind it',
                 zlib.compress(QUESTION), b'\x1f\x8b' + b'\0' * 50):
        refused(post('/related', body), 400, 'invalid_argument', 'gzip')
    for cut in (1, 5, 12, len(packed) - 1):
        refused(post('/related', packed[:cut]), 400, 'invalid_argument', 'middle')
        refused(post(RPC + 'Recommend', packed[:cut]), 400, 'invalid_argument', 'middle')
    refused(post('/related', b''), 400, 'invalid_argument', 'not JSON')


@test
def other_codings_are_refused_with_those_that_are_known():
    for coding in ('br', 'zstd', 'deflate', 'gzip, gzip', 'gzip;q=1', 'compress'):
        headers = refused(post('/related', QUESTION, coding), 415, 'invalid_argument', 'gzip')
        assert headers['Accept-Encoding'] == 'gzip, identity'
        headers = refused(post(RPC + 'Recommend', QUESTION, coding), 501, 'unimplemented',
                          'gzip')  # as the protocol has it
        assert headers['Accept-Encoding'] == 'gzip, identity'


@test
def a_packed_message_may_stand_in_an_address():
    message = base64.urlsafe_b64encode(gzip.compress(b'{"pin":"p1","k":3}')).decode()
    path = RPC + 'Related?connect=v1&encoding=json&base64=1&compression='
    plain = RPC + 'Related?connect=v1&encoding=json&message=' + quote('{"pin":"p1","k":3}')
    assert server.ask(path + 'gzip&message=' + message)[2] == server.ask(plain)[2]
    refused(server.ask(path + 'br&message=' + message), 501, 'unimplemented', 'gzip')
    for bad in (message[:20], base64.urlsafe_b64encode(gzip.compress(b' ' * 200000)).decode()):
        refused(server.ask(path + 'gzip&message=' + bad), 400, 'invalid_argument', 'gzip')


@test
def the_server_ends_well():
    assert metric('pinsage_http_requests_in_flight') == 1
    assert server.stop() == 0, server.lines


run()
