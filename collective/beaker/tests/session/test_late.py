"""What is saved after the session of its request was closed."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from Products.Five.browser import BrowserView
from zExceptions import Redirect
from zope.component import getGlobalSiteManager
from ZPublisher.interfaces import IPubFailure
from ZPublisher.interfaces import IPubSuccess
from ZPublisher.pubevents import PubSuccess

from collective.beaker.interfaces import ISession
from collective.beaker.session import persistSessionOnFailure
from collective.beaker.session import persistSessionOnSuccess
from collective.beaker.session.policy import policy_for
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import streaming
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import data_of
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.zope import error_page
from collective.beaker.tests.helpers.zope import subscribed


SUBSCRIBERS = {
    IPubSuccess: persistSessionOnSuccess,
    IPubFailure: persistSessionOnFailure,
}


@pytest.fixture(params=[True, False], ids=["before ours", "after ours"])
def subscribe(request):
    """Return a function that subscribes a view before or after our own."""
    contexts = []

    def subscribe(view, event):
        components = getGlobalSiteManager()
        ours = SUBSCRIBERS[event]
        if request.param:
            components.unregisterHandler(ours)
        context = subscribed(lambda event: view(event.request), event)
        context.__enter__()
        contexts.append(context)
        if request.param:
            components.registerHandler(ours)

    yield subscribe
    for context in contexts:
        context.__exit__(None, None, None)


transactional = pytest.mark.parametrize("transactional", [False, True])


@transactional
@pytest.mark.parametrize("view", [ignore_session, read_count, count])
def test_a_subscriber_may_save_wherever_zcml_has_put_it(
    config, visitor, subscribe, transactional, view
):
    config["transactional"] = transactional
    visitor.visit(count)
    subscribe(count, IPubSuccess)
    visitor.visit(view)

    assert visitor.visit(read_count).text == ("3" if view is count else "2")


@transactional
def test_what_a_subscriber_saves_for_a_new_visitor_sends_the_cookie(
    config, visitor, subscribe, transactional
):
    config["transactional"] = transactional
    subscribe(count, IPubSuccess)
    response = visitor.visit(ignore_session)

    assert session_cookie(response) is not None
    assert response.headers["Vary"] == "Cookie"
    assert response.headers["Cache-Control"] == "private"


def fail(request):
    raise ValueError("The page failed.")


def redirect(request):
    raise Redirect("/elsewhere")


def count_and_redirect(request):
    count(request)
    redirect(request)


@transactional
@pytest.mark.parametrize("view", [redirect, count_and_redirect])
def test_a_subscriber_may_save_after_a_failure_wherever_zcml_has_put_it(
    config, visitor, subscribe, transactional, view
):
    config["transactional"] = transactional
    subscribe(count, IPubFailure)
    response = visitor.visit(view, status=302)

    is_first = transactional or view is redirect
    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == ("1" if is_first else "2")


def test_an_error_page_may_save_after_a_late_failure(visitor):
    class ErrorPage(BrowserView):
        __roles__ = None

        def __call__(self):
            return count(self.request)

    def fail(event):
        raise ValueError("The subscriber failed.")

    visitor.visit(count)
    with error_page(ErrorPage), subscribed(fail, IPubSuccess):
        response = visitor.visit(count, status=500)

    assert response.text == "3"
    assert visitor.visit(read_count).text == "3"


@transactional
def test_a_subscriber_may_end_the_session_wherever_zcml_has_put_it(
    config, visitor, subscribe, transactional
):
    config["transactional"] = transactional
    visitor.visit(count)
    id = session_id(visitor)
    subscribe(delete, IPubSuccess)
    response = visitor.visit(count)

    assert policy_for(config).store.load(id) is None
    assert session_cookie(response)["expires"]


@pytest.mark.parametrize("method", ["invalidate", "regenerate_id"])
def test_a_subscriber_may_change_the_id_wherever_zcml_has_put_it(
    visitor, subscribe, method
):
    def change_id(request):
        getattr(ISession(request), method)()

    visitor.visit(count)
    subscribe(change_id, IPubSuccess)
    response = visitor.visit(ignore_session)

    expected = "None" if method == "invalidate" else "1"
    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == expected


def test_what_an_iterator_saves_is_stored_at_once(visitor, caplog):
    visitor.visit(count)
    visitor.visit(streaming(count, count))

    assert visitor.visit(read_count).text == "3"
    assert log_of(caplog) == []


def test_what_an_iterator_saves_is_stored_in_the_session_of_its_site(
    sites, visitor, caplog
):
    visitor.visit(count)
    visitor.visit(count, "/special")
    view = streaming(count, count, before=ISession)

    assert visitor.visit(view, "/special").text == "23"
    assert visitor.visit(read_count, "/special").text == "3"
    assert visitor.visit(read_count).text == "1"
    assert log_of(caplog) == []


def test_an_iterator_that_uses_no_session_needs_no_right_options(
    config, visitor
):
    config["type"] = "unknown"
    view = streaming(ignore_session, before=ignore_session)

    assert visitor.visit(view).text == "nothing"


def test_an_iterator_may_end_the_session(visitor, caplog):
    visitor.visit(count)
    visitor.visit(streaming(delete))

    assert visitor.visit(read_count).text == "None"
    assert log_of(caplog) == []


def test_what_an_iterator_saves_for_a_new_visitor_is_warned_of(
    config, visitor, caplog
):
    store = policy_for(config).store
    before = dict(store.walk())
    visitor.visit(streaming(count))

    assert dict(store.walk()) == before
    [record] = log_of(caplog)
    assert "its response has been sent" in record.getMessage()


@pytest.mark.parametrize("method", ["invalidate", "regenerate_id"])
def test_an_iterator_cannot_change_the_id(visitor, caplog, method):
    def change_id(request):
        getattr(ISession(request), method)()

    visitor.visit(count)
    visitor.visit(streaming(change_id))

    assert visitor.visit(read_count).text == "1"
    assert "its response has been sent" in caplog.text


def test_what_an_iterator_saves_in_a_cookie_is_warned_of(
    config, visitor, caplog
):
    config.update(type="cookie", validate_key="a key for the tests")
    visitor.visit(count)
    visitor.visit(streaming(count))

    assert visitor.visit(read_count).text == "1"
    assert "its response has been sent" in caplog.text


def test_a_tuple_that_was_stored_as_json_is_not_stored_again(
    config, visitor, other_visitor
):
    config["data_serializer"] = "json"
    visitor.visit(count)
    other_visitor.browser.set_cookie(COOKIE, visitor.cookies[COOKIE])

    def save_tuple(request):
        session = ISession(request)
        session.set("size", (1, 2))
        persistSessionOnSuccess(PubSuccess(request))
        with ThreadPoolExecutor(1) as thread:
            thread.submit(other_visitor.visit, save_other_size).result()
        session.set("progress", 1)

    def save_other_size(request):
        ISession(request).set("size", "of the other request")

    visitor.visit(save_tuple)

    found = data_of(visitor)
    assert found["progress"] == 1
    assert found["size"] == "of the other request"
