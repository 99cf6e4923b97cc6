"""serve.py - a real server asked over HTTP: every address, every parameter, every refusal."""
import re
import base64
import gzip
import json
import os
import sys
from urllib.parse import quote, unquote

sys.path.insert(0, 'tests/support')
from serving import (AWKWARD, ON_CIRCLE, PINS, Server, boards_of, make_catalog, pinsage, run,
                     scratch, test)

where = scratch()
pictures = where + '/pictures'
os.makedirs(pictures + '/sub')
for name in ('sub/pic 1.png', 'sub/drawing.svg'):
    with open(pictures + '/' + name, 'wb') as f:
        f.write(b'picture ' + name.encode())
with open(where + '/secret.png', 'wb') as f:
    f.write(b'secret')
os.symlink('../secret.png', pictures + '/link.png')
server = Server(make_catalog(where), '--images', pictures, '--drain-delay', '0')


def related(pin, query='', **how):
    return server.json('/related/' + quote(pin, safe='') + query, **how)


def ids(answer):
    return [r['pin'] for r in answer['results']]


@test
def related_gives_the_neighbours_with_titles_and_images():
    a = related('p10', '?k=4')
    assert list(a) == ['pin', 'method', 'source', 'generation', 'results'], list(a)
    assert (a['pin'], a['method'], a['source']) == ('p10', 'visual', 'stored'), a
    assert a['generation'].startswith('gen-')
    assert sorted(ids(a)[:2]) == ['p11', 'p9'] and sorted(ids(a)[2:]) == ['p12', 'p8'], a
    first = a['results'][0]
    assert list(first) == ['pin', 'score', 'title', 'image']
    assert first['title'] == 'title of ' + first['pin']
    scores = [r['score'] for r in a['results']]
    assert scores == sorted(scores, reverse=True) and 0.9 < scores[0] < 1, scores


@test
def the_command_line_gives_the_same_answer_with_images_by_their_names():
    def on_command_line(pin, *args):
        text = pinsage('related', where + '/catalog', '--json', '-k', '4', *args, pin)
        assert text.endswith('}\n') and text.count('\n') == 1, text
        return json.loads(text, object_pairs_hook=list)

    def without_address(pairs):
        return [(name, unquote(value[8:]) if name == 'image' and value[:8] == '/images/'
                 else value) for name, value in pairs]

    for pin in ('p10', 'p2', 'bare', *AWKWARD):
        for query, args in (('', ()), ('&method=pixie', ('--method', 'pixie')),
                            ('&board=b3&exclude=p9', ('--board', 'b3', '--exclude', 'p9'))):
            text = server.ask('/related/' + quote(pin, safe='') + '?k=4' + query)[2].decode()
            wanted = json.loads(text, object_pairs_hook=without_address)
            assert on_command_line(pin, *args) == wanted, (pin, args)


@test
def relative_images_become_addresses_of_this_server_and_work():
    images = {r['pin']: r['image'] for r in related('p2', '?k=4')['results']}
    assert images['p1'] == '/images/sub%2Fpic%201.png', images
    assert images['p0'] == 'https://img.example/0.jpg', images
    assert server.ask(images['p1'])[2] == b'picture sub/pic 1.png'


@test
def k_counts_and_defaults_to_twenty():
    assert len(related('p0')['results']) == 20
    assert len(related('p0', '?k=1')['results']) == 1
    everything = ids(related('p0', '?k=1000'))
    assert len(everything) == len(set(everything)) == len(PINS) - 3
    assert not {'p0', 'bare', 'lonely'} & set(everything), 'two have no vector'


@test
def awkward_ids_work_percent_encoded():
    for pin in AWKWARD:
        assert related(pin, '?k=3')['pin'] == pin
        a = server.json('/pins/' + quote(pin, safe=''))
        assert a['pin'] == pin and a['title'] == 'title of ' + pin
    everything = ids(related('p0', '?k=1000'))
    assert set(AWKWARD) < set(everything)


@test
def each_method_answers_and_names_itself():
    for method in server.json('/version')['methods']:
        a = related('p3', '?method=' + method)
        assert a['method'] == method and a['results'], a
        assert a['source'] == ('computed' if 'pixie' in method else 'stored'), a
    popular = related('p3', '?method=popular&k=3')
    assert [r['score'] for r in popular['results']] == [3, 3, 3], popular


@test
def a_board_restricts_the_answer():
    for method in ('visual', 'pixie', 'popular'):
        a = related('p10', '?board=b3&k=50&method=' + method)
        assert list(a)[:2] == ['pin', 'board'] and a['board'] == 'b3'
        on_board = {p for i, p in enumerate(PINS) if 'b3' in boards_of(i)}
        assert set(ids(a)) <= on_board and len(ids(a)) > 5, (method, a)
    assert set(ids(related('p10', '?board=odd%2Fone&k=1000'))) <= set(PINS[1::2])
    assert ids(related('p10', '?board=b3&k=2')) == ['p9', 'p15'], 'the nearest of the board'


@test
def excluded_pins_stay_out_by_list_and_by_repetition():
    plain = ids(related('p10', '?k=6'))
    assert ids(related('p10', '?k=4&exclude=%s,%s' % tuple(plain[:2]))) == plain[2:]
    assert ids(related('p10', '?k=4&exclude=%s&exclude=%s' % tuple(plain[:2]))) == plain[2:]
    assert ids(related('p10', '?k=6&exclude=nobody')) == plain
    assert 'x,y' not in ids(related('p0', '?k=1000&exclude=x%2Cy'))
    for method in ('pixie', 'popular'):
        out = ids(related('p10', '?k=1000&method=%s&exclude=p1,p2' % method))
        assert out and not {'p1', 'p2', 'p10'} & set(out)


@test
def a_pin_without_content_falls_back_to_walks_and_to_popularity():
    bare, lonely = related('bare'), related('lonely')
    assert (bare['source'], bare['method']) == ('fallback', 'pixie') and bare['results'], bare
    assert (lonely['source'], lonely['method']) == ('fallback', 'popular'), lonely
    assert lonely['results']


@test
def an_unknown_pin_is_told_with_those_near_it():
    e = server.error('/related/p100', 404, 'not_found')
    detail = e['details'][0]
    near = detail['debug']['pins']
    assert 'p10' in near and 'p10' in e['message'], e
    assert detail['type'] == 'pinsage.v1.NearPins'
    value = base64.b64decode(detail['value'] + '=' * (-len(detail['value']) % 4))
    first = near[0].encode()
    assert value.startswith(b'\n' + bytes([len(first)]) + first), value
    assert server.error('/pins/' + 'z' * 600, 404, 'not_found')['details'] == []


@test
def what_is_not_there_is_not_found():
    for path in ('/nothing', '/relate', '/related/', '/related/a/b/c', '/boards/none',
                 '/related/p0?board=none', '/images/', '/app.jsx', '//', '/pins//'):
        server.error(path, 404, 'not_found')


@test
def wrong_parameters_are_refused_by_name():
    cases = {'k=0': 'k', 'k=1001': 'k', 'k=x': 'k', 'k=': 'k', 'k=-1': 'k', 'k=5.0': 'k',
             'k=99999999999': 'k', 'k=1&k=2': 'twice', 'K=5': 'K', 'method=nope': 'visual',
             'limit=5': 'limit', 'method=visual&method=pixie': 'twice'}
    for query, word in cases.items():
        e = server.error('/related/p0?' + query, 400, 'invalid_argument')
        assert word in e['message'], e
    for path in ('/pins/p0?limit=1025', '/boards/b0?offset=-1', '/pins/p0?k=3'):
        server.error(path, 400, 'invalid_argument')
    many = ','.join('p%d' % i for i in range(1500))
    assert 'exclude' in server.error('/related/p0?exclude=' + many, 400,
                                     'invalid_argument')['message']


@test
def a_pin_is_told_with_its_boards_and_metadata():
    a = server.json('/pins/p3')
    assert a == {'pin': 'p3', 'title': 'title of p3', 'text': 'text 3',
                 'image': '/images/sub%2Fpic%203.png', 'boards': a['boards'],
                 'board_count': 3, 'metadata': {'author': 'me'}, 'etag': a['etag']}, a
    assert re.fullmatch(r'"g[0-9]+"', a['etag']), 'which generation it is of'
    assert sorted(a['boards']) == ['all pins', 'b3', 'odd/one']
    part = server.json('/pins/p3?limit=1&offset=1')
    assert part['boards'] == a['boards'][1:2] and part['board_count'] == 3
    assert server.json('/pins/lonely')['boards'] == []
    assert server.json('/pins/p3?offset=4000000000')['boards'] == []


@test
def a_board_is_told_page_by_page():
    a = server.json('/boards/all%20pins?limit=1000')
    assert a['board'] == 'all pins' and a['count'] == len(PINS) - 1
    assert [p['pin'] for p in a['pins']] == [p for p in PINS if p != 'lonely']
    assert list(a['pins'][0]) == ['pin', 'title', 'image']
    pages = [server.json('/boards/all%%20pins?limit=25&offset=%d' % o)['pins']
             for o in range(0, 100, 25)]
    assert sum(pages, []) == a['pins']
    assert server.json('/boards/odd%2Fone')['board'] == 'odd/one'


@test
def version_says_what_is_served():
    v = server.json('/version')
    assert v['pins'] == len(PINS) and v['boards'] == 8, v
    assert v['edges'] == sum(len(set(boards_of(i))) for i in range(len(PINS)))
    assert v['index']['vectors'] == 'visual', v
    assert v['methods'] == ['visual', 'pixie', 'pixie-corrected', 'popular'], v
    assert len(v['sample']) == 12 and set(v['sample']) <= set(PINS)


@test
def head_is_get_without_the_body():
    for path in ('/related/p1', '/pins/p1', '/', '/images/sub%2Fpic%201.png', '/livez'):
        get, head = server.ask(path), server.ask(path, 'HEAD')
        assert head[0] == get[0] == 200 and head[2] == b'' and get[2]
        assert head[1]['Content-Length'] == get[1]['Content-Length']
        assert head[1]['Content-Type'] == get[1]['Content-Type']


@test
def other_methods_are_told_which_are_allowed():
    for method in ('POST', 'PUT', 'DELETE', 'PATCH'):
        status, headers, body = server.ask('/boards/b0', method)
        assert status == 405 and headers['Allow'] == 'GET, HEAD, OPTIONS', (status, headers)
        assert b'"unimplemented"' in body
    status, headers, body = server.ask('/related/p0', 'OPTIONS')
    assert (status, body) == (204, b'') and 'GET' in headers['Allow']
    server.error('/nothing', 404, 'not_found', method='POST', body=b'x')


@test
def if_match_on_a_read_wants_the_answer_that_is_known():
    for path in ('/pins/p4', '/related/p4?k=3', '/boards/b4'):
        for _ in range(2):  # made, and from the cache
            status, headers, _ = server.ask(path, headers={'If-Match': '"another"'})
            assert status == 412, (path, status)
            etag = server.ask(path)[1]['ETag']
            for match in (etag, '*', '"x", ' + etag):
                assert server.ask(path, headers={'If-Match': match})[0] == 200, (path, match)
        e = server.error(path, 412, 'failed_precondition', headers={'If-Match': '"another"'})
        assert 'If-Match' in e['message']


@test
def a_body_where_none_belongs_is_refused():
    for path, method in (('/related/p1', 'GET'), ('/livez', 'GET'), ('/pins/p1', 'DELETE'),
                         ('/boards/b1/pins/p1', 'PUT'), ('/boards/b1/pins/p1', 'DELETE'),
                         ('/admin/reload', 'POST'), ('/admin/compact', 'POST')):
        e = server.error(path, 400, 'invalid_argument', method=method, body=b'x' * 5000)
        assert 'takes no body' in e['message'], (path, e)


@test
def images_are_served_with_care():
    path = '/images/sub%2Fpic%201.png'
    status, headers, body = server.ask(path)
    assert (status, headers['Content-Type']) == (200, 'image/png')
    assert headers['X-Content-Type-Options'] == 'nosniff' and headers['Cache-Control']
    again = {'If-None-Match': headers['ETag']}
    assert server.ask(path, headers=again)[0] == 304
    assert server.ask(path, headers={'If-None-Match': '"other"'})[0] == 200
    assert server.ask(path, headers={'If-Modified-Since': headers['Last-Modified']})[0] == 304
    assert server.ask('/images/sub/pic%201.png')[2] == body, 'plain slashes work too'
    svg = server.ask('/images/sub%2Fdrawing.svg')[1]
    assert svg['Content-Type'] == 'image/svg+xml' and 'sandbox' in svg['Content-Security-Policy']


@test
def no_path_leads_out_of_the_images():
    for name in ('..%2Fsecret.png', '../secret.png', '%2e%2e%2fsecret.png', 'link.png',
                 '%2Fetc%2Fpasswd', 'sub%2F..%2F..%2Fsecret.png', '..%5Csecret.png',
                 'sub/%2e%2e/%2e%2e/secret.png', 'sub', '.', '..', 'sub%2F'):
        server.error('/images/' + name, 404, 'not_found')
    server.error('/images/a%00.png', 400, 'invalid_argument')


@test
def the_page_comes_packed_or_plain_under_a_strict_policy():
    status, headers, plain = server.ask('/')
    assert status == 200 and headers['Content-Type'].startswith('text/html'), headers
    assert "default-src 'self'" in headers['Content-Security-Policy']
    status, packed_headers, packed = server.ask('/', headers={'Accept-Encoding': 'br, gzip'})
    assert packed_headers['Content-Encoding'] == 'gzip' and gzip.decompress(packed) == plain
    assert headers['Vary'] == packed_headers['Vary'] == 'Accept-Encoding'
    assert headers['ETag'] != packed_headers['ETag']
    assert server.ask('/', headers={'If-None-Match': headers['ETag']})[0] == 304
    for name, kind in (('app.js', 'text/javascript'), ('style.css', 'text/css')):
        status, headers, _ = server.ask('/' + name)
        assert status == 200 and headers['Content-Type'].startswith(kind)


@test
def health_is_told_in_parts():
    for path in ('/livez', '/readyz', '/healthz'):
        status, headers, body = server.ask(path)
        assert (status, body) == (200, b'ok\n') and 'text/plain' in headers['Content-Type']
    body = server.ask('/readyz?verbose')[2].decode()
    assert body == ('[+]loops ok\n[+]generation ok\n[+]index ok\n[+]canary ok\n'
                    '[+]files ok\n[+]draining ok\nreadyz check passed\n'), body
    body = server.ask('/readyz?verbose&exclude=canary&exclude=index')[2].decode()
    assert 'canary' not in body and 'index' not in body and 'loops' in body
    assert server.ask('/readyz/canary')[0] == 200
    assert server.ask('/readyz/canary?verbose')[2].startswith(b'[+]canary ok\n')
    server.error('/readyz/nonsense', 404, 'not_found')
    server.error('/livez/canary', 404, 'not_found')


def metric(text, name):
    for line in text.splitlines():
        if line.startswith(name + ' '):
            return float(line.rsplit(' ', 1)[1])
    raise AssertionError('no ' + name)


@test
def metrics_count_what_happened():
    name = ('pinsage_http_requests_total{method="GET",route="/related/{pin}",code="%d"}')
    before = server.ask('/metrics')[2].decode()
    for _ in range(7):
        server.ask('/related/p1?k=7')
    server.ask('/related/none-such')
    server.ask('/related/p1?k=7&method=pixie')
    after = server.ask('/metrics')[2].decode()
    assert metric(after, name % 200) - metric(before, name % 200) == 8
    assert metric(after, name % 404) - metric(before, name % 404) == 1
    duration = 'pinsage_http_request_duration_seconds_count{method="GET",route="/related/{pin}"}'
    assert metric(after, duration) - metric(before, duration) == 9
    answers = 'pinsage_answers_total{method="visual",source="stored"}'
    assert metric(after, answers) - metric(before, answers) == 7
    walks = 'pinsage_answers_total{method="pixie",source="computed"}'
    assert metric(after, walks) - metric(before, walks) == 1, 'counted where it was sent'
    queued = 'pinsage_queue_wait_seconds_count'
    assert metric(after, queued) - metric(before, queued) == 1, 'walks are for workers'
    assert metric(after, 'pinsage_queue_length') == metric(after, 'pinsage_workers_busy') == 0
    hits = 'pinsage_cache_hits_total'
    loops = 2 + (os.cpu_count() or 1)
    assert metric(after, hits) - metric(before, hits) >= 7 - loops
    assert metric(after, 'pinsage_pins') == len(PINS) and metric(after, 'pinsage_ready') == 1
    assert metric(after, 'process_resident_memory_bytes') > 1e6
    assert metric(after, 'pinsage_http_requests_in_flight') == 1, 'the scrape itself'


def histograms_are_cumulative(families):
    checked = 0
    for family in families:
        if family.type != 'histogram':
            continue
        series = {}
        for s in family.samples:
            key = tuple(sorted((k, v) for k, v in s.labels.items() if k != 'le'))
            series.setdefault(key, {}).setdefault(s.name.rsplit('_', 1)[1], []).append(s.value)
        for parts in series.values():
            assert parts['bucket'] == sorted(parts['bucket'])
            assert parts['bucket'][-1] == parts['count'][0]
            checked += 1
    assert checked


@test
def metrics_satisfy_the_strict_parsers():
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict
        from prometheus_client.parser import text_string_to_metric_families as plain
    except ImportError:
        return 'python3-prometheus-client is not installed'
    status, headers, text = server.ask('/metrics')
    assert headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'
    families = list(plain(text.decode()))
    assert all(f.documentation for f in families)
    histograms_are_cumulative(families)
    accept = {'Accept': 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'}
    status, headers, text = server.ask('/metrics', headers=accept)
    assert headers['Content-Type'].startswith('application/openmetrics-text; version=1.0.0')
    assert len(list(strict(text.decode()))) == len(families)


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


run()
