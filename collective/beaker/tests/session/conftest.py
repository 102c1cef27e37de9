"""A session that is opened and closed by hand."""

import pytest

from collective.beaker.interfaces import ISession
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.tests.helpers.requests import make_request


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

    current, cookies = request_, {}

    def next_session():
        nonlocal current
        closeSession(current)
        sent = current.response.cookies
        cookies.update({key: sent[key]["value"] for key in sent})
        current = make_request(cookies)
        initializeSession(current)
        return ISession(current)

    return next_session
