"""Connections that lead nowhere any more, which nobody told their owners."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.proxies import proxy_to
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import on_each
from collective.beaker.tests.helpers.stores import text
from collective.beaker.tests.helpers.threads import side_by_side


THREADS = 3


@pytest.fixture(params=on_each("redis", "memcached", "postgresql"))
def server(request, tmp_path):
    """A server, and the options of a store in it."""
    options = OPTIONS[request.param](request, tmp_path)
    return request.getfixturevalue(request.param), options


@pytest.fixture
def proxy(server):
    """What is between the store and its server."""
    with proxy_to(server[0].port) as proxy:
        yield proxy


@pytest.fixture
def options(server, proxy):
    address = server[1]["url"].replace(f":{server[0].port}", f":{proxy.port}")
    return {"type": server[1]["type"], "url": address, "socket_timeout": 1}


def read_session(options):
    """Return how to read a session that is stored now."""
    id, store = new_id(), make_store(options.pop("type"), **options)
    store.swap(id, None, "stored")
    return lambda: (text(store, id), store.estimate())


def read_value(options):
    """Return how to read a value that is stored now."""
    name, store = f"v:{new_id()}", find_value_store(options, new_id())
    store.put(name, b"stored", None)
    return lambda: (store.get([name])[name], store.size("none"))


@pytest.mark.parametrize("reading", [read_session, read_value])
def test_a_time_out_is_the_end_of_all_connections_from_before(
    options, proxy, reading, impatient
):
    read = reading(options)

    def read_in_all(threads):
        return side_by_side(threads, lambda _: read(), range(THREADS))

    with ThreadPoolExecutor(THREADS) as threads:
        # A pool makes one only if all others are in use.
        while proxy.connections < THREADS:
            before = read_in_all(threads)
        proxy.lose_connections()
        with pytest.raises(StoreUnavailable):
            read()

        assert [read(), *read_in_all(threads)] == [before[0], *before]
