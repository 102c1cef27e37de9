"""Sessions in memcached."""

import socket

import pytest
from memcache import Client
from pymemcache.client import base as pymemcache_client
from pymemcache.exceptions import MemcacheServerError

from collective.beaker.ids import new_id
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.tests.helpers.servers import memcached_server
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text


def test_what_is_larger_than_an_item_of_memcached_is_refused(
    memcached_store, id
):
    store = make_store("ext:memcached", url=memcached_store.url)
    store.swap(id, None, "small")
    large = "x" * 2_000_000

    with pytest.raises(RecordTooLarge, match=r"2000\d\d\d bytes.*larger -I"):
        store.swap(id, store.load(id), large)
    with pytest.raises(RecordTooLarge):
        store.swap(new_id(), None, large)
    assert text(store, id) == "small"


def test_a_memcached_that_cannot_compare_is_an_outage_with_the_remedy(
    tmp_path, id
):
    with memcached_server(tmp_path, "-C") as server:
        store = make_store("ext:memcached", url=server.url)
        store.swap(id, None, "first")

        with pytest.raises(StoreUnavailable, match="-C; start it without"):
            store.swap(id, store.load(id), "second")


@pytest.mark.parametrize("days", [1, 60])
def test_memcached_forgets_after_the_timeout(memcached, id, days):
    memcached.start()
    seconds = days * 24 * 60 * 60
    store = make_store("ext:memcached", url=memcached.url, timeout=seconds)
    store.swap(id, None, "first")
    assert store.swap(id, store.load(id), "second")

    assert text(store, id) == "second"
    [left] = seconds_left(memcached, f"{id}_session")
    assert seconds - 60 < left <= seconds + 60


def test_a_timeout_beyond_the_last_date_of_memcached_keeps_the_session(
    memcached, id
):
    memcached.start()
    store = make_store("ext:memcached", url=memcached.url, timeout=2**31 - 1)

    store.swap(id, None, "first")

    assert text(store, id) == "first"


def seconds_left(memcached, key):
    """Ask a memcached for an item's remaining time."""
    with socket.create_connection(("127.0.0.1", memcached.port)) as connection:
        connection.sendall(f"mg {key} t\r\n".encode())
        answer = connection.recv(100).decode()
    return [int(flag[1:]) for flag in answer.split() if flag[0] == "t"]


def test_each_of_several_memcached_has_some_sessions(memcached, tmp_path):
    memcached.start()
    with memcached_server(tmp_path) as other:
        store = make_store("ext:memcached", url=f"{memcached.url};{other.url}")
        python_memcached = Client([memcached.url, other.url])
        for _ in range(20):
            id = new_id()
            store.swap(id, None, "first")
            # It looks for the session on the same server.
            assert python_memcached.get(f"{id}_session") == "first"
        alone = make_store("ext:memcached", url=memcached.url)
        store.swap(id, store.load(id), "second")
        found = [alone.load(new_id()) for _ in range(3)]

    assert found == [None] * 3


def test_the_sessions_of_a_memcached_that_is_gone_are_unavailable(
    memcached, tmp_path
):
    memcached.start()
    with memcached_server(tmp_path) as other:
        store = make_store("ext:memcached", url=f"{memcached.url};{other.url}")
        ids = [new_id() for _ in range(20)]
        for id in ids:
            store.swap(id, None, "first")
        other.stop()
        outcomes = {outcome(store, id) for id in ids}

    assert outcomes == {"first", "unavailable"}


def outcome(store, id):
    try:
        return text(store, id)
    except StoreUnavailable:
        return "unavailable"


def test_an_error_of_memcached_is_an_outage(memcached, id, monkeypatch):
    memcached.start()
    store = make_store("ext:memcached", url=memcached.url)

    def refuse(*args, **options):
        raise MemcacheServerError(b"out of memory storing object")

    monkeypatch.setattr(pymemcache_client.Client, "add", refuse)
    with pytest.raises(StoreUnavailable, match="MemcacheServerError"):
        store.swap(id, None, "first")
