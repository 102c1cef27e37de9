"""What Zope's publisher calls, and the adapter to a request's session."""

import pytest
from zExceptions import HTTPServiceUnavailable
from zExceptions import Redirect
from zope.publisher import browser
from ZPublisher.pubevents import PubFailure
from ZPublisher.pubevents import PubSuccess

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.session import persistSessionOnFailure
from collective.beaker.session import persistSessionOnSuccess
from collective.beaker.tests.helpers.requests import make_request


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
