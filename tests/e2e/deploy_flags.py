"""deploy_flags.py - every command and option that a unit, a manifest, the image or the
runbook uses is one that the program has."""
import glob
import re
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import PINSAGE, run, test


def helped(*args):
    return subprocess.run([PINSAGE, *args], stdout=subprocess.PIPE, text=True).stdout


COMMANDS = re.findall(r'(?m)^  ([a-z]+) ', helped('help'))
OPTIONS = {c: set(re.findall(r'--([a-z][a-z-]*)', helped(c, '--help'))) for c in COMMANDS}
ENVIRONMENT = {'PINSAGE_' + o.upper().replace('-', '_') for os in OPTIONS.values() for o in os}
FILES = sorted(glob.glob('deploy/**/*.*', recursive=True) + ['Dockerfile'])
TEXTS = {name: open(name, errors='replace').read() for name in FILES
         if re.search(r'Dockerfile$|\.(service|socket|conf|yaml|yml|md|h2m)$', name)}


def uses(text):
    """(command, the words after it) wherever the program is called: on a line of a shell or
    a unit, or as a list of arguments in YAML or JSON."""
    text = text.replace('\\\n', ' ')
    for line in re.findall(r'(?:^|[\s`/])pinsage ([a-z]+ [^\n`|>]*)', text):
        yield line.split()
    for words in re.findall(r'(?:args: |CMD )\[([^\]]*)\]', text):
        yield [w.strip(' "') for w in words.split(',')]
    for block in re.findall(r'args:\n((?:\s+- [^\n]*\n)+)', text):
        yield re.findall(r'- (\S+)', block)


def wrong_uses(text):
    for command, *words in uses(text):
        if command not in COMMANDS:
            if any(w.startswith(('/', '--', 'CATALOG')) for w in words[:1]):
                yield command
            continue
        for word in words:
            flag = re.match(r'--([a-z-]+)', word)
            if flag and flag.group(1) not in OPTIONS[command]:
                yield '%s %s' % (command, word)
    for name in re.findall(r'\bPINSAGE_[A-Z_]+\b', text):
        if name not in ENVIRONMENT | {'PINSAGE_NAME'}:
            yield name


@test
def every_command_option_and_variable_exists():
    n = sum(len(list(uses(text))) for text in TEXTS.values())
    assert n >= 8, TEXTS.keys()
    wrong = {name: list(wrong_uses(text)) for name, text in TEXTS.items()}
    assert not any(wrong.values()), {k: v for k, v in wrong.items() if v}
    print('# %d files, %d calls of the program' % (len(TEXTS), n))


@test
def a_call_that_does_not_exist_would_be_seen():
    for text in ('ExecStart=/usr/local/bin/pinsage serve /x --lisen *:80\n',
                 '  args: [serve, /data, --configure, x]\n', 'CMD ["serv", "/data"]\n',
                 '  args:\n    - import\n    - /data\n    - --pin=x\n',
                 'Environment=PINSAGE_LISTN=x\n', '    pinsage serve CATALOG \\\n  --nope\n'):
        assert list(wrong_uses(text)), text
    for text in ('args: [serve, /data, --config, x]\n', 'pinsage import CATALOG --pins x\n'):
        assert not list(wrong_uses(text)) and list(uses(text)), text


run()
