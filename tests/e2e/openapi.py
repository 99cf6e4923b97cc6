"""openapi.py - the description at /openapi.json against a running server: what it tells
is so. (That it tells every address and field is tests/server/routes/test_openapi.c.)

    python3 tests/e2e/openapi.py --write      puts the answers of today into its examples

Each operation is asked what its examples of parameters and bodies say, in the order of
the description; answers must be those of the examples and fit their schemas.
"""
import json
import math
import os
import re
import sys
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from serving import Server, pinsage, run, scratch, test, write_npy

FILE = 'server/web/openapi.json'
VERBS = ('get', 'put', 'patch', 'post', 'delete')
VOLATILE = {'version', 'index', 'vector_age_seconds', 'milliseconds', 'etag', 'votes', 'If-Match',
            'seconds', 'recall_at_10'}

PINS = ['teapot', 'kettle', 'cup', 'saucer', 'sugar bowl', 'spoon', 'rose', 'tulip', 'daisy',
        'vase', 'watering can', 'garden gnome']
BOARDS = {'tea time': PINS[:6], 'kitchen': PINS[:6:2] + ['vase', 'watering can'],
          'garden': PINS[6:], 'flowers': PINS[6:10]}


def make_catalog(where):
    with open(where + '/pins.tsv', 'w', encoding='utf-8') as f:
        f.write('pin\ttitle\ttext\timage\tlicence\n')
        for pin in PINS:
            f.write('%s\tA %s\t%s, drawn\t%s.png\tCC0\n' % (pin, pin, pin, pin.replace(' ', '-')))
    with open(where + '/edges.tsv', 'w', encoding='utf-8') as f:
        f.write('pin\tboard\n')
        f.writelines('%s\t%s\n' % (pin, board) for board, on in BOARDS.items() for pin in on)
    write_npy(where + '/visual.npy', [[math.cos(i * 0.4), math.sin(i * 0.4), 0.5, 0.1 * (i % 3)]
                                      for i in range(len(PINS))])
    os.mkdir(where + '/pictures')
    with open(where + '/pictures/teapot.png', 'wb') as f:
        f.write(b'\x89PNG')
    pinsage('import', where + '/catalog', '--pins', where + '/pins.tsv', '--edges',
            where + '/edges.tsv', '--feature', 'visual=' + where + '/visual.npy')
    pinsage('index', where + '/catalog')
    with open(where + '/pairs.tsv', 'w', encoding='utf-8') as f:
        f.write('query\trelated\n%s\t%s\n' % tuple(PINS[:2]))
    pinsage('eval', where + '/catalog', '--pairs', where + '/pairs.tsv', '-q')
    return where + '/catalog'


where = scratch()
server = Server(make_catalog(where), '--images', where + '/pictures', '--drain-delay', '0')
with open(FILE, encoding='utf-8') as file:
    written = file.read()
told = json.loads(written)


# ------------------------------ Reading it ----------------------------------

def resolve(part):
    while '$ref' in part:
        at = told
        for name in part['$ref'][2:].split('/'):
            at = at[name]
        part = at
    return part


def operations():
    for path, item in told['paths'].items():
        for verb in VERBS:
            if verb in item:
                yield path, verb, item[verb]


def parameters(operation, where_):
    return [p for p in map(resolve, operation.get('parameters', ())) if p['in'] == where_]


def example_of(operation, body):
    """(examples of a request or an answer by name) of JSON content."""
    content = body.get('content', {}).get('application/json', {})
    return {name: e['value'] for name, e in content.get('examples', {}).items()}


def target_of(path, operation, changes=()):
    for p in parameters(operation, 'path'):
        path = path.replace('{%s}' % p['name'], quote(dict(changes).get(p['name'], p['example']),
                                                      safe=''))
    query = {p['name']: p['example'] for p in parameters(operation, 'query') if 'example' in p}
    query.update(changes)
    text = '&'.join('%s=%s' % (k, quote(str(v), safe='')) for k, v in query.items())
    return path + ('?' + text if text else '')


def ask(path, verb, body=None):
    headers = {} if body is None else {'Content-Type': 'application/json'}
    data = None if body is None else json.dumps(body).encode()
    return server.ask(path, verb.upper(), headers, data)


# ------------------------------ A small schema checker ----------------------

KINDS = {'string': str, 'integer': int, 'number': (int, float), 'boolean': bool,
         'array': list, 'object': dict}


def misfit(value, schema, at='answer'):
    """What does not fit, '' when all does."""
    schema = resolve(schema)
    kind = schema['type']
    if isinstance(kind, list):
        kind, *others = kind
        if value is None and 'null' in others:
            return ''
    if not isinstance(value, KINDS[kind]) or (kind != 'boolean' and isinstance(value, bool)):
        return '%s is no %s: %r' % (at, kind, value)
    if 'enum' in schema and value not in schema['enum']:
        return '%s is none of the values: %r' % (at, value)
    if kind == 'array':
        found = [misfit(v, schema['items'], at + '[]') for v in value]
        return next((f for f in found if f), '')
    if kind != 'object':
        return ''
    known, more = schema.get('properties', {}), schema.get('additionalProperties')
    for name in schema.get('required', ()):
        if name not in value:
            return '%s.%s is missing' % (at, name)
    for name, v in value.items():
        inner = known.get(name, more if isinstance(more, dict) else None)
        if inner is None and known:
            return '%s.%s is not told' % (at, name)
        found = misfit(v, inner, at + '.' + name) if inner else ''
        if found:
            return found
    return ''


def alike(a, b):
    """Equal, but for what differs from run to run and rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(k in VOLATILE or alike(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= 1e-3
    return a == b


# ------------------------------ Writing it ----------------------------------

def compact(value, indent='', before=0, room=98):
    """JSON whose short parts stand in one line; `before` columns are taken already."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + before + len(line) < room or not isinstance(value, (dict, list)) or not value:
        return line
    deeper = indent + '  '
    if isinstance(value, dict):
        names = [json.dumps(k, ensure_ascii=False) + ': ' for k in value]
        parts = [n + compact(v, deeper, len(n)) for n, v in zip(names, value.values())]
    else:
        parts = [compact(v, deeper) for v in value]
    marks = '{}' if isinstance(value, dict) else '[]'
    return marks[0] + '\n' + ',\n'.join(deeper + p for p in parts) + '\n' + indent + marks[1]


def write():
    for path, verb, operation in operations():
        requests = example_of(operation, operation.get('requestBody', {}))
        content = operation['responses']['200'].get('content', {}).get('application/json')
        if content is None or path == '/openapi.json':
            continue
        for name, body in (requests or {'answer': None}).items():
            status, _, text = ask(target_of(path, operation), verb, body)
            assert status == 200, (verb, path, status, text)
            answer = json.loads(text)
            if path == '/version':
                answer['version'] = answer['version'].split('+')[0]
            content.setdefault('examples', {})[name] = {'value': answer}
    with open(FILE, 'w', encoding='utf-8') as out:
        out.write(compact(told) + '\n')


# ------------------------------ Tests ---------------------------------------

@test
def the_server_tells_what_is_in_the_file():
    status, headers, text = server.ask('/openapi.json')
    assert (status, headers['Content-Type']) == (200, 'application/json')
    assert json.loads(text) == told
    assert compact(told) + '\n' == written, 'as --write would leave it'


@test
def redocly_and_spectral_have_nothing_to_say():
    why = npm.place()[1]
    if why:
        return why
    rules = os.path.join(scratch(), 'spectral.yaml')
    with open(rules, 'w', encoding='utf-8') as f:
        f.write('extends: ["spectral:oas"]\n')
    npm.run('redocly', 'lint', FILE, '--extends', 'recommended-strict')
    _, out, _ = npm.run('spectral', 'lint', FILE, '--ruleset', rules, '--fail-severity', 'hint')
    assert 'No results' in out, out


@test
def examples_are_real_answers():
    asked = 0
    for path, verb, operation in operations():
        requests = example_of(operation, operation.get('requestBody', {}))
        answers = example_of(operation, operation['responses']['200'])
        assert set(answers) == set(requests or answers), (verb, path)
        for name, want in answers.items():
            status, _, text = ask(target_of(path, operation), verb, requests.get(name))
            assert status == 200 and alike(json.loads(text), want), (verb, path, text, want)
            asked += 1
    assert asked >= 11, asked


@test
def answers_and_examples_fit_their_schemas():
    for path, verb, operation in operations():
        body = operation.get('requestBody', {})
        for part in [body] + [resolve(r) for r in operation['responses'].values()]:
            for example in example_of(operation, part).values():
                schema = part['content']['application/json']['schema']
                assert not misfit(example, schema), (verb, path, misfit(example, schema))
        if 'application/json' in operation['responses']['200'].get('content', {}) and verb == 'get':
            _, _, text = ask(target_of(path, operation), verb)
            schema = operation['responses']['200']['content']['application/json']['schema']
            assert not misfit(json.loads(text), schema), (path, misfit(json.loads(text), schema))


@test
def media_types_are_those_told():
    for path, verb, operation in operations():
        if verb == 'get' and '*' not in path:
            status, headers, _ = ask(target_of(path, operation), verb)
            kind = headers['Content-Type'].split(';')[0]
            kinds = list(operation['responses']['200']['content'])
            assert status == 200 and any(re.fullmatch(k.replace('*', '.*'), kind) for k in kinds), (
                path, status, kind)


@test
def what_is_told_to_answer_304_does():
    told_so = []
    for path, verb, operation in operations():
        headers = ask(target_of(path, operation), verb)[1] if verb == 'get' else {}
        tag = headers.get('ETag')
        if tag:
            again = {'If-None-Match': tag}
            assert server.ask(target_of(path, operation), headers=again)[0] == 304, path
        assert bool(tag) == ('304' in operation['responses']), (path, tag)
        told_so += [path] if tag else []
    assert len(told_so) == 7, told_so


@test
def ranges_are_those_that_hold():
    tried = 0
    for path, verb, operation in operations():
        for p in parameters(operation, 'query'):
            schema = p['schema']
            if schema['type'] != 'integer':
                continue
            for value, good in ((schema['minimum'], True), (schema['maximum'], True),
                                (schema['minimum'] - 1, False), (schema['maximum'] + 1, False)):
                status, _, text = ask(target_of(path, operation, {p['name']: value}), verb)
                assert (status == 200) == good, (path, p['name'], value, text)
                tried += 1
            plain = target_of(path, {'parameters': parameters(operation, 'path')})
            told_default = '%s?%s=%d' % (plain, p['name'], schema['default'])
            assert ask(plain, verb)[2] == ask(told_default, verb)[2], (path, p['name'])
    assert tried >= 20, tried


@test
def errors_fit_their_schema():
    for path in ('/related/nobody', '/related/teapot?k=0', '/boards/none', '/pins/nobody'):
        status, _, text = server.ask(path)
        assert status >= 400 and not misfit(json.loads(text), {'$ref': '#/components/schemas/Error'})


@test
def the_server_ends_well():
    assert server.stop() == 0, server.lines


if sys.argv[1:] == ['--write']:
    write()
else:
    run()
