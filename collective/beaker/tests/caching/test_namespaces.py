"""Beaker's own API on our caches."""

import subprocess
import sys
import threading

import pytest
from beaker.cache import cache_region

from collective.beaker.caching import manager as module
from collective.beaker.caching.manager import _MOST_CACHES
from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.settings.options import CACHE_DEFAULTS
from collective.beaker.tests.helpers.forks import ends_in_fork
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.regions import both_ways
from collective.beaker.tests.helpers.waiting import SECONDS


@pytest.fixture
def caches():
    return RegionCacheManager(**CACHE_DEFAULTS)


@pytest.fixture
def trips(monkeypatch):
    """Return a function that notes the round trips to a store."""

    def note(store):
        noted = []

        def spy(name):
            method = getattr(store, name)

            def call(*arguments, **keywords):
                noted.append(name)
                return method(*arguments, **keywords)

            monkeypatch.setattr(store, name, call)

        for name in ("get", "claim", "settle", "give_up", "put", "delete"):
            spy(name)
        return noted

    return note


@both_ways
def test_a_hit_is_one_round_trip_and_a_new_value_three(
    redis_region, way, trips
):
    ask = way(redis_region, lambda: "computed")
    noted = trips(redis_region.store)

    ask()
    assert noted == ["get", "claim", "settle"]
    noted.clear()
    ask()
    assert noted == ["get"]


MODULE = """
import sys
from beaker.cache import cache_region
from collective.beaker.caching.manager import RegionCacheManager

RegionCacheManager(
    cache_regions={"short": {"type": "file", "data_dir": sys.argv[1]}}
)


@cache_region("short")
def path():
    return __file__
"""


def test_a_function_in_another_folder_finds_its_values(tmp_path):
    """As a new release of a Zope does, and a second Zope."""

    def path_from(folder):
        folder.mkdir()
        (folder / "module_of_a_release.py").write_text(MODULE)
        command = "from module_of_a_release import path; print(path())"
        ran = subprocess.run(
            [sys.executable, "-c", command, str(tmp_path / "caches")],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return ran.stdout

    first = path_from(tmp_path / "first")

    assert "/first/" in first
    assert path_from(tmp_path / "second") == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ä", "\\xe4"),
        ("a", "a\0"),
        ("a", "A"),
        ("a b", "a  b"),
        ("x" * 300, "x" * 299 + "y"),
        (1, "1"),
        (1, True),
        ((1, 2), (12,)),
    ],
)
def test_what_python_tells_apart_are_two_keys(caches, one, other):
    cache = caches.get_cache(f"keys {one!r}")
    cache.put(one, "one")
    cache.put(other, "other")

    assert (cache.get(one), cache.get(other)) == ("one", "other")


def test_two_names_of_caches_are_two_caches(caches):
    for name in ("news", "News", "news:old", "n?ws", "news "):
        caches.get_cache(name).put("key", name)
    caches.get_cache("news").clear()

    assert "key" not in caches.get_cache("news")
    for name in ("News", "news:old", "n?ws", "news "):
        assert caches.get_cache(name).get("key") == name


def test_a_cache_answers_as_a_mapping(any_region):
    cache = RegionCacheManager(
        cache_regions={any_region.name: any_region.options}
    ).get_cache_region("a mapping", any_region.name)

    assert "key" not in cache
    with pytest.raises(KeyError):
        cache["key"]
    cache["key"] = "value"
    assert (cache["key"], "key" in cache) == ("value", True)
    del cache["key"]
    assert "key" not in cache


def test_a_removal_is_not_undone_by_who_computes(memory_region):
    """Although there is nothing yet that could be removed."""
    started, may_end = threading.Event(), threading.Event()

    def compute():
        started.set()
        assert may_end.wait(SECONDS)
        return "old"

    cache = RegionCacheManager(
        cache_regions={memory_region.name: memory_region.options}
    ).get_cache_region("a cache", memory_region.name)
    thread = threading.Thread(
        target=lambda: cache.get("key", createfunc=compute)
    )
    thread.start()
    assert started.wait(SECONDS)
    cache.remove_value("key")
    may_end.set()
    thread.join(SECONDS)

    assert cache.get("key", createfunc=lambda: "new") == "new"


def test_names_of_caches_do_not_pile_up(caches):
    first = caches.get_cache("name 0")
    first.put("key", "value")
    for number in range(_MOST_CACHES + 10):
        caches.get_cache(f"name {number}")

    assert len(caches._caches) == _MOST_CACHES
    assert caches.get_cache("name 0") is not first
    assert caches.get_cache("name 0").get("key") == "value"


def test_nothing_is_left_of_a_computation(any_region):
    @cache_region(any_region.name)
    def computed(number):
        return number

    assert [computed(number) for number in range(10)] == list(range(10))

    cache = RegionCacheManager(
        cache_regions={any_region.name: any_region.options}
    ).get_cache_region("a cache", any_region.name)
    cache.get("key", createfunc=lambda: 1)
    assert not cache.namespace.computations
    assert not any_region.flights._flights


def test_memory_keeps_the_values_that_were_used_last(configure):
    region = configure(type="memory", max_entries=3)

    @cache_region(region.name)
    def computed(number):
        calls.append(number)
        return number

    calls = []
    for number in (1, 2, 3, 1, 4):
        computed(number)
    calls.clear()

    computed(1)
    assert calls == []
    computed(2)
    assert calls == [2]


def test_a_forked_process_has_a_memory_of_its_own(memory_region):
    @cache_region(memory_region.name)
    def computed():
        return numbers.pop()

    numbers = [2, 1]
    assert computed() == 1

    def clear_and_compute():
        memory_region.clear()
        return computed(), computed()

    assert in_fork(clear_and_compute) == (2, 2)
    assert computed() == 1


def test_a_forked_process_waits_for_no_thread_that_was_left_behind(caches):
    with module._lock:
        assert ends_in_fork(lambda: caches.get_cache("news"))


def test_a_type_of_another_package_stays_what_it_is():
    manager = RegionCacheManager(
        cache_regions={"other": {"type": "ext:google", "stale": 5}}
    )

    assert manager.regions["other"] == {"type": "ext:google"}
