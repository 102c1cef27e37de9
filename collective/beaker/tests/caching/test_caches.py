"""Caches configured from zope.conf, in a real Zope."""

import tempfile
from contextlib import closing
from itertools import count
from uuid import uuid4

import beaker.cache
import pytest
from beaker.cache import CacheManager
from beaker.cache import cache_region
from beaker.cache import cache_regions
from beaker.cache import region_invalidate
from beaker.exceptions import BeakerException
from redis import Redis
from zope.component import getUtility
from zope.interface.verify import verifyObject

from collective.beaker.caching import cached
from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.interfaces import ICacheManager
from collective.beaker.settings.section import read_configuration


# At module level, before any configuration is read: this is the point.
@cache_region("Short", "a value of the tests")
def cached_value(name):
    return f"{name} {uuid4()}"


@cache_region("missing")
def value_of_no_region():
    return "a value"


@pytest.fixture
def manager(application):
    return getUtility(ICacheManager)


def test_the_cache_manager_is_one_of_beakers(manager):
    assert isinstance(manager, CacheManager)


def test_the_cache_manager_offers_what_its_interface_promises(manager):
    assert verifyObject(ICacheManager, manager)


def test_a_module_level_region_decorator_uses_zope_conf(manager):
    first = cached_value("a")

    assert cached_value("a") == first
    assert cached_value("b") != first


def test_a_region_is_invalidated_by_its_function(manager):
    first = cached_value("c")
    region_invalidate(cached_value, "Short", "a value of the tests", "c")

    assert cached_value("c") != first


def test_a_region_of_zope_conf_keeps_its_own_options(manager):
    assert manager.regions["Short"]["expire"] == 60
    assert manager.regions["long"]["expire"] is None


def test_a_region_that_zope_conf_does_not_name_is_an_error(manager):
    with pytest.raises(BeakerException, match="not configured: missing"):
        value_of_no_region()


def test_values_are_put_and_got(manager):
    cache = manager.get_cache("test_values", expire=1800)
    cache.put("key", "value")
    cache.set_value("other", "another value")

    assert cache.get("key") == "value"
    assert "other" in cache


def test_get_cache_region_has_the_options_of_the_region(manager):
    assert manager.get_cache_region("test", "Short").expiretime == 60


def test_expires_is_another_name_of_expire(manager):
    cache = manager.get_cache("test_expires", expires=1800)

    assert cache.expiretime == 1800


@pytest.mark.parametrize("backend", ["file", "dbm"])
def test_a_cache_in_files(manager, tmp_path, backend):
    cache = manager.get_cache(
        f"test_{backend}", type=backend, data_dir=str(tmp_path)
    )

    assert cache.get("key", createfunc=lambda: "made") == "made"
    assert cache.get("key") == "made"


def test_a_cache_in_memcached_locks_in_no_folder_that_all_can_write_to(
    manager, memcached, tmp_path, monkeypatch
):
    """Beaker does, where no lock_dir is set."""
    memcached.start()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = manager.get_cache(
        "test_memcached", type="ext:memcached", url=memcached.url
    )

    assert cache.get("key", createfunc=lambda: "made") == "made"
    assert list(tmp_path.iterdir()) == []


def test_a_region_uses_the_server_that_it_inherits(redis_port, monkeypatch):
    monkeypatch.setattr(beaker.cache, "cache_regions", {})
    configuration = read_configuration(
        {
            "cache.type": "ext:redis",
            "cache.url": f"redis://127.0.0.1:{redis_port}/0",
            "cache.regions": "Inherits",
        }
    )
    manager = RegionCacheManager(**configuration.cache)
    cache = manager.get_cache_region("test_inherits", "Inherits")
    cache.put("key", "value")

    assert cache.get("key") == "value"
    with closing(Redis(port=redis_port)) as client:
        assert client.dbsize()


def test_each_way_to_a_region_works_in_zope(
    any_region, manager, visitor, monkeypatch
):
    name = any_region.name
    # As if zope.conf had it.
    monkeypatch.setitem(manager.regions, name, cache_regions[name])
    numbers = count()

    @cache_region(name)
    def decorated():
        return next(numbers)

    @cached(name, name=f"ours in {name}")
    def ours():
        return next(numbers)

    cache = manager.get_cache_region("by hand", name)

    def view(request):
        by_hand = cache.get("key", createfunc=lambda: next(numbers))
        return f"{by_hand} {decorated()} {ours()}"

    assert [visitor.visit(view).text for _ in range(2)] == ["0 1 2"] * 2
    any_region.clear()
    assert [visitor.visit(view).text for _ in range(2)] == ["3 4 5"] * 2


def test_views_use_the_cache(visitor):
    def view(request):
        return cached_value("over HTTP")

    assert visitor.visit(view).text == visitor.visit(view).text
