"""serve_bodies.py - bodies of the REST transport: what is refused, and how it is said."""
import json
import sys

sys.path.insert(0, 'tests/support')
from serving import Server, make_catalog, run, scratch, test

server = Server(make_catalog(scratch()), '--drain-delay', '0')
JSON = {'Content-Type': 'application/json'}


def refused(path, body, want, method='POST', status=400, code='invalid_argument', headers=JSON):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    e = server.error(path, status, code, method=method, headers=headers, body=text)
    assert want in e['message'], e


@test
def a_wrong_field_is_refused_by_its_path():
    refused('/pins/new', {'features': {'visual': [0] * 17 + ['NaN']}},
            'features.visual[17]: not a finite number', 'PUT')
    refused('/pins/new', {'titel': 'x'}, 'titel: there is no such field', 'PUT')
    refused('/pins/new', {'boards': ['b', 3]}, 'boards[1]: not a string', 'PUT')
    refused('/pins/new', {'pin': 'old'}, 'pin: is not the one of the address', 'PUT')
    refused('/related', {'positives': []}, 'positives: at least one is needed')
    refused('/related', {'positives': [{'pin': 'p1', 'wait': 1}]}, 'positives[0].wait')
    refused('/embed', {'k': 1001}, 'k: not in 1..1000')
    refused('/votes', {'query': 'p1'}, 'left.method: is required')


@test
def what_is_no_json_is_refused_with_its_place():
    refused('/related', b'{"positives": [', 'not JSON')
    refused('/related', b'', 'not JSON')
    refused('/related', b'{"a":\n\n oops}', 'line 3')
    refused('/related', b'[]', 'not an object')
    refused('/related', b'{"positives":[{"pin":"a\\u0000b"}]}', 'not JSON')
    refused('/related', b'[' * 5000, 'not JSON')


@test
def only_json_is_taken_for_a_body():
    for headers in ({}, {'Content-Type': 'text/plain'},
                    {'Content-Type': 'application/x-www-form-urlencoded'},
                    {'Content-Type': 'application/jsonp'}):
        refused('/related', b'{}', 'application/json', status=415, headers=headers)
    refused('/related', b'{}', 'positives', headers={'Content-Type': 'Application/JSON; charset=utf-8'})


@test
def parameters_are_not_for_bodies():
    refused('/related?k=3', {}, '"k"')
    for path in ('/pins/p1?k=3', '/boards/b/pins/p?x'):
        server.error(path, 400, 'invalid_argument', method='DELETE')


@test
def long_names_are_refused():
    long = 'x' * 512
    refused('/pins/' + long, {}, 'pin: longer than 511', 'PUT')
    for path in ('/boards/b/pins/' + long, '/boards/' + long + '/pins/p'):
        for method in ('PUT', 'DELETE'):
            server.error(path, 400, 'invalid_argument', method=method)


@test
def every_address_tells_its_methods():
    for path, other, methods in (
            ('/related', 'PATCH', 'POST, OPTIONS'), ('/votes', 'PATCH', 'POST, OPTIONS'),
            ('/pins/p1', 'POST', 'GET, HEAD, PUT, DELETE, PATCH, OPTIONS'),
            ('/boards/b/pins/p', 'PATCH', 'PUT, DELETE, OPTIONS')):
        status, headers, _ = server.ask(path, other)
        assert (status, headers['Allow']) == (405, methods), (path, status, headers['Allow'])


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
