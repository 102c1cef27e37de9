"""The session of one request, opened and closed by hand."""

import gc
import time
import weakref

import pytest
from zope.interface.verify import verifyClass
from zope.interface.verify import verifyObject

from collective.beaker.interfaces import ISession
from collective.beaker.session import LazySession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.tests.helpers.requests import make_request


def test_the_lazy_session_keeps_the_contract(session):
    assert verifyClass(ISession, LazySession)
    assert verifyObject(ISession, session)


def test_a_session_is_not_opened_before_it_is_used(session):
    assert not session.accessed()


@pytest.mark.parametrize(
    "use",
    [
        lambda session: "key" in session,
        lambda session: session.get("key"),
        lambda session: session.id,
        lambda session: session.is_new,
        lambda session: list(session),
        lambda session: len(session),
        lambda session: session == {},
        lambda session: session.__setitem__("key", 1),
        lambda session: session.save(),
    ],
)
def test_any_use_opens_a_session(session, use):
    use(session)

    assert session.accessed()


@pytest.mark.parametrize(
    "look",
    [
        repr,
        str,
        bool,
        hash,
        lambda session: session == session,
        lambda session: session in [None, "session", []],
    ],
)
def test_looking_at_a_session_from_outside_does_not_open_it(session, look):
    look(session)

    assert not session.accessed()


def test_a_dump_of_the_request_shows_nothing_of_the_session(request_, session):
    assert "LazySession " in str(request_)
    assert not session.accessed()
    session["card"] = "4111 1111"

    assert "LazySession " in str(request_)
    assert "4111" not in str(request_)
    assert session.id not in str(request_)


def test_a_session_has_a_name_of_its_own_in_the_key_of_a_cache(
    request_, session
):
    initializeSession(request_)

    assert str(session) == str(session)
    assert str(ISession(request_)) != str(session)


def test_the_name_for_webtest_is_harmless_elsewhere(config, session):
    config["webtest_varname"] = "session"

    assert session.is_new


def test_other_attributes_are_those_of_beakers_session(session):
    assert session.key == "beaker.session.id"


def test_a_new_session_has_an_id_and_a_creation_time(session):
    assert len(session.id) == 32
    assert session.is_new
    assert session.created <= time.time()
    assert session.last_accessed is None
    assert (session.domain, session.path) == (None, "/")


def test_a_stored_session_is_not_new_and_knows_its_last_access(
    any_store, session, next_session
):
    session.save()
    created = session.created
    following = next_session()

    assert not following.is_new
    assert following.created == created
    assert created <= following.last_accessed <= time.time()


def test_a_deleted_session_still_has_a_creation_time(any_store, session):
    session.delete()

    assert session.created <= time.time()


def test_an_invalidated_session_is_new(any_store, session, next_session):
    session["a"] = 1
    session.save()
    following = next_session()
    following.invalidate()

    assert following.is_new
    assert "a" not in following


def test_an_invalidated_session_has_a_new_creation_time(
    any_store, session, next_session, monkeypatch
):
    session.save()
    following = next_session()
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    following.invalidate()

    assert following.created == 4_000_000_000.0


def test_save_and_delete_make_a_session_dirty(session):
    session["a"] = 1
    assert not session.dirty()
    session.save()
    assert session.dirty()


def test_without_access_times_reading_writes_nothing(
    config, session, next_session, tmp_path
):
    config.update(
        type="file", data_dir=str(tmp_path), save_accessed_time=False
    )
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    before = file.stat().st_mtime_ns, file.stat().st_ino
    assert not following.is_new
    following.persist()

    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_a_closed_session_can_still_be_read(request_, session):
    session["a"] = 1
    closeSession(request_)

    assert session["a"] == 1


def test_a_session_may_be_used_first_after_its_request_succeeded(
    request_, session
):
    closeSession(request_)
    session.save()
    closeSession(request_)

    assert session.key in request_.response.cookies


def test_a_session_does_not_keep_its_request(config):
    request = make_request()
    initializeSession(request)
    ISession(request).save()
    closeSession(request)
    response = weakref.ref(request.response)
    gc.disable()
    try:
        del request
        assert response() is None
    finally:
        gc.enable()
