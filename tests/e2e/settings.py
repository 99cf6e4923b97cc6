"""settings.py - what the option tables give besides flags: files of settings and their
schema, completion for a shell, manual pages."""
import glob
import json
import os
import pty
import re
import shutil
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, run, scratch, test

try:
    import jsonschema
except ImportError:
    jsonschema = None
where = os.path.abspath(scratch())
HOME = {k: v for k, v in os.environ.items() if not k.startswith('PINSAGE_')}


def program(*args, **env):
    done = subprocess.run([PINSAGE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=dict(HOME, **env), text=True)
    return done.returncode, done.stdout, done.stderr


def unique(pairs):
    names = [name for name, value in pairs]
    assert len(names) == len(set(names)), sorted(names)
    return dict(pairs)


def printed(*args, **env):
    status, out, err = program(*args, '--print-config', **env)
    assert status == 0, err
    return json.loads(out, object_pairs_hook=unique)


def write(settings):
    path = where + '/settings.json'
    with open(path, 'w') as f:
        f.write(settings if isinstance(settings, str) else json.dumps(settings))
    return path


def commands():
    text = program('help')[1]
    return re.findall(r'(?m)^  ([a-z]+) ', text)


def flags(command):
    return set(re.findall(r'--([a-z][a-z-]*)', program(command, '--help')[1].split('\v')[0])) - {
        'help', 'usage'}


@test
def settings_come_from_flags_environment_and_file_and_are_printed_as_one_file():
    path = write({'threads': 3, 'serve': {'slow': '250ms', 'k-max': 7, 'listen': 'file:1'}})
    s = printed('serve', '--config', path, '--k-max', '9', '--read-only',
                PINSAGE_LISTEN='env:2', PINSAGE_RATE_LIMIT='30/m')['serve']
    assert (s['threads'], s['slow'], s['listen'], s['k-max']) == (3, '250ms', 'env:2', 9), s
    assert s['rate-limit'] == 0.5 and s['read-only'] is True and s['url-bytes'] == 8192, s


@test
def what_is_printed_reads_back_to_the_same_for_every_command():
    for command in commands():
        first = printed(command)
        assert list(first) == [command]
        assert printed(command, '--config', write(first)) == first
    first = printed('import', '-f', 'a=b', '-f', 'c="d"', '--pins', 'x y', '--seed', '3G')
    assert first['import']['feature'] == ['a=b', 'c="d"'], first
    assert printed('import', '--config', write(first)) == first


@test
def a_check_says_what_is_wrong_and_where():
    status, out, err = program('serve', '--check-config', '--config', write({'k-max': 5}))
    assert (status, out) == (0, 'the settings of serve are good\n'), (status, out, err)
    for text, word in (('{"serve":{"k-max":0}}', 'k-max'), ('{"nonsense":1}', 'nonsense'),
                       ('{"serve":{"slow":"1h"}}', 'slow'), ('{', 'settings.json'),
                       ('{"serve":{"k-max":5,"k-max":6}}', 'duplicate')):
        status, out, err = program('serve', '--check-config', '--config', write(text))
        assert status == 64 and word in err and not out, (text, status, err)


@test
def the_file_is_named_in_full_and_once():
    path = write({'k-max': 5})
    for args in (['--conf', path], ['--config', path, '--config', write({})+'x']):
        status, out, err = program('serve', '--check-config', *args)
        assert status == 64 and 'config' in err, (args, status, err)


# ------------------------------ The schema ----------------------------------

GOOD = [{}, {'serve': {'listen': '*:80', 'drain-delay': '5s', 'slow': 250, 'body-bytes': '64M'}},
        {'threads': 2, 'quiet': True}, {'import': {'feature': ['a=b']}},
        {'import': {'feature': 'a=b'}}, {'serve': {'rate-limit': '5/s', 'log-format': 'json'}},
        {'eval': {'hit-at': '10,50'}}, {'train': {'rate': 0.01}}]
BAD = [{'serv': {}}, {'serve': {'listne': '*:80'}}, {'serve': {'k-max': 0}},
       {'serve': {'k-max': 1001}}, {'serve': {'k-max': 'many'}}, {'serve': {'slow': '5h'}},
       {'serve': {'log-format': 'xml'}}, {'serve': {'read-only': 'maybe'}}, [],
       {'serve': {'listen': None}}, {'import': {'feature': [['a']]}},
       {'serve': {'body-bytes': '1T'}}, {'threads': 5000}, {'train': {'rate': 2}}]


@test
def the_schema_and_the_program_agree_on_good_and_bad_files():
    schema = json.loads(program('config-schema')[1], object_pairs_hook=unique)
    if not jsonschema:
        return 'no jsonschema for Python on this machine'
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for settings in GOOD + BAD:
        named = [c for c in commands() if isinstance(settings, dict) and c in settings]
        status, out, err = program(*(named or ['train']), '--check-config', '--config',
                                   write(settings))
        wanted = settings in GOOD
        assert validator.is_valid(settings) == wanted, settings
        assert (status == 0) == wanted, (settings, err)


@test
def the_schema_knows_every_option_of_every_command():
    properties = json.loads(program('config-schema')[1])['properties']
    for command in commands():
        known = set(properties[command]['properties']) | {'config', 'print-config',
                                                          'check-config'}
        assert known == flags(command), (command, known ^ flags(command))
        if jsonschema:
            validator = jsonschema.Draft202012Validator(
                json.loads(program('config-schema')[1]))
            validator.validate(printed(command))


# ------------------------------ Completion ----------------------------------

def completed(*words):
    """What a shell would offer for the last word; it splits words at '='."""
    split = [w for word in words for w in re.split('(=)', word) if w or word == '']
    if words[-1].endswith('='):
        split[-1:] = ['=']
    script = '''. "$1"; shift; COMP_WORDS=(pinsage "$@"); COMP_CWORD=$#
        _pinsage; printf '%s\\n' "${COMPREPLY[@]}"'''
    done = subprocess.run(['bash', '-u', '-c', script, '-', where + '/completion', *split],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=where)
    assert not done.stderr, done.stderr
    return done.stdout.split('\n')[:-1]


@test
def a_shell_completes_commands_options_choices_and_files():
    with open(where + '/completion', 'w') as f:
        f.write(program('completion', 'bash')[1])
    assert subprocess.run(['bash', '-n', where + '/completion']).returncode == 0
    os.makedirs(where + '/a folder', exist_ok=True)
    open(where + '/a file', 'w').close()
    assert set(completed('')) == set(commands()) | {'help', 'completion', 'config-schema'}
    assert completed('ser') == ['serve']
    assert completed('completion', '') == ['bash', 'zsh', 'fish']
    assert 'train' in completed('help', 'tr')
    assert completed('serve', '--log-f') == ['--log-format=']
    assert completed('serve', '--log-format=') == ['logfmt', 'json']
    assert completed('serve', '--log-format=j') == ['json']
    assert completed('import', '--pins=a') == ['a file', 'a folder']
    assert completed('serve', '--images=a') == ['a folder'], 'folders alone'
    assert completed('serve', 'a') == ['a folder'], 'a catalog is a folder'
    assert completed('serve', '--k-max=') == ['']
    assert completed('nonsense', '--') == ['']
    for command in commands():
        offered = {word.rstrip('=').lstrip('-') for word in completed(command, '--')}
        assert offered - {'help'} == flags(command), command


def asked_of_fish(*words):
    done = subprocess.run(['fish', '--no-config', '-c', 'source $argv[1]; complete -C $argv[2]',
                           where + '/completion.fish', ' '.join(('pinsage',) + words)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=where)
    assert not done.stderr, done.stderr
    return [line.split('\t')[0].rstrip('/') for line in done.stdout.splitlines()]


@test
def fish_completes_the_same():
    if not shutil.which('fish'):
        return 'no fish on this machine'
    with open(where + '/completion.fish', 'w') as f:
        f.write(program('completion', 'fish')[1])
    assert set(asked_of_fish('')) == set(commands()) | {'help', 'completion', 'config-schema'}
    assert asked_of_fish('ser') == ['serve']
    assert set(asked_of_fish('completion', '')) == {'bash', 'zsh', 'fish'}
    assert 'train' in asked_of_fish('help', 'tr')
    assert asked_of_fish('serve', 'c', '--log-f') == ['--log-format']
    assert set(asked_of_fish('serve', '--log-format', '')) == {'logfmt', 'json'}
    assert asked_of_fish('serve', '--log-format=j') == ['--log-format=json']
    assert asked_of_fish('serve', 'a') == ['a folder'], 'a catalog is a folder'
    assert set(asked_of_fish('import', '--pins', 'a\\ ')) == {'a file', 'a folder'}
    for command in commands():
        offered = {w.lstrip('-') for w in asked_of_fish(command, '--')}
        assert offered - {'help'} == flags(command), command


# Whatever compadd is told goes to a file: what an interactive zsh would offer.
ZSH = r'''
autoload -Uz compinit; compinit -D -u; . ./completion.zsh
compadd() {
    [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]] && { builtin compadd "$@"; return }
    local -a __offered; builtin compadd -A __offered "$@"; print -rl -- $__offered >> offered
    builtin compadd "$@"
}
zle -C offer complete-word _main_complete
offer-and-end() { BUFFER=$ASKED CURSOR=$#ASKED; zle offer; exit }
zle -N offer-and-end; bindkey ^X offer-and-end; print READY
'''


def asked_of_zsh(*words):
    open(where + '/offered', 'w').close()
    env = dict(HOME, ASKED=' '.join(('pinsage',) + words), TERM='dumb', ZDOTDIR=where, PS1='')
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(where)
        os.execvpe('zsh', ['zsh', '-i'], env)
    said = b''
    while b'READY' not in said:
        said += os.read(fd, 4096)
    os.write(fd, b'\x18')
    try:
        while said:
            said = os.read(fd, 4096)
    except OSError:  # the other end is gone
        pass
    os.close(fd)
    os.waitpid(pid, 0)
    with open(where + '/offered') as f:
        return {line.rstrip('/').replace('\\ ', ' ') for line in f.read().splitlines()} - {''}


@test
def zsh_completes_the_same():
    if not shutil.which('zsh'):
        return 'no zsh on this machine'
    with open(where + '/completion.zsh', 'w') as f:
        f.write(program('completion', 'zsh')[1])
    with open(where + '/.zshrc', 'w') as f:
        f.write(ZSH)
    assert asked_of_zsh('') == set(commands()) | {'help', 'completion', 'config-schema'}
    assert asked_of_zsh('ser') == {'serve'}
    assert asked_of_zsh('completion', '') == {'bash', 'zsh', 'fish'}
    assert 'train' in asked_of_zsh('help', 'tr')
    assert asked_of_zsh('serve', 'c', '--log-f') == {'--log-format'}
    assert asked_of_zsh('serve', '--log-format=') == {'logfmt', 'json'}
    assert asked_of_zsh('serve', 'a') == {'a folder'}, 'a catalog is a folder'
    assert asked_of_zsh('import', '--pins=a') == {'a file', 'a folder'}
    for command in ('import', 'serve', 'related'):
        offered = {w.lstrip('-') for w in asked_of_zsh(command, '--')}
        assert offered - {'help'} == flags(command), (command, offered ^ flags(command))


# ------------------------------ Manual pages --------------------------------

@test
def every_command_has_a_manual_page_that_formats():
    if not shutil.which('help2man'):
        return 'no help2man on this machine'
    done = subprocess.run(['deploy/man/man.sh', PINSAGE, where + '/man'],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    pages = {os.path.basename(p) for p in glob.glob(where + '/man/*.1')}
    assert pages == {'pinsage.1'} | {'pinsage-%s.1' % c for c in commands()}, pages
    for page in glob.glob(where + '/man/*.1'):
        with open(page) as f:
            text = f.read()
        for section in ('NAME', 'SYNOPSIS', 'DESCRIPTION', '"SEE ALSO"'):
            assert '.SH ' + section in text, (page, section)
        if shutil.which('groff'):
            done = subprocess.run(['groff', '-man', '-Tutf8', '-ww', page],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            assert not done.stderr, (page, done.stderr)
    with open(where + '/man/pinsage-serve.1') as f:
        text = f.read().replace('\\-', '-')
    for flag in flags('serve'):
        assert '--' + flag in text, flag


run()
