"""Sessions of the package's own class, without Zope around them."""

import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreLocked
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session import codec
from collective.beaker.session import stored
from collective.beaker.session.policy import make_policy
from collective.beaker.stores import base
from collective.beaker.stores.memory import MemoryStore
from collective.beaker.tests.helpers.sessions import PlainSession
from collective.beaker.tests.helpers.sessions import open_stored


def make_session(**options):
    return open_stored(**options)


@pytest.fixture
def id():
    return new_id()


@pytest.mark.parametrize("wrong", ["", "shop", "A" * 32, "../" + "a" * 29])
def test_an_id_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        make_session(id=wrong)


def test_an_id_that_code_gives_is_adopted(id):
    session = make_session(id=id)
    session["a"] = 1
    session.save()

    assert make_session(id=id)["a"] == 1


def test_two_who_begin_a_session_under_one_id_share_it(id):
    first, second = make_session(id=id), make_session(id=id)
    first["a"] = 1
    second["b"] = 2
    first.save()
    second.save()

    session = make_session(id=id)
    assert (session["a"], session["b"]) == (1, 2)


def test_under_an_id_that_code_gives_an_expired_session_is_replaced(id, clock):
    first = make_session(id=id, timeout=60)
    first["a"] = 1
    first.save()
    clock(61)
    second = make_session(id=id, timeout=60)
    assert "a" not in second
    second["b"] = 2
    second.save()

    assert make_session(id=id, timeout=60)["b"] == 2


def test_a_session_can_be_saved_again_and_again(id):
    session = make_session(id=id)
    session.save()
    for number in range(3):
        session["number"] = number
        session.save()
        assert make_session(id=id)["number"] == number


def test_what_others_save_between_two_saves_is_kept(id):
    session = make_session(id=id)
    session["a"] = 1
    session.save()
    other = make_session(id=id)
    other["b"] = 2
    other.save()
    session["a"] = 3
    session.save()

    found = make_session(id=id)
    assert (found["a"], found["b"]) == (3, 2)


def test_reading_after_a_save_writes_nothing(id, clock):
    session = make_session(id=id)
    session.save()
    clock(1000)
    session.save(everything=False)

    assert make_session(id=id).last_accessed == session.created


def test_a_locked_session_can_be_saved(id):
    session = make_session(id=id)
    session.lock()
    session["a"] = 1
    session.save()
    session.unlock()
    session.unlock()

    assert make_session(id=id)["a"] == 1


def test_a_rollback_neither_locks_nor_unlocks_a_session(id, monkeypatch):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    session, other = make_session(id=id), make_session(id=id)
    session.lock()
    savepoint = session.opened.snapshot()
    session.unlock()
    session.opened.restore(savepoint)
    session.lock()

    # A thread that has a lock in memory gets it again.
    with ThreadPoolExecutor(1) as pool, pytest.raises(StoreLocked):
        pool.submit(other.lock).result()
    session.unlock()


def test_a_store_in_which_all_others_are_faster_is_broken(id, monkeypatch):
    session = make_session(id=id)
    session.save()
    monkeypatch.setattr(stored, "MOST_ATTEMPTS", 5)
    monkeypatch.setattr(MemoryStore, "_swap", lambda *args: False)
    session["a"] = 1

    with pytest.raises(StoreUnavailable, match="it never stores"):
        session.save()


def test_a_new_id_in_place_of_an_expired_one_that_code_gave(id, clock):
    make_session(id=id, timeout=60).save()
    clock(61)
    session = make_session(id=id, timeout=60)
    session.regenerate_id()
    session["a"] = 1
    session.save()

    assert make_session(id=session.id)["a"] == 1


# The path of the cookie


@pytest.fixture
def with_cookie(id):
    """Return a function that opens the session with its cookie."""
    first = make_session(id=id)
    first["basket"] = ["a book"]
    first.save()

    def open_with_cookie():
        policy = make_policy({})
        opened = stored.StoredSession(policy, policy.cookies)
        opened.open_presented([id])
        return PlainSession(policy, opened)

    return open_with_cookie


@pytest.mark.parametrize(
    ("change", "sent"),
    [
        (lambda session: session["basket"].append("a pen"), None),
        (lambda session: session.regenerate_id(), "/"),
    ],
    ids=["inside", "new id"],
)
def test_a_path_that_was_not_saved_is_not_sent(with_cookie, change, sent):
    session = with_cookie()
    session.path = "/shop"
    change(session)
    session.save(everything=False)
    cookie = session.opened.cookie

    assert (cookie and cookie["path"]) == sent
    session.save()
    assert session.opened.cookie["path"] == "/shop"


def test_no_save_of_a_record_without_a_path_sends_a_cookie(id, with_cookie):
    session = make_session(id=id)
    times = {"_creation_time": 1000.0, "_accessed_time": 2000.0}
    record, store = session.store.load(id), session.store
    assert store.swap(id, record, session.policy.codec.encode(times))
    session = with_cookie()
    session["a"] = 1
    session.save()

    assert session.opened.cookie is None


# Saving twice


def change_elsewhere(id, change):
    other = make_session(id=id)
    change(other)
    other.save()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda other: other.__setitem__("b", 1), {"a": 2, "b": 1, "c": 3}),
        (lambda other: other.__setitem__("c", 4), {"a": 2, "c": 4}),
        (lambda other: other.__delitem__("c"), {"a": 2}),
    ],
    ids=["adds", "sets", "removes"],
)
def test_the_second_save_keeps_what_the_first_took_in(id, change, expected):
    first = make_session(id=id)
    first.update(a=0, c=3)
    first.save()
    session = make_session(id=id)
    session["a"] = 1
    change_elsewhere(id, change)
    session.save()
    session["a"] = 2
    session.save()

    found = make_session(id=id)
    assert {key: found[key] for key in found if key[0] != "_"} == expected


@pytest.mark.parametrize(
    "end",
    [
        lambda session: session["basket"].append("a pen"),
        lambda session: session.regenerate_id(),
    ],
    ids=["inside", "new id"],
)
def test_a_later_store_without_save_keeps_what_was_saved(id, end):
    first = make_session(id=id)
    first.update(a=0, b=0, basket=["a book"])
    first.save()
    session = make_session(id=id)
    session["a"] = 1
    del session["b"]
    session.save()
    session["c"] = 1
    end(session)
    session.save(everything=False)

    found = make_session(id=session.id)
    assert (found["a"], found["basket"]) == (1, session["basket"])
    assert not found.keys() & {"b", "c"}


def test_what_another_request_has_stored_since_is_kept_by_a_later_store(id):
    session = make_session(id=id)
    session["basket"] = []
    session["a"] = 1
    session.save()
    change_elsewhere(id, lambda other: other.update(a=2, d=3))
    session["basket"].append("a book")
    session.save(everything=False)

    found = make_session(id=id)
    assert (found["a"], found["d"], found["basket"]) == (2, 3, ["a book"])


@pytest.fixture
def ended_session(id):
    """A session that has changed, and has ended meanwhile."""
    make_session(id=id).save()
    session = make_session(id=id)
    other = make_session(id=id)
    other.delete()
    other.save()
    session["a"] = 1
    session.save()
    return session


def test_a_session_that_has_ended_is_not_resurrected_by_a_second_save(
    ended_session, id
):
    ended_session.save()

    assert make_session(id=id).is_new


def test_a_session_that_has_ended_can_be_begun_anew(ended_session):
    ended_session.invalidate()
    ended_session["b"] = 1
    ended_session.save()

    assert make_session(id=ended_session.id)["b"] == 1


def test_a_new_id_whose_answer_was_lost_keeps_the_session(id, monkeypatch):
    make_session(id=id).save()
    session = make_session(id=id)
    session["a"] = 1
    session.regenerate_id()
    swap = MemoryStore.swap

    def lose_answer(store, name, *arguments):
        done = swap(store, name, *arguments)
        return done and name != id

    monkeypatch.setattr(MemoryStore, "swap", lose_answer)
    session.save()

    assert make_session(id=session.id)["a"] == 1
    assert make_session(id=id).is_new


# Records that say what cannot be


def store(id, data):
    """Store data under an id, whatever they are."""
    policy = make_session().policy
    assert policy.store.swap(id, None, policy.codec.encode(data))


@pytest.mark.parametrize("key", ["_accessed_time", "_creation_time"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("yesterday", "TypeError"),
        (True, "TypeError"),
        (math.nan, "NoTime"),
        (-math.inf, "NoTime"),
        (math.inf, "NoTime"),
        (1e11, "TimeInFuture"),
    ],
)
def test_a_time_that_is_none_makes_a_session_unreadable(
    id, key, value, error, caplog
):
    store(id, {"a": 1, key: value})

    assert make_session(id=id, invalidate_corrupt=True).is_new
    assert f"cannot be read ({error})" in caplog.text


def test_a_session_whose_time_is_a_little_ahead_is_brought_back(id, clock):
    clock(200)
    session = make_session(id=id)
    session["a"] = 1
    session.save()
    clock(-200)
    make_session(id=id, timeout=60).save(everything=False)
    clock(61)

    assert make_session(id=id, timeout=60).is_new


# A request that takes longer than a session lasts without use


@pytest.mark.parametrize("everything", [True, False])
def test_a_long_request_is_a_use_until_its_end(id, clock, everything):
    make_session(id=id, timeout=60).save()
    session = make_session(id=id, timeout=60)
    clock(61)
    session.save(everything)
    clock(60)

    assert not make_session(id=id, timeout=60).is_new


def test_a_long_request_keeps_its_changes_beside_those_of_others(id, clock):
    make_session(id=id, timeout=60).save()
    session = make_session(id=id, timeout=60)
    session["a"] = 1
    clock(10)
    change_elsewhere(id, lambda other: other.update(b=2))
    clock(61)
    session.save()

    found = make_session(id=id, timeout=60)
    assert (found["a"], found["b"]) == (1, 2)


def test_a_long_request_does_not_put_back_the_time_of_a_later_one(id, clock):
    make_session(id=id).save()
    session = make_session(id=id)
    session["a"] = 1
    clock(10)
    change_elsewhere(id, lambda other: other.update(b=2))
    session.save()

    assert make_session(id=id).last_accessed == time.time()


def test_reading_is_no_error_if_the_session_has_become_too_large(
    id, clock, monkeypatch, caplog
):
    """Its time of access takes more digits, for example."""
    options = {"id": id, "data_serializer": "json"}
    make_session(**options).save()
    clock(60)
    session = make_session(**options)
    monkeypatch.setattr(codec, "LARGEST", 10)
    session.save(everything=False)

    assert "more than the 10 that are read again" in caplog.text


def test_a_session_without_a_time_of_access_gets_one(id):
    session = make_session(id=id)
    data = {"a": 1, "_creation_time": session.created}
    session.store.swap(id, None, session.policy.codec.encode(data))
    found = make_session(id=id)
    assert found.last_accessed is None
    found.save(everything=False)

    assert make_session(id=id).last_accessed is not None


def test_a_new_id_takes_along_what_was_saved_in_between(id):
    first = make_session(id=id)
    first.save()
    session = make_session(id=id)
    session.regenerate_id()
    first["a"] = 1
    first.save()
    session.save()

    assert make_session(id=session.id)["a"] == 1
    assert make_session(id=id).is_new
