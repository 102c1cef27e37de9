"""What Zope's publisher calls, and the adapter to a request's session."""

import pytest
from beaker.session import SessionObject
from zExceptions import HTTPServiceUnavailable
from zExceptions import Redirect
from ZODB.POSException import ConflictError
from zope.publisher import browser
from ZPublisher.pubevents import PubAfterTraversal
from ZPublisher.pubevents import PubBeforeAbort
from ZPublisher.pubevents import PubFailure
from ZPublisher.pubevents import PubStart
from ZPublisher.pubevents import PubSuccess

import collective.beaker.session
from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.session import LazySession
from collective.beaker.session import ZopeSession
from collective.beaker.session import closeSession
from collective.beaker.session import configureSessionAfterTraversal
from collective.beaker.session import configureSessionOnStart
from collective.beaker.session import initializeSession
from collective.beaker.session import maskSessionOnFailure
from collective.beaker.session import persistSessionOnFailure
from collective.beaker.session import persistSessionOnSuccess
from collective.beaker.session.answers import answer_by
from collective.beaker.session.answers import copy_answer
from collective.beaker.session.answers import forget_answer
from collective.beaker.tests.helpers.requests import make_request


@pytest.fixture(autouse=True)
def forget():
    yield
    forget_answer()


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


def test_the_class_of_beakers_middleware_can_be_imported_from_here():
    """Code of other packages does so, since 1.0b3."""
    assert collective.beaker.session.SessionObject is SessionObject


def test_nothing_gives_no_session(application):
    assert ISession(None, None) is None


def test_a_request_without_environ_has_no_session(application):
    assert ISession(browser.TestRequest(), None) is None
    with pytest.raises(TypeError):
        ISession(browser.TestRequest())


def test_closing_twice_is_closing_once(request_, session):
    session.save()
    closeSession(request_)
    request_.response.cookies.clear()
    closeSession(request_)

    assert request_.response.cookies == {}


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


def test_the_adapter_keeps_the_contract():
    assert ISession.implementedBy(ZopeSession)


# The start of a request


def test_the_start_gives_a_request_its_session(config):
    request = make_request()
    configureSessionOnStart(PubStart(request))

    assert isinstance(request.environ[ENVIRON_KEY], LazySession)


def test_the_start_forgets_what_was_answered_before(config, session, request_):
    session.save()
    closeSession(request_)
    error = Redirect("/")
    answer_by(error)
    copy_answer(request_.response, session.key)
    assert "set-cookie" in headers_of(error)
    configureSessionOnStart(PubStart(make_request()))

    assert "set-cookie" not in headers_of(error)


def test_traversal_keeps_the_session_of_the_start(request_, session):
    configureSessionAfterTraversal(PubAfterTraversal(request_))

    assert ISession(request_) is session


def test_traversal_gives_a_session_where_the_start_could_not(config):
    request = make_request()
    configureSessionAfterTraversal(PubAfterTraversal(request))

    assert isinstance(request.environ[ENVIRON_KEY], LazySession)


# The end of a request


@pytest.fixture
def ends():
    """The ends of a request that close its session, by their names."""
    failure = ValueError()
    return {
        "close": closeSession,
        "success": lambda request: persistSessionOnSuccess(
            PubSuccess(request)
        ),
        "failure": lambda request: persistSessionOnFailure(
            PubFailure(request, (None, failure, None), False)
        ),
    }


END = pytest.mark.parametrize("end", ["close", "success", "failure"])


@END
def test_the_end_stores_the_session_and_sends_its_cookie(
    request_, session, ends, end
):
    session["a"] = 1
    session.save()
    ends[end](request_)
    headers = dict(request_.response.listHeaders())
    cookie = request_.response.cookies[session.key]
    request = make_request({session.key: cookie["value"]})
    initializeSession(request)

    assert ISession(request)["a"] == 1
    assert headers["Vary"] == "Cookie"
    assert headers["Cache-Control"] == "private"


@END
def test_a_session_that_was_not_used_leaves_no_header(
    request_, session, ends, end
):
    before = request_.response.listHeaders()
    ends[end](request_)

    assert request_.response.listHeaders() == before
    assert not session.accessed()


@END
def test_without_a_cookie_a_response_depends_on_it_and_is_not_private(
    request_, session, ends, end
):
    session.get("a")
    ends[end](request_)
    headers = dict(request_.response.listHeaders())

    assert headers["Vary"] == "Cookie"
    assert "Cache-Control" not in headers
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    ("secure", "url", "expected"),
    [
        ("auto", "https://localhost", True),
        ("auto", "http://localhost", False),
        (True, "http://localhost", True),
        (False, "https://localhost", False),
    ],
)
def test_the_url_decides_whether_the_cookie_is_secure(
    config, request_, session, secure, url, expected
):
    config["secure"] = secure
    request_["SERVER_URL"] = url
    session.save()
    closeSession(request_)
    headers = dict(request_.response.listHeaders())

    assert ("Secure" in headers["Set-Cookie"].split("; ")) is expected


def test_a_request_that_is_retried_stores_nothing_yet(request_, session):
    session.save()
    error = ConflictError()
    persistSessionOnFailure(PubFailure(request_, (None, error, None), True))

    assert request_.response.cookies == {}
    assert not session._is_closed


def headers_of(error):
    """Return the headers with which an exception answers, by lower name."""
    return {name.lower(): value for name, value in error.headers.items()}


def test_an_exception_that_answers_sends_the_cookie(request_, session):
    session.save()
    error = Redirect("/")
    persistSessionOnFailure(PubFailure(request_, (None, error, None), False))
    headers = headers_of(error)

    assert headers["set-cookie"].startswith(f"{session.key}=")
    assert headers["vary"] == "Cookie"


def test_an_exception_says_nothing_of_a_session_that_was_not_used(request_):
    error = Redirect("/")
    persistSessionOnFailure(PubFailure(request_, (None, error, None), False))

    assert "vary" not in headers_of(error)


def test_an_exception_does_not_send_the_cookie_of_the_request_before(
    request_, session
):
    session.save()
    error = Redirect("/")
    persistSessionOnFailure(PubFailure(request_, (None, error, None), False))
    persistSessionOnFailure(
        PubFailure(make_request(), (None, error, None), False)
    )

    assert "set-cookie" not in headers_of(error)


@pytest.fixture
def unavailable(config, request_, session, tmp_path):
    """The error of a session whose store cannot be used."""
    (tmp_path / "occupied").write_text("")
    config.update(type="file", data_dir=str(tmp_path / "occupied"))
    with pytest.raises(HTTPServiceUnavailable) as raised:
        session["a"] = 1
        session.save()
        closeSession(request_)
    return raised.value


def test_an_error_page_for_an_outage_has_its_status(request_, unavailable):
    """Error pages take it from the name of the class."""
    request_.response.setStatus(type(unavailable), lock=True)

    assert request_.response.getStatus() == 503


def test_the_cookie_of_a_request_that_failed_for_good_is_masked(config):
    request = make_request({"beaker.session.id": "a value"})
    initializeSession(request)
    exc_info = (None, ValueError(), None)

    maskSessionOnFailure(PubBeforeAbort(request, exc_info, True))
    assert request.cookies["beaker.session.id"] == "a value"
    maskSessionOnFailure(PubBeforeAbort(request, exc_info, False))
    assert request.cookies["beaker.session.id"] == "(hidden)"
