"""serve_tls.py - HTTPS: independent clients, old versions, and certificates exchanged while
connections go on."""
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, run, scratch, test

where = scratch()
catalog = make_catalog(where)
os.mkdir(where + '/live.crt')
CERT, KEY = where + '/live.crt/tls.crt', where + '/live.crt/tls.key'


def make_pair(name):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                    'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj',
                    '/CN=' + name, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
                    '-keyout', where + '/' + name + '.key', '-out', where + '/' + name + '.crt'],
                   check=True, stderr=subprocess.DEVNULL)


def use(name):
    for suffix, path in (('.crt', CERT), ('.key', KEY)):
        shutil.copy(where + '/' + name + suffix, path + '.new')
        os.rename(path + '.new', path)


for pair in ('one', 'two'):
    make_pair(pair)
use('one')
server = Server(catalog, '--tls-cert', CERT, '--tls-key', KEY, '--header-timeout', '2s',
                '--drain-delay', '0')


def context(name='one'):
    return ssl.create_default_context(cafile=where + '/' + name + '.crt')


def client(name='one'):
    return http.client.HTTPSConnection('localhost', server.port, timeout=30,
                                       context=context(name))


def get(connection, path):
    connection.request('GET', path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def serves(name):
    """Does a new connection get this certificate?"""
    try:
        c = client(name)
        return get(c, '/livez')[0] == 200
    except ssl.SSLCertVerificationError:
        return False


def read_all(sock):
    out = b''
    while True:
        try:
            more = sock.recv(65536)
        except (ssl.SSLError, ConnectionError):
            return out
        if not more:
            return out
        out += more


@test
def what_the_library_refuses_has_one_answer_and_our_shape():
    good = b'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'
    post = b'POST /embed HTTP/1.1\r\nHost: localhost\r\n'
    for data, status in ((post + b'Content-Length: 2a\r\n\r\n', b'400'),
                         (good[:-2] + b'X: ' + b'a' * 90000 + b'\r\n\r\n', b'431'),
                         (b'GET /' + b'a' * 90000 + b' HTTP/1.1\r\n\r\n', b'414'),
                         (post + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n', b'400'),
                         (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', b'505')):
        for before in (b'', good):
            plain = socket.create_connection(('localhost', server.port), 20)
            with context().wrap_socket(plain, server_hostname='localhost') as s:
                s.sendall(before + data)
                out = read_all(s)
            heads = re.findall(rb'HTTP/1\.1 (\d{3}) ', out)
            assert heads == [b'200'] * bool(before) + [status], (status, out)
            assert b'"code":"' in out and b'<html' not in out, out


@test
def curl_and_openssl_are_served():
    done = subprocess.run(['curl', '-sS', '--cacert', where + '/one.crt', '--tlsv1.3',
                           'https://localhost:%d/related/p1?k=3' % server.port],
                          stdout=subprocess.PIPE, check=True)
    assert b'"results":[' in done.stdout
    asked = b'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    done = subprocess.run(['openssl', 's_client', '-quiet', '-verify_return_error', '-CAfile',
                           where + '/one.crt', '-tls1_2', '-connect',
                           'localhost:%d' % server.port], input=asked, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, timeout=30)
    assert done.stdout.startswith(b'HTTP/1.1 200 OK'), done.stdout


@test
def old_versions_and_plain_text_are_refused():
    for version in ('-tls1', '-tls1_1'):
        done = subprocess.run(['openssl', 's_client', version, '-cipher', 'ALL@SECLEVEL=0',
                               '-connect', 'localhost:%d' % server.port],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30)
        assert done.returncode != 0 and b'Cipher is (NONE)' in done.stdout, done.stdout
    assert b'HTTP/' not in server.raw(b'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')


@test
def requests_in_one_record_and_one_in_many_are_answered():
    raw = context().wrap_socket(server.connect(), server_hostname='localhost')
    one = b'GET /related/p%d?k=50 HTTP/1.1\r\nHost: localhost\r\n\r\n'
    raw.sendall(b''.join(one % i for i in range(20)))
    out = b''
    while out.count(b'HTTP/1.1 200 OK') < 20 or not out.endswith(b']}'):
        more = raw.recv(65536)
        assert more, out[-200:]
        out += more
    for byte in (one % 7).replace(b' HTTP', b'&k=1 HTTP'):
        raw.sendall(bytes([byte]))
    assert b'HTTP/1.1' in raw.recv(65536)
    raw.sendall(b'POST /votes HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n'
                b'Content-Type: application/json\r\n\r\n' + b' ' * 300000)
    assert b'"invalid_argument"' in raw.recv(65536)


@test
def many_connections_at_once_are_served():
    failed = []

    def work():
        try:
            c = client()
            for i in range(20):
                if get(c, '/related/p%d?k=20' % i)[0] != 200:
                    failed.append(i)
        except Exception as e:
            failed.append(e)
    threads = [threading.Thread(target=work) for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed


def metric(name):
    page = get(client(), '/metrics')[1].decode()
    return float(re.search('^' + name + r' (\S+)', page, re.M).group(1))


def cpu_seconds():
    return metric('process_cpu_seconds_total')


@test
def the_end_of_the_certificate_is_a_metric():
    days = (metric('pinsage_certificate_end_seconds') - time.time()) / 86400
    assert 29 < days < 31, days


@test
def a_handshake_may_neither_take_for_ever_nor_all_of_a_core():
    begun, used = time.monotonic(), cpu_seconds()
    with server.connect() as s:
        s.sendall(b'\x16\x03\x01\x02\x00\x01')
        s.settimeout(20)
        try:
            assert s.recv(10) == b''
        except ConnectionResetError:
            pass
    took = time.monotonic() - begun
    assert 1 < took < 15 and cpu_seconds() - used < took / 2, (took, cpu_seconds() - used)


@test
def a_new_certificate_is_used_by_new_connections_and_old_ones_go_on():
    old = client('one')
    assert get(old, '/livez')[0] == 200
    same = old.sock
    use('two')
    server.wait_for('certificate read anew')
    assert serves('two') and not serves('one')
    assert get(old, '/related/p1')[0] == 200 and old.sock is same


@test
def a_pair_that_does_not_match_leaves_the_one_in_use():
    shutil.copy(where + '/one.key', KEY)
    server.wait_for('the certificate stays as it was')
    assert serves('two')
    shutil.copy(where + '/one.crt', CERT)
    server.send(signal.SIGHUP)
    server.wait_for('reloaded')
    assert serves('one')


@test
def no_request_fails_while_certificates_change():
    failed, stop = [], threading.Event()
    both = ssl.create_default_context(cafile=where + '/one.crt')
    both.load_verify_locations(where + '/two.crt')

    def work():
        while not stop.is_set():
            try:
                c = http.client.HTTPSConnection('localhost', server.port, timeout=30,
                                                context=both)
                for _ in range(3):
                    if get(c, '/related/p1')[0] != 200:
                        failed.append('status')
                c.close()
            except Exception as e:
                failed.append(e)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(10):
        use('two' if i % 2 == 0 else 'one')
        server.send(signal.SIGHUP)
        time.sleep(0.2)
    stop.set()
    for t in threads:
        t.join()
    assert not failed, failed[:3]


@test
def what_is_no_pair_stops_the_start_in_words():
    for args, status, words in (
            (['--tls-cert', where + '/one.crt'], 64, 'together'),
            (['--tls-cert', where + '/one.crt', '--tls-key', where + '/two.key'], 65,
             'is not the key of'),
            (['--tls-cert', where + '/one.key', '--tls-key', where + '/one.key'], 65,
             'one.key: no chain')):
        done = subprocess.run([PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:0', *args],
                              stderr=subprocess.PIPE, timeout=60)
        said = done.stderr.decode()
        assert done.returncode == status and words in said, (done.returncode, said)


@test
def the_server_ends_well():
    assert server.stop() == 0


run()
