"""Ending sessions."""

import hashlib

import pytest
from beaker.cache import CacheManager

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance import slices
from collective.beaker.maintenance.revoke import _end_all
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.stores import base
from collective.beaker.stores.lock_files import hold
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.visits import count_visit


def test_one_session_is_revoked(server_store):
    sessions = Sessions(options_of(server_store))
    one, other = sessions.make(), sessions.make()

    assert revoke(sessions.options, one)
    assert not revoke(sessions.options, one)
    assert sessions.store.load(one) is None
    assert sessions.store.load(other) is not None


def test_what_is_no_id_is_not_revoked(file_sessions):
    with pytest.raises(CannotMaintain, match="32 hexadecimal digits"):
        revoke(file_sessions.options, "../../etc/passwd")


def test_all_sessions_are_revoked(sessions):
    sessions.make()
    sessions.put("no session at all")

    assert last(revoke_all(sessions.options)) == 2
    assert sessions.ids() == set()


def test_a_session_that_a_store_lists_twice_is_counted_once(file_sessions):
    file_sessions.make()
    inspector = SessionInspector(file_sessions.options)
    (inspected,) = inspector.inspect_all()

    assert _end_all(inspector, [inspected, inspected]) == 1


def test_a_session_that_has_just_moved_is_counted_once(file_sessions):
    session = open_stored(file_sessions.make(), **file_sessions.options)
    session.regenerate_id()
    session.save()
    assert len(file_sessions.ids()) == 2

    assert last(revoke_all(file_sessions.options)) == 1
    assert file_sessions.ids() == set()


def test_a_moved_session_that_could_not_be_ended_is_still_found(
    file_sessions, monkeypatch
):
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    former = file_sessions.make()
    session = open_stored(former, **file_sessions.options)
    session.regenerate_id()
    session.save()
    lock = hold(file_sessions.store._lock_path(session.id), 1)
    with lock, pytest.raises(StoreUnavailable):
        revoke(file_sessions.options, former)

    assert revoke(file_sessions.options, former)
    assert file_sessions.ids() == set()


def test_a_session_whose_clock_is_ahead_is_revoked_too(file_sessions):
    file_sessions.make(age=-3600)

    assert last(revoke_all(file_sessions.options)) == 1
    assert file_sessions.ids() == set()


def test_a_session_that_changes_its_id_meanwhile_is_revoked_too(
    file_sessions, monkeypatch
):
    monkeypatch.setattr(slices, "SLICE", 1)
    for _ in range(2):
        file_sessions.make(idle=60, age=60)
    revoking = revoke_all(file_sessions.options)
    next(revoking)
    (id,) = file_sessions.ids()
    # The first folder, where revoke_all has been already.
    session = open_stored(id, **file_sessions.options)
    monkeypatch.setattr(
        "collective.beaker.session.stored.new_id", lambda: "0" * 32
    )
    session.regenerate_id()
    session.save()

    assert last(revoking) == 2
    assert file_sessions.ids() == set()


def test_a_session_that_is_changed_meanwhile_is_revoked_all_the_same(
    listing_store, config, visitor
):
    sessions = Sessions(options_of(listing_store)).alone()
    visitor.visit(count_visit)
    inspector = SessionInspector(sessions.options)
    inspected = list(inspector.inspect_all())
    visitor.visit(count_visit)

    _end_all(inspector, inspected)

    assert sessions.ids() == set()


@pytest.mark.parametrize("moves_late", [False, True])
def test_a_session_that_moves_all_the_time_is_revoked(
    listing_store, config, visitor, moves_late
):
    """However often the store is searched, it may be somewhere else."""

    def move(request):
        session = ISession(request)
        session.regenerate_id()
        session.save()

    sessions = Sessions(options_of(listing_store)).alone()
    visitor.visit(count_visit)
    former = session_id(visitor)
    inspector = SessionInspector({**config})
    if not moves_late:
        visitor.visit(move)
    inspected = [each for each in inspector.inspect_all() if each.id == former]
    visitor.visit(move)

    _end_all(inspector, inspected)

    assert session_id(visitor) not in sessions.ids()


def test_a_revoked_session_is_not_brought_back_by_a_request_in_between(
    config, visitor, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path))
    visitor.visit(count_visit)

    def count_and_revoke(request):
        count_visit(request)
        return str(last(revoke_all(config)))

    assert visitor.visit(count_and_revoke).text == "1"
    assert visitor.visit(count_visit).text == "1"


def test_a_cache_is_not_revoked_for_a_session(file_sessions):
    options = {"type": "file", "data_dir": file_sessions.options["data_dir"]}
    cache = CacheManager(**options).get_cache("prices")
    cache.put("apple", 1)
    name = hashlib.sha1(b"prices").hexdigest()

    assert not revoke(file_sessions.options, name)
    assert "apple" in cache
