"""The session of one request, opened and closed by hand."""

import gc
import time
import weakref
from io import BytesIO
from pickle import UnpicklingError

import beaker.session
import pytest
from zExceptions import HTTPServiceUnavailable
from zExceptions import Redirect
from zope.interface.verify import verifyClass
from zope.interface.verify import verifyObject
from zope.publisher import browser
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPResponse
from ZPublisher.pubevents import PubFailure
from ZPublisher.pubevents import PubSuccess

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.session import LazySession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.session import persistSessionOnFailure
from collective.beaker.session import persistSessionOnSuccess
from collective.beaker.settings.options import OWN_OPTIONS


RESERVED = {"_accessed_time", "_creation_time", "_domain", "_path"}


def make_request(cookies=None):
    environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    request = HTTPRequest(BytesIO(), environ, HTTPResponse())
    request.cookies.update(cookies or {})
    return request


@pytest.fixture
def request_(config):
    request = make_request()
    initializeSession(request)
    return request


@pytest.fixture
def session(request_):
    return ISession(request_)


@pytest.fixture
def next_session(session, request_):
    """Return a function that ends the request and gives the next session."""

    def next_session():
        closeSession(request_)
        sent = request_.response.cookies
        request = make_request({key: sent[key]["value"] for key in sent})
        initializeSession(request)
        return ISession(request)

    return next_session


def test_the_lazy_session_keeps_the_contract(session):
    assert verifyClass(ISession, LazySession)
    assert verifyObject(ISession, session)


def test_the_adapter_gives_the_same_object_for_the_whole_request(request_):
    assert ISession(request_) is ISession(request_)
    assert ISession(request_) is request_.environ[ENVIRON_KEY]


def test_another_environ_key_can_be_chosen(config):
    request = make_request()
    initializeSession(request, environ_key="shop.session")

    assert ISession(request, None) is None
    request.environ["shop.session"]["a"] = 1


def test_a_request_gets_no_session_where_none_is_configured(unconfigured):
    request = make_request()
    initializeSession(request)

    assert ISession(request, None) is None


def test_nothing_gives_no_session(application):
    assert ISession(None, None) is None


def test_a_request_without_environ_has_no_session(application):
    assert ISession(browser.TestRequest(), None) is None
    with pytest.raises(TypeError):
        ISession(browser.TestRequest())


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
        lambda session: session.__setitem__("key", 1),
        lambda session: session.save(),
    ],
)
def test_any_use_opens_a_session(session, use):
    use(session)

    assert session.accessed()


@pytest.mark.parametrize(
    "look", [repr, str, bool, hash, lambda session: session == {}]
)
def test_looking_at_a_session_from_outside_does_not_open_it(session, look):
    look(session)

    assert not session.accessed()


def test_a_dump_of_the_request_shows_nothing_of_the_session(request_, session):
    assert "LazySession, not opened" in str(request_)
    session["card"] = "4111 1111"

    assert "LazySession, opened" in str(request_)
    assert "4111" not in str(request_)
    assert session.id not in str(request_)


def test_the_name_for_webtest_is_harmless_elsewhere(config, session):
    config["webtest_varname"] = "session"

    assert session.is_new


def test_private_names_are_not_looked_up_in_beakers_session(session):
    with pytest.raises(AttributeError):
        session.__getattr__("_cookie")

    assert not session.accessed()


def test_other_attributes_are_those_of_beakers_session(session):
    assert session.key == "beaker.session.id"


def test_the_dictionary_methods(session):
    assert session.setdefault("a", 1) == 1
    session.update(b=2)
    session["c"] = 3
    assert session.pop("c") == 3
    assert session.has_key("a")
    assert "c" not in session
    assert session.get("c", 4) == 4
    assert {("a", 1), ("b", 2)} <= set(session.items())
    assert {"a", "b"} <= set(session.keys()) == set(session)
    assert len(session) == len(RESERVED) + 2
    with pytest.raises(KeyError):
        session["c"]


def test_clear_leaves_what_beaker_needs(session):
    session["a"] = 1
    session.clear()

    assert set(session) == RESERVED


def test_a_session_can_be_emptied_key_by_key(session, next_session):
    session["a"] = 1
    created = session.created
    for key in list(session.keys()):
        del session[key]
    session.save()

    following = next_session()
    assert "a" not in following
    assert following.created == created


@pytest.mark.parametrize("method", ["__getitem__", "__delitem__", "pop"])
def test_an_absent_key_is_a_key_error(session, method):
    with pytest.raises(KeyError):
        getattr(session, method)("a")


def test_what_beaker_needs_cannot_be_removed(session):
    for key in RESERVED:
        assert session.pop(key) == session[key]
        del session[key]

    assert set(session) == RESERVED


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.get("a"),
        lambda session: session.setdefault("a", 1),
        lambda session: session.pop("a", None),
        lambda session: "a" in session,
    ],
)
def test_a_failure_to_open_a_session_is_no_missing_key(config, session, use):
    config["type"] = "no such backend"

    with pytest.raises(LookupError, match="is 'no such backend': there is"):
        use(session)


def test_a_new_session_has_an_id_and_a_creation_time(session):
    assert len(session.id) == 32
    assert session.is_new
    assert session.created <= time.time()
    assert session.last_accessed is None
    assert (session.domain, session.path) == (None, "/")


def test_domain_and_path_can_be_set(any_store, session):
    session.domain, session.path = "localhost", "/shop"

    assert (session.domain, session.path) == ("localhost", "/shop")


def test_a_stored_session_is_not_new_and_knows_its_last_access(
    any_store, session, next_session
):
    session.save()
    created = session.created
    following = next_session()

    assert not following.is_new
    assert following.created == created
    assert created <= following.last_accessed <= time.time()


def test_a_new_session_in_a_cookie_knows_its_creation_time(config, session):
    config.update(type="cookie", validate_key="a key for the tests")

    assert session.created <= time.time()
    assert session.last_accessed is None


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
    following.close()

    assert (file.stat().st_mtime_ns, file.stat().st_ino) == before


def test_closing_twice_is_closing_once(request_, session):
    session.save()
    closeSession(request_)
    request_.response.cookies.clear()
    closeSession(request_)

    assert request_.response.cookies == {}


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


def test_popitem_leaves_what_beaker_needs(session):
    session["a"] = 1

    assert session.popitem() == ("a", 1)
    with pytest.raises(KeyError):
        session.popitem()


@pytest.mark.parametrize("foreign", [{}, {ENVIRON_KEY: object()}])
def test_the_end_of_a_request_whose_session_is_not_ours_does_nothing(foreign):
    request = make_request()
    request.environ.update(foreign)
    error = Redirect("/")
    persistSessionOnSuccess(PubSuccess(request))
    persistSessionOnFailure(PubFailure(request, (None, error, None), False))

    assert request.response.cookies == {}
    assert "Set-Cookie" not in error.headers


def test_a_session_that_cannot_be_stored_sets_no_cookie(
    config, request_, session, tmp_path
):
    config.update(type="file", data_dir=str(tmp_path / "occupied"))
    session.save()
    (tmp_path / "occupied").write_text("")

    with pytest.raises(HTTPServiceUnavailable):
        closeSession(request_)
    assert request_.response.cookies == {}


# Sessions of others


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


# Changes after the end of a request


@pytest.mark.parametrize(
    "change", ["save", "delete", "invalidate", "regenerate_id"]
)
def test_a_change_after_the_end_is_not_kept_and_the_log_says_so(
    any_store, request_, session, caplog, change
):
    session.save()
    closeSession(request_)
    assert caplog.records == []
    getattr(session, change)()

    [record] = caplog.records
    assert "after the end of its request" in record.getMessage()


# Session classes of others


class OtherSession(beaker.session.Session):
    """A class of another package, which knows Beaker's options only."""

    def __init__(self, request, **options):
        assert not options.keys() & OWN_OPTIONS
        super().__init__(request, **options)


@pytest.fixture
def other_class(config, tmp_path):
    config.update(
        session_class=OtherSession, type="file", data_dir=str(tmp_path)
    )


def test_another_class_is_used_as_it_is(other_class, session, next_session):
    session["a"] = 1
    session.save()
    following = next_session()

    assert following["a"] == 1
    assert following.is_new is False


def test_what_another_class_cannot_read_is_replaced(
    other_class, session, next_session, tmp_path, caplog
):
    session["a"] = 1
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    assert "a" not in following
    assert "cannot be read (UnpicklingError)" in caplog.text


def test_what_another_class_cannot_read_is_an_error_if_that_is_wanted(
    other_class, config, session, next_session, tmp_path
):
    config["invalidate_corrupt"] = False
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    with pytest.raises(UnpicklingError):
        following.get("a")


def test_an_error_of_another_class_in_a_new_session_is_none_of_ours(
    other_class, config, session
):
    config["type"] = "no such backend"

    with pytest.raises(KeyError):
        session.get("a")


def test_with_auto_another_class_is_saved_as_beaker_does(
    other_class, config, session, next_session
):
    config["auto"] = True
    session["a"] = 1

    assert next_session()["a"] == 1
