"""One computes, and the others wait or take the old value."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.caching import computing
from collective.beaker.caching import leases
from collective.beaker.caching.factory import find_region
from collective.beaker.stores.base import CLOCK_LEEWAY
from collective.beaker.stores.values.base import digits
from collective.beaker.tests.helpers.forks import forked
from collective.beaker.tests.helpers.regions import Computation
from collective.beaker.tests.helpers.regions import both_ways
from collective.beaker.tests.helpers.regions import by_region
from collective.beaker.tests.helpers.regions import in_threads
from collective.beaker.tests.helpers.threads import no_room_for_threads
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


@both_ways
def test_a_value_is_computed_once(any_region, way):
    numbers = iter(range(3))
    ask = way(any_region, lambda: next(numbers))

    assert [ask(), ask(), ask()] == [0, 0, 0]


@both_ways
def test_of_many_threads_one_computes(any_region, way):
    computation = Computation()
    computation.may_end.set()
    ask = way(any_region, computation)

    assert in_threads(8, ask) == ["computed"] * 8
    assert computation.calls == 1


@both_ways
def test_of_two_processes_one_computes(shared_region, way, events, tmp_path):
    go = tmp_path / "go"

    def compute_slowly(write):
        def compute():
            write(b"started")
            wait_until(go.exists)
            return "of the other process"

        way(shared_region, compute)()

    def compute_here():
        raise AssertionError("The other process computes it.")

    with forked(compute_slowly) as other:
        assert other.output.read(7) == b"started"
        noted = events(shared_region)
        with ThreadPoolExecutor() as pool:
            found = pool.submit(way(shared_region, compute_here))
            wait_until(lambda: "waits" in noted)
            go.touch()
            assert found.result(SECONDS) == "of the other process"


def test_a_process_that_was_killed_holds_nobody(shared_region, monkeypatch):
    """It ends with the lease: nobody could wait for the timeout."""
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.2)
    computation = Computation()

    def compute_for_ever(write):
        def compute():
            write(b"started")
            threading.Event().wait()

        by_region(shared_region, compute)()

    with forked(compute_for_ever) as other:
        assert other.output.read(7) == b"started"
        other.kill()
        computation.may_end.set()
        assert by_region(shared_region, computation)() == "computed"


def test_a_long_computation_keeps_its_claim(memory_region, monkeypatch):
    # Renewed many times before it ends, so that none must be in time.
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3600)
    monkeypatch.setattr(leases, "_RENEWALS", 36_000)
    store = memory_region.store
    claim, _ = store.claim("v:1", ["v:1"], 60)
    _, end = store._claims["v:1"]

    leases.hold(store, claim, memory_region.name)
    wait_until(lambda: store._claims["v:1"][1] > end)
    leases.let_go(claim)


def test_a_value_is_computed_though_no_thread_can_be_started(
    memory_region, monkeypatch
):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 3600)
    monkeypatch.setattr(leases, "_RENEWALS", 36_000)
    monkeypatch.setattr(leases, "_keeper", leases._Keeper())
    store = memory_region.store
    claim, _ = store.claim("v:1", ["v:1"], 60)
    _, end = store._claims["v:1"]

    with no_room_for_threads():
        assert by_region(memory_region, lambda: "computed")() == "computed"
    leases.hold(store, claim, memory_region.name)
    wait_until(lambda: store._claims["v:1"][1] > end)
    leases.let_go(claim)


def test_a_function_may_fork_and_return_in_the_new_process(memory_region):
    def compute():
        # What happens in the new one.
        memory_region.begin_anew()
        return "computed"

    assert by_region(memory_region, compute)() == "computed"


@both_ways
def test_a_function_that_raises_leaves_nothing(any_region, way):
    answers = iter([ZeroDivisionError, "computed"])

    def compute():
        answer = next(answers)
        if answer is ZeroDivisionError:
            raise answer
        return answer

    ask = way(any_region, compute)

    with pytest.raises(ZeroDivisionError):
        ask()
    assert ask() == "computed"


@both_ways
def test_who_waited_for_a_function_that_raised_computes(
    memory_region, way, events
):
    noted = events(memory_region)
    started, may_end = threading.Event(), threading.Event()
    answers = iter([ZeroDivisionError, "computed"])

    def compute():
        answer = next(answers)
        if answer is ZeroDivisionError:
            started.set()
            assert may_end.wait(SECONDS)
            raise answer
        return answer

    ask = way(memory_region, compute)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask)
        assert started.wait(SECONDS)
        second = pool.submit(ask)
        wait_until(lambda: "waits" in noted)
        may_end.set()

        assert second.result(SECONDS) == "computed"
        with pytest.raises(ZeroDivisionError):
            first.result(SECONDS)


def test_who_waits_gets_a_value_from_newer_data(memory_region, events):
    """Another process has stored it, and it is still fresh."""
    noted = events(memory_region)
    memory_region.put("c", b"key", "newer", 60, snapshot=(2, 2))
    asked = memory_region.wanted("c", b"key")
    asked = asked._replace(snapshot=(digits(1), digits(1)))
    first, second = (
        computing.Computation(memory_region, asked) for _ in range(2)
    )
    assert first.begin().value == "newer"

    with ThreadPoolExecutor() as pool:
        found = pool.submit(second.begin)
        wait_until(lambda: "waits" in noted)
        first.end()
        assert found.result(SECONDS).value == "newer"


@both_ways
def test_nobody_waits_longer_than_the_lock_timeout(memory_region, way):
    """And what is computed alone is not stored."""
    memory_region.lock_timeout = 0.1
    slow = Computation("slow")
    slow.may_end.set()
    answers = iter([slow, lambda: "alone"])
    ask = way(memory_region, lambda: next(answers)())
    slow.may_end.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask)
        assert slow.started.wait(SECONDS)

        assert ask() == "alone"
        slow.may_end.set()
        assert first.result(SECONDS) == "slow"
    assert ask() == "slow"


@both_ways
def test_an_expired_value_is_returned_while_one_computes(
    any_region, way, clock
):
    answers = iter([lambda: "old", new := Computation("new")])
    ask = way(any_region, lambda: next(answers)())
    assert ask() == "old"
    clock(61)

    def ask_until_computed():
        # memcached may not have released the claim of the first one yet.
        while (answer := ask()) == "old":
            pass
        return answer

    with ThreadPoolExecutor() as pool:
        first = pool.submit(ask_until_computed)
        assert new.started.wait(SECONDS)

        assert in_threads(3, ask) == ["old"] * 3
        new.may_end.set()
        assert first.result(SECONDS) == "new"
    assert ask() == "new"


def test_an_expired_value_is_returned_while_another_process_computes(
    shared_region, clock
):
    ask = by_region(shared_region, lambda: "old")
    assert ask() == "old"
    clock(61)

    def compute_for_ever(write):
        def compute():
            write(b"started")
            threading.Event().wait()

        # memcached may not have released the claim of the first one yet.
        while by_region(shared_region, compute)() == "old":
            pass

    with forked(compute_for_ever) as other:
        assert other.output.read(7) == b"started"
        assert by_region(shared_region, Computation())() == "old"


@both_ways
def test_a_value_that_expired_too_long_ago_is_not_returned(
    memory_region, way, clock, events
):
    answers = iter([lambda: "old", new := Computation("new")])
    ask = way(memory_region, lambda: next(answers)())
    assert [ask(), ask(), ask()] == ["old"] * 3
    clock(121)
    noted = events(memory_region)
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(ask) for _ in range(2)]
        assert new.started.wait(SECONDS)
        wait_until(lambda: "waits" in noted)
        new.may_end.set()

        assert [each.result(SECONDS) for each in found] == ["new", "new"]


@both_ways
def test_a_value_of_a_clock_that_is_far_ahead_is_computed_anew(
    shared_region, way, clock
):
    answers = iter(["ahead", "of today"])
    ask = way(shared_region, lambda: next(answers))
    clock(3600)
    assert ask() == "ahead"
    clock(-CLOCK_LEEWAY)
    assert ask() == "ahead"
    clock(-1)

    assert ask() == "of today"


def test_nobody_waits_for_a_value_that_could_not_be_stored(
    shared_region, events
):
    unstorable = threading.Lock()
    ask = by_region(shared_region, lambda: unstorable)
    ask()
    name = shared_region.wanted("a cache", b"key").name
    of_another, _ = shared_region.store.claim(name, [name], SECONDS)
    assert of_another is not None

    noted = events(shared_region)
    assert ask() is unstorable
    assert "waits" not in noted


def test_how_long_an_expired_value_is_used_can_be_said(configure, clock):
    region = configure(expire=60, stale=5)
    answers = iter(["old", "new"])
    ask = by_region(region, lambda: next(answers))
    asked = region.wanted("a cache", b"key")
    assert ask() == "old"

    clock(64)
    assert region.look(asked).value == "old"
    clock(2)
    assert region.look(asked) is None


@both_ways
def test_what_expires_at_once_is_computed_each_time(configure, way):
    """And nobody waits: all threads compute at the same time."""
    region = configure(expire=0, lock_timeout=2 * SECONDS)
    barrier = threading.Barrier(3)
    ask = way(region, lambda: barrier.wait(SECONDS))

    assert sorted(in_threads(3, ask)) == [0, 1, 2]
    assert region.store.size().entries == 0


@both_ways
def test_a_function_that_calls_itself_returns(memory_region, way):
    depth = []

    def compute():
        depth.append(1)
        return ask() + 1 if len(depth) < 3 else 0

    ask = way(memory_region, compute)

    assert ask() == 2


@pytest.mark.parametrize(
    "drop",
    [
        lambda region: region.invalidate("a cache", b"key"),
        lambda region: region.clear_cache("a cache"),
        lambda region: region.clear(),
    ],
    ids=["invalidate", "clear_cache", "clear"],
)
def test_what_is_dropped_while_it_is_computed_is_not_stored(any_region, drop):
    numbers = iter(range(3))

    def compute():
        number = next(numbers)
        if number == 0:
            drop(any_region)
        return number

    ask = by_region(any_region, compute)

    assert [ask(), ask(), ask()] == [0, 1, 1]


def test_what_was_stored_before_a_clear_is_gone_for_all(shared_region):
    value = by_region(shared_region, lambda: "old")
    assert value() == "old"

    with forked(lambda write: clear_elsewhere(shared_region, write)) as other:
        assert other.output.read(4) == b"done"

    assert by_region(shared_region, lambda: "new")() == "new"


def clear_elsewhere(region, write):
    find_region(region.name).clear()
    write(b"done")


def test_the_first_values_of_a_cache_do_not_drop_each_other(any_region):
    """None of them finds a generation, and each has to bring one."""
    barrier = threading.Barrier(4)
    keys = iter([b"a", b"b", b"c", b"d"])
    lock = threading.Lock()

    def ask():
        with lock:
            key = next(keys)
        any_region.value("a cache", key, lambda: barrier.wait(SECONDS))
        return key

    def never():
        raise AssertionError("It was stored.")

    for key in in_threads(4, ask):
        any_region.value("a cache", key, never)
