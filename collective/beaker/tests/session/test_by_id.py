"""Sessions that are opened by their id."""

import pytest
from zExceptions import HTTPServiceUnavailable

from collective.beaker.interfaces import ISession
from collective.beaker.session import initializeSession
from collective.beaker.tests.helpers.requests import make_request


@pytest.fixture
def other(session, next_session):
    """A stored session, opened by its id."""
    session["a"] = 1
    session.save()
    id = session.id
    return next_session().get_by_id(id)


@pytest.mark.parametrize("end", ["delete", "invalidate"])
def test_who_ends_another_session_ends_it_at_once(server_store, other, end):
    id = other.id
    getattr(other, end)()
    request = make_request()
    initializeSession(request)

    assert ISession(request).get_by_id(id) is None


def test_who_saves_another_session_saves_it_at_once(server_store, other):
    other["b"] = 2
    other.save()
    request = make_request()
    initializeSession(request)
    found = ISession(request).get_by_id(other.id)

    assert (found["a"], found["b"]) == (1, 2)


def test_another_session_can_be_emptied_and_saved_twice(server_store, other):
    created = other.created
    other.clear()
    other.save()
    other.save()
    request = make_request()
    initializeSession(request)
    found = ISession(request).get_by_id(other.id)

    assert "a" not in found
    assert found.created == created


def test_another_session_that_is_emptied_keeps_what_was_saved_meanwhile(
    server_store, other
):
    request = make_request()
    initializeSession(request)
    meanwhile = ISession(request).get_by_id(other.id)
    meanwhile["b"] = 2
    meanwhile.save()
    other.clear()
    other.save()
    found = ISession(request).get_by_id(other.id)

    assert "a" not in found
    assert found["b"] == 2


@pytest.mark.parametrize("id", [None, 7, b"0" * 32, "", "0" * 31])
def test_what_is_no_id_finds_no_session(session, id):
    assert session.get_by_id(id) is None


def test_another_session_whose_store_is_gone_is_unavailable(
    config, session, next_session, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path / "sessions"))
    session.save()
    id = session.id
    other = next_session().get_by_id(id)
    (tmp_path / "sessions").rename(tmp_path / "elsewhere")
    (tmp_path / "sessions").write_text("")

    with pytest.raises(HTTPServiceUnavailable):
        other.delete()
    with pytest.raises(HTTPServiceUnavailable):
        next_session().get_by_id(id)
