"""Sessions in memory leave it when they have expired."""

import pytest
from beaker.container import MemoryNamespaceManager

from collective.beaker.ids import new_id
from collective.beaker.interfaces import ISession
from collective.beaker.stores import memory
from collective.beaker.stores.memory import _MOST_REMOVED
from collective.beaker.tests.helpers.stores import make_store
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import setting


def memory_store(timeout=None):
    """Return the store of a timeout, as a session asks for it."""
    return make_store("memory", timeout and timeout + 120)


@pytest.fixture(autouse=True)
def ledger(monkeypatch):
    """Without sessions that tests before this one have stored later."""
    monkeypatch.setattr(memory, "_ledger", memory._Ledger())


@pytest.fixture
def store(application):
    return memory_store(timeout=600)


def store_new(store):
    id = new_id()
    assert store.swap(id, None, "stored")
    return id


def test_an_expired_session_leaves_memory_when_another_is_stored(store, clock):
    expired = store_new(store)
    clock(721)
    store_new(store)

    assert expired not in MemoryNamespaceManager.namespaces.dict


def test_a_session_stays_as_long_as_a_request_may_still_use_it(store, clock):
    id = store_new(store)
    clock(719)
    store_new(store)

    assert store.load(id) is not None


def test_a_short_timeout_is_doubled_at_most(application, clock):
    store = memory_store(timeout=1)
    expired, _ = store_new(store), clock(1.9)
    kept = store_new(store)
    clock(1)
    store_new(store)

    assert store.load(expired) is None
    assert store.load(kept) is not None


def test_a_session_that_is_stored_again_stays(store, clock):
    id = store_new(store)
    clock(700)
    assert store.swap(id, store.load(id), "again")
    clock(700)
    store_new(store)

    assert store.load(id) is not None


def test_without_a_timeout_sessions_stay(application, clock):
    store = memory_store()
    id = store_new(store)
    clock(10**9)
    store_new(store)

    assert store.load(id) is not None


def test_few_sessions_are_removed_at_a_time(store, clock):
    ids = [store_new(store) for _ in range(3 * _MOST_REMOVED)]
    clock(721)
    left = []
    for _ in range(4):
        store_new(store)
        left.append(sum(store.load(id) is not None for id in ids))

    assert left == [2 * _MOST_REMOVED, _MOST_REMOVED, 0, 0]


def test_another_timeout_holds_for_sessions_that_are_stored_again(
    store, clock
):
    id = store_new(store)
    longer = memory_store(timeout=6000)
    assert longer.swap(id, longer.load(id), "again")
    clock(721)
    store_new(longer)

    assert longer.load(id) is not None


def test_sessions_of_a_former_timeout_leave_memory_too(store, clock):
    expired = store_new(store)
    clock(721)
    store_new(memory_store(timeout=6000))

    assert store.load(expired) is None


def test_what_one_request_does_to_a_session_is_not_seen_before_it_is_saved(
    config, visitor
):
    def assign(request):
        ISession(request)["count"] = 7

    visitor.visit(count)
    visitor.visit(read_count)
    visitor.visit(assign)

    assert visitor.visit(read_count).text == "1"


def test_requests_do_not_share_values_that_can_be_changed_in_place(
    config, visitor
):
    baskets = []

    def read_basket(request):
        baskets.append(ISession(request)["basket"])

    visitor.visit(setting(basket=["book"]))
    for _ in range(3):
        visitor.visit(read_basket)

    assert baskets == [["book"]] * 3
    assert len(set(map(id, baskets))) == 3


class Key:
    """A key that can be changed in place."""

    def __init__(self):
        self.notes = []


def test_requests_do_not_share_keys_that_can_be_changed_in_place(
    config, visitor
):
    keys = []

    def read_keys(request):
        session = ISession(request)
        keys.extend(key for key in session if isinstance(key, Key))

    def store(request):
        session = ISession(request)
        session[Key()] = 1
        session.save()

    visitor.visit(store)
    for _ in range(3):
        visitor.visit(read_keys)

    assert len(set(map(id, keys))) == 3
