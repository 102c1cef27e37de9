"""Sessions that are opened by their id."""

import time

import pytest
from zExceptions import HTTPServiceUnavailable
from zope.interface.verify import verifyClass
from zope.interface.verify import verifyObject

from collective.beaker.interfaces import ISession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.session.by_id import SessionById
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


def test_another_session_keeps_the_contract(other):
    assert verifyClass(ISession, SessionById)
    assert verifyObject(ISession, other)


def test_another_session_is_opened_already(other):
    assert other.accessed()
    assert other["a"] == 1
    assert not other.is_new


@pytest.mark.parametrize("end", ["save", "delete", "invalidate"])
def test_another_session_is_dirty_once_it_is_saved(other, end):
    other["b"] = 2
    assert not other.dirty()
    getattr(other, end)()

    assert other.dirty()


def test_a_dump_shows_nothing_of_another_session(other):
    other["card"] = "4111 1111"

    assert repr(other).startswith("<SessionById ")
    assert "4111" not in repr(other)
    assert other.id not in repr(other)


def test_another_session_can_get_a_new_id(server_store, other):
    former = other.id
    other.regenerate_id()
    other.save()

    assert other.id != former
    assert other.get_by_id(former) is None
    assert other.get_by_id(other.id)["a"] == 1


@pytest.mark.parametrize("end", ["save", "delete", "regenerate_id"])
def test_another_session_sends_no_cookie(other, end):
    request = make_request()
    initializeSession(request)
    found = ISession(request).get_by_id(other.id)
    getattr(found, end)()
    found.save()
    closeSession(request)

    assert request.response.cookies == {}


def test_looking_for_another_session_does_not_open_the_visitors(
    server_store, session
):
    assert session.get_by_id("0" * 32) is None
    assert not session.accessed()


def test_a_session_in_a_cookie_is_not_found_by_its_id(cookie_store, session):
    session.save()

    assert session.get_by_id(session.id) is None


def test_of_another_session_the_time_alone_can_be_saved(clock, other):
    clock(60)
    other["a"] = 2
    other.save(accessed_only=True)
    found = other.get_by_id(other.id)

    assert (found["a"], found.last_accessed) == (1, time.time())
