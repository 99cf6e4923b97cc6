"""rpc.py - the RPC door, asked byte by byte: codings, errors, and that both doors say the
same. Clients that others wrote are in clients.mjs.
"""
import base64
import json
import sys
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
from protos import SERVICE, decode, encode, leaves_of, methods, same
from serving import AWKWARD, Server, make_catalog, run, scratch, test

server = Server(make_catalog(scratch()), '--drain-delay', '0')
JSON, PROTO = 'application/json', 'application/proto'


def post(method, body, kind=JSON, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {'Content-Type': kind, **{k.replace('_', '-'): v for k, v in headers.items()}}
    path = method if method.startswith('/') else '/%s/%s' % (SERVICE, method)
    return server.ask(path, 'POST', headers, data)


def call(method, body, **headers):
    status, got, text = post(method, body, **headers)
    assert (status, got['Content-Type']) == (200, JSON), (status, text)
    return json.loads(text)


def get(method, message, encoding='json', more=''):
    text = message if isinstance(message, str) else json.dumps(message)
    return server.ask('/%s/%s?connect=v1&encoding=%s&message=%s%s' % (
        SERVICE, method, encoding, quote(text, safe=''), more))


def refused(answer, status, code, word=''):
    got, headers, text = answer
    assert (got, headers['Content-Type']) == (status, JSON), answer
    e = json.loads(text)
    assert e['code'] == code and word in e['message'], e
    return e


# Method, message as JSON, the same in protobuf's text format, the same on the REST door.
QUESTIONS = [
    ('Related', {'pin': 'p10', 'k': 4}, 'pin: "p10" k: 4', '/related/p10?k=4'),
    ('Related', {'pin': 'bare'}, 'pin: "bare"', '/related/bare'),
    ('Related', {'pin': 'p1', 'method': 'pixie', 'board': 'b3', 'exclude': ['p2', 'p3']},
     'pin: "p1" method: "pixie" board: "b3" exclude: "p2" exclude: "p3"',
     '/related/p1?method=pixie&board=b3&exclude=p2,p3'),
    ('GetPin', {'pin': 'p3'}, 'pin: "p3"', '/pins/p3'),
    ('GetPin', {'pin': 'p3', 'limit': 1, 'offset': 1}, 'pin: "p3" limit: 1 offset: 1',
     '/pins/p3?limit=1&offset=1'),
    ('GetBoard', {'board': 'all pins', 'limit': 3, 'offset': 58},
     'board: "all pins" limit: 3 offset: 58', '/boards/all%20pins?limit=3&offset=58'),
] + [('GetPin', {'pin': pin}, 'pin: %s' % json.dumps(pin, ensure_ascii=False),
      '/pins/' + quote(pin, safe='')) for pin in AWKWARD]


@test
def both_doors_say_the_same_in_json():
    for method, message, _, path in QUESTIONS:
        assert call(method, message) == server.json(path), (method, message)


@test
def a_get_says_the_same_plain_or_in_base64():
    for method, message, _, path in QUESTIONS:
        want = server.ask(path)[2]
        assert get(method, message)[2] == want
        packed = base64.urlsafe_b64encode(json.dumps(message).encode()).decode()
        for text in (packed, packed.rstrip('=')):
            assert get(method, text, more='&base64=1')[2] == want, text


@test
def protobuf_says_the_same_as_json():
    types = {m.name: m for m in methods()}
    for method, message, text, _ in QUESTIONS:
        want, m = call(method, message), types[method]
        status, headers, data = post(method, encode(m.request, text), PROTO)
        assert (status, headers['Content-Type']) == (200, PROTO), data
        assert same(decode(m.response, data), leaves_of(want)), (decode(m.response, data), want)
        packed = base64.urlsafe_b64encode(encode(m.request, text)).decode().rstrip('=')
        status, headers, by_get = get(method, packed, 'proto', '&base64=1')
        assert (status, headers['Content-Type'], by_get) == (200, PROTO, data)


@test
def the_addresses_are_those_of_the_proto():
    for m in methods():
        _, headers, _ = server.ask(m.path, 'OPTIONS')
        want = 'GET, HEAD, POST, OPTIONS' if m.read else 'POST, OPTIONS'
        assert headers['Allow'] == want, (m.name, headers['Allow'])
        address = m.address.replace('{', '').replace('}', '')
        assert m.verb in server.ask(address, 'OPTIONS')[1]['Allow'].split(', '), m.address


@test
def names_may_be_camel_or_snake_and_numbers_strings():
    want = call('Related', {'pin': 'p1', 'k': 3})
    for message in ({'pin': 'p1', 'k': '3'}, {'pin': 'p1', 'k': 3.0},
                    {'pin': 'p1', 'k': 3, 'board': None, 'invented': {'later': [1]}}):
        assert call('Related', message) == want, message
    assert call('Related', {'pin': 'p1', 'k': 3}, Connect_Protocol_Version='1') == want
    status, _, text = post('Related', {'pin': 'p1', 'k': 3}, 'application/json; charset=utf-8')
    assert (status, json.loads(text)) == (200, want)


@test
def errors_have_the_shape_of_the_protocol_in_every_coding():
    e = refused(post('GetPin', {'pin': 'p100'}), 404, 'not_found', 'p10')
    assert e['details'][0]['type'] == 'pinsage.v1.NearPins'
    value = e['details'][0]['value']
    near = decode('NearPins', base64.b64decode(value + '=' * (-len(value) % 4)))
    assert near == [('pins', pin) for pin in e['details'][0]['debug']['pins']], near
    refused(post('GetPin', encode('GetPinRequest', 'pin: "p100"'), PROTO), 404, 'not_found')
    refused(get('GetPin', {'pin': 'p100'}), 404, 'not_found')
    refused(post('Related', {'pin': 'p1', 'k': 1001}), 400, 'invalid_argument', 'k: not in')
    refused(post('Related', {'pin': ['p1']}), 400, 'invalid_argument', 'pin: not a string')
    refused(post('Related', b'{'), 400, 'invalid_argument', 'not JSON')
    refused(post('Related', b''), 400, 'invalid_argument', 'not JSON')
    refused(post('Related', b'\xff', PROTO), 400, 'invalid_argument', 'RelatedRequest')
    refused(post('Related', b'', PROTO), 400, 'invalid_argument', 'pin: is required')


@test
def other_types_packings_versions_and_methods_are_refused():
    for kind in ('text/plain', 'application/connect+json', 'application/grpc', ''):
        status, headers, _ = post('Related', {'pin': 'p1'}, kind)
        assert (status, headers['Accept-Post']) == (415, JSON + ', ' + PROTO), kind
    status, headers, text = post('Related', {'pin': 'p1'}, Content_Encoding='br')
    refused((status, headers, text), 501, 'unimplemented', 'br')
    assert headers['Accept-Encoding'] == 'identity'
    assert post('Related', {'pin': 'p1'}, Content_Encoding='identity')[0] == 200
    refused(post('Related', {'pin': 'p1'}, Connect_Protocol_Version='2'), 400,
            'invalid_argument')
    refused(post('Nothing', {}), 404, 'unimplemented')
    refused(get('Nothing', {}), 404, 'unimplemented')
    refused(get('PutPin', {}), 405, 'unimplemented')
    refused(get('Related', {'pin': 'p1'}, 'xml'), 415, 'unknown')
    refused(get('Related', {'pin': 'p1'}, more='&compression=gzip'), 501, 'unimplemented')
    refused(get('Related', '%%%', more='&base64=1'), 400, 'invalid_argument', 'base64')
    refused(get('Related', 'abcde', more='&base64=1'), 400, 'invalid_argument', 'base64')
    path = '/%s/Related?' % SERVICE
    refused(server.ask(path + 'encoding=json'), 400, 'invalid_argument', 'message')
    refused(server.ask(path + 'message=%7B%7D'), 415, 'unknown')
    refused(server.ask(path + 'connect=v2&encoding=json&message=%7B%7D'), 400,
            'invalid_argument')
    assert get('Related', {'pin': 'p1'}, more='&unknown=1&unknown=2')[0] == 200


@test
def health_is_told_by_its_public_name():
    check = '/grpc.health.v1.Health/Check'
    for service in ({}, {'service': ''}, {'service': SERVICE}):
        assert call(check, service) == {'status': 'SERVING'}
    refused(post(check, {'service': 'other'}), 404, 'not_found')
    status, headers, data = post(check, b'', PROTO)
    assert (status, headers['Content-Type'], data) == (200, PROTO, b'\x08\x01'), data
    assert decode('grpc.health.v1.HealthCheckResponse', data) == [('status', 'SERVING')]


@test
def calls_are_counted_by_method():
    text = server.ask('/metrics')[2].decode()
    for m in ('Related', '{method}'):
        name = 'pinsage_http_requests_total{method="POST",route="/%s/%s",code=' % (SERVICE, m)
        assert name in text, name


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
