"""npm.py - for end-to-end tests: programs from npm, installed once below build/npm."""
import json
import os
import shutil
import subprocess

_place = None


def place():
    """(folder, None) or (None, why not)."""
    global _place
    if _place is None:
        done = subprocess.run(['bash', 'tests/support/npm.sh'], stdout=subprocess.PIPE)
        text = done.stdout.decode().strip()
        _place = (None, text) if done.returncode else (text, None)
        if not done.returncode and not shutil.which('node'):
            _place = (None, 'node is not installed')
    return _place


def needs_npm(function):
    """The test is skipped where npm's programs cannot be had."""
    def body():
        why = place()[1]
        return why if why else function()
    body.__name__ = function.__name__
    return body


def run(name, *args, ok=True, **how):
    """(exit status, standard output, standard error) of a program."""
    path = os.path.join(place()[0], 'node_modules/.bin', name)
    env = {**os.environ, 'REDOCLY_TELEMETRY': 'off', 'REDOCLY_SUPPRESS_UPDATE_NOTICE': 'true',
           'PATH': os.path.dirname(path) + ':' + os.environ['PATH']}
    done = subprocess.run([path, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env, **how)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert not ok or done.returncode == 0, (name, args, out, err)
    return done.returncode, out, err


def script(name, *args, start=False):
    """A script of tests/support, run where npm's packages are found; with start, left
    running."""
    copy = os.path.join(place()[0], name)
    shutil.copy(os.path.join('tests/support', name), copy)
    if start:
        return subprocess.Popen(['node', copy, *args], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE)
    done = subprocess.run(['node', copy, *args], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def generate():
    """The service's messages as JavaScript, in gen/ beside the packages."""
    out = os.path.join(place()[0], 'gen')
    shutil.rmtree(out, True)
    template = {'version': 'v2', 'plugins': [{
        'local': 'protoc-gen-es', 'out': out, 'opt': ['target=js', 'import_extension=js']}]}
    run('buf', 'generate', 'include', '--template', json.dumps(template))
