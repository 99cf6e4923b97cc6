"""serve_auth.py - who may write, asked over HTTP, and files of tokens that are no good."""
import os
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, Server, make_catalog, run, scratch, test

where = scratch()
catalog = make_catalog(where)


def refused_start(*args):
    done = subprocess.run([PINSAGE, 'serve', catalog, '--listen', '127.0.0.1:0', *args],
                          stderr=subprocess.PIPE, timeout=60)
    return done.returncode, done.stderr.decode()


@test
def a_token_file_that_is_no_good_stops_the_start_in_words():
    for text, words in (('', 'holds no token'), ('a b c\n', ':1: a line has'),
                        ('secret-token\nx secret-token\n', ':2: this token stands twice')):
        with open(where + '/bad', 'w') as f:
            f.write(text)
        status, said = refused_start('--token-file', where + '/bad')
        assert status == 65 and words in said and where + '/bad' in said and 'secret-token' not in said, (
            status, said)
    status, said = refused_start('--token-file', where + '/none')
    assert status != 0 and where + '/none' in said, said


@test
def unwise_files_of_tokens_are_told():
    with open(where + '/tokens', 'w') as f:
        f.write('short\n')
    os.chmod(where + '/tokens', 0o644)
    server = Server(catalog, '--token-file', where + '/tokens', '--drain-delay', '0')
    server.wait_for('may read the tokens')
    server.wait_for('shorter than 16')
    assert server.json('/version'), 'reading needs no token'
    assert server.stop() == 0
    assert not [line for line in server.lines if 'short ' in line or '=short' in line]


@test
def a_bad_rate_is_a_usage_error():
    for rate in ('fast', '-1', '3/h', '1e9'):
        status, said = refused_start('--rate-limit', rate)
        assert status == 64 and '--rate-limit' in said, (rate, status, said)


run()
