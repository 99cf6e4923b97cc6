"""protos.py - for end-to-end tests: what the service's .proto says, and its messages as
bytes and back, by the compiler that the build uses (an implementation not ours).
"""
import os
import re
import subprocess

SOURCE = 'include/pinsage/v1/pinsage.proto'
FOLDER = os.path.join(os.environ.get('BUILD', 'build'), 'proto-in')
SERVICE = 'pinsage.v1.RecommendService'
MAPS = {'metadata', 'milliseconds'}


class Method:
    def __init__(self, name, request, response, body):
        self.name, self.request, self.response = name, request, response
        self.read = 'NO_SIDE_EFFECTS' in body
        http = re.search(r'(get|put|patch|post|delete): "([^"]+)"', body)
        self.verb, self.address = http.group(1).upper(), http.group(2)
        self.path = '/%s/%s' % (SERVICE, name)


def methods():
    with open(SOURCE, encoding='utf-8') as f:
        text = re.sub(r'//.*', '', f.read())
    rpcs = re.split(r'\brpc ', text[text.index('service '):text.index('message ')])[1:]
    return [Method(*re.match(r'(\w+)\((\w+)\) returns \((\w+)\)', rpc).groups(), rpc)
            for rpc in rpcs]


def protoc(mode, message, data):
    foreign = '.' in message
    file = 'grpc/health/v1/health.proto' if foreign else 'pinsage/v1/pinsage.proto'
    name = message if foreign else 'pinsage.v1.' + message
    done = subprocess.run(
        ['protoc-c', '-I' + FOLDER, '--%s=%s' % (mode, name), file],
        input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, (message, done.stderr.decode())
    return done.stdout


def encode(message, text):
    """Bytes of a message told in the text format: 'pin: "a" k: 3'."""
    return protoc('encode', message, text.encode())


def _unescape(quoted):
    text = re.sub(rb'\\([0-7]{3}|.)', lambda m: {b'n': b'\n', b't': b'\t', b'r': b'\r'}.get(
        m.group(1), bytes([int(m.group(1), 8)]) if len(m.group(1)) == 3 else m.group(1)),
        quoted.encode())
    return text.decode('utf-8')


def _scalar(text):
    if text.startswith('"'):
        return _unescape(text[1:-1])
    if text in ('true', 'false'):
        return text == 'true'
    return float(text) if re.match(r'-?[0-9.]', text) else text


def decode(message, data):
    """The leaves of a message: a sorted list of ('results.pin', value); those of a list
    have the same name, in order."""
    leaves, path = [], []
    for line in protoc('decode', message, data).decode().splitlines():
        line = line.strip()
        if line.endswith('{'):
            path.append(line[:-1].strip())
        elif line == '}':
            path.pop()
        else:
            name, _, value = line.partition(': ')
            leaves.append(('.'.join(path + [name]), _scalar(value)))
    return sorted(leaves, key=lambda leaf: leaf[0])


def leaves_of(answer, path=()):
    """The same of a JSON answer: without zeros and empty texts, as proto3 has it."""
    out = []
    for name, value in answer.items():
        here = path + (name,)
        if name in MAPS:
            for key, v in value.items():
                out += [('.'.join(here + ('key',)), key), ('.'.join(here + ('value',)), v)]
            continue
        for v in value if isinstance(value, list) else [value]:
            if isinstance(v, dict):
                out += leaves_of(v, here)
            elif v or isinstance(value, list):
                out.append(('.'.join(here), v))
    return out if path else sorted(out, key=lambda leaf: leaf[0])


def same(a, b):
    def close(x, y):
        numbers = isinstance(x, (int, float)) and isinstance(y, (int, float))
        return abs(x - y) <= 1e-5 * max(1, abs(y)) if numbers else x == y
    return len(a) == len(b) and all(
        x[0] == y[0] and close(x[1], y[1]) for x, y in zip(a, b))
