"""serve_negotiate.py - what a client may ask of an answer beside its content: packed, only
if it is new, only its head, for a page of another site."""
import gzip
import json
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, run, scratch, test

where = scratch()
catalog = make_catalog(where)
server = Server(catalog, '--gzip-bytes', '1000')
GZIP = {'Accept-Encoding': 'br;q=1, gzip;q=0.5'}
LONG, SHORT = '/related/p1?k=60', '/related/p1?k=2'


@test
def long_answers_are_packed_for_who_reads_gzip():
    plain = server.ask(LONG)
    for _ in range(2):  # made, then kept
        status, headers, body = server.ask(LONG, headers=GZIP)
        assert (status, headers['Content-Encoding']) == (200, 'gzip'), headers
        assert gzip.decompress(body) == plain[2] and len(body) < len(plain[2]) / 2
        assert int(headers['Content-Length']) == len(body)
        assert headers['Vary'] == plain[1]['Vary'] == 'Accept-Encoding'
        assert headers['ETag'] == plain[1]['ETag'], 'a weak one is for both'
    assert plain[1]['Content-Encoding'] is None and server.ask(LONG)[2] == plain[2]


@test
def short_answers_and_refusals_of_gzip_stay_plain():
    for path, accept in ((SHORT, 'gzip'), (LONG, 'gzip;q=0'), (LONG, 'identity'), (LONG, 'br')):
        status, headers, body = server.ask(path, headers={'Accept-Encoding': accept})
        assert headers['Content-Encoding'] is None and json.loads(body.decode())['results']
    head = server.ask(LONG, 'HEAD', headers=GZIP)
    assert head[2] == b'' and head[1]['Content-Encoding'] == 'gzip'
    scrape = server.ask('/metrics', headers=GZIP)
    assert b'pinsage_ready 1' in gzip.decompress(scrape[2])


@test
def packing_is_an_option():
    off = Server(catalog, '--gzip-bytes', '0')
    headers = off.ask(LONG, headers=GZIP)[1]
    assert headers['Content-Encoding'] is None and headers['Vary'] is None, headers
    assert off.stop() == 0


@test
def an_answer_that_is_known_is_not_sent_again():
    for path in (SHORT, LONG, '/pins/p1', '/boards/b1', '/version', SHORT + '&method=pixie'):
        for _ in range(2):  # made, then kept
            status, headers, body = server.ask(path)
            tag = headers['ETag']
            strong = path.startswith('/pins/')  # it is for If-Match too
            assert tag.startswith('"' if strong else 'W/"'), headers
            assert len(headers.get_all('ETag')) == 1 and headers['Cache-Control'] == 'no-cache'
            for known in (tag, tag.replace('W/', ''), '"x", ' + tag, '*'):
                status, again, body = server.ask(path, headers={'If-None-Match': known})
                assert (status, body, again['ETag']) == (304, b'', tag), (path, status)
                assert again['Cache-Control'] == 'no-cache' and again['Content-Type'] is None
            assert server.ask(path, headers={'If-None-Match': '"x"'})[0] == 200


@test
def an_error_has_no_etag_and_is_always_told():
    tag = server.ask(SHORT)[1]['ETag']
    status, headers, _ = server.ask('/related/nobody', headers={'If-None-Match': tag})
    assert status == 404 and headers['ETag'] is None and headers['Cache-Control'] is None
    assert server.ask('/related/p1?k=0', headers={'If-None-Match': '*'})[0] == 400


@test
def another_generation_has_other_etags_and_another_server_the_same():
    twin = Server(catalog, '--no-watch', '--max-age', '60', '--threads', '1')
    headers = twin.ask(SHORT)[1]
    assert headers['ETag'] == server.ask(SHORT)[1]['ETag']
    assert headers['Cache-Control'] == 'max-age=60'
    make_catalog(where)
    twin.send(1)
    twin.wait_for('msg=reloaded')
    status, new, _ = twin.ask(SHORT, headers={'If-None-Match': headers['ETag']})
    assert status == 200 and new['ETag'] != headers['ETag']
    assert twin.stop() == 0


@test
def options_tells_the_methods():
    assert server.ask('/related/p1', 'OPTIONS')[1]['Allow'] == 'GET, HEAD, OPTIONS'
    status, headers, body = server.ask('*', 'OPTIONS')
    assert (status, body) == (204, b'') and 'PUT' in headers['Allow'], headers
    assert server.ask('*')[0] == 400
    assert server.ask('/related/p1', 'OPTIONS', headers={'Origin': 'https://a.example'}
                      )[1]['Access-Control-Allow-Origin'] is None


def preflight(s, origin, path='/pinsage.v1.RecommendService/Related'):
    return s.ask(path, 'OPTIONS', headers={
        'Origin': origin, 'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'connect-protocol-version,content-type'})


@test
def pages_of_listed_sites_may_read():
    shop, app = 'https://shop.example', 'http://app.example:8443'
    listed = Server(catalog, '--cors-origin', shop + ',' + app, '--gzip-bytes', '1000')
    for path in (SHORT, LONG, '/related/nobody', '/livez', '/', '/nothing'):
        for origin in (shop, app, shop, 'https://evil.example', 'null', None):
            headers = {'Origin': origin} if origin else {}
            status, got, _ = listed.ask(path, headers={**headers, **GZIP})
            allowed = got['Access-Control-Allow-Origin']
            assert allowed == (origin if origin in (shop, app) else None), (path, origin)
            assert 'Origin' in ', '.join(got.get_all('Vary')), got
            assert (got['Access-Control-Expose-Headers'] or '').startswith('Grpc') == bool(allowed)
    known = {'Origin': app, 'If-None-Match': listed.ask(SHORT)[1]['ETag']}
    status, got, _ = listed.ask(SHORT, headers=known)
    assert status == 304 and got['Access-Control-Allow-Origin'] == app
    status, got, body = preflight(listed, app)
    assert (status, body) == (204, b'') and got['Access-Control-Allow-Origin'] == app
    assert got['Access-Control-Allow-Methods'] == 'GET, HEAD, POST, OPTIONS', got
    for name in ('Content-Type', 'Connect-Protocol-Version', 'Connect-Timeout-Ms', 'X-Grpc-Web',
                 'Grpc-Timeout', 'X-User-Agent', 'Authorization'):
        assert name in got['Access-Control-Allow-Headers'], got
    assert got['Access-Control-Max-Age'] == '7200'
    assert preflight(listed, 'https://evil.example')[1]['Access-Control-Allow-Origin'] is None
    assert listed.stop() == 0


@test
def all_sites_may_be_let_in():
    every = Server(catalog, '--cors-origin', '*')
    assert every.ask(SHORT, headers={'Origin': 'null'})[1]['Access-Control-Allow-Origin'] == '*'
    assert every.ask(SHORT)[1]['Access-Control-Allow-Origin'] is None
    assert preflight(every, 'https://any.example')[1]['Access-Control-Allow-Origin'] == '*'
    assert every.stop() == 0


@test
def what_is_no_origin_stops_the_start():
    for bad in ('shop.example', 'https://shop.example/', 'https://', 'https://a.example, *',
                'https://Shop.example', 'https://a.example,,https://b.example'):
        done = subprocess.run([PINSAGE, 'serve', catalog, '--cors-origin', bad, '--listen',
                               '127.0.0.1:0'], stderr=subprocess.PIPE, timeout=60)
        assert done.returncode != 0 and b'--cors-origin' in done.stderr, (bad, done.stderr)


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
