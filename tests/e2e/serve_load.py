"""serve_load.py - many connections, signals, reloads, and starts that must fail in words."""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, 'tests/support')
from load import REQUEST, Client, ends, read_answer
from serving import PINSAGE, Server, make_catalog, pinsage, run, scratch, test

where = scratch()
catalog = make_catalog(where)

@test
def any_number_of_ready_connections_is_served():
    """A multiple of 128 at once makes libmicrohttpd's own epoll thread wait for its time
    limit (30 s here) in every round."""
    server = Server(catalog, '--threads', '1', '--idle-timeout', '30s')
    for n in (127, 128, 129, 256, 384):
        connections = [server.connect() for _ in range(n)]
        for i in range(10):
            for s in connections:
                s.sendall(REQUEST % (i % 60))
            for s in connections:
                s.settimeout(20)
                assert read_answer(s)[0] == b'HTTP/1.1 200 OK'
        for s in connections:
            s.close()
    assert server.stop() == 0, server.lines


@test
def connections_beyond_the_limit_wait_for_their_turn():
    server = Server(catalog, '--threads', '1', '--connections', '16')
    crowd = [server.connect() for _ in range(48)]
    for i, s in enumerate(crowd):
        s.sendall(REQUEST % i)
    for s in crowd:  # in the order they came; each makes room for another
        s.settimeout(20)
        assert read_answer(s)[0] == b'HTTP/1.1 200 OK'
        s.close()
    assert server.stop() == 0, server.lines


@test
def a_drain_under_load_fails_no_request():
    server = Server(catalog, '--drain-delay', '1s', '--drain-limit', '20s')
    idle = server.connect()
    clients = [Client(server, 7 * i) for i in range(16)]
    time.sleep(0.5)
    before = [c.answers for c in clients]
    server.send(signal.SIGTERM)
    server.wait_for('msg=draining')
    status, headers, body = server.ask('/readyz')
    assert status == 503 and headers['Connection'] == 'close', (status, body)
    assert b'[-]draining failed' in body
    assert server.ask('/livez')[0] == 200, 'alive while it drains'
    ends(clients)
    assert all(c.answers > b > 0 and c.closes for c, b in zip(clients, before))
    assert server.stop(0) == 0, server.lines
    assert not any('msg=request' in line for line in server.lines), 'probes are no errors'
    assert any('msg=stopped' in line and 'connections=0' in line for line in server.lines)
    idle.close()


@test
def an_interrupt_does_not_wait_and_a_second_signal_cuts_short():
    server = Server(catalog, '--drain-delay', '60m', '--drain-limit', '60m')
    server.send(signal.SIGTERM)
    server.wait_for('msg=draining')
    assert server.ask('/related/p1')[0] == 200
    server.send(signal.SIGTERM)
    server.wait_for('stopping at once')
    assert server.stop(0) == 0
    server = Server(catalog, '--drain-delay', '60m')
    assert server.stop(signal.SIGINT) == 0


@test
def a_new_generation_is_taken_up_without_a_failed_request():
    mine = where + '/reload'
    os.mkdir(mine)
    server = Server(make_catalog(mine), '--no-watch')
    first = server.json('/version')['generation']
    clients = [Client(server, 5 * i) for i in range(8)]
    make_catalog(mine, titles='new title of %s')
    assert server.json('/related/p1')['generation'] == first
    server.send(signal.SIGHUP)
    server.wait_for('msg=reloaded')
    a = server.json('/related/p1')
    assert a['generation'] != first and a['results'][0]['title'].startswith('new title')
    for _ in range(20):  # every loop, whatever connection comes to it
        assert server.json('/version')['generation'] == a['generation']
    os.rename(mine + '/catalog/current', mine + '/catalog/elsewhere')
    server.send(signal.SIGHUP)
    server.wait_for('reload failed')
    assert server.json('/related/p1')['generation'] == a['generation'], 'the old one stays'
    assert server.ask('/readyz')[0] == 200
    time.sleep(0.2)
    server.send(signal.SIGINT)
    ends(clients)
    assert server.stop() == 0, server.lines


def fails(words, *args):
    done = subprocess.run([PINSAGE, 'serve', *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    text = done.stderr.decode()
    assert done.returncode not in (0, -6, -11) and words in text, (done.returncode, text)


@test
def what_cannot_start_says_why():
    server = Server(catalog)
    fails('in use', catalog, '--listen', '127.0.0.1:%d' % server.port)
    assert server.stop() == 0
    fails('nowhere', where + '/nowhere', '--listen', '127.0.0.1:0')
    fails('HOST:PORT', catalog, '--listen', '8080x')
    fails('HOST:PORT', catalog, '--listen', '::1:80')
    fails('no-folder', catalog, '--listen', '127.0.0.1:0', '--images', where + '/no-folder')
    bare = where + '/bare'
    pinsage('import', bare, '--pins', where + '/pins.tsv', '--edges', where + '/edges.tsv',
            '--feature', 'visual=' + where + '/visual.npy')
    fails('pinsage index', bare, '--listen', '127.0.0.1:0')
    broken = where + '/broken'
    shutil.copytree(catalog, broken, symlinks=True)
    index = os.path.join(broken, os.readlink(broken + '/current'), 'index.faiss')
    with open(index, 'r+b') as f:
        f.truncate(100)
    fails('index.faiss', broken, '--listen', '127.0.0.1:0')


@test
def a_catalog_without_vectors_is_ranked_by_walks():
    walks = where + '/walks'
    pinsage('import', walks, '--pins', where + '/pins.tsv', '--edges', where + '/edges.tsv')
    server = Server(walks)
    a = server.json('/related/p1?k=3')
    assert (a['method'], a['source'], len(a['results'])) == ('pixie', 'computed', 3), a
    assert server.ask('/readyz')[0] == 200
    assert server.stop() == 0


@test
def other_addresses_are_listened_on():
    server = Server(catalog, '--listen', '[::]:0') if socket.has_ipv6 else None
    if server:
        assert server.ask('/livez')[0] == 200, 'IPv4 reaches [::] too'
        assert server.stop() == 0
    server = Server(catalog, '--listen', 'localhost:0', '--admin-listen', '127.0.0.1:0')
    line = server.wait_for('msg=listening')
    port = int(line.split('admin=')[1].split()[0].rsplit(':', 1)[1])
    server.port = port
    assert server.ask('/readyz')[0] == 200 and b'pinsage_pins' in server.ask('/metrics')[2]
    assert server.stop() == 0


@test
def the_access_log_tells_what_was_asked():
    server = Server(catalog, '--access-log', 'all')
    server.ask('/related/a%2Fb%20c?k=2')
    line = server.wait_for('msg=request')
    for field in ('method=GET', 'path="/related/a%2Fb%20c?k=2"', 'status=200', 'duration=',
                  'remote=127.0.0.1', 'bytes='):
        assert field in line or field.replace('"', '') in line, line
    assert server.stop() == 0
    quiet = Server(catalog)
    for _ in range(5):
        quiet.ask('/related/p1')
        quiet.ask('/nothing')
    assert quiet.stop() == 0
    assert not any('msg=request' in line for line in quiet.lines), quiet.lines


@test
def json_lines_are_json():
    server = Server(catalog, '--access-log', 'all', '--log-format', 'json', wait=False)
    line = json.loads(server.wait_for('"listening"'))
    server.port = int(line['addr'].rsplit(':', 1)[1])
    server.ask('/related/%22q%22%F0%9F%90%88')
    entry = json.loads(server.wait_for('"request"'))
    assert (entry['status'], entry['method']) == (404, 'GET') and entry['duration'] > 0
    assert server.stop() == 0


@test
def a_log_nobody_reads_stops_no_request():
    read_end, write_end = os.pipe()
    server = Server.__new__(Server)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        server.port = s.getsockname()[1]
    server.process = subprocess.Popen(
        [PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:%d' % server.port,
         '--access-log', 'all'], stdout=subprocess.DEVNULL, stderr=write_end)
    os.close(write_end)
    text = b''
    while b'msg=listening' not in text:
        assert select.select([read_end], [], [], 60)[0]
        more = os.read(read_end, 4096)
        assert more, text
        text += more
    with server.connect() as s:
        for i in range(12000):  # some 2 MB of lines; a pipe holds 64 KiB, the log 1 MiB
            s.sendall(REQUEST % (i % 60))
            assert read_answer(s)[0] == b'HTTP/1.1 200 OK'
    text = server.ask('/metrics')[2].decode()
    dropped = [x for x in text.splitlines() if x.startswith('pinsage_log_dropped_total')]
    assert int(dropped[0].split()[1]) > 0, dropped
    server.send(signal.SIGINT)
    os.close(read_end)
    assert server.process.wait(30) == 0


run()
