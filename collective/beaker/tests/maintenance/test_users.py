"""The sessions of one user."""

import pytest

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import sessions_of_user
from collective.beaker.session.moves import make_tombstone
from collective.beaker.session.owners import name_of_path
from collective.beaker.stores import base
from collective.beaker.stores.lock_files import hold
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stored_sessions import last


ANNA = name_of_path("/acl_users", "anna")


@pytest.fixture
def make(file_sessions):
    """Return a function that stores a session of Anna's, and tells its id."""
    inspector = SessionInspector(file_sessions.options)
    (mark,) = inspector.marks_of_user(ANNA)
    return lambda: file_sessions.make(_user=mark)


@pytest.mark.parametrize("times", [1, 2])
def test_a_session_that_moves_meanwhile_is_found(
    file_sessions, make, monkeypatch, times
):
    ids = {make(), make()}
    found = sessions_of_user(SessionInspector(file_sessions.options), ANNA)
    (id,) = ids - {next(found).id}
    # The first folders, where the search has been already.
    new_ids = iter(["0" * 32, "1".rjust(32, "0")])
    monkeypatch.setattr(
        "collective.beaker.session.stored.new_id", lambda: next(new_ids)
    )
    for _ in range(times):
        session = open_stored(id, **file_sessions.options)
        session.regenerate_id()
        session.save()
        id = session.id

    assert [each.id for each in found] == [id]


@pytest.fixture
def locked(file_sessions, make, monkeypatch):
    """One of Anna's sessions, which another process does not let go."""
    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    ids = sorted([make(), make(), make()])
    with hold(file_sessions.store._lock_path(ids[0]), 1):
        yield ids[0]


def test_one_that_cannot_be_ended_keeps_no_other_alive(file_sessions, locked):
    with pytest.raises(StoreUnavailable):
        last(end_sessions_of_user(file_sessions.options, ANNA))

    assert file_sessions.ids() == {locked}


def test_nor_does_one_that_is_to_be_revoked_with_all(file_sessions, locked):
    policy, former = file_sessions.session.policy, new_id()
    tombstone = make_tombstone(policy, former, locked, (None, "/"))
    assert file_sessions.store.swap(former, None, tombstone)
    with pytest.raises(StoreUnavailable):
        last(revoke_all(file_sessions.options))

    assert file_sessions.ids() == {locked}
