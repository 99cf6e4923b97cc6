"""runbook.py - what deploy/README.md tells an operator to type does what it says there."""
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, pinsage, run, scratch, test

with open('deploy/README.md') as f:
    RUNBOOK = f.read()
JSON = {'Content-Type': 'application/json'}


def commands(section):
    """The indented lines of a section."""
    text = re.search(r'(?ms)^## %s\n(.*?)(?=^## )' % section, RUNBOOK).group(1)
    return [line[4:] for line in text.split('\n') if line.startswith('    ')]


def follow(lines, where, **words):
    """Types the lines in a folder, the capitals replaced by what they stand for."""
    script = '\n'.join(lines)
    for word, value in words.items():
        script = script.replace(word, value)
    path = os.path.dirname(os.path.abspath(PINSAGE)) + ':' + os.environ['PATH']
    done = subprocess.run(['bash', '-eu', '-c', script], cwd=where, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=dict(os.environ, PATH=path))
    assert done.returncode == 0, (script, done.stdout)


def put(server, pin, title):
    status, _, body = server.ask('/pins/' + pin, 'PUT', JSON,
                                 b'{"title":"%s","boards":["b1"]}' % title.encode())
    assert status in (200, 201), (status, body)


@test
def a_backup_of_a_running_server_restores_to_what_it_was():
    if not shutil.which('mdb_copy'):
        return 'no mdb_copy on this machine'
    where = scratch()
    catalog = make_catalog(where)
    server = Server(catalog, '--drain-delay', '0')
    put(server, 'early', 'written before')
    follow(commands('Back up'), where, CATALOG='catalog')
    put(server, 'late', 'written after')
    put(server, 'early', 'changed after')
    generation = os.readlink(catalog + '/current')
    server.process.kill()
    server.process.wait()
    shutil.rmtree(catalog)

    follow(commands('Restore'), where, **{'gen-000007': generation})
    restored = Server(where + '/NEW', '--drain-delay', '0')
    assert restored.json('/pins/early')['title'] == 'written before'
    restored.error('/pins/late', 404, 'not_found')
    assert restored.json('/related/early?k=3')['results']
    assert restored.json('/related/p1?k=3')['results']
    put(restored, 'late', 'written again')
    assert restored.stop() == 0, restored.lines


@test
def a_server_goes_back_to_the_generation_before():
    where = scratch()
    catalog = make_catalog(where)
    before = os.readlink(catalog + '/current')
    server = Server(catalog, '--drain-delay', '0')
    pinsage('index', catalog, '--keep', '5')
    after = os.readlink(catalog + '/current')
    server.send(signal.SIGHUP)
    server.wait_for('generation=' + after)
    lines = [line for line in commands('Upgrade and roll back') if line.startswith('pinsage switch')]
    assert len(lines) == 1, lines
    follow(lines, where, CATALOG='catalog')
    server.send(signal.SIGHUP)
    server.wait_for('msg=reloaded generation=' + before)
    assert server.json('/related/p1')['generation'] == before
    assert server.stop() == 0, server.lines


@test
def what_it_says_to_start_starts():
    lines = commands('Start')
    assert sum('pinsage ' in line for line in lines) >= 5
    where = scratch()
    make_catalog(where)
    shutil.rmtree(where + '/catalog')
    first = [line for line in lines if line.startswith('pinsage import')][0]
    assert first.endswith('--feature visual=visual.npy'), first
    follow(['gzip -k pins.tsv edges.tsv', first, 'pinsage index CATALOG', 'pinsage verify CATALOG'],
           where)
    with open(where + '/tokens', 'w') as f:
        f.write('frontend ' + '5f' * 32 + '\n')
    server = Server(where + '/CATALOG', '--token-file', where + '/tokens', '--admin-listen',
                    '127.0.0.1:0')
    assert server.ask('/pins/new', 'PUT', JSON, b'{}')[0] == 401
    with_token = dict(JSON, Authorization='Bearer ' + '5f' * 32)
    assert server.ask('/pins/new', 'PUT', with_token, b'{"title":"x"}')[0] in (200, 201)
    assert server.stop() == 0, server.lines


run()
