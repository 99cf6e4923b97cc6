"""damage.py - files of a catalog that were damaged: refused, without effect, or told.

Each seed damages one file of a generation or of live/ in one way, and everything that reads
a catalog is run on it. What it may do: refuse in words (status 65 or 74), answer as the
undamaged catalog does, or, for a server, answer otherwise until its readiness fails and
names the file. What it may not: end by a signal, or answer otherwise and say nothing.
manifest.json and the records of live/ have no checksums: there, what cannot be seen is
counted and printed. PS_SEEDS says how many seeds (default: each file in each way once),
PS_FIRST from which on.
"""
import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from urllib.parse import quote

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, direction, make_catalog, pinsage, run, scratch, test

FIRST = int(os.environ.get('PS_FIRST', '0'))
JSON = {'Content-Type': 'application/json'}
REFUSED = (65, 74)
GETS = ['/related/p%d?k=20%s' % (i, more) for i in (1, 20, 44)
        for more in ('', '&method=pixie', '&method=pixie-corrected', '&method=visual',
                     '&method=popular', '&board=b2')]
GETS += ['/pins/p%d' % i for i in range(0, 60, 7)] + ['/boards/b1', '/boards/odd%2Fone']
EXPLAIN = ['/related/p%d?explain=true' % i for i in (3, 20, 41)]
EMBED = {'title': 'title of p7', 'boards': ['b1', 'all pins'], 'features': {'visual': direction(7)}}
FAST = ('--no-trials', '--epochs', '1', '-q', '-t', '1')

where = scratch()
base = make_catalog(where)
with open(where + '/pairs.tsv', 'w') as f:
    f.write('query\trelated\n' + ''.join('p%d\tp%d\n' % (i, (i + step) % 60)
                                         for i in range(60) for step in (1, 2)))
pinsage('build', base, '--pairs', where + '/pairs.tsv', *FAST)


def post(server, path, body):
    return server.ask(path, 'POST', JSON, json.dumps(body).encode())


def write(server):
    for i in range(12):
        body = {'title': 'live %d' % i, 'boards': ['b1', 'fresh'],
                'features': {'visual': direction(3 * i)}}
        pin = 'p%d' % (30 + i) if i % 2 else 'new%d' % i
        status = server.ask('/pins/' + pin, 'PUT', JSON, json.dumps(body).encode())[0]
        assert status == 200, status
        assert server.ask('/boards/fresh/pins/p%d' % i, 'PUT')[0] == 200
    assert server.ask('/pins/p50', 'DELETE')[0] == 200


def answers(server):
    """What the questions are answered; of explanations, which tell ages, the status."""
    said = {}
    for path in GETS:
        status, _, body = server.ask(path)
        said[path] = status, body
    for path in EXPLAIN:
        said[path] = server.ask(path)[0],
    said['embed'] = post(server, '/embed', EMBED)[::2]
    return said


def command(*args):
    done = subprocess.run([PINSAGE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=120)
    return done.returncode, done.stdout, done.stderr.decode('utf-8', 'replace')


COMMANDS = {
    'verify': lambda c: ('verify', '-q', c),
    'related': lambda c: ('related', c, 'p20', '--json'),
    'eval': lambda c: ('eval', '-q', '-t', '1', c, '--pairs', where + '/pairs.tsv',
                       '--bootstraps', '100', '--pixie-steps', '500', '--json'),
}

server = Server(base, '--drain-delay', '0')
write(server)
assert server.stop() == 0
server = Server(base, '--drain-delay', '0', '--read-only')
good = answers(server)
assert all(a[0] == 200 for a in good.values()), {k: a for k, a in good.items() if a[0] != 200}
assert server.stop() == 0
good_output = {name: command(*words(base)) for name, words in COMMANDS.items()}
assert all(done[0] == 0 for done in good_output.values()), good_output
generation = os.readlink(base + '/current')
FILES = sorted(os.path.relpath(os.path.join(folder, name), base)
               for folder, _, names in os.walk(base) for name in names
               if folder.startswith((base + '/' + generation, base + '/live')))
FILES = [f for f in FILES if not f.endswith('/lock')]


def flip(data, r):
    at = r.randrange(min(len(data), 512)) if r.random() < 0.4 else r.randrange(len(data))
    data[at] ^= 1 << r.randrange(8)


def zero(data, r):
    at = r.randrange(len(data))
    data[at:at + r.choice((8, 64, 4096))] = bytes(len(data[at:at + r.choice((8, 64))]))


def ones(data, r):
    at = r.randrange(len(data)) // 8 * 8
    n = min(len(data) - at, r.choice((4, 8, 400)))
    data[at:at + n] = b'\xff' * n


def cut(data, r):
    del data[r.randrange(len(data)):]


def copy(data, r):
    other = r.choice([f for f in FILES if f != 'live/lock.mdb'])
    with open(os.path.join(base, other), 'rb') as f:
        data[:] = f.read()


def shuffle(data, r):
    a, b, n = r.randrange(len(data)), r.randrange(len(data)), r.choice((16, 512, 4096))
    data[a:a + n] = data[b:b + n]


WAYS = (flip, zero, ones, cut, copy, shuffle)


SEEDS = int(os.environ.get('PS_SEEDS', len(FILES) * len(WAYS)))


def damaged(seed, name):
    """A copy of the catalog with one file damaged, its name, the way; links where nothing is
    written."""
    r = random.Random(seed)
    file, way = FILES[seed % len(FILES)], WAYS[seed // len(FILES) % len(WAYS)]
    if seed >= len(FILES) * len(WAYS):
        file, way = r.choice(FILES), r.choice(WAYS)
    place = '%s/%s' % (where, name)
    shutil.copytree(base, place, symlinks=True,
                    copy_function=lambda a, b: os.link(a, b) if '/gen-' in a
                    else shutil.copy2(a, b))
    with open(os.path.join(base, file), 'rb') as f:
        before = f.read()
    data = bytearray(before)
    if data:
        way(data, r)
    os.unlink(os.path.join(place, file))
    with open(os.path.join(place, file), 'wb') as f:
        f.write(data)
    return place, file, way.__name__, bytes(data) != before


def plain(out, place):
    """Without what differs between two runs: paths and times."""
    return [line for line in out.decode().replace(place, base).splitlines()
            if 'seconds' not in line]


def judge(done, want, place):
    code, out, err = done
    if code < 0 or code >= 128:
        return 'SIGNAL %d' % code
    if code in REFUSED:
        return 'refused' if err.strip() else 'REFUSED WITHOUT A WORD'
    if code:
        return 'STATUS %d: %s' % (code, err)
    return 'equal' if plain(out, place) == plain(want[1], base) else 'OTHER'


def metric(server, name):
    for line in server.ask('/metrics')[2].decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[-1])
    raise AssertionError(name)


def ask_all(server, file):
    try:
        told = answers(server)
        end = time.monotonic() + 30
        while not metric(server, 'pinsage_files_checked') and time.monotonic() < end:
            time.sleep(0.02)
        status, _, said = server.ask('/readyz')
    except (OSError, AssertionError):
        server.stop(0)
        return 'DIED %d' % server.process.returncode
    code = server.stop()
    if code:
        return 'ENDED %d' % code
    if status == 503:
        return 'not ready' if file.split('/', 1)[1] in said.decode() else 'NOT NAMED'
    return 'equal' if told == good else 'OTHER'


def serve(place, file):
    server = Server(place, '--drain-delay', '0', '--read-only', '--threads', '1', '--workers', '1',
                    '--verify-rate', '1024G', wait=False)
    try:
        server.port = int(server.wait_for('msg=listening').rsplit('addr=', 1)[1].split()[0]
                          .rsplit(':', 1)[1])
    except AssertionError:
        code = server.process.wait(30)
        return 'refused' if code in REFUSED else 'START %d' % code
    return ask_all(server, file)


def compacts(place):
    """After it, whatever it made must pass every check."""
    code, out, err = command('compact', '-q', place)
    if code:
        return judge((code, out, err), (0, b''), place)
    return 'equal' if command('verify', '-q', place)[0] == 0 else 'NOT WHOLE'


def try_seed(seed):
    place, file, way, changed = damaged(seed, 'seed%d' % seed)
    try:
        seen = {name: judge(command(*words(place)), good_output[name], place)
                for name, words in COMMANDS.items()}
        seen['serve'] = serve(place, file)
        seen['compact'] = compacts(place)
    finally:
        shutil.rmtree(place)
    return seed, file, way, changed, seen


def kind_of(file):
    return file.split('/', 1)[1] if file.startswith('gen-') else file


@test
def nothing_ends_by_a_signal_and_nothing_is_answered_otherwise_in_silence():
    outcomes, bad, unseen = Counter(), [], Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(try_seed, range(FIRST, FIRST + SEEDS)))
    for seed, file, way, changed, seen in results:
        checked = file.startswith('gen-') and not file.endswith('manifest.json')
        for name, outcome in seen.items():
            outcomes[name, outcome] += 1
            if outcome == 'OTHER' and not checked:
                unseen[name, kind_of(file)] += 1
            elif outcome.isupper() or outcome.split()[0].isupper():
                bad.append((seed, file, way, name, outcome))
        if checked and changed and seen['verify'] != 'refused':
            bad.append((seed, file, way, 'verify', seen['verify']))
    print('# %d seeds, %d files, %d ways' % (SEEDS, len(FILES), len(WAYS)))
    for name in (*COMMANDS, 'serve', 'compact'):
        print('# %-8s %s' % (name, ', '.join('%d %s' % (n, outcome) for (who, outcome), n
                                             in sorted(outcomes.items()) if who == name)))
    for (name, file), n in sorted(unseen.items()):
        print('# without checksums: %s answered otherwise with a damaged %s, %d' % (name, file, n))
    assert not bad, '\n'.join(map(str, bad))


@test
def one_message_array_in_the_place_of_another_is_told():
    place = where + '/swapped'
    shutil.copytree(base, place, symlinks=True)
    folder = place + '/current/'
    shutil.copy(folder + 'messages.1.npy', folder + 'messages.2.npy')
    server = Server(place, '--drain-delay', '0', '--verify-rate', '1M')
    line = server.wait_for('a file is damaged')
    assert 'file=messages.2.npy' in line and 'level=error' in line, line
    status, _, body = server.ask('/readyz?verbose')
    assert status == 503 and b'[-]files failed: %s/messages.2.npy: it is damaged' % \
        generation.encode() in body, body
    assert metric(server, 'pinsage_files_damaged') == 1 and metric(server, 'pinsage_ready') == 0
    status, _, body = server.ask('/admin/compact', 'POST')
    assert status >= 400 and b'messages.2.npy' in body, (status, body)
    shutil.copy(base + '/current/messages.2.npy', folder + 'new')
    os.rename(folder + 'new', folder + 'messages.2.npy')
    assert server.ask('/admin/reload', 'POST')[0] == 200
    end = time.monotonic() + 30
    while not metric(server, 'pinsage_files_checked') and time.monotonic() < end:
        time.sleep(0.05)
    assert server.ask('/readyz')[0] == 200 and metric(server, 'pinsage_files_damaged') == 0
    assert server.stop() == 0
    server = Server(place, '--drain-delay', '0', '--verify-rate', '0')
    assert metric(server, 'pinsage_files_read_bytes_total') == 0
    assert server.stop() == 0


def settled(place):
    """A writer's server, once it has embedded anew what its start found stale."""
    server = Server(place, '--drain-delay', '0', '--no-watch')
    end = time.monotonic() + 30
    while metric(server, 'pinsage_reembed_queue_length') and time.monotonic() < end:
        time.sleep(0.02)
    return server


@test
def a_generation_that_was_replaced_answers_as_before():
    place, twin = where + '/replaced', where + '/twin'
    for copy in (place, twin):
        shutil.copytree(base, copy, symlinks=True)
    server, other = settled(place), settled(twin)
    for _ in range(3):
        pinsage('index', '-q', place)
    assert not os.path.exists(place + '/' + generation)
    want = answers(other)
    for _ in range(8):  # each thread has an embedder of its own
        told = answers(server)
        assert told == want, [(k, told[k], want[k]) for k in told if told[k] != want[k]][:3]
    assert server.ask('/readyz')[0] == 200
    server.send(1)
    server.wait_for('msg=reloaded')
    assert server.stop() == 0 and other.stop() == 0


run()
