"""Cache regions that tests configure, and what happens in them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from beaker.cache import cache_region

from collective.beaker.caching import debts
from collective.beaker.caching.factory import find_region
from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.ids import new_id
from collective.beaker.settings.options import CACHE_DEFAULTS
from collective.beaker.tests.helpers.waiting import SECONDS


VALUE_STORES = [
    "memory",
    "file",
    "dbm",
    "sqlite",
    "postgresql",
    "mariadb",
    "redis",
    "rediscluster",
    "memcached",
    "mongodb",
]
"""The stores in which caches keep values."""

SHARED_VALUE_STORES = [
    name for name in VALUE_STORES if name not in ("memory", "mongodb")
]
"""Those that other processes reach; a MongoDB of the tests is no server."""


def make_region(**options):
    """Configure a region that no other test has, and return it."""
    name = new_id()
    configured = CACHE_DEFAULTS | options
    RegionCacheManager(**CACHE_DEFAULTS, cache_regions={name: configured})
    return find_region(name)


def nothing_is_owed():
    """Tell whether all stores know what they have to drop."""
    return not debts.ledger.names


def in_threads(number, function):
    """Return what a function returns in several threads at the same time."""
    barrier = threading.Barrier(number)

    def run(_):
        barrier.wait(SECONDS)
        return function()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


class Computation:
    """A function that is computed when the test wants it, and counts."""

    def __init__(self, value="computed"):
        self.value = value
        self.calls = 0
        self.started = threading.Event()
        self.may_end = threading.Event()

    def __call__(self):
        self.calls += 1
        self.started.set()
        assert self.may_end.wait(SECONDS)
        return self.value


def by_region(region, compute):
    """Return a function that asks a region for a value."""
    return lambda: region.value("a cache", b"key", compute)


def by_beaker(region, compute):
    """Return the same function, decorated by Beaker."""

    @cache_region(region.name)
    def cached():
        return compute()

    return cached


both_ways = pytest.mark.parametrize("way", [by_region, by_beaker])
