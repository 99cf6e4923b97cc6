"""rpc_reference.py - the same odd requests to our RPC transport and to the public reference
handler of the Connect protocol: what a client understands must be equal.

A client understands a status, and a code: that of a JSON error, else the one the protocol
gives to the status. Where we differ, the reason stands in the table.
"""
import http.client
import json
import sys

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from protos import SERVICE, encode
from serving import Server, make_catalog, run, scratch, test

J, P = 'application/json', 'application/proto'
GOOD = b'{"pin":"p1","k":3}'
BY_STATUS = {400: 'internal', 401: 'unauthenticated', 403: 'permission_denied',
             404: 'unimplemented', 429: 'unavailable', 502: 'unavailable',
             503: 'unavailable', 504: 'unavailable'}


def post(body=GOOD, kind=J, method='Related', verb='POST', chunked=False, **headers):
    headers = {k.replace('_', '-'): v for k, v in headers.items()}
    if kind is not None:
        headers['Content-Type'] = kind
    return verb, '/%s/%s' % (SERVICE, method), headers, body, chunked


def get(query, method='Related', verb='GET', **headers):
    return verb, '/%s/%s?%s' % (SERVICE, method, query), {
        k.replace('_', '-'): v for k, v in headers.items()}, None, False


MESSAGE = 'message=%7B%22pin%22%3A%22p1%22%7D'
VERB = 'the verb is told to be unimplemented, in words'
BROKEN = 'the sender is wrong, not the server'
LONG = '413 says it to proxies too; the code is the same'
HEAD = 'HEAD is GET without the body, as HTTP has it'

# What is asked, how; and a reason if the answers may differ, with the (status, code) of
# ours that it explains.
CASES = [
    ('a good call in JSON', post()),
    ('a good call in protobuf', post(encode('RelatedRequest', 'pin: "p1"'), P)),
    ('a good call, chunked', post(chunked=True)),
    ('a charset', post(kind='application/json; charset=utf-8')),
    ('protocol version 1', post(Connect_Protocol_Version='1')),
    ('a wrong content type', post(kind='text/plain')),
    ('no content type', post(kind=None)),
    ('a streaming type', post(kind='application/connect+json')),
    ('a gRPC type', post(kind='application/grpc'), 'the reference speaks gRPC too',
     (415, 'unknown')),
    ('an unknown method', post(method='Nothing')),
    ('an unknown method by GET', get('encoding=json&' + MESSAGE, 'Nothing')),
    ('PUT', post(verb='PUT'), VERB, (405, 'unimplemented')),
    ('DELETE', post(verb='DELETE'), VERB, (405, 'unimplemented')),
    ('OPTIONS', post(verb='OPTIONS', body=None), 'OPTIONS is answered, with Allow', (204, None)),
    ('HEAD', get('encoding=json&' + MESSAGE, verb='HEAD'), HEAD, (200, None)),
    ('GET of a method that writes', get('encoding=json&' + MESSAGE, 'PutPin'), VERB,
     (405, 'unimplemented')),
    ('GET', get('connect=v1&encoding=json&' + MESSAGE)),
    ('GET in another order', get(MESSAGE + '&encoding=json&connect=v1')),
    ('GET with unknown parameters', get('x=1&encoding=json&y&' + MESSAGE)),
    ('GET in base64', get('encoding=json&base64=1&message=eyJwaW4iOiJwMSJ9')),
    ('GET in protobuf', get('encoding=proto&base64=1&message=CgJwMQ')),
    ('GET in protobuf, padded', get('encoding=proto&base64=1&message=CgJwMQ%3D%3D')),
    ('GET without encoding', get(MESSAGE)),
    ('GET of another encoding', get('encoding=xml&' + MESSAGE)),
    ('GET without message', get('encoding=json')),
    ('GET of bad JSON', get('encoding=json&message=%7B')),
    ('GET packed in an unknown way', get('encoding=json&compression=zip&' + MESSAGE)),
    ('bad JSON', post(b'{"pin":')),
    ('no JSON object', post(b'[]')),
    ('an empty body', post(b'')),
    ('an empty message', post(b'{}')),
    ('a field of a wrong type', post(b'{"pin":7}')),
    ('a number out of range', post(b'{"pin":"p1","k":-1}')),
    ('a fraction for a whole number', post(b'{"pin":"p1","k":1.5}')),
    ('a whole number as text', post(b'{"pin":"p1","k":"3"}')),
    ('a whole number with a point', post(b'{"pin":"p1","k":3.0}')),
    ('a text for a whole number', post(b'{"pin":"p1","k":"three"}')),
    ('true as a number', post(b'{"pin":"p1","explain":1}')),
    ('null for a field', post(b'{"pin":"p1","board":null}')),
    ('null in a list', post(b'{"pin":"p1","exclude":[null]}')),
    ('an unknown field', post(b'{"pin":"p1","invented":{"x":[1]}}')),
    ('a field twice', post(b'{"pin":"p1","pin":"p2"}')),
    ('bad protobuf', post(b'\xff\xff', P), BROKEN, (400, 'invalid_argument')),
    ('cut protobuf', post(b'\x0a\x05p1', P), BROKEN, (400, 'invalid_argument')),
    ('a protobuf text that is not UTF-8', post(b'\x0a\x01\xff', P), BROKEN,
     (400, 'invalid_argument')),
    ('an unknown protobuf field', post(b'\x0a\x02p1\xf8\x3f\x01', P)),
    ('a number too large', post(b'{"pin":"p1","k":4294967296}')),
    ('a float too large', post(b'{"pin":"p1","features":{"v":{"values":[1e39]}}}', method='PutPin')),
    ('not found', post(b'{"pin":"nobody"}')),
    ('not found, in protobuf', post(encode('RelatedRequest', 'pin: "nobody"'), P)),
    ('an unknown packing', post(Content_Encoding='zip')),
    ('identity as packing', post(Content_Encoding='identity')),
    ('protocol version 2', post(Connect_Protocol_Version='2'),
     'a version that we do not speak is refused', (400, 'invalid_argument')),
    ('a deadline', post(Connect_Timeout_Ms='5000')),
    ('a deadline by GET', get('encoding=json&' + MESSAGE, Connect_Timeout_Ms='5000')),
    ('a deadline of ten digits', post(Connect_Timeout_Ms='9999999999')),
    ('a deadline of eleven digits', post(Connect_Timeout_Ms='10000000000')),
    ('a deadline that is no number', post(Connect_Timeout_Ms='abc')),
    ('a negative deadline', post(Connect_Timeout_Ms='-5')),
    ('a deadline with a point', post(Connect_Timeout_Ms='1.5')),
    ('an empty deadline', post(Connect_Timeout_Ms='')),
    ('a deadline of zero', post(Connect_Timeout_Ms='0')),
    ('a body over the limit', post(b'{"pin":"' + b'p' * 70000 + b'"}'),
     LONG, (413, 'resource_exhausted')),
    ('a chunked body over the limit', post(b'{"pin":"' + b'p' * 70000 + b'"}', chunked=True),
     LONG, (413, 'resource_exhausted')),
]


def ask(port, case):
    verb, path, headers, body, chunked = case
    c = http.client.HTTPConnection('127.0.0.1', port, timeout=20)
    try:
        c.putrequest(verb, path, skip_accept_encoding=True)
        for name, value in headers.items():
            c.putheader(name, value)
        if chunked:
            c.putheader('Transfer-Encoding', 'chunked')
            c.endheaders(iter([body]), encode_chunked=True)
        else:
            if body is not None:
                c.putheader('Content-Length', str(len(body)))
            c.endheaders(body)
        r = c.getresponse()
        return understood(r.status, r.headers.get('Content-Type', ''), r.read())
    finally:
        c.close()


def understood(status, kind, body):
    if status in (200, 204):
        return status, None
    if kind.startswith(J) and body:
        return status, json.loads(body)['code']
    return status, BY_STATUS.get(status, 'unknown')


@test
@needs_npm
def ours_means_what_the_reference_means():
    npm.generate()
    server = Server(make_catalog(scratch()), '--drain-delay', '0', '--body-bytes', '65536')
    reference = npm.script('connect_reference.mjs', start=True)
    wrong = []
    try:
        port = int(reference.stdout.readline())
        print('# %-36s %-26s %s' % ('', 'reference', 'ours'))
        for name, case, *reason in CASES:
            theirs, ours = ask(port, case), ask(server.port, case)
            same = theirs == ours
            print('# %-36s %-26s %s' % (name, '%d %s' % (theirs[0], theirs[1] or ''),
                  '=' if same else '%d %s: %s' % (ours[0], ours[1] or '', (reason or ['?'])[0])))
            if same != (not reason) or (reason and ours != reason[1]):
                wrong.append((name, theirs, ours))
    finally:
        reference.kill()
    assert not wrong, wrong
    assert server.stop() == 0


run()
