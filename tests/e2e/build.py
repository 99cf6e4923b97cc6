"""build.py - what `build` and `eval` say, keep and refuse before they begin."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, 'tests/support')
from serving import ON_CIRCLE, PINSAGE, make_catalog, pinsage, run, scratch, test

where = scratch()
made = make_catalog(where)
FAST = ('--no-trials', '--epochs', '1', '-q', '-t', '1')


def file(name, text):
    with open(where + '/' + name, 'w', encoding='utf-8') as f:
        f.write(text)
    return where + '/' + name


def pairs(*extra):
    lines = ['p%d\tp%d' % (i, (i + step) % ON_CIRCLE) for i in range(ON_CIRCLE)
             for step in (1, 2)]
    return '\n'.join(['query\trelated', *lines, *extra]) + '\n'


good = file('pairs.tsv', pairs())


def importing(catalog, *features):
    return ('import', where + '/' + catalog, '-q', '--pins', where + '/pins.tsv', '--edges',
            where + '/edges.tsv', *[word for f in features for word in ('--feature', f)])


def fails(code, *args):
    done = subprocess.run([PINSAGE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def block(catalog, name):
    folder = '%s/%s/' % (where, catalog)
    link = 'next' if os.path.exists(folder + 'next') else 'current'
    with open('%s%s/features/%s.npy' % (folder, link, name), 'rb') as f:
        return f.read()


@test
def a_block_of_the_users_own_stays_whatever_its_name():
    for name, step in (('annotation', 'annotate'), ('structure', 'structure')):
        pinsage(*importing(name, '%s=%s/visual.npy' % (name, where)))
        before = block(name, name)
        said = pinsage('build', where + '/' + name, '--pairs', good, *FAST)
        assert 'the block `%s` is your own and stays' % name in said, said
        assert block(name, name) == before
        again = pinsage('build', where + '/' + name, '--pairs', good, *FAST)
        assert 'is your own and stays' in again and block(name, name) == before
        out, err = fails(1, step, where + '/' + name, '-q')
        assert not out and 'the block `%s` is your own, from %s' % (name, where) in err, err
        assert '--replace' in err and block(name, name) == before
        pinsage(step, where + '/' + name, '-q', '--replace', '--dim', '8')
        assert block(name, name) != before
        pinsage(step, where + '/' + name, '-q', '--dim', '8')  # ours now: nobody is asked


@test
def a_block_cannot_be_called_like_a_method_from_wherever_it_comes():
    settings = file('settings.json',
                    '{"import":{"feature":["popular=%s/visual.npy"]}}' % where)
    for words in (importing('new', 'pixie=%s/visual.npy' % where),
                  (*importing('new'), '--config', settings)):
        out, err = fails(64, *words)
        assert not out and 'is the name of a method' in err and 'my_p' in err, err
        assert not os.path.exists(where + '/new')


@test
def what_is_needed_is_looked_at_before_anything_is_said_or_done():
    pinsage(*importing('ready', 'visual=%s/visual.npy' % where))
    before = os.listdir(where + '/ready')
    one = file('one.tsv', 'query\trelated\np0\tp1\n')
    bad = [(74, ('nosuch', '--pairs', good), 'there is no such catalog'),
           (74, ('ready', '--pairs', where + '/nosuch.tsv'), 'nosuch.tsv'),
           (65, ('ready', '--pairs', one), 'there is no pair to'),
           (65, ('ready', '--pairs', good, '--valid', file('self.tsv', 'query\trelated\n'
                                                           'p1\tp1\n')),
            'no pair is left: 1 of a pin with itself'),
           (64, ('ready', '--pairs', good, '--baselines', 'meanpol'), 'meanpol')]
    for code, (catalog, *words), text in bad:
        out, err = fails(code, 'build', where + '/' + catalog, *words, '-q')
        assert not out and text in err and err.count('\n') == 1, (out, err)
        assert not os.path.exists(where + '/nosuch')
        assert sorted(os.listdir(where + '/ready')) == sorted(before)


@test
def evaluation_does_not_begin_what_it_cannot_end():
    for words, text in ((('--methods', 'visual,typo'), 'no method "typo"'),
                        (('--methods', 'visual,pinsage'), 'the catalog has no embeddings'),
                        (('--html', where + '/nosuch/page.html'), 'page.html')):
        done = subprocess.run([PINSAGE, 'eval', made, '--pairs', good, *words],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode and not done.stdout, done
        assert text in done.stderr.decode() and b'evaluate' not in done.stderr, done.stderr


@test
def training_and_evaluation_mean_the_same_by_a_pair():
    mixed = file('mixed.tsv', pairs('p0\tp0', 'p1\tp1', 'p0\tp1', 'p0\tnobody'))
    pinsage(*importing('clean', 'visual=%s/visual.npy' % where))
    shutil.copytree(where + '/clean', where + '/mixed', symlinks=True)
    said = [pinsage('build', where + '/' + name, '--pairs', path, '--unknown-pins', 'skip', *FAST)
            for name, path in (('clean', good), ('mixed', mixed))]
    left = 'left out         of the training pairs: 2 of a pin with itself, 1 repeated, ' \
           '1 of pins that are not in the catalog'
    assert left in said[1] and 'left out' not in said[0], said
    best = [line for text in said for line in text.split('\n') if '  best ' in line]
    assert len(best) == 2 and best[0] == best[1], best
    tables = [pinsage('eval', where + '/clean', '--pairs', path, '--unknown-pins', 'skip', '-q',
                      '--methods', 'visual', '--bootstraps', '100') for path in (good, mixed)]
    head = 'pairs left out: 2 of a pin with itself, 1 repeated, 1 of pins that are not in the ' \
           'catalog\n\n'
    assert head in tables[1] and tables[1].replace(head, '') == tables[0], tables


run()
