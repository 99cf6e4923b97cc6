"""writes.py - what a write does not name it does not change, whoever asks, and a pin can be had
back as it was told: fields of GetPin against each way of writing, live, after a restart, and in
the next generation. What the reads and writes mean to other clients: live.py.
"""
import json
import os
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from protos import SERVICE, decode, encode
from serving import PINSAGE, Server, pinsage, run, scratch, test, write_npy

JSON, PROTO = 'application/json', 'application/proto'
WIDE, HUB = 301, 1100


def make_catalog(where):
    pins = ['m%d' % i for i in range(40)]
    with open(where + '/pins.tsv', 'w', encoding='utf-8') as f:
        f.write('pin\ttitle\ttext\timage\tprice\tcolour\n')
        for i, pin in enumerate(pins):
            f.write('%s\tT %d\twords of %d\ta b/%s.png\t%d.99\t%s\n' % (
                pin, i, i, pin, i, 'r\xf8d' if i % 2 else ''))
    with open(where + '/edges.tsv', 'w', encoding='utf-8') as f:
        f.write('pin\tboard\n')
        f.writelines('m%d\tb%d\n' % (i, i // 5) for i in range(40))
        f.writelines('m0\tx%d\n' % i for i in range(WIDE - 1))
        f.writelines('m1\ty%d\n' % i for i in range(HUB - 1))
    write_npy(where + '/visual.npy', [[0.1 * (i + 1), 1 / 3, -i] for i in range(40)])
    write_npy(where + '/sound.npy', [[i, 1.5] if i % 2 else [0, 0] for i in range(40)])
    os.makedirs(where + '/pictures')
    pinsage('import', where + '/catalog', '--pins', where + '/pins.tsv', '--edges',
            where + '/edges.tsv', '--feature', 'visual=%s/visual.npy' % where, '--feature',
            'sound=%s/sound.npy' % where)
    pinsage('index', where + '/catalog', '--vectors', 'visual')
    return where + '/catalog'


where = scratch()
catalog = make_catalog(where)
server = None


def start():
    global server
    server = Server(catalog, '--images', where + '/pictures', '--drain-delay', '0')


def ask(verb, path, body=None, kind=JSON, **headers):
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    headers = {k.replace('_', '-'): v for k, v in headers.items()}
    status, _, text = server.ask(path, verb, {'Content-Type': kind, **headers}, data)
    return status, text


def get(pin):
    status, text = ask('GET', '/pins/%s?features=true' % pin)
    assert status == 200, text
    return json.loads(text)


def rpc(method, body, kind=JSON):
    return ask('POST', '/%s/%s' % (SERVICE, method), body, kind)


def content(pin):
    a = get(pin)
    a['boards'] = sorted(a['boards'])
    return {k: v for k, v in a.items() if k != 'etag'}


def quoted(text):
    return '"%s"' % ''.join(c if c.isalnum() and c.isascii() else
                            ''.join('\\%03o' % b for b in c.encode()) for c in text)


def proto_text(pin):
    """A pin as it was got, in protobuf's text format."""
    out = ['%s: %s' % (k, quoted(pin[k])) for k in ('pin', 'title', 'text', 'image', 'etag')]
    out += ['boards: ' + quoted(b) for b in pin['boards']]
    out += ['metadata { key: %s value: %s }' % (quoted(k), quoted(v))
            for k, v in pin['metadata'].items()]
    out += ['features { key: %s value { %s } }' % (
        quoted(k), ' '.join('values: %r' % x for x in v)) for k, v in pin['features'].items()]
    return ' '.join(out + ['board_count: %d' % pin['board_count']]).encode().decode()


# Ways to write a pin back as it was got, changed; each says whether it was taken.

def by_rest(pin):
    return ask('PUT', '/pins/' + pin['pin'], pin)[0] == 200


def by_rpc(pin):
    return rpc('PutPin', pin)[0] == 200


def by_protobuf(pin):
    return rpc('PutPin', encode('PutPinRequest', proto_text(pin)), PROTO)[0] == 200


def by_lines(pin):
    status, text = ask('POST', '/pins', json.dumps(pin).encode(), 'application/x-ndjson')
    return status == 200 and 'etag' in json.loads(text)


def by_patch(pin):
    return ask('PATCH', '/pins/' + pin['pin'], pin, 'application/merge-patch+json')[0] == 200


def by_patch_rpc(pin):
    return rpc('PatchPin', pin)[0] == 200


def by_patch_protobuf(pin):
    return rpc('PatchPin', encode('PatchPinRequest', proto_text(pin)), PROTO)[0] == 200


WAYS = [by_rest, by_rpc, by_protobuf, by_lines, by_patch, by_patch_rpc, by_patch_protobuf]
FIELDS = ['title', 'text', 'image', 'boards', 'metadata', 'features']


@test
def what_was_got_is_put_back_and_nothing_but_the_title_is_another():
    start()
    for way in WAYS:
        for pin in ('m0', 'm3', 'm4'):
            was = get(pin)
            assert len(was['boards']) == was['board_count'], 'all of them are shown'
            title = 'by ' + way.__name__
            assert way({**was, 'title': title}), (way.__name__, pin)
            want = {**was, 'title': title, 'boards': sorted(was['boards'])}
            del want['etag']
            assert content(pin) == want, (way.__name__, pin, content(pin), want)
    assert get('m0')['board_count'] == WIDE
    assert get('m3')['metadata'] == {'price': '3.99', 'colour': 'r\xf8d'}
    assert get('m3')['image'] == '/images/a%20b%2Fm3.png'


@test
def a_field_that_is_not_told_stays_whichever_it_is():
    for way in WAYS:
        for left in FIELDS:
            was = get('m5')
            told = {k: v for k, v in was.items() if k != left}
            if way in (by_protobuf, by_patch_protobuf):
                told[left] = type(was[left])()
            if left == 'boards':
                told['board_count'] = 0
            assert way(told), (way.__name__, left)
            now = get('m5')
            assert {**now, 'etag': ''} == {**was, 'etag': ''}, (way.__name__, left, now)
    for body in ({'title': 'alone'}, {}):
        was = content('m7')
        assert ask('PUT', '/pins/m7', body)[0] == 200
        assert content('m7') == {**was, **body}


@test
def the_same_holds_after_a_restart_and_in_the_next_generation():
    pins = ['m0', 'm3', 'm4', 'm5', 'm7', 'new']
    body = {'title': 'new', 'metadata': {'': 'empty name', 'a.b': '1', 'title': 'x'},
            'features': {'visual': [1e-30, 3.4e38, 0.1]}, 'boards': ['b0']}
    assert ask('PUT', '/pins/new', body)[0] == 200
    was = [content(pin) for pin in pins]
    assert was[-1]['metadata'] == body['metadata']
    for a, b in zip(was[-1]['features']['visual'], body['features']['visual']):
        assert struct.pack('f', a) == struct.pack('f', b), 'the same bits'
    server.stop()
    start()
    assert [content(pin) for pin in pins] == was
    assert ask('POST', '/admin/compact')[0] == 200
    assert [content(pin) for pin in pins] == was
    for pin, before in zip(pins, was):  # and written again, on top of the new generation
        assert ask('PATCH', '/pins/' + pin, {'text': 'later'})[0] == 200
        assert content(pin) == {**before, 'text': 'later'}
    server.stop()
    pinsage('compact', catalog)
    pinsage('verify', catalog)
    start()
    for pin, before in zip(pins, was):
        assert content(pin) == {**before, 'text': 'later'}


@test
def a_patch_changes_names_one_by_one_and_null_takes_away():
    def patched(body):
        status, text = ask('PATCH', '/pins/m9', body)
        assert status == 200, text
        return content('m9')
    was = content('m9')
    now = patched({'metadata': {'price': '1', 'size': 'xl'}})
    assert now == {**was, 'metadata': {'price': '1', 'colour': 'r\xf8d', 'size': 'xl'}}
    now = patched({'metadata': {'colour': None, 'never': None}, 'title': None})
    assert now == {**was, 'title': '', 'metadata': {'price': '1', 'size': 'xl'}}
    now = patched({'features': {'sound': None}})
    assert now['features'] == {'visual': was['features']['visual']}
    now = patched({'features': {'sound': [7, 7]}, 'text': 'text'})
    assert now['features'] == {'visual': was['features']['visual'], 'sound': [7, 7]}
    assert patched({'metadata': {}, 'features': {}}) == now, 'nothing is named'
    now = patched({'boards': []})
    assert (now['boards'], now['board_count']) == ([], 0)
    now = patched({'boards': ['b1', 'b9'], 'features': None, 'metadata': None, 'image': None})
    assert (now['boards'], now['features'], now['metadata'], now['image']) == (
        ['b1', 'b9'], {}, {}, '')
    assert now['text'] == 'text'
    assert rpc('PatchPin', encode('PatchPinRequest', 'pin: "m9" remove: "text" remove: "boards" '
                                  'metadata { key: "a" value: "b" }'), PROTO)[0] == 200
    now = content('m9')
    assert (now['text'], now['boards'], now['metadata']) == ('', [], {'a': 'b'})
    server.stop()
    start()
    assert content('m9') == now, 'what was taken away does not come back'
    assert ask('POST', '/admin/compact')[0] == 200
    assert content('m9') == now


@test
def a_put_takes_away_what_it_tells_to_be_empty():
    was = content('m11')
    for left, none in (('title', ''), ('metadata', {}), ('features', {}), ('boards', [])):
        assert ask('PUT', '/pins/m11', {left: none})[0] == 200
        was = {**was, left: none}
        was['board_count'] = len(was['boards'])
        assert content('m11') == was, left
    assert ask('DELETE', '/pins/m13')[0] == 200
    assert ask('PUT', '/pins/m13', {'title': 'another'})[0] == 200
    want = {'pin': 'm13', 'title': 'another', 'text': '', 'image': '', 'boards': [],
            'board_count': 0, 'metadata': {}, 'features': {}}
    assert content('m13') == want, 'a pin that was deleted is a new one'
    assert ask('PATCH', '/pins/m13', {'text': 't'})[0] == 200
    server.stop()
    start()
    assert content('m13') == {**want, 'text': 't'}


@test
def boards_that_were_not_shown_are_not_lost():
    page = json.loads(ask('GET', '/pins/m0?limit=10')[1])
    assert len(page['boards']) == 10 and page['board_count'] == WIDE
    for verb in ('PUT', 'PATCH'):
        status, text = ask(verb, '/pins/m0', page)
        assert status == 400 and 'Leave boards out' in text.decode(), text
    hub = json.loads(ask('GET', '/pins/m1')[1])
    assert len(hub['boards']) == 1024 and hub['board_count'] == HUB
    del hub['board_count']
    for verb in ('PUT', 'PATCH'):
        status, text = ask(verb, '/pins/m1', {**hub, 'title': 'x'})
        assert status == 400 and 'the pin is on 1100' in text.decode(), text
    for _ in range(20):  # the writer may be done before the line is known to be handed over
        status, text = ask('POST', '/pins', json.dumps({**hub, 'title': 'x'}).encode(),
                           'application/x-ndjson')
        assert status == 200 and 'the pin is on 1100' in text.decode(), text
    del hub['boards']
    assert ask('PUT', '/pins/m1', {**hub, 'title': 'x'})[0] == 200
    assert get('m1')['board_count'] == HUB and get('m0')['board_count'] == WIDE
    rest = json.loads(ask('GET', '/pins/m1?offset=1024')[1])['boards']
    assert len(rest) == HUB - 1024
    assert ask('PUT', '/pins/m0', {'boards': ['b0']})[0] == 200, 'told without a count: all'
    assert get('m0')['boards'] == ['b0']


@test
def an_etag_in_the_body_is_compared():
    was = get('m15')
    assert ask('PATCH', '/pins/m15', {'text': 'somebody else was here'})[0] == 200
    for way in (by_rest, by_rpc, by_patch, by_patch_rpc, by_protobuf, by_lines):
        assert not way({**was, 'title': 'x'}), way
    assert ask('PUT', '/pins/m15', was)[0] == 412
    assert ask('PUT', '/pins/m15', was, If_Match='*')[0] == 200, 'a header goes first'
    assert ask('PUT', '/pins/nobody', {**was, 'pin': 'nobody'})[0] == 412
    status, text = ask('PATCH', '/pins/nobody', {'title': 'x'})
    assert status == 404 and b'not_found' in text


@test
def what_no_pin_has_is_refused_by_name():
    for body, word in (({'metadata': {'a': 1}}, 'metadata.a: not a string'),
                       ({'metadata': ['a']}, 'metadata: not an object'),
                       ({'titel': 'x'}, 'titel: there is no such field'),
                       ({'titel': None}, 'titel: there is no such field'),
                       ({'remove': ['pin']}, '"pin" cannot be taken away'),
                       ({'remove': ['title'], 'title': 'x'}, 'title is told as well'),
                       ({'features': {'smell': [1]}}, 'features.smell'),
                       ({'features': {'visual': [1]}}, 'features.visual: 1 numbers')):
        was = content('m17')
        status, text = ask('PATCH', '/pins/m17', body)
        assert status == 400 and word in json.loads(text)['message'], (body, text)
        assert content('m17') == was
    status, text = ask('PUT', '/pins/m17', {'metadata': {'a': None}})
    assert status == 400 and b'metadata.a: not a string' in text, text
    assert server.stop() == 0



# ------------------------------ What does not fit, and what is gone ----------

def lost_and_found(change, back):
    """A catalog with a write in it, its live/ changed: serve, compact and verify refuse in words,
    and a server that is told to goes on."""
    place = scratch()
    path = make_catalog(place)
    one = Server(path, '--drain-delay', '0')
    for title in ('first', 'second'):
        status, _, _ = one.ask('/pins/kept', 'PUT', {'Content-Type': JSON},
                               json.dumps({'title': title}).encode())
        assert status == 200 and one.stop() == 0
        if title == 'first':
            shutil.copytree(path + '/live', place + '/older')
        one = Server(path, '--drain-delay', '0')
    one.stop()
    assert subprocess.run([PINSAGE, 'verify', path], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0
    change(path, place)
    for words in (['serve', path, '--listen', '127.0.0.1:0'], ['compact', path],
                  ['verify', path]):
        done = subprocess.run([PINSAGE] + words, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 65 and 'live' in done.stdout, (change, words, done)
        if words[0] == 'serve':
            assert 'accept-live' in done.stdout or 'not a live store' in done.stdout, done
    if back is None:
        return
    for options in (['--accept-live'], []):
        one = Server(path, '--drain-delay', '0', *options)
        status, _, text = one.ask('/pins/kept')
        assert (json.loads(text)['title'] if status == 200 else '') == back, text
        assert one.stop() == 0
    assert subprocess.run([PINSAGE, 'verify', path], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


@test
def a_live_store_that_is_gone_is_missed():
    def empty(path, _):
        open(path + '/live/data.mdb', 'w').close()

    def remove(path, _):
        shutil.rmtree(path + '/live')

    def remove_file(path, _):
        os.unlink(path + '/live/data.mdb')
    for change in (empty, remove, remove_file):
        lost_and_found(change, '')


@test
def another_store_in_its_place_is_known_by_its_mark():
    def older(path, place):
        shutil.rmtree(path + '/live')
        shutil.copytree(place + '/older', path + '/live')

    def foreign(path, _):
        other = make_catalog(scratch())
        one = Server(other, '--drain-delay', '0')
        for i in range(9):
            one.ask('/pins/kept', 'PUT', {'Content-Type': JSON}, b'{"title":"of another"}')
        one.stop()
        shutil.rmtree(path + '/live')
        shutil.copytree(other + '/live', path + '/live')

    def no_store(path, _):
        shutil.copy(os.path.join(path, os.readlink(path + '/current'), 'pins.mdb'),
                    path + '/live/data.mdb')
    lost_and_found(older, 'first')
    lost_and_found(foreign, 'of another')
    lost_and_found(no_store, None)


@test
def vectors_that_fit_no_block_are_kept_and_said_to_be_dropped():
    place = scratch()
    path = make_catalog(place)
    one = Server(path, '--drain-delay', '0')

    def put(pin, body):
        return one.ask('/pins/' + pin, 'PUT', {'Content-Type': JSON}, json.dumps(body).encode())
    assert put('wide', {'title': 'w', 'features': {'visual': [1, 2, 3]}})[0] == 200
    one.stop()

    def again(rows):
        write_npy(place + '/other.npy', rows)
        pinsage('import', path, '--pins', place + '/pins.tsv', '--edges', place + '/edges.tsv',
                '--feature', 'visual=%s/other.npy' % place, '--feature',
                'sound=%s/sound.npy' % place)
        pinsage('index', path, '--vectors', 'visual')
    again([[1, i] for i in range(40)])
    one = Server(path, '--drain-delay', '0')
    assert 'pinsage_live_unfit_vectors 1' in one.ask('/metrics')[2].decode()
    one.ask('/pins/wide', 'PATCH', {'Content-Type': JSON}, b'{"title":"patched"}')
    assert one.stop() == 0
    assert [line for line in one.lines if 'fit no block' in line and 'first=wide' in line]
    again([[1, i, 2] for i in range(40)])
    one = Server(path, '--drain-delay', '0')
    kept = json.loads(one.ask('/pins/wide?features=true')[2])
    assert (kept['title'], kept['features']) == ('patched', {'visual': [1, 2, 3]}), kept
    one.stop()
    again([[1, i] for i in range(40)])
    one = Server(path, '--drain-delay', '0')
    status, _, text = one.ask('/admin/compact', 'POST')
    assert status == 200, text
    assert json.loads(text)['dropped'] == {'vectors': 1, 'pins': 1, 'first': 'wide'}, text
    page = one.ask('/metrics')[2].decode()
    assert 'pinsage_compact_dropped_vectors_total 1' in page, page
    assert one.stop() == 0
    assert [line for line in one.lines if 'are dropped' in line and 'first=wide' in line]


run()
