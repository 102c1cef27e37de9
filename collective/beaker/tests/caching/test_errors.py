"""A cache never breaks a page: what goes wrong is logged, and computed."""

import logging
import sys
from types import ModuleType

import pytest

from collective.beaker.caching import errors
from collective.beaker.tests.helpers.forks import ends_in_fork
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.regions import both_ways
from collective.beaker.tests.helpers.regions import by_region
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stores import TYPES
from collective.beaker.tests.helpers.stores import on_each


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch):
    """As if no error had been logged before."""
    monkeypatch.setattr(errors, "_logged", {})


@pytest.fixture(params=on_each(*TYPES))
def server(request, start_server):
    """A server that a test may end."""
    server = start_server(request.param)
    server.kind = request.param
    return server


@pytest.fixture
def server_region(configure, server):
    return configure(type=TYPES[server.kind], url=server.url, expire=60)


@both_ways
def test_without_its_server_a_page_is_computed(server, server_region, way):
    numbers = iter(range(9))
    ask = way(server_region, lambda: next(numbers))
    assert [ask(), ask()] == [0, 0]

    server.stop()

    assert [ask(), ask()] == [1, 2]


@both_ways
def test_a_server_that_hangs_holds_no_page_for_long(
    configure, start_server, way
):
    """Else the page would wait for as long as the server does."""
    server = start_server("redis")
    region = configure(
        type="ext:redis", url=server.url, expire=60, socket_timeout=0.1
    )
    ask = way(region, lambda: "computed")
    with server.suspended():
        assert ask() == "computed"


def test_a_server_that_was_never_there_is_no_error(configure):
    region = configure(
        type="ext:database",
        url=f"postgresql+psycopg://me:very-secret@127.0.0.1:{free_port()}/a",
    )

    assert by_region(region, lambda: "computed")() == "computed"
    region.put("a cache", b"key", "value", 60)
    region.invalidate("a cache", b"key")
    region.clear_cache("a cache")


def test_an_error_is_logged_once_a_minute_and_region(
    configure, caplog, monkeypatch
):
    now = [0.0]
    monkeypatch.setattr(errors.time, "monotonic", lambda: now[0])
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"
    regions = [configure(type="ext:redis", url=url) for _ in range(2)]

    def ask():
        caplog.clear()
        for region in regions:
            by_region(region, lambda: "very-secret")()
        return [record.getMessage() for record in log_of(caplog)]

    assert [
        region.name in text
        for region, text in zip(regions, ask(), strict=True)
    ] == [True, True]
    assert ask() == []
    now[0] = 61
    first, second = ask()
    assert first.startswith(
        f"The cache region {regions[0].name} fails; pages are computed "
        "without it. The store ext:redis (redis://***@127.0.0.1:"
    )
    assert "very-secret" not in first + second


class Unstorable:
    def __reduce__(self):
        raise ValueError("very-secret")


@both_ways
def test_what_cannot_be_stored_is_returned(redis_region, way, caplog):
    values = iter([first := Unstorable(), "second", "third"])
    ask = way(redis_region, lambda: next(values))

    assert ask() is first
    assert [ask(), ask()] == ["second", "second"]
    [record] = log_of(caplog)
    assert record.levelno == logging.ERROR
    assert "A value of the type Unstorable cannot be pickled" in caplog.text
    assert "very-secret" not in caplog.text


def test_what_cannot_be_put_takes_the_former_value_away(redis_region):
    redis_region.put("a cache", b"key", "former", 60)
    redis_region.put("a cache", b"key", Unstorable(), 60)

    assert redis_region.look(redis_region.wanted("a cache", b"key")) is None


def test_a_value_that_is_too_large_is_returned(configure, memcached, caplog):
    memcached.start()
    region = configure(type="ext:memcached", url=memcached.url, expire=60)
    numbers = iter(range(3))
    ask = by_region(region, lambda: (next(numbers), "x" * 2_000_000))

    assert [ask()[0], ask()[0]] == [0, 1]
    [record] = log_of(caplog)
    assert "start it with a larger -I" in record.getMessage()


class OutOfMemory:
    def __reduce__(self):
        raise MemoryError


def test_an_error_of_python_itself_is_raised(redis_region):
    with pytest.raises(MemoryError):
        by_region(redis_region, OutOfMemory)()
    assert by_region(redis_region, lambda: "computed")() == "computed"


def test_what_cannot_be_read_is_computed_and_replaced(shared_region, caplog):
    name = shared_region.wanted("a cache", b"key").name
    shared_region.store.put(name, b"very-secret garbage", 60)
    numbers = iter(range(3))
    ask = by_region(shared_region, lambda: next(numbers))

    assert [ask(), ask()] == [0, 0]
    assert "very-secret" not in caplog.text
    assert len(log_of(caplog)) == 1


def test_a_value_whose_class_is_gone_is_computed(redis_region, monkeypatch):
    module = ModuleType("module_of_a_test")
    exec("class Gone: pass", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    value = module.Gone()
    assert by_region(redis_region, lambda: value)() is value

    del module.Gone

    assert by_region(redis_region, lambda: "computed")() == "computed"
    assert by_region(redis_region, lambda: "again")() == "computed"


def test_a_forked_process_waits_for_no_thread_that_was_left_behind():
    with errors._lock:
        assert ends_in_fork(lambda: errors.log_error("news", "fails", ""))
