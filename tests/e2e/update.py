"""update.py - a catalog is updated in several steps while it is served: what is in use is
never less than before, on disk, in a running server, and after a restart."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, 'tests/support')
from serving import (ON_CIRCLE, PINSAGE, Server, make_catalog, pinsage, run, scratch, test)

JSON = {'Content-Type': 'application/json'}
FAST = ('--no-trials', '--epochs', '1', '-q', '-t', '1')
base = scratch()
os.makedirs(base + '/made')
indexed = make_catalog(base + '/made')
with open(base + '/pairs.tsv', 'w', encoding='utf-8') as f:
    f.write('query\trelated\n')
    f.writelines('p%d\tp%d\n' % (i, (i + s) % ON_CIRCLE) for i in range(ON_CIRCLE) for s in (1, 2))
with open(base + '/ids.tsv', 'w', encoding='utf-8') as f:
    f.write('pin\n')
    with open(base + '/made/pins.tsv', encoding='utf-8') as pins:
        f.writelines(line.split('\t')[0] + '\n' for line in pins.readlines()[1:])
with open(base + '/one.tsv', 'w', encoding='utf-8') as f:
    f.write('query\trelated\np0\tp1\n')
INPUT = ('--pins', base + '/made/pins.tsv', '--edges', base + '/made/edges.tsv')
VISUAL = ('--feature', 'visual=' + base + '/made/visual.npy')
pinsage('import', base + '/learned', '-q', *INPUT, *VISUAL)
pinsage('build', base + '/learned', '--pairs', base + '/pairs.tsv', *FAST)


def copy(name):
    path = scratch() + '/catalog'
    shutil.copytree(base + '/' + name, path, symlinks=True)
    return path


def leads(catalog, link):
    return os.readlink(catalog + '/' + link) if os.path.lexists(catalog + '/' + link) else ''



def metric(server, name):
    for line in server.ask('/metrics')[2].decode().splitlines():
        if line.startswith(name + ' '):
            return float(line.split()[-1])
    raise AssertionError('no ' + name)


def reload(server, query=''):
    status, _, body = server.ask('/admin/reload' + query, 'POST')
    return status, json.loads(body.decode())


def build(catalog, *words):
    done = subprocess.run([PINSAGE, 'build', catalog, *words, *FAST], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode()


def serves(catalog, generation, method='pinsage'):
    server = Server(catalog, '--drain-delay', '0')
    a = server.json('/related/p1?k=3')
    assert (a['generation'], a['method']) == (generation, method), a
    assert server.stop() == 0, server.lines


@test
def a_nightly_job_that_fails_is_no_outage():
    catalog = copy('learned')
    good = leads(catalog, 'current')
    for _ in range(3):
        said = pinsage('import', catalog, '-q', *INPUT, *VISUAL)
        assert 'waits for `pinsage index' in said and good + ' stays in use' in said, said
        assert build(catalog, '--pairs', base + '/one.tsv')[0] == 65
    assert leads(catalog, 'current') == good and leads(catalog, 'next')
    serves(catalog, good)
    code, said = build(catalog, '--pairs', base + '/pairs.tsv')
    assert code == 0 and said.count('stays in use') == 3, said
    assert leads(catalog, 'current') > good and not leads(catalog, 'next')
    assert os.path.isdir(os.path.join(catalog, good)), 'to go back to'
    serves(catalog, leads(catalog, 'current'))
    assert good in pinsage('switch', catalog, 'back')
    serves(catalog, good)


@test
def one_update_is_one_switch_that_a_server_follows():
    catalog = copy('learned')
    server = Server(catalog, '--drain-delay', '0')
    settings = base + '/from.json'
    with open(settings, 'w', encoding='utf-8') as f:
        json.dump({'import': {'pins': INPUT[1], 'edges': INPUT[3], 'feature': [VISUAL[1]]}}, f)
    seen, over = [leads(catalog, 'current')], threading.Event()

    def watch():
        while not over.is_set():
            now = leads(catalog, 'current')
            if now != seen[-1]:
                seen.append(now)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code, said = build(catalog, '--from', settings, '--pairs', base + '/pairs.tsv')
    over.set()
    watcher.join()
    assert code == 0, said
    assert len(seen) == 2 and seen[1] == leads(catalog, 'current'), seen
    server.wait_for('msg=reloaded generation=' + seen[1])
    assert metric(server, 'pinsage_reloads_total') == 1
    assert metric(server, 'pinsage_reloads_failed_total') == 0
    assert server.stop() == 0, server.lines


@test
def ids_alone_do_not_take_the_place_of_a_model():
    catalog = scratch() + '/catalog'
    ids = ('--pins', base + '/ids.tsv', '--edges', INPUT[3])
    pinsage('import', catalog, '-q', *ids)
    serves(catalog, 'gen-000001', 'pixie')
    pinsage('import', catalog, '-q', *ids)  # as good as the one before
    serves(catalog, 'gen-000002', 'pixie')
    assert build(catalog, '--pairs', base + '/pairs.tsv')[0] == 0
    good = leads(catalog, 'current')
    server = Server(catalog, '--drain-delay', '0')
    pinsage('import', catalog, '-q', *ids)
    time.sleep(1.5)
    a = server.json('/related/p1?k=1')
    assert (a['generation'], a['method']) == (good, 'pinsage'), a
    assert server.stop() == 0, server.lines
    serves(catalog, good)


@test
def a_server_refuses_fewer_methods_until_it_is_told():
    catalog = copy('learned')
    good = leads(catalog, 'current')
    server = Server(catalog, '--drain-delay', '0')
    pinsage('import', catalog, '-q', *INPUT, *VISUAL)
    said = pinsage('index', catalog, '-q')
    assert 'does not answer by' in said and 'pinsage' in said and good in said, said
    fewer = leads(catalog, 'next')
    done = subprocess.run([PINSAGE, 'switch', catalog, 'next'], stderr=subprocess.PIPE)
    assert done.returncode == 65 and b'--accept-fewer' in done.stderr, done
    pinsage('switch', catalog, 'next', '--accept-fewer')
    line = server.wait_for('reload failed')
    assert fewer in line and 'pinsage' in line and 'accept_fewer' in line, line
    status, answer = reload(server)
    assert status == 409 and good + ' stays in use' in answer['message'], answer
    assert 'it does not answer by what is in use now: pinsage' in answer['message'], answer
    assert metric(server, 'pinsage_reloads_fewer_methods_total') >= 2
    assert server.json('/related/p1')['generation'] == good
    assert server.ask('/admin/reload?accept_fewer=maybe', 'POST')[0] == 400
    assert reload(server, '?accept_fewer=true') == (200, {'generation': fewer})
    assert server.json('/related/p1')['method'] == 'visual'
    assert server.stop() == 0, server.lines
    pinsage('switch', catalog, 'back')
    told = Server(catalog, '--drain-delay', '0', '--accept-fewer')
    pinsage('switch', catalog, fewer, '--accept-fewer')
    told.wait_for('msg=reloaded generation=' + fewer)
    assert told.stop() == 0, told.lines


@test
def a_server_that_starts_beside_an_unfinished_current_serves_the_one_before():
    catalog = copy('learned')
    good = leads(catalog, 'current')
    pinsage('import', catalog, '-q', *INPUT, *VISUAL)
    unfinished = leads(catalog, 'next')
    os.remove(catalog + '/next')
    os.remove(catalog + '/current')  # as an older program left it
    os.symlink(unfinished, catalog + '/current')
    server = Server(catalog, '--drain-delay', '0')
    line = [text for text in server.lines if 'cannot be served yet' in text]
    assert line and unfinished in line[0] and good in line[0] and 'level=warn' in line[0], \
        server.lines
    assert server.json('/related/p1')['generation'] == good
    assert metric(server, 'pinsage_generation_fallback') == 1
    assert server.ask('/readyz')[0] == 200
    assert build(catalog, '--pairs', base + '/pairs.tsv')[0] == 0
    server.wait_for('msg=reloaded generation=' + leads(catalog, 'current'))
    assert metric(server, 'pinsage_generation_fallback') == 0
    assert server.stop() == 0, server.lines


@test
def writes_before_during_and_after_an_update_are_all_there():
    catalog = copy('learned')
    server = Server(catalog, '--drain-delay', '0')

    def put(pin):
        status, _, body = server.ask('/pins/' + pin, 'PUT', JSON,
                                     b'{"title":"live","boards":["b1"]}')
        assert status in (200, 201), (status, body)

    def compact(query=''):
        status, _, body = server.ask('/admin/compact' + query, 'POST')
        assert status == 200, body
        return json.loads(body.decode())

    put('before')
    pinsage('import', catalog, '-q', *INPUT, *VISUAL)
    put('between')
    server.ask('/pins/p5', 'DELETE')
    assert compact()['compacted'] is True
    put('after')
    assert build(catalog, '--pairs', base + '/pairs.tsv')[0] == 0
    server.wait_for('msg=reloaded generation=' + leads(catalog, 'current'))
    for pin in ('before', 'between', 'after'):
        assert server.json('/pins/' + pin)['title'] == 'live', pin
    server.error('/pins/p5', 404, 'not_found')
    server.process.kill()
    server.process.wait()
    server = Server(catalog, '--drain-delay', '0')
    for pin in ('before', 'between', 'after'):
        assert server.json('/pins/' + pin)['title'] == 'live', pin
    server.error('/pins/p5', 404, 'not_found')
    pinsage('import', catalog, '-q', *INPUT, *VISUAL)  # an update is under way, again
    compact('?keep=0')
    server.wait_for('the update under way is given up')
    left = sorted(name for name in os.listdir(catalog) if name.startswith('gen-'))
    assert left == [leads(catalog, 'current')] and not leads(catalog, 'next'), left
    assert server.stop() == 0, server.lines


@test
def a_build_killed_at_any_time_leaves_a_catalog_that_serves():
    catalog = copy('learned')
    rng = random.Random(5)
    for turn in range(12):
        pinsage('import', catalog, '-q', *INPUT, *VISUAL)
        child = subprocess.Popen([PINSAGE, 'build', catalog, '--pairs', base + '/pairs.tsv', *FAST],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 0.8))
        child.send_signal(signal.SIGKILL)
        child.wait()
        if turn % 4 == 3:
            serves(catalog, leads(catalog, 'current'))
        answer = json.loads(pinsage('related', catalog, 'p1', '--json'))
        assert answer['method'] == 'pinsage', answer
    assert build(catalog, '--pairs', base + '/pairs.tsv')[0] == 0
    serves(catalog, leads(catalog, 'current'))


@test
def evaluation_says_whose_figures_it_prints():
    catalog = copy('learned')
    words = ('eval', catalog, '--pairs', base + '/pairs.tsv', '--methods', 'pixie', '-q',
             '--bootstraps', '100')
    good = leads(catalog, 'current')
    pinsage('train', catalog, '--pairs', base + '/pairs.tsv', '--seed', '2', *FAST)
    done = subprocess.run([PINSAGE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done
    assert good in done.stderr.decode() and leads(catalog, 'next') in done.stderr.decode(), done
    done = subprocess.run([PINSAGE, *words, '--next'], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == 0 and not done.stderr, done


run()
