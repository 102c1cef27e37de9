"""How long a lock of a session is held, and how long others wait for it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.interfaces import StoreLocked
from collective.beaker.stores import base
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.stores import text
from collective.beaker.tests.helpers.waiting import SECONDS


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
        later = base.time.time() + base.LEASE_SECONDS + 1
        monkeypatch.setattr(base.time, "time", lambda: later)

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
        assert other.load(f"{id}-lock") is not None

    assert other.load(f"{id}-lock") is None


def test_nobody_waits_for_long_for_a_lock(leasing_stores, id, monkeypatch):
    slow, other = leasing_stores
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    with slow.lock(id), pytest.raises(StoreLocked, match="it is locked"):
        other.lock(id).__enter__()


def test_a_lock_that_cannot_be_read_is_free(leasing_stores, id):
    store, _ = leasing_stores
    store.swap(f"{id}-lock", None, "rubbish")

    with store.lock(id):
        pass


def test_a_lock_shows_none_of_the_data(leasing_stores, id):
    store, _ = leasing_stores
    with store.lock(id, "payload"):
        held = text(store, f"{id}-lock")

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
