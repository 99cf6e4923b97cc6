"""rpc.py - the RPC transport, asked byte by byte: codings, errors, and that both transports say the
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


# Method, message as JSON, the same in protobuf's text format, the same on the REST transport.
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
def both_transports_say_the_same_in_json():
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


RECOMMEND = {'positives': [{'pin': 'p10', 'weight': 2}, {'pin': 'p13'}, {'pin': 'nobody'}],
         'negatives': [{'pin': 'p40'}], 'exclude': ['p11'], 'missing': 'skip', 'k': 5}
UNSTORED = {'title': 'an unstored pin', 'features': {'visual': [1, 0, 0.25, 0]}, 'boards': ['b3'], 'k': 4}


@test
def questions_with_a_body_are_answered_alike():
    for method, path, message, text in (
            ('Recommend', '/related', RECOMMEND,
             'positives{pin:"p10" weight:2} positives{pin:"p13"} positives{pin:"nobody"} '
             'negatives{pin:"p40"} exclude:"p11" missing:MISSING_SKIP k:5'),
            ('Embed', '/embed', UNSTORED,
             'title:"an unstored pin" features{key:"visual" value{values:[1,0,.25,0]}} boards:"b3" k:4')):
        want = call(path, message)
        assert want['results'] and call(method, message) == want
        assert json.loads(get(method, message)[2]) == want
        data = encode(method + 'Request', text)
        status, headers, answer = post(method, data, PROTO)
        assert (status, headers['Content-Type']) == (200, PROTO), answer
        assert same(decode(method + 'Response', answer), leaves_of(want)), (answer, want)
    assert call('Recommend', RECOMMEND)['missing'] == ['nobody']
    refused(post('Recommend', {**RECOMMEND, 'missing': 'MISSING_ERROR'}), 404, 'not_found', 'nobody')


def binary(method, text):
    status, headers, data = post(method, encode(method + 'Request', text), PROTO)
    assert (status, headers['Content-Type']) == (200, PROTO), (method, status, data)
    return dict(decode(method + 'Response', data))


@test
def a_pin_lives_and_dies_by_protobuf():
    said = binary('PutPin', 'pin:"new" title:"N" features{key:"visual" '
                            'value{values:[1,0,.25,0]}} boards:"b0" boards:"fresh"')
    assert said['created'] and said['pin'] == 'new', said
    now = server.json('/pins/new')
    assert (now['title'], sorted(now['boards'])) == ('N', ['b0', 'fresh']) and (
        now['etag'] == said['etag']), now
    assert server.json('/boards/fresh')['count'] == 1
    assert 'new' in [r['pin'] for r in call('Related', {'pin': 'p0', 'k': 5})['results']]
    assert 'created' not in binary('PutPin', 'pin:"new" title:"M" if_match:%s' %
                                   json.dumps(now['etag']))
    stale = encode('PutPinRequest', 'pin:"new" if_match:%s' % json.dumps(now['etag']))
    refused(post('PutPin', stale, PROTO), 412, 'failed_precondition')
    assert binary('SavePin', 'board:"b1" pin:"new"') == {'board': 'b1', 'pin': 'new', 'changed': True}
    assert 'changed' not in binary('SavePin', 'board:"b1" pin:"new"')
    assert binary('UnsavePin', 'board:"b1" pin:"new"')['changed']
    refused(post('SavePin', encode('SavePinRequest', 'board:"b1" pin:"p100"'), PROTO), 404,
            'not_found')
    vote = 'query:"p1" left{method:"visual"} right{method:"pixie" pin:"p2"} winner:WINNER_LEFT'
    assert binary('Vote', vote) == {'votes': 1.0}
    assert call('Vote', {'query': 'p1', 'left': {'method': 'visual'}, 'right': {
        'method': 'pixie'}, 'winner': 'draw'}) == {'votes': 2}
    assert binary('DeletePin', 'pin:"new"') == {'pin': 'new'}
    refused(post('GetPin', {'pin': 'new'}), 404, 'not_found')


@test
def the_etag_of_a_pin_is_one_and_good_for_both_uses():
    body = {'Content-Type': JSON}
    server.ask('/pins/tagged', 'PUT', body, b'{"title":"1"}')
    headers = server.ask('/pins/tagged')[1]
    assert len(headers.get_all('ETag')) == 1, headers.get_all('ETag')
    again = server.ask('/pins/tagged', headers={'If-None-Match': headers['ETag']})
    assert (again[0], again[1].get_all('ETag')) == (304, [headers['ETag']])
    put = server.ask('/pins/tagged', 'PUT', {**body, 'If-Match': headers['ETag']}, b'{"title":"2"}')
    assert put[0] == 200 and len(put[1].get_all('ETag')) == 1, put
    assert server.ask('/pins/tagged', headers={'If-None-Match': headers['ETag']})[0] == 200
    for method in ('PUT', 'DELETE'):
        status = server.ask('/pins/tagged', method, {**body, 'If-Match': headers['ETag']},
                            b'{}' if method == 'PUT' else None)[0]
        assert status == 412, (method, status)
    now = server.ask('/pins/tagged')[1]['ETag']
    assert server.ask('/boards/b0/pins/tagged', 'PUT')[0] == 200
    assert server.ask('/pins/tagged', headers={'If-None-Match': now})[0] == 200, 'its boards changed'
    assert server.ask('/pins/tagged', 'DELETE', {'If-Match': '*'})[0] == 200


@test
def the_same_in_json_as_on_the_rest_transport():
    assert call('PutPin', {'pin': 'j', 'boards': ['b0']})['created'] is True
    assert call('SavePin', {'board': 'b9', 'pin': 'j'}) == {'board': 'b9', 'pin': 'j', 'changed': True}
    assert call('UnsavePin', {'board': 'b9', 'pin': 'j'}) == {'board': 'b9', 'pin': 'j', 'changed': True}
    assert call('DeletePin', {'pin': 'j'}) == {'pin': 'j'}
    refused(post('DeletePin', {'pin': 'j'}), 404, 'not_found')


@test
def why_is_told_in_protobuf_too():
    data = encode('RelatedRequest', 'pin:"p10" k:2 explain:true')
    told = decode('RelatedResponse', post('Related', data, PROTO)[2])
    names = {name for name, _ in told}
    want = leaves_of(call('Related', {'pin': 'p10', 'k': 2, 'explain': True}))
    times = 'explanation.milliseconds.'
    assert names - {times + 'key', times + 'value'} == {
        n for n, _ in want if not n.startswith(times)}, (names, want)


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
    assert headers['Accept-Encoding'] == 'gzip, identity'
    assert post('Related', {'pin': 'p1'}, Content_Encoding='identity')[0] == 200
    refused(post('Related', {'pin': 'p1'}, Connect_Protocol_Version='2'), 400,
            'invalid_argument')
    refused(post('Nothing', {}), 404, 'unimplemented')
    refused(get('Nothing', {}), 404, 'unimplemented')
    refused(get('PutPin', {}), 405, 'unimplemented')
    refused(get('Related', {'pin': 'p1'}, 'xml'), 415, 'unknown')
    refused(get('Related', {'pin': 'p1'}, more='&compression=br'), 501, 'unimplemented')
    refused(get('Related', {'pin': 'p1'}, more='&compression=gzip'), 400, 'invalid_argument',
            'gzip')
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
