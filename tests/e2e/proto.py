"""proto.py - the .proto itself: linted, formatted, and compatible with the one released.

tests/released/ holds the service as it was last released; a release copies it there.
"""
import os
import shutil
import sys

sys.path.insert(0, 'tests/support')
import npm
from npm import needs_npm
from protos import methods
from serving import run, scratch, test

RELEASED = 'tests/released/pinsage/v1/pinsage.proto'


@test
@needs_npm
def buf_has_nothing_to_say_about_it():
    assert npm.run('buf', 'lint', 'include')[1] == ''
    assert npm.run('buf', 'format', '-d', 'include')[1] == ''


def breaking(change=None):
    """What buf says when the released service, changed, were today's."""
    where = scratch()
    shutil.copytree('include', where + '/was')
    shutil.copytree('include', where + '/now')
    shutil.copy(RELEASED, where + '/was/pinsage/v1/pinsage.proto')
    if change:
        with open(RELEASED, encoding='utf-8') as f:
            text = f.read()
        assert change[0] in text, change
        with open(where + '/now/pinsage/v1/pinsage.proto', 'w', encoding='utf-8') as f:
            f.write(text.replace(*change, 1))
    return npm.run('buf', 'breaking', where + '/now', '--against', where + '/was', ok=False)


@test
@needs_npm
def what_was_released_still_holds():
    status, out, err = breaking()
    assert (status, out) == (0, ''), out + err


@test
@needs_npm
def a_break_would_be_noticed():
    for change in (('uint32 k = 2', 'uint64 k = 2'), ('string board = 4', 'string shelf = 4'),
                   ('float weight = 3;', ''), ('  rpc Vote(', '  rpc Judge(')):
        status, out, _ = breaking(change)
        assert status == 100 and 'pinsage.proto' in out, (change, status, out)
    assert breaking(('string pin = 1;', 'string pin = 1;\n  string added = 99;'))[0] == 0


@test
def every_method_has_an_address():
    found = methods()
    assert len(found) == 11 and len({m.verb + m.address for m in found}) == 11
    assert all(m.request == m.name + 'Request' and m.response == m.name + 'Response'
               for m in found)
    assert {m.verb for m in found if m.read} == {'GET', 'POST'}
    assert all(m.verb != 'GET' or m.read for m in found)


run()
