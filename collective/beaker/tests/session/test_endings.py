"""How requests end, and what becomes of their sessions, in a real Zope."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from AccessControl.userfolder import UserFolder
from plone.subrequest import subrequest
from Products.Five.browser import BrowserView
from zExceptions import NotFound
from zExceptions import Redirect
from zExceptions import Unauthorized
from ZODB.POSException import ConflictError
from zope.component import getGlobalSiteManager
from zope.globalrequest import getRequest
from zope.interface import implementer
from ZPublisher.interfaces import IPubBeforeCommit
from ZPublisher.interfaces import IPubStart
from ZPublisher.interfaces import IPubSuccess
from ZPublisher.Iterators import IUnboundStreamIterator

from collective.beaker.interfaces import ISession
from collective.beaker.session import configureSessionOnStart
from collective.beaker.stores import base
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import ignore_session
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.zope import error_page
from collective.beaker.tests.helpers.zope import subscribed


SHARED_ERROR = NotFound("x")


class PrivateNotFound(NotFound):
    """An exception whose headers belong to its class."""

    headers = {"Cache-Control": "no-store"}


@pytest.mark.parametrize(
    "make_error",
    [lambda: SHARED_ERROR, PrivateNotFound],
    ids=["one object", "headers of the class"],
)
def test_an_exception_carries_no_visitors_cookie_to_another(
    visitor, other_visitor, make_error
):
    def fail_with_session(request):
        count(request)
        raise make_error()

    def fail(request):
        raise make_error()

    response = visitor.visit(fail_with_session, status="*")
    other_response = other_visitor.visit(fail, status="*")

    assert session_cookie(response) is not None
    assert session_cookie(other_response) is None


def test_an_error_page_carries_no_visitors_cookie_to_another(
    visitor, other_visitor
):
    class ErrorPage(BrowserView):
        __roles__ = None

        def __call__(self):
            return "Sorry."

    error = NotFound("x")

    def fail_with_session(request):
        count(request)
        raise error

    def fail(request):
        raise error

    with error_page(ErrorPage):
        response = visitor.visit(fail_with_session, status=404)
        other_response = other_visitor.visit(fail, status=404)

    assert session_cookie(response) is not None
    assert session_cookie(other_response) is None


@pytest.mark.parametrize("auto", [True, False])
def test_invalidate_needs_no_access_times(any_store, config, visitor, auto):
    def invalidate(request):
        ISession(request).invalidate()

    config.update(save_accessed_time=False, auto=auto)
    visitor.visit(count)
    visitor.visit(invalidate)

    assert visitor.visit(read_count).text == "None"


@pytest.mark.parametrize("then", ["invalidate", "regenerate_id"])
def test_a_deleted_session_can_get_a_new_id(any_store, visitor, then):
    def end(request):
        session = ISession(request)
        session.delete()
        getattr(session, then)()
        return session.id

    visitor.visit(count)

    assert len(visitor.visit(end).text) == 32
    assert visitor.visit(read_count).text == "None"


def test_what_is_saved_after_delete_and_invalidate_is_kept(any_store, visitor):
    def start_anew(request):
        session = ISession(request)
        session.delete()
        session.invalidate()
        return count(request)

    visitor.visit(count)

    assert visitor.visit(start_anew).text == "1"
    assert visitor.visit(count).text == "2"


def test_an_expired_session_is_new_and_reading_it_sends_no_cookie(
    any_store, config, visitor, monkeypatch
):
    def ask(request):
        return str(ISession(request).is_new)

    config["timeout"] = 60
    visitor.visit(count)
    monkeypatch.setattr("beaker.session.time.time", lambda: 4_000_000_000.0)
    response = visitor.visit(ask)

    assert response.text == "True"
    assert session_cookie(response) is None


@pytest.mark.parametrize("end", ["delete", "invalidate"])
@pytest.mark.parametrize("wrong_by", [-600, 7200], ids=["behind", "ahead"])
def test_a_process_with_a_wrong_clock_ends_what_others_find(
    config, visitor, clock, end, wrong_by
):
    def log_out(request):
        getattr(ISession(request), end)()

    config["timeout"] = 3600
    visitor.visit(count)
    headers = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    clock(wrong_by)
    visitor.visit(log_out, headers=headers)
    clock(-wrong_by)

    assert visitor.visit(read_count, headers=headers).text == "None"


def test_a_later_subscriber_may_be_the_first_to_read_the_session(visitor):
    found = []

    def look(event):
        found.append(ISession(event.request).get("count"))

    visitor.visit(count)
    with subscribed(look, IPubSuccess):
        visitor.visit(ignore_session)

    assert found == [1]


def test_an_error_page_may_read_the_session_after_a_late_failure(visitor):
    class ErrorPage(BrowserView):
        __roles__ = None

        def __call__(self):
            return read_count(self.request)

    def fail(event):
        raise ValueError("The subscriber failed.")

    visitor.visit(count)
    with error_page(ErrorPage), subscribed(fail, IPubSuccess):
        response = visitor.visit(ignore_session, status=500)

    assert response.text == "1"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Redirect, 302),
        (Unauthorized, 401),
        (NotFound, 404),
        (ValueError, 500),
    ],
)
def test_an_error_page_counts_in_the_same_session(
    either_store, visitor, error, status
):
    class ErrorPage(BrowserView):
        __roles__ = None

        def __call__(self):
            return count(self.request)

    def fail(request):
        count(request)
        raise error("/elsewhere")

    with error_page(ErrorPage):
        response = visitor.visit(fail, status=status)

    assert response.text == "2"
    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "2"


def test_a_request_that_is_retried_to_the_end_counts_once(
    server_store, visitor
):
    attempts = []

    def conflict(request):
        attempts.append(count(request))
        raise ConflictError

    visitor.visit(count)

    assert visitor.fails(conflict)
    assert attempts == ["2"] * 4
    assert visitor.visit(read_count).text == "2"


@pytest.mark.parametrize("event", [IPubBeforeCommit, IPubSuccess])
def test_a_redirect_of_a_subscriber_sends_the_cookie(visitor, event):
    def redirect(event):
        raise Redirect("/elsewhere")

    with subscribed(redirect, event):
        response = visitor.visit(count, status=302)

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"


def test_a_session_that_is_used_before_commit_is_saved(visitor):
    with subscribed(lambda event: count(event.request), IPubBeforeCommit):
        response = visitor.visit(ignore_session)

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"


def test_a_session_that_authentication_uses_outlives_a_failed_traversal(
    visitor, monkeypatch
):
    validate = UserFolder.validate

    def count_and_validate(folder, request, *args, **kwargs):
        count(request)
        return validate(folder, request, *args, **kwargs)

    monkeypatch.setattr(UserFolder, "validate", count_and_validate)
    response = visitor.browser.get("/manage_main", status=401)
    monkeypatch.undo()

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_sends_the_cookie(visitor, status):
    def empty(request):
        count(request)
        request.response.setStatus(status)

    response = visitor.visit(empty, status=status)

    assert session_cookie(response) is not None
    assert visitor.visit(read_count).text == "1"


def test_an_unbound_stream_in_a_new_visitors_request_sends_the_cookie(visitor):
    @implementer(IUnboundStreamIterator)
    class Chunks:
        def __init__(self, *chunks):
            self.chunks = iter(chunks)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.chunks)

    def stream(request):
        count(request)
        return Chunks(b"a", b"b")

    assert visitor.visit(stream).text == "ab"
    assert visitor.visit(read_count).text == "1"


@pytest.mark.parametrize(
    ("operation", "kept"),
    [
        ("save", {"outer": 1, "inner": 1, "after": 1}),
        ("regenerate_id", {"outer": 1, "inner": 1, "after": 1}),
        ("invalidate", {"after": 1}),
        ("delete", {}),
    ],
)
def test_what_a_subrequest_does_holds_for_its_outer_request(
    either_store, visitor, operation, kept
):
    calls = []

    def page(request):
        session = ISession(getRequest())
        calls.append(operation)
        if len(calls) == 2:
            session["inner"] = 1
            getattr(session, operation)()
            return
        session["outer"] = 1
        subrequest(request["URL"])
        session["after"] = 1
        session.save()

    found = {}

    def look(request):
        found.update(ISession(request))

    visitor.visit(count)
    visitor.visit(page)
    visitor.visit(look)

    assert {
        key: value
        for key, value in found.items()
        if not key.startswith("_") and key != "count"
    } == kept


def test_what_a_failed_subrequest_saved_is_kept(visitor):
    calls = []

    def page(request):
        calls.append("called")
        if len(calls) == 1:
            return subrequest(request["URL"]).getBody()
        count(getRequest())
        raise ValueError("The sub-request failed.")

    visitor.visit(page)

    assert visitor.visit(read_count).text == "1"


def test_request_session_can_be_built_on_the_session(visitor):
    def view(request):
        request.set_lazy("SESSION", lambda: ISession(request))
        request.SESSION["count"] = request.SESSION.get("count", 0) + 1
        request.SESSION.save()
        return str(request["SESSION"]["count"])

    assert [visitor.visit(view).text for _ in range(2)] == ["1", "2"]


@contextmanager
def subscribed_before_ours(handler, event):
    components = getGlobalSiteManager()
    components.unregisterHandler(configureSessionOnStart)
    with subscribed(handler, event):
        components.registerHandler(configureSessionOnStart)
        yield


def test_an_early_failure_carries_no_visitors_cookie_to_another(
    visitor, other_visitor
):
    def fail_with_session(request):
        count(request)
        raise SHARED_ERROR

    def fail(event):
        raise SHARED_ERROR

    visitor.visit(fail_with_session, status=404)
    with subscribed_before_ours(fail, IPubStart):
        # Where an error page answers, Zope itself fails after this.
        other_visitor.fails(count)

    assert other_visitor.cookies == {}


def forget_lock(request):
    ISession(request).lock()


def fail_under_lock(request):
    ISession(request).lock()
    raise Redirect("/")


def conflict_under_lock(request):
    ISession(request).lock()
    if request.retry_count == 0:
        raise ConflictError


@pytest.mark.parametrize(
    "leave", [forget_lock, fail_under_lock, conflict_under_lock]
)
def test_a_lock_that_code_leaves_behind_ends_with_the_request(
    visitor, monkeypatch, leave
):
    def lock(request):
        session = ISession(request)
        session.lock()
        session.unlock()
        return "free"

    monkeypatch.setattr(base, "WAIT_SECONDS", 0)
    visitor.visit(count)
    visitor.visit(leave, status="*")

    # A thread that has a lock in memory gets it again.
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(visitor.visit, lock, status="*").result()
    assert answer.text == "free"
