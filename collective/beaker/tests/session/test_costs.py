"""How often a request reaches the store, and what it calls."""

import os
import sys
from importlib.util import find_spec

import pytest
from pymemcache.client.base import Client
from redis import Redis

import collective.beaker
from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count


class RedisCommands:
    """What a Redis was asked to do since the last look."""

    def __init__(self, server):
        self.client = Redis.from_url(server.url)

    def forget(self):
        self.client.config_resetstat()

    def count(self):
        calls = {
            name.removeprefix("cmdstat_"): stats["calls"]
            for name, stats in self.client.info("commandstats").items()
        }
        # What the script does is no round trip; nor is what we ask here.
        own = ("get", "evalsha", "eval", "set", "setex", "del", "exists")
        if "evalsha" in calls:
            calls["get"] -= calls["evalsha"]
            calls.pop("set", None)
        return sum(calls.get(name, 0) for name in own)


class MemcachedCommands:
    """What a memcached was asked to do since the last look."""

    def __init__(self, server):
        self.client = Client(server.url)
        self.before = self.total()

    def total(self):
        stats = self.client.stats()
        names = (b"cmd_get", b"cmd_set", b"cmd_touch", b"delete_hits")
        return sum(int(stats[name]) for name in names)

    def forget(self):
        self.before = self.total()

    def count(self):
        return self.total() - self.before


@pytest.fixture(params=["redis", "memcached"])
def commands(request, config):
    server = request.getfixturevalue(request.param)
    server.start()
    config.update(type=f"ext:{request.param}", url=server.url)
    kinds = {"redis": RedisCommands, "memcached": MemcachedCommands}
    return kinds[request.param](server)


@pytest.mark.parametrize(
    ("view", "trips"), [(ignore_session, 0), (read_count, 1), (count, 2)]
)
def test_a_request_makes_few_round_trips(commands, visitor, view, trips):
    visitor.visit(count)
    commands.forget()
    visitor.visit(view)

    assert commands.count() == trips


def test_the_first_save_of_a_new_visitor_is_one_round_trip(
    commands, visitor, other_visitor
):
    other_visitor.visit(count)  # Redis learns the script.
    commands.forget()
    visitor.visit(count)

    assert commands.count() == 1


def test_reading_in_a_new_visitors_request_is_no_round_trip(commands, visitor):
    commands.forget()
    visitor.visit(read_count)

    assert commands.count() == 0


# Calls

PACKAGE = os.path.dirname(collective.beaker.__file__)
TESTS = os.path.join(PACKAGE, "tests")


class Calls:
    """The functions of this package that this thread has called.

    Those are functions written in Python, in the order of their calls.
    """

    def __init__(self):
        self.names = []

    def __enter__(self):
        sys.setprofile(self._note)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _note(self, frame, event, argument):
        code = frame.f_code
        if (
            event == "call"
            and code.co_filename.startswith(PACKAGE + os.sep)
            and not code.co_filename.startswith(TESTS + os.sep)
            # Python inlines them from 3.12 on.
            and code.co_name not in ("<listcomp>", "<dictcomp>", "<setcomp>")
        ):
            self.names.append(code.co_name)


MOST_CALLS_OF_A_FIRST_READ = {
    "memory": 22,
    "file": 26,
    "ext:redis": 25,
    "ext:memcached": 27,
    "ext:database": 30,
}
MOST_CALLS_WITHOUT_SESSION = 8
if find_spec("Products.CMFPlone"):
    # It asks whether a page may be kept for all visitors, and whether the
    # cookie of a login is removed.
    MOST_CALLS_WITHOUT_SESSION += 3


def test_the_first_read_of_a_session_calls_few_functions(
    server_store, visitor
):
    if server_store.type not in MOST_CALLS_OF_A_FIRST_READ:
        pytest.skip("dbm takes a lock.")
    visitor.visit(count)
    # What is looked up once in a process was looked up here.
    visitor.visit(read_count)
    calls = Calls()

    def read(request):
        with calls:
            value = ISession(request)["count"]
        return str(value)

    assert visitor.visit(read).text == "1"
    assert "_open" in calls.names
    most = MOST_CALLS_OF_A_FIRST_READ[server_store.type]
    assert len(calls.names) <= most, calls.names


def test_a_request_that_uses_no_session_calls_few_functions(visitor):
    visitor.visit(count)
    visitor.visit(ignore_session)
    with Calls() as calls:
        visitor.visit(ignore_session)

    assert "initializeSession" in calls.names
    assert len(calls.names) <= MOST_CALLS_WITHOUT_SESSION, calls.names
