"""What a store that could not be written is told once it is back."""

from itertools import count

import pytest
from beaker.cache import cache_region
from beaker.cache import cache_regions
from beaker.cache import region_invalidate

from collective.beaker.caching import cached
from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.tests.helpers.regions import nothing_is_owed
from collective.beaker.tests.helpers.servers import refusing_writes
from collective.beaker.tests.helpers.threads import no_room_for_threads
from collective.beaker.tests.helpers.waiting import wait_until


numbers = count()


@cached("a region that can be read only")
def number() -> int:
    return next(numbers)


@pytest.fixture
def read_only(redis, redis_region, monkeypatch):
    """What has the store of a region refuse to write."""
    options = cache_regions[redis_region.name]
    name = "a region that can be read only"
    monkeypatch.setitem(cache_regions, name, options)
    return refusing_writes(redis)


@pytest.fixture
def decorated(redis_region):
    """A function that Beaker's decorator caches."""

    @cache_region(redis_region.name, "numbers")
    def next_number():
        return next(numbers)

    return next_number


@pytest.fixture
def cache(redis_region):
    """A cache of the region, as Beaker's manager returns it."""
    manager = RegionCacheManager(cache_regions=dict(cache_regions))
    return manager.get_cache_region("numbers", redis_region.name)


def test_what_beaker_invalidated_is_computed_anew(
    redis_region, decorated, read_only
):
    first = decorated()
    with read_only:
        region_invalidate(decorated, redis_region.name, "numbers")

    wait_until(nothing_is_owed)
    assert decorated() != first


def test_what_beaker_removed_is_gone(cache, read_only):
    cache.put("a", 1)
    with read_only:
        cache.remove_value("a")

    wait_until(nothing_is_owed)
    assert not cache.has_key("a")


def test_what_could_not_be_replaced_is_gone(cache, read_only):
    cache.put("a", 1)
    with read_only:
        cache.put("a", 2)
        assert not cache.has_key("a")

    wait_until(nothing_is_owed)
    assert not cache.has_key("a")


def test_a_cache_that_beaker_cleared_is_empty(cache, read_only):
    cache.put("a", 1)
    with read_only:
        cache.clear()

    wait_until(nothing_is_owed)
    assert not cache.has_key("a")


def test_who_owes_it_does_not_find_what_was_invalidated(read_only):
    first = number()
    with read_only:
        number.invalidate()
        assert number() != first


def test_what_a_refresh_computed_is_not_the_former_result(read_only):
    first = number()
    with read_only:
        assert number.refresh() != first


def test_what_no_thread_could_be_started_for_is_repeated_with_the_next(
    cache, read_only
):
    cache.put("a", 1)
    cache.put("b", 2)
    with read_only:
        with no_room_for_threads():
            cache.remove_value("a")
        cache.remove_value("b")

    wait_until(nothing_is_owed)
    assert not (cache.has_key("a") or cache.has_key("b"))
