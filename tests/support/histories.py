"""histories.py - was what the clients saw possible, had everything happened one by one?

A client notes of each request when it was sent, when the answer came, and what it said.
`check` looks for an order of all requests about one pin that agrees with those times and
with every answer: if there is none, something was lost, torn, or seen too late. The search
is the one of Wing and Gong: take any request that began before all others had ended, see
whether its answer fits, go on; states seen before are not tried again.

A request without an answer (the server was killed) may have happened, then or later, or
not at all.
"""
import collections
import math

# Of a pin that is there; of one that is not: None.
Pin = collections.namedtuple('Pin', 'title boards etag')

UNKNOWN = object()  # the answer of a request that got none


class Op:
    """kind: put, delete, save, unsave, get. what: title and boards, a board, or nothing.
    said: what the answer told, UNKNOWN without one."""
    __slots__ = ('kind', 'what', 'match', 'said', 'began', 'ended')

    def __init__(self, kind, what, match, said, began, ended):
        self.kind, self.what, self.match, self.said = kind, what, match, said
        self.began, self.ended = began, math.inf if said is UNKNOWN else ended

    def __repr__(self):
        said = 'unknown' if self.said is UNKNOWN else self.said
        return '%s %s match=%s -> %s [%.6f %.6f]' % (self.kind, self.what, self.match, said,
                                                     self.began, self.ended)


# What an answer says: put ('ok', created, etag); delete ('ok',); save and unsave
# ('ok', changed); get ('ok', title, boards, etag); any ('missing',), ('mismatch',),
# ('refused',): nothing was done, whatever the pin was.

def _matches(state, op):
    if state is None or op.match == '*':
        return state is not None
    if state.etag is None:  # nobody was told: the answer shows
        return op.said != ('mismatch',)
    return state.etag == op.match


def _put(state, op):
    title, boards = op.what
    if op.match is not None and not _matches(state, op):
        return 'mismatch', state
    etag = None if op.said is UNKNOWN or op.said[0] != 'ok' else op.said[2]
    return ('ok', state is None, etag), Pin(title, boards, etag)


def _delete(state, op):
    if op.match is not None and not _matches(state, op):
        return 'mismatch', state
    return ('missing', state) if state is None else (('ok',), None)


def _change(state, op):
    if state is None:
        return 'missing', state
    boards = state.boards | {op.what} if op.kind == 'save' else state.boards - {op.what}
    changed = boards != state.boards
    # A change of boards is a change of the pin: its etag is another, which no answer tells.
    return ('ok', changed), state._replace(boards=boards, etag=None if changed else state.etag)


def _get(state, op):
    if state is None:
        return 'missing', state
    etag = state.etag
    if op.said is not UNKNOWN and op.said[0] == 'ok' and etag is None:
        etag = op.said[3]
    return ('ok', state.title, state.boards, etag), state._replace(etag=etag)


_STEP = {'put': _put, 'delete': _delete, 'save': _change, 'unsave': _change, 'get': _get}


def _apply(state, op):
    """The state after op, or False when its answer does not fit."""
    if op.said is not UNKNOWN and op.said[0] == 'refused':
        return state
    said, after = _STEP[op.kind](state, op)
    if op.said is UNKNOWN or said == op.said or (said,) == op.said:
        return after
    return False


def check(ops, state=None):
    """None, or the requests among which no order was found."""
    ops = sorted(ops, key=lambda op: op.began)
    stack, seen = [(0, frozenset(), state)], set()
    furthest = 0
    while stack:
        at, ahead, now = stack.pop()
        while at < len(ops) and at in ahead:  # all before `at` are done
            ahead, at = ahead - {at}, at + 1
        if at == len(ops):
            return None
        if (at, ahead, now) in seen:
            continue
        seen.add((at, ahead, now))
        furthest = max(furthest, at)
        stack += _choices(ops, at, ahead, now)
    return ops[max(0, furthest - 6):furthest + 10]


def _choices(ops, at, ahead, now):
    """What can have come next: any request that began before all others had ended. One that
    got no answer and never happened is simply left for the end."""
    first_end, out = math.inf, []
    i = at
    while i < len(ops) and ops[i].began <= first_end:
        if i not in ahead:
            after = _apply(now, ops[i])
            if after is not False:
                out.append((at, ahead | {i}, after))
            first_end = min(first_end, ops[i].ended)
        i += 1
    if all(op.said is UNKNOWN for j, op in enumerate(ops[at:], at) if j not in ahead):
        return [(len(ops), frozenset(), now)]
    return out[::-1]
