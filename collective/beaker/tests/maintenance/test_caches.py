"""Clearing a region of the cache, and sweeping what has expired."""

import pytest
from beaker.container import NamespaceManager

from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.caches import sweep_values
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.regions import VALUE_STORES
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.stores import store_fixture


value_store = store_fixture(
    *(name for name in VALUE_STORES if name != "mongodb")
)
swept_store = store_fixture("file", "dbm", "sqlite", "postgresql", "mariadb")


def configured(**settings):
    section = {
        name.replace("__", "."): text for name, text in settings.items()
    }
    found = read_configuration(section)
    assert not found.errors
    return found


def with_regions(store, *names, **settings):
    """Return a configuration of regions that are all in one store."""
    if store.type in ("file", "dbm"):
        settings["cache__data_dir"] = store.data_dir
    elif store.type == "ext:rediscluster":
        settings["cache__urls"] = store.urls
    elif store.type != "memory":
        settings["cache__url"] = store.url
    configuration = configured(
        cache__type=store.type, cache__regions=", ".join(names), **settings
    )
    configuration.session = options_of(store)
    return configuration


def put(configuration, region):
    """Store a value in a region; return how to look whether it is there."""
    manager = RegionCacheManager(**configuration.cache)
    cache = manager.get_cache_region("prices", region)
    cache.put("apple", 1)
    return lambda: "apple" in cache


def test_one_region_is_cleared_and_nothing_else(value_store):
    """Others in the same place stay, and so do sessions."""
    configuration = with_regions(value_store, "short", "long")
    # Other tests may have left something in the memory of this process.
    clear_region(configuration, "short")
    sessions = Sessions(configuration.session)
    session = sessions.make()
    in_short = put(configuration, "short")
    in_long = put(configuration, "long")
    assert in_short() and in_long()

    removed = clear_region(configuration, "short")

    assert removed == (None if value_store.type == "ext:memcached" else 1)
    assert not in_short()
    assert in_long()
    assert sessions.store.load(session)


def test_values_in_the_folder_of_sessions_are_left_alone(tmp_path):
    configuration = configured(
        cache__type="file", cache__data_dir=str(tmp_path), cache__regions="a"
    )
    is_there = put(configuration, "a")
    options = {"type": "file", "data_dir": str(tmp_path)}

    assert last(survey(options)).unreadable == 0
    last(sweep(options, idle=3600))
    last(revoke_all(options))
    assert is_there()


def test_a_region_of_another_package_is_not_cleared():
    configuration = configured(cache__regions="short")
    configuration.regions["short"]["namespace_class"] = NamespaceManager

    with pytest.raises(CannotMaintain, match="a backend of another package"):
        clear_region(configuration, "short")


def test_an_unknown_region_is_answered_with_the_known_ones():
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: short\."):
        clear_region(configured(cache__regions="short"), "shrt")
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: none\."):
        clear_region(Configuration(), "short")


def test_a_sweep_removes_what_has_expired(swept_store, clock):
    configuration = with_regions(
        swept_store,
        "short",
        "long",
        cache__short__expire="60",
        cache__stale="0",
    )
    put(configuration, "short")
    in_long = put(configuration, "long")
    assert last(sweep_values(configuration)) == 0

    clock(61)

    assert last(sweep_values(configuration, dry_run=True)) >= 1
    assert last(sweep_values(configuration)) >= 1
    assert last(sweep_values(configuration)) == 0
    assert in_long()


def test_there_is_nothing_to_sweep_in_memory():
    assert last(sweep_values(configured(cache__regions="short"))) == 0
