"""clients.py - public Connect clients, unmodified, against a real server."""
import json
import sys

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from protos import SERVICE, leaves_of, same
from serving import Server, make_catalog, run, scratch, test

server = Server(make_catalog(scratch()), '--drain-delay', '0')
url = 'http://127.0.0.1:%d' % server.port


LIFE = {'created': True, 'title': 'B', 'again': False, 'stale': 'FailedPrecondition',
        'saved': True, 'count': 1, 'found': True, 'unsaved': True, 'voted': True,
        'gone': 'NotFound', 'recommend': ['p12', 'p13'], 'vector': [1, 0, 0.25, 0],
        'unstored': ['p0', 'p1']}


@test
@needs_npm
def every_client_understands_every_answer():
    npm.generate()
    want = {'related': server.json('/related/p10?k=5'), 'pin': server.json('/pins/p3'),
            'board': server.json('/boards/b3?limit=4')}
    lines = [json.loads(line) for line in npm.script('connect_client.mjs', url).splitlines()]
    assert len(lines) == 11, lines
    for name, said, life in lines:
        print('# %s: %s' % (name, json.dumps(said)[:160]))
        assert life == LIFE, (name, life)
        for what, answer in want.items():
            assert same(leaves_of(said[what]), leaves_of(answer)), (name, said[what], answer)
        assert said['health'] == 'SERVING', name
        assert said['unknown']['code'] == 'NotFound' and 'p10' in said['unknown']['near'], said
        assert said['invalid'] == {'code': 'InvalidArgument', 'message': 'k: not in 1..1000',
                                   'near': []}, said
        assert said['missing']['code'] == 'InvalidArgument', said
        assert 'features.visual[1]: not a finite number' in said['missing']['message'], said


def curl(method, message, ok=True):
    return npm.run('buf', 'curl', '--schema', 'include', '-d', json.dumps(message),
                   '%s/%s' % (url, method), ok=ok)


@test
@needs_npm
def buf_curl_works():
    said = json.loads(curl(SERVICE + '/Related', {'pin': 'p10', 'k': 3})[1])
    assert same(leaves_of(said), leaves_of(server.json('/related/p10?k=3'))), said
    assert json.loads(curl('grpc.health.v1.Health/Check', {})[1]) == {'status': 'SERVING'}
    status, _, err = curl(SERVICE + '/GetPin', {'pin': 'nobody'}, ok=False)
    assert status and '"code": "not_found"' in err, err


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
