"""The session that the package offers to tests."""

import gc
import time
import weakref
from io import BytesIO

import pytest
from zope.component import getGlobalSiteManager
from zope.component import provideAdapter
from zope.interface.verify import verifyObject
from zope.publisher import browser
from zope.publisher.interfaces import IRequest
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPResponse

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.testing import TestSession
from collective.beaker.testing import testingSession
from collective.beaker.zopesession.data import SessionData


def publisher_request():
    environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    return HTTPRequest(BytesIO(), environ, HTTPResponse())


# TestSession

OPERATIONS = {
    "getitem": lambda session: session["a"],
    "setitem": lambda session: session.__setitem__("b", 2),
    "delitem": lambda session: session.__delitem__("a"),
    "contains": lambda session: "z" in session,
    "iter": iter,
    "len": len,
    "has_key": lambda session: session.has_key("z"),
    "get": lambda session: session.get("z"),
    "setdefault": lambda session: session.setdefault("a", 2),
    "pop": lambda session: session.pop("z", None),
    "popitem": lambda session: session.popitem(),
    "update": lambda session: session.update(),
    "clear": lambda session: session.clear(),
    "keys": lambda session: session.keys(),
    "values": lambda session: session.values(),
    "items": lambda session: session.items(),
    "eq": lambda session: session == {},
}


def test_session_has_all_that_a_session_promises():
    assert verifyObject(ISession, TestSession())


def test_session_acts_as_a_dictionary():
    session = TestSession({"a": 1}, b=2)
    session["c"] = 3
    session.update({"d": 4}, e=5)
    del session["a"]
    assert session.pop("b") == 2
    assert session.pop("b", None) is None
    assert session.setdefault("c", 0) == 3
    assert session.setdefault("f", 6) == 6
    assert session.get("a", 0) == 0
    assert session.has_key("c") and not session.has_key("a")
    assert list(session.keys()) == list(session) == ["c", "d", "e", "f"]
    assert list(session.values()) == [3, 4, 5, 6]
    assert dict(session.items()) == session == dict(session)
    assert len(session) == 4
    assert repr(session) == "TestSession({'c': 3, 'd': 4, 'e': 5, 'f': 6})"


@pytest.mark.parametrize("method", ["__getitem__", "__delitem__", "pop"])
def test_session_raises_key_error(method):
    with pytest.raises(KeyError):
        getattr(TestSession(), method)("missing")


def test_session_can_be_emptied_key_by_key():
    session = TestSession(a=1, b=2)
    for key in list(session.keys()):
        del session[key]
    assert session == {}


def test_session_is_true_though_empty():
    assert TestSession()


def test_session_was_not_used_at_first():
    session = TestSession(a=1)
    assert session.accessed() is False
    assert session.last_accessed is None
    assert (session._saved, session._deleted, session._invalidated) == (
        False,
        False,
        False,
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_session_notes_each_operation(name):
    session = TestSession(a=1)
    before = time.time()
    OPERATIONS[name](session)
    assert session.accessed() is True
    assert before <= session.last_accessed <= time.time()


def test_session_notes_save():
    session = TestSession(a=1)
    session.save()
    assert session._saved is True
    assert session == {"a": 1}
    assert TestSession._saved is False


def test_session_notes_delete():
    session = TestSession(a=1)
    session.delete()
    assert session._deleted is True
    assert session == {}


def test_session_notes_invalidate():
    session = TestSession(a=1)
    session.invalidate()
    assert session._invalidated is True
    assert session.accessed() is True


def test_invalidated_session_is_a_new_and_empty_one():
    session = TestSession(a=1)
    session.is_new = False
    session.invalidate()
    assert session == {}
    assert int(session.id, 16) and len(session.id) == 32
    assert session.is_new is True


def test_regenerated_session_keeps_its_data():
    session = TestSession(a=1)
    session.regenerate_id()
    assert int(session.id, 16) and len(session.id) == 32
    assert session == {"a": 1}


def test_session_has_attributes_like_a_new_one_of_beaker():
    before = time.time()
    session = TestSession()
    assert before <= session.created <= time.time()
    assert session.is_new is True
    assert session.domain is None
    assert session.path == "/"


def test_session_can_be_copied_and_united_as_a_dictionary():
    session = TestSession(a=1)
    assert session | {"b": 2} == {"a": 1, "b": 2}
    assert {"a": 2} | session == session.copy() == {"a": 1}
    assert type(session.copy()) is type(session | {}) is dict
    session |= {"c": 3}
    assert isinstance(session, TestSession)
    assert session == {"a": 1, "c": 3}


def test_session_has_the_id_that_tests_of_other_packages_expect():
    assert TestSession().id == "test-session"


def test_session_finds_itself_by_id_and_no_other():
    session = TestSession()
    assert session.get_by_id(session.id) is session
    assert session.get_by_id("another") is None


def test_code_for_zope_sessions_can_be_tested_with_it():
    data = SessionData(TestSession(item="tea"))
    data.invalidate()
    assert not data.isValid()
    data.set("other", 1)
    assert data.items() == [("other", 1)]


# testingSession


@pytest.fixture
def adapted():
    """The adapter, registered in place of the one that may be there."""
    components = getGlobalSiteManager()
    before = components.adapters.registered((IRequest,), ISession)
    provideAdapter(testingSession)
    yield
    components.unregisterAdapter(testingSession)
    if before is not None:
        provideAdapter(before)


REQUESTS = pytest.mark.parametrize(
    "make_request", [browser.TestRequest, publisher_request]
)


@REQUESTS
def test_adapter_gives_a_test_session(adapted, make_request):
    assert isinstance(ISession(make_request()), TestSession)


@REQUESTS
def test_adapter_gives_one_session_for_one_request(adapted, make_request):
    request = make_request()
    assert ISession(request) is ISession(request)


@REQUESTS
def test_adapter_gives_another_session_for_another(adapted, make_request):
    request, other = make_request(), make_request()
    ISession(request)["a"] = 1
    assert ISession(other) is not ISession(request)
    assert "a" not in ISession(other)


@REQUESTS
def test_adapter_keeps_neither_request_nor_session(adapted, make_request):
    request = make_request()
    session = weakref.ref(ISession(request))
    del request
    gc.collect()
    assert session() is None


def test_adapter_puts_the_session_into_the_environment(adapted):
    request = publisher_request()
    session = ISession(request)
    assert request.environ[ENVIRON_KEY] is session


def test_adapter_goes_before_another_session_in_the_environment(adapted):
    request = publisher_request()
    request.environ[ENVIRON_KEY] = {}
    assert isinstance(ISession(request), TestSession)
    assert ISession(request) is ISession(request)


def test_adapter_is_for_requests_only(adapted):
    assert ISession(object(), None) is None
