"""catalog_link.py - a catalog's path that is a link, switched while it is in use: whatever
one process reads and writes is of one catalog."""
import json
import os
import shutil
import signal
import sys
import time

sys.path.insert(0, 'tests/support')
from serving import Server, make_catalog, pinsage, run, scratch, test

JSON = {'Content-Type': 'application/json'}


def two_catalogs():
    """Two releases, each a folder with a catalog; their titles differ."""
    where = os.path.realpath(scratch())
    made = make_catalog(where, titles='green %s')
    os.makedirs(where + '/green')
    os.rename(made, where + '/green/catalog')
    made = make_catalog(where, titles='blue %s')
    pinsage('index', made)  # so that the numbers of their generations differ
    os.makedirs(where + '/blue')
    os.rename(made, where + '/blue/catalog')
    return where


def lead(where, name, target):
    os.symlink(target, where + '/new')
    os.rename(where + '/new', where + '/' + name)


def put(server, pin):
    status, _, body = server.ask('/pins/' + pin, 'PUT', JSON, b'{"title":"live","boards":["b1"]}')
    assert status in (200, 201), (status, body)


def reload(server):
    status, _, body = server.ask('/admin/reload', 'POST')
    return status, json.loads(body.decode())


def stays_with_its_catalog(path, link, to_green, to_blue, *options):
    where = two_catalogs()
    lead(where, link, to_green)
    server = Server(where + '/' + path, '--drain-delay', '0', *options)
    put(server, 'early')
    lead(where, link, to_blue)
    line = server.wait_for("the catalog's link leads elsewhere")
    assert 'serving=%s/green/catalog' % where in line and 'restart' in line, line
    server.send(signal.SIGHUP)
    server.wait_for("the catalog's link leads elsewhere")
    status, answer = reload(server)
    assert status == 409 and 'leads elsewhere' in answer['message'], answer
    put(server, 'late')
    assert server.json('/pins/p1')['title'] == 'green p1'
    assert server.json('/pins/late')['title'] == 'live'
    status, _, body = server.ask('/admin/compact', 'POST')
    assert status == 200, body
    assert server.json('/version')['generation'] == os.readlink(where + '/green/catalog/current')
    assert os.path.isdir(where + '/green/catalog/live')
    assert not os.path.exists(where + '/blue/catalog/live'), 'written into the other one'
    lead(where, link, to_green)
    server.wait_for("the catalog's link leads here again")
    assert reload(server)[0] == 200
    lead(where, link, to_blue)
    assert server.stop() == 0, server.lines
    follower = Server(where + '/' + path, '--drain-delay', '0', *options)
    assert follower.json('/pins/p1')['title'] == 'blue p1'
    follower.error('/pins/late', 404, 'not_found')
    assert follower.stop() == 0, follower.lines


@test
def a_server_stays_with_the_catalog_that_the_link_led_to():
    stays_with_its_catalog('now', 'now', 'green/catalog', 'blue/catalog')


@test
def also_when_the_link_is_above_it_and_without_a_sandbox():
    stays_with_its_catalog('now/catalog', 'now', 'green', 'blue', '--sandbox=off')


@test
def also_when_it_only_reads_or_is_asked_alone():
    stays = two_catalogs()
    lead(stays, 'now', 'green/catalog')
    server = Server(stays + '/now', '--read-only', '--no-watch', '--drain-delay', '0')
    lead(stays, 'now', 'blue/catalog')
    assert reload(server)[0] == 409
    assert server.json('/pins/p1')['title'] == 'green p1'
    shutil.rmtree(stays + '/blue')  # now it leads nowhere
    assert reload(server)[0] == 409
    time.sleep(0.1)
    assert server.json('/related/p1?k=3')['results'][0]['title'].startswith('green')
    assert server.stop() == 0, server.lines


@test
def commands_say_which_catalog_they_worked_on():
    where = two_catalogs()
    lead(where, 'now', 'blue/catalog')
    said = pinsage('index', where + '/now', '-q')
    assert said.startswith(where + '/blue/catalog: gen-'), said
    assert os.readlink(where + '/now') == 'blue/catalog'
    plain = os.path.relpath(where + '/green/catalog')
    for spelled in (plain, './' + plain, plain + '/'):
        assert pinsage('index', spelled, '-q').startswith(spelled + ': gen-')


run()
