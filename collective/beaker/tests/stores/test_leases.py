"""How long a lock of a session is held, and how long others wait for it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.ids import is_lease
from collective.beaker.ids import lease_name
from collective.beaker.interfaces import StoreLocked
from collective.beaker.stores import base
from collective.beaker.stores import leases
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


@pytest.fixture
def leasing_stores(redis):
    """Two processes' stores of the same records, as it were."""
    redis.start()
    return [
        make_store("ext:redis", url=redis.url, timeout=timeout)
        for timeout in (100, 200)
    ]


@pytest.fixture
def let_leases_end(monkeypatch):
    def let_leases_end():
        later = time.time() + leases.LEASE_SECONDS + 1
        monkeypatch.setattr(time, "time", lambda: later)

    return let_leases_end


def test_the_lock_of_one_who_was_killed_is_free_after_a_while(
    leasing_stores, id, let_leases_end
):
    killed, other = leasing_stores
    killed.lock(id).__enter__()
    let_leases_end()

    with other.lock(id):
        pass


def test_who_comes_back_late_does_not_free_the_lock_of_another(
    leasing_stores, id, let_leases_end
):
    slow, other = leasing_stores
    late = slow.lock(id)
    late.__enter__()
    let_leases_end()
    with other.lock(id):
        late.__exit__(None, None, None)
        assert other.load(lease_name(id)) is not None

    assert other.load(lease_name(id)) is None


def test_nobody_waits_for_long_for_a_lock(leasing_stores, id, monkeypatch):
    slow, other = leasing_stores
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    with slow.lock(id), pytest.raises(StoreLocked, match="it is locked"):
        other.lock(id).__enter__()


def test_who_locks_may_be_the_first_to_find_that_a_store_answers_again(
    leasing_stores, id, impatient
):
    store, _ = leasing_stores
    store._circuit.open()
    with store.lock(id):
        pass

    assert not store._circuit.is_open


def test_a_lock_that_cannot_be_read_is_free(leasing_stores, id):
    store, _ = leasing_stores
    store.swap(lease_name(id), None, "rubbish")

    with store.lock(id):
        pass


DAY = 24 * 60 * 60


@pytest.mark.parametrize("end", ["inf", "nan", "tomorrow"])
def test_a_lock_that_never_ends_is_nobody_s(leasing_stores, id, end):
    """It was planted, or the clock of its owner is wrong."""
    store, _ = leasing_stores
    until = time.time() + DAY if end == "tomorrow" else end
    store.swap(lease_name(id), None, f"owner {until} ")

    with store.lock(id):
        pass


def test_a_lock_of_one_whose_clock_is_ahead_is_heeded(
    leasing_stores, id, clock, monkeypatch
):
    ahead, other = leasing_stores
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    clock(30)
    with ahead.lock(id):
        clock(-30)
        with pytest.raises(StoreLocked):
            other.lock(id).__enter__()


@pytest.mark.parametrize("end", ["inf", "nan", "tomorrow"])
def test_a_turn_that_never_ends_is_nobody_s(leasing_stores, end):
    store, _ = leasing_stores
    until = time.time() + DAY if end == "tomorrow" else end
    name = lease_name("0" * 32)
    store.swap(name, store.load(name), f"owner {until} ")

    assert store.take_turn("me", 60)


@pytest.mark.parametrize("end", ["inf", "nan"])
def test_a_sweep_may_remove_a_lock_that_never_ends(leasing_stores, id, end):
    store, _ = leasing_stores
    store.swap(lease_name(id), None, f"owner {end} ")

    assert store.is_free(store.load(lease_name(id)))


def test_a_lock_that_is_still_held_is_renewed(redis, id, clock, monkeypatch):
    redis.start()
    monkeypatch.setattr(leases, "_RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    slow, other = (
        make_store("ext:redis", url=redis.url, timeout=timeout)
        for timeout in (300, 400)
    )

    def end_of_lock():
        return other._leases._read(other.load(lease_name(id)))[1]

    with slow.lock(id):
        for _ in range(3):
            clock(leases.LEASE_SECONDS - 1)
            end = time.time() + leases.LEASE_SECONDS
            wait_until(lambda end=end: end_of_lock() == end)
        with pytest.raises(StoreLocked):
            other.lock(id).__enter__()
    with other.lock(id):
        pass


def test_a_lock_that_is_renewed_while_it_is_released_is_free(
    redis, id, monkeypatch
):
    redis.start()
    slow, other = (
        make_store("ext:redis", url=redis.url, timeout=timeout)
        for timeout in (700, 800)
    )

    def renew_and_swap(name, old, new):
        # The alarm's thread is faster.
        monkeypatch.undo()
        owner, _ = slow._leases._read(old)
        renewed = leases._text(owner, leases.LEASE_SECONDS, 0)
        assert slow.swap(name, old, renewed)
        return slow.swap(name, old, new)

    with slow.lock(id):
        monkeypatch.setattr(slow, "swap", renew_and_swap)

    assert other.load(lease_name(id)) is None


def test_a_lock_that_was_released_is_not_renewed_again(redis, id, monkeypatch):
    redis.start()
    store = make_store("ext:redis", url=redis.url, timeout=900)
    released = []
    monkeypatch.setattr(store._leases._renewals, "clear", released.append)
    with store.lock(id):
        pass
    monkeypatch.undo()
    (lease,) = released
    store._leases._renewals.clear(lease)
    # The server has not removed it.
    text = leases._text(lease.owner, leases.LEASE_SECONDS, 0)
    store.swap(lease.name, None, text)
    store._leases._renew(lease)

    assert lease not in store._leases._renewals._times


def test_a_lock_that_is_held_for_too_long_is_not_renewed(
    redis, id, clock, monkeypatch
):
    redis.start()
    monkeypatch.setattr(leases, "_RENEWAL_SECONDS", 0.01)
    monkeypatch.setattr(leases, "_MOST_RENEWAL_SECONDS", 0)
    stuck = make_store("ext:redis", url=redis.url, timeout=500)
    lock = stuck.lock(id)
    lock.__enter__()
    wait_until(lambda: not stuck._leases._renewals._runs)
    clock(leases.LEASE_SECONDS + 1)

    with make_store("ext:redis", url=redis.url, timeout=600).lock(id):
        pass
    lock.__exit__(None, None, None)


def test_the_name_of_a_lock_does_not_tell_the_id(id):
    assert id not in lease_name(id)
    assert is_lease(lease_name(id))


def test_a_lock_shows_none_of_the_data(leasing_stores, id):
    store, _ = leasing_stores
    with store.lock(id, "payload"):
        held = text(store, lease_name(id))

    assert "payload" not in held
    assert len(held) > len("payload")


@pytest.mark.parametrize("kind", ["memory", "file", "dbm"])
def test_nobody_waits_for_long_for_a_lock_in_a_process_or_a_folder(
    kind, id, tmp_path, monkeypatch
):
    store = make_store(kind, data_dir=str(tmp_path))
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)

    def take():
        with pytest.raises(StoreLocked, match="it is locked"):
            store.lock(id).__enter__()

    with store.lock(id), ThreadPoolExecutor(1) as threads:
        threads.submit(take).result(SECONDS)
