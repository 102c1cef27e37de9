"""The warning of sessions whose clients keep no cookies."""

import pytest

from collective.beaker.interfaces import ISession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.session import orphans
from collective.beaker.tests.helpers.requests import make_request
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count


BEARER = "Bearer a.token"
WARNING = "count has begun a session in a GET request with a bearer token"


@pytest.fixture(autouse=True)
def nobody_was_warned():
    orphans._warned.clear()
    yield
    orphans._warned.clear()


@pytest.fixture
def publish(config):
    """Return a function that makes a request, and has a view answer it.

    Zope's own user folder refuses bearer tokens.
    """

    def publish(view, cookies=None, token=BEARER, method="GET"):
        environ = {"REQUEST_METHOD": method, "HTTP_AUTHORIZATION": token}
        request = make_request(cookies, **environ)
        request.other["PUBLISHED"] = view
        initializeSession(request)
        view(request)
        closeSession(request)
        sent = request.response.cookies
        return {name: sent[name]["value"] for name in sent}

    return publish


def test_a_session_that_a_get_request_with_a_token_begins_is_logged_once(
    publish, caplog
):
    publish(count)
    publish(count)

    assert caplog.text.count(WARNING) == 1


def test_the_warning_holds_neither_the_token_nor_the_id(publish, caplog):
    (cookie,) = publish(count).values()

    assert WARNING in caplog.text
    assert "a.token" not in caplog.text
    assert cookie[-32:] not in caplog.text


def test_a_session_that_gets_a_new_id_is_not_logged(publish, caplog):
    def move(request):
        ISession(request).regenerate_id()

    cookies = publish(count, method="POST")

    assert publish(move, cookies) not in ({}, cookies)
    assert caplog.text == ""


@pytest.mark.parametrize(
    "request_",
    [
        {"view": count, "method": "POST"},
        {"view": count, "token": ""},
        {"view": count, "token": "Basic YTpi"},
        {"view": read_count},
    ],
    ids=["POST", "no token", "another scheme", "reads only"],
)
def test_other_requests_are_not_logged(publish, caplog, request_):
    publish(**request_)

    assert caplog.text == ""


def test_a_session_in_a_cookie_leaves_nothing_behind(publish, caplog, config):
    config.update(type="cookie", validate_key="a key of the tests of orphans")

    assert publish(count)
    assert caplog.text == ""
