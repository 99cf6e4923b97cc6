"""no_vector.py - rows that hold no vector, and vectors of any length.

A row of zeros is no vector: it is not an answer, and a question about it is answered in
another way. The same pin means the same imported, posted, and after a compaction. Scores
are numbers whatever finite numbers come in, or what came in is refused by its name.
"""
import json
import math
import random
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, pinsage, run, scratch, test, write_npy

N, D, EMPTY = 90, 8, 12
JSON = {'Content-Type': 'application/json'}


def inputs(where, rows, features=True):
    """Pins p0..; those whose row is zero have no text and are on no board either."""
    with open(where + '/pins.tsv', 'w') as f:
        f.write('pin\ttitle\n')
        f.writelines('p%d\t%s\n' % (i, 'word%d thing' % (i % 7) if any(row) else '')
                     for i, row in enumerate(rows))
    with open(where + '/edges.tsv', 'w') as f:
        f.write('pin\tboard\n')
        f.writelines('p%d\tb%d\n' % (i, i // 5) for i, row in enumerate(rows) if any(row))
    with open(where + '/pairs.tsv', 'w') as f:
        f.write('query\trelated\n')
        f.writelines('p%d\tp%d\n' % (i, i + 1) for i in range(0, N - 1, 2))
    write_npy(where + '/rows.npy', rows)
    return ['import', '-q', where + '/c', '--pins', where + '/pins.tsv', '--edges',
            where + '/edges.tsv']


def rows_of(seed):
    r = random.Random(seed)
    return [[r.uniform(-1, 1) for _ in range(D)] for _ in range(N)]


def related(server, pin, k=200, **more):
    path = '/related/%s?k=%d' % (pin, k)
    return server.json(path + ''.join('&%s=%s' % x for x in more.items()))


def names(answer):
    return [x['pin'] for x in answer['results']]


def put(server, pin, body, want=200):
    return server.json('/pins/' + pin, want, method='PUT', headers=JSON,
                       body=json.dumps(body).encode())


def ask(server, path, body, want=200):
    return server.json(path, want, method='POST', headers=JSON,
                       body=json.dumps(body).encode())


# ------------------------------ Nothing is known -----------------------------

def is_left_alone(server, pins, others):
    """None of the pins is an answer by vectors, and each is answered for by what is
    popular, without one of them."""
    gone = set(pins)
    for pin in others:
        assert not gone & set(names(related(server, pin))), (pin, related(server, pin))
    for pin in pins:
        answer = related(server, pin, 20)
        assert (answer['method'], answer['source']) == ('popular', 'fallback'), answer


@test
def pins_of_which_nothing_is_known_have_no_vector_in_batch_either():
    where = scratch()
    rows = rows_of(1) + [[0.0] * D] * EMPTY
    pinsage(*inputs(where, rows), '--feature', 'visual=' + where + '/rows.npy')
    pinsage('build', '-q', where + '/c', '--pairs', where + '/pairs.tsv', '--epochs', '1',
            '--no-trials', '-t', '1')
    said = pinsage('verify', where + '/c')
    assert 'least cosine 1.0000' in said or 'least cosine 0.99' in said, said
    server = Server(where + '/c', '--drain-delay', '0')
    empty = ['p%d' % i for i in range(N, N + EMPTY)]
    some = ['p%d' % i for i in range(0, N, 9)]
    put(server, 'new', {})
    put(server, 'zero', {'features': {'visual': [0] * D}})
    put(server, 'known', {'title': 'word1 thing', 'boards': ['b1']})
    is_left_alone(server, empty + ['new', 'zero'], some + ['known'])
    answer = ask(server, '/embed', {'features': {'visual': [0] * D}, 'k': 5})
    assert answer['method'] == 'popular' and not answer.get('vector'), answer
    server.json('/admin/compact', method='POST')
    is_left_alone(server, empty + ['new', 'zero'], some + ['known'])
    assert server.stop() == 0
    pinsage('embed', '-q', where + '/c')
    pinsage('index', '-q', where + '/c')
    server = Server(where + '/c', '--drain-delay', '0')
    is_left_alone(server, empty + ['new', 'zero'], some + ['known'])
    assert server.stop() == 0


@test
def zero_rows_of_a_block_and_of_embeddings_are_neither_asked_nor_answered():
    for kind in 'visual', 'embeddings':
        where = scratch()
        rows = rows_of(2)
        for i in range(0, N, 3):
            rows[i] = [-0.0] * D
        given = inputs(where, rows)
        given += (['--embeddings', where + '/rows.npy'] if kind == 'embeddings' else
                  ['--feature', 'visual=' + where + '/rows.npy'])
        pinsage(*given)
        pinsage('index', '-q', where + '/c')
        server = Server(where + '/c', '--drain-delay', '0')
        zero = {'p%d' % i for i in range(0, N, 3)}
        found = names(related(server, 'p1'))
        assert len(found) == N - len(zero) - 1 and not zero & set(found), found
        found = names(related(server, 'p1', board='b0'))
        assert not zero & set(found) and len(found) == 2, found
        answer = ask(server, '/related', {'positives': [{'pin': 'p3'}], 'k': 5})
        assert answer['method'] == 'popular', answer
        answer = ask(server, '/related', {'positives': [{'pin': 'p1'}], 'k': 100,
                                          'boards': ['b0', 'b1', 'b2'], 'diversity': 0.5})
        assert not zero & set(names(answer)), answer
        assert server.stop() == 0


# ------------------------------ Any length -----------------------------------

def cosine(a, b):
    return (math.fsum(x * y for x, y in zip(a, b)) /
            math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b)))


@test
def cosines_are_right_at_any_length():
    where = scratch()
    rows = rows_of(3)
    lengths = [1, 1e25, 1e-25, 1e37, 1e-37]
    odd = [[x * lengths[i % 5] for x in row] for i, row in enumerate(rows)]
    pinsage(*inputs(where, odd), '--feature', 'visual=' + where + '/rows.npy')
    pinsage('index', '-q', where + '/c')
    server = Server(where + '/c', '--drain-delay', '0')
    for i, length in (50, 1e20), (51, 1e38), (52, 1e-30), (53, 1):
        rows[i] = random.Random(i).sample(rows[i], D)
        put(server, 'p%d' % i, {'boards': ['b1'],
                                'features': {'visual': [x * length for x in rows[i]]}})

    def check():
        for i in 0, 1, 2, 3, 4, 50, 51, 52, 53:
            for x in related(server, 'p%d' % i)['results']:
                true = cosine(rows[i], rows[int(x['pin'][1:])])
                assert abs(x['score'] - true) < 1e-5, (i, x, true)
            vector = [x * 1e38 for x in rows[i]]
            for body in ({'features': {'visual': vector}, 'k': 5},):
                for x in ask(server, '/embed', body)['results']:
                    true = cosine(rows[i], rows[int(x['pin'][1:])])
                    assert abs(x['score'] - true) < 1e-5, (i, x, true)
            body = {'positives': [{'vector': vector}], 'k': 5, 'boards': ['b0', 'b1', 'b10']}
            for x in ask(server, '/related', body)['results']:
                true = cosine(rows[i], rows[int(x['pin'][1:])])
                assert abs(x['score'] - true) < 1e-5, (i, x, true)

    check()
    server.json('/admin/compact', method='POST')
    check()
    assert server.stop() == 0


def numbers_of(value):
    """Every number in an answer; None is none."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for v in value for x in numbers_of(v)]
    assert value is not None
    return [value] if isinstance(value, (int, float)) else []


@test
def inner_products_are_numbers_or_refused_by_name():
    where = scratch()
    rows = rows_of(4)
    for length in 3e38, 1e19, 1e-20:
        odd = [list(row) for row in rows]
        odd[7] = [length * (1 - 2 * (j % 2)) / 1.01 for j in range(D)]
        given = inputs(where, odd)
        done = subprocess.run([PINSAGE, *given, '--embeddings', where + '/rows.npy'],
                              capture_output=True, text=True)
        assert done.returncode == 65 and 'row 7 ' in done.stderr and '"p7"' in done.stderr, done
    pinsage(*inputs(where, rows), '--embeddings', where + '/rows.npy')
    pinsage('index', '-q', where + '/c')
    server = Server(where + '/c', '--drain-delay', '0')
    big = {'vector': [3e38] * D}
    refused = [({'positives': [{'pin': 'p1', 'weight': 1e38}]}, 'positives[0].weight'),
               ({'positives': [{'pin': 'p1', 'weight': 1e-38}]}, 'positives[0].weight'),
               ({'positives': [big]}, 'length'),
               ({'positives': [{'pin': 'p1'}], 'negatives': [big, big]}, 'length'),
               ({'positives': [{'vector': [1e-30] * D}]}, 'length')]
    for body, word in refused:
        for path in '/related', '/pinsage.v1.RecommendService/Recommend':
            error = ask(server, path, dict(body, k=3), 400)
            assert word in error['message'], (path, error)
    for method in None, 'pixie', 'popular':
        for weight in 1e-9, 1, 1e9:
            body = {'positives': [{'pin': 'p%d' % i, 'weight': weight} for i in range(20)],
                    'negatives': [{'pin': 'p%d' % i, 'weight': 1e9} for i in range(20, 40)],
                    'k': 10, 'diversity': 0.3}
            body.update({'method': method} if method else {})
            for path in '/related', '/pinsage.v1.RecommendService/Recommend':
                answer = ask(server, path, body)
                assert answer['results']
                assert all(math.isfinite(x) for x in numbers_of(answer)), answer
    assert server.stop() == 0


run()
