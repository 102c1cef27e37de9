"""Clearing a region of the cache."""

import pytest
from beaker.cache import CacheManager
from beaker.cache import cache_regions

from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of


def test_caches_in_the_same_folder_are_left_alone(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}
    cache = CacheManager(**options).get_cache("prices")
    cache.put("apple", 1)
    cache.put("pear", 2)
    cache.remove_value("pear")

    assert last(survey(options)).unreadable == 0
    last(sweep(options, idle=3600))
    last(revoke_all(options))
    assert cache.get("apple") == 1


def configured(**settings):
    section = {
        name.replace("__", "."): text for name, text in settings.items()
    }
    found = read_configuration(section)
    assert not found.errors
    return found


@pytest.fixture
def put():
    """Store a value in a cache of a region; return how to look at it."""
    known = dict(cache_regions)

    def put(configuration, region, name="prices"):
        options = dict(configuration.cache)
        regions = options.pop("cache_regions")
        manager = CacheManager(**options, cache_regions=regions)
        cache = manager.get_cache_region(name, region)
        cache.put("apple", 1)
        return lambda: "apple" in cache

    yield put
    cache_regions.clear()
    cache_regions.update(known)


def settings_of_regions(store):
    """Return settings of two regions that store in different places."""
    kind, folder = store.type, store.folder
    settings = {"cache__regions": "short, long"}
    if kind in ("file", "dbm"):
        settings |= {
            "cache__short__data_dir": str(folder / "short"),
            "cache__long__data_dir": str(folder / "long"),
        }
    elif kind == "ext:redis":
        server = store.url.removesuffix("/0")
        settings |= {
            "cache__short__url": f"{server}/1",
            "cache__long__url": f"{server}/2",
        }
    else:
        settings |= {
            "cache__short__url": store.url,
            "cache__short__table_name": "short",
            "cache__long__url": store.url,
            "cache__long__table_name": "long",
        }
    for region in ("short", "long"):
        settings[f"cache__{region}__type"] = kind
    return settings


@pytest.mark.parametrize("name", ["prices", "a?c*", "[x]"])
def test_one_region_is_cleared_and_nothing_else(shared_store, put, name):
    configuration = configured(**settings_of_regions(shared_store))
    configuration.session = options_of(shared_store)
    session = Sessions(configuration.session).make()
    in_short = put(configuration, "short", name)
    in_long = put(configuration, "long", name)
    assert in_short() and in_long()

    assert clear_region(configuration, "short") == 1
    assert clear_region(configuration, "short") == 0
    assert not in_short()
    assert in_long()
    assert Sessions(configuration.session).ids() == {session}


def test_caches_whose_files_have_readable_names_are_cleared(tmp_path, put):
    configuration = configured(
        cache__regions="short",
        cache__short__type="file",
        cache__short__data_dir=str(tmp_path),
        cache__short__digest_filenames="off",
    )
    in_short = put(configuration, "short")

    assert clear_region(configuration, "short") == 1
    assert not in_short()


def test_a_region_in_mongodb_is_cleared_and_sessions_stay(mongodb_store):
    session = Sessions(options_of(mongodb_store)).make()
    records = mongodb_store.url.get_default_database().backer_cache
    records.insert_one({"_id": "prices:apple", "value": b""})
    store = Sessions(options_of(mongodb_store)).store

    assert store.clear_caches() == 1
    assert [found["_id"] for found in records.find()] == [f"{session}:session"]


def test_a_region_in_memory_is_cleared_in_this_process(put):
    configuration = configured(
        # No other test has a region of this kind.
        cache__regions="short, long",
        cache__short__expire="4711",
    )
    in_short = put(configuration, "short", "prices of a test")
    in_long = put(configuration, "long", "names of a test")

    assert clear_region(configuration, "short") == 1
    assert (in_short(), in_long()) == (False, True)


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"cache__regions": "short, long"}, "cache"),
        ({"cache__regions": "short, long", "cache__expire": "5"}, "cache"),
        (
            {
                "cache__regions": "short, long",
                "cache__short__expire": "5",
                "cache__long__expire": "5",
            },
            "cache.long",
        ),
    ],
)
def test_a_region_in_memory_that_is_like_another_is_not_cleared(
    settings, other
):
    with pytest.raises(CannotMaintain, match=f"cache.short and {other} have"):
        clear_region(configured(**settings), "short")


def test_sessions_that_only_a_site_knows_survive_in_a_cleared_redis(
    redis, put, config
):
    redis.start()
    url = f"{redis.url.removesuffix('/0')}/3"
    session = Sessions({"type": "ext:redis", "url": url}).make()
    configuration = configured(
        cache__regions="short",
        cache__short__type="ext:redis",
        cache__short__url=url,
    )
    put(configuration, "short")

    # Sessions that a site configures are not seen here.
    assert clear_region(configuration, "short") == 1
    assert Sessions({"type": "ext:redis", "url": url}).ids() == {session}


@pytest.mark.parametrize(
    ("others", "culprit"),
    [
        ({"cache__data_dir": "{folder}"}, "cache.data_dir"),
        ({"cache__long__data_dir": "{folder}/"}, "cache.long.data_dir"),
        ({"session__data_dir": "{folder}/../{name}"}, "session.data_dir"),
    ],
)
def test_a_region_that_shares_its_store_is_not_cleared(
    others, culprit, tmp_path, put
):
    settings = {
        "cache__type": "file",
        "cache__data_dir": str(tmp_path / "rest"),
        "cache__regions": "short, long",
        "cache__short__data_dir": str(tmp_path / "short"),
        "cache__long__data_dir": str(tmp_path / "long"),
    }
    filled = {
        name: value.format(folder=tmp_path / "short", name="short")
        for name, value in others.items()
    }
    configuration = configured(**settings | filled)
    in_short = put(configuration, "short")

    with pytest.raises(CannotMaintain) as raised:
        clear_region(configuration, "short")
    assert f"{culprit} is the same" in str(raised.value)
    assert "Give cache.short.data_dir a value of its own" in str(raised.value)
    assert in_short()


def test_regions_on_one_redis_by_two_names_share_it(redis):
    configuration = configured(
        cache__regions="short, long",
        cache__short__type="ext:redis",
        cache__short__url=redis.url,
        cache__long__type="ext:redis",
        cache__long__url=f"redis://:password@localhost:{redis.port}",
    )

    with pytest.raises(CannotMaintain, match=r"cache\.long\.url is the same"):
        clear_region(configuration, "short")


def test_a_region_on_memcached_is_not_cleared(memcached):
    configuration = configured(
        cache__regions="short",
        cache__short__type="ext:memcached",
        cache__short__url=memcached.url,
    )

    with pytest.raises(CannotMaintain, match="empty the whole server"):
        clear_region(configuration, "short")


def test_an_unknown_region_is_answered_with_the_known_ones():
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: short\."):
        clear_region(configured(cache__regions="short"), "shrt")
    with pytest.raises(CannotMaintain, match=r"cache\.regions has: none\."):
        clear_region(Configuration(), "short")
