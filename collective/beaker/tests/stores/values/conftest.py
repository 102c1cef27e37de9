"""Fixtures for the tests of stores of values."""

import pytest
from pymemcache.client.base import Client

from collective.beaker.ids import new_id
from collective.beaker.stores.values import find_value_store
from collective.beaker.tests.helpers.stores import OPTIONS
from collective.beaker.tests.helpers.stores import SERVER_STORES
from collective.beaker.tests.helpers.stores import on_each
from collective.beaker.tests.helpers.waiting import SECONDS


VALUE_STORES = [*SERVER_STORES, "rediscluster", "mongodb"]


@pytest.fixture(params=on_each(*VALUE_STORES))
def options(request, tmp_path):
    """The options of a cache region, for each kind of store.

    On a busy machine, SQLite may keep somebody waiting for a while.
    """
    options = OPTIONS[request.param](request, tmp_path)
    return options | {"socket_timeout": SECONDS}


@pytest.fixture
def region():
    """The name of a region that no other test has."""
    return new_id()


@pytest.fixture
def values(options, region):
    """A store of values, which is empty."""
    store = find_value_store(options, region)
    # Tests share a server, and what it holds.
    if store.kind == "ext:memcached":
        Client(options["url"]).flush_all(noreply=False)
    else:
        store.clear()
    return store
