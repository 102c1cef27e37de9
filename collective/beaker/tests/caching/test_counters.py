"""What a region counts."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from collective.beaker.caching.counters import counters_of
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.regions import Computation
from collective.beaker.tests.helpers.regions import both_ways
from collective.beaker.tests.helpers.regions import by_beaker
from collective.beaker.tests.helpers.regions import by_region
from collective.beaker.tests.helpers.regions import in_threads
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


SECONDS_OF_COMPUTING = 0.01
"""As short as a test may compute, and never less."""


def compute_slowly():
    time.sleep(SECONDS_OF_COMPUTING)
    return "computed"


@contextmanager
def in_background(function):
    """Run a function in another thread until the end of the block."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function)


def numbers_of(region):
    """Return what a region has counted, without what is 0."""
    counters = counters_of(region.name)
    found = {
        name: getattr(counters, name)
        for name in ("hits", "stale", "misses", "computations", "waits")
    }
    return {name: number for name, number in found.items() if number}


@pytest.fixture(params=["memory", "file"])
def region(request, configure, tmp_path):
    """A region of each of the two kinds of stores that Beaker's API has."""
    return configure(
        type=request.param,
        data_dir=str(tmp_path),
        expire=60,
        lock_timeout=SECONDS,
    )


@pytest.fixture
def later(monkeypatch):
    """Return a function that sets the clock forward."""
    real, skipped = time.time, [0]
    monkeypatch.setattr(time, "time", lambda: real() + sum(skipped))
    return skipped.append


@both_ways
def test_hits_and_misses_are_counted(region, way):
    ask = way(region, lambda: "computed")

    for _ in range(5):
        ask()

    assert numbers_of(region) == {"hits": 4, "misses": 1, "computations": 1}


@both_ways
def test_each_hit_saves_what_the_value_took(region, way):
    ask = way(region, compute_slowly)

    for _ in range(4):
        ask()

    counters = counters_of(region.name)
    assert counters.computation_seconds >= SECONDS_OF_COMPUTING
    saved = pytest.approx(3 * counters.computation_seconds)
    assert counters.saved_seconds == saved


@both_ways
def test_a_function_that_fails_is_a_miss_without_a_computation(region, way):
    def fail():
        raise ValueError

    with pytest.raises(ValueError):
        way(region, fail)()

    assert numbers_of(region) == {"misses": 1}


@both_ways
def test_a_value_that_has_expired_is_no_hit(region, way, later):
    ask = way(region, lambda: "computed")
    ask()
    later(61)

    ask()

    assert numbers_of(region) == {"misses": 2, "computations": 2}
    assert counters_of(region.name).saved_seconds == pytest.approx(0)


@both_ways
def test_an_expired_value_that_is_used_is_stale(region, way, later):
    computation = Computation()
    ask = way(region, computation)
    computation.may_end.set()
    ask()
    took = counters_of(region.name).computation_seconds
    computation.started.clear()
    computation.may_end.clear()
    later(61)
    with in_background(ask) as other:
        assert computation.started.wait(SECONDS)
        ask()
        computation.may_end.set()
        other.result(SECONDS)

    numbers = numbers_of(region)
    assert numbers == {"stale": 1, "misses": 2, "computations": 2}
    assert counters_of(region.name).saved_seconds == pytest.approx(took)


def test_who_waits_is_counted_once_and_has_a_hit(region):
    computation = Computation()
    ask = by_region(region, computation)
    with in_background(ask) as other:
        assert computation.started.wait(SECONDS)
        with in_background(ask) as waiting:
            wait_until(lambda: counters_of(region.name).waits)
            computation.may_end.set()
            other.result(SECONDS)
            waiting.result(SECONDS)

    assert numbers_of(region) == {
        "hits": 1,
        "misses": 1,
        "computations": 1,
        "waits": 1,
    }


def test_what_is_computed_from_changes_is_a_miss(region):
    dirty = SimpleNamespace(is_clean=False)

    for _ in range(2):
        region.value("a cache", b"key", compute_slowly, snapshot=lambda: dirty)

    counters = counters_of(region.name)
    assert numbers_of(region) == {"misses": 2, "computations": 2}
    assert counters.computation_seconds >= 2 * SECONDS_OF_COMPUTING


def test_errors_are_counted_though_they_are_logged_once(configure):
    url = f"redis://127.0.0.1:{free_port()}/0"
    region = configure(type="ext:redis", url=url, expire=60)

    for _ in range(3):
        region.look(region.wanted("a cache", b"key"))

    assert counters_of(region.name).errors == 3


@both_ways
def test_threads_lose_hardly_any_hit(memory_region, way):
    ask = way(memory_region, lambda: "computed")
    ask()

    in_threads(4, lambda: [ask() for _ in range(1000)])

    assert 3900 <= counters_of(memory_region.name).hits <= 4000


def test_regions_are_counted_each_for_itself(configure):
    first, second = (configure(type="memory", expire=60) for _ in range(2))

    by_beaker(first, lambda: "computed")()

    assert numbers_of(first) == {"misses": 1, "computations": 1}
    assert numbers_of(second) == {}


def test_a_forked_process_counts_from_the_beginning(memory_region):
    by_region(memory_region, lambda: "computed")()

    assert in_fork(lambda: numbers_of(memory_region)) == {}
    assert numbers_of(memory_region) == {"misses": 1, "computations": 1}
