"""Sessions across logins: whose they become, and who may use them."""

from bisect import bisect
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextlib import suppress

import pytest
import transaction
from AccessControl import getSecurityManager
from AccessControl.SecurityManagement import newSecurityManager
from AccessControl.SecurityManagement import setSecurityManager
from Products.Five.browser import BrowserView
from zExceptions import HTTPServiceUnavailable
from zope.interface import Interface
from ZPublisher.interfaces import IPubStart

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.stores import server_fixture
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.views import setting
from collective.beaker.tests.helpers.views import streaming
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import error_page
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope import registered_view
from collective.beaker.tests.helpers.zope import subscribed
from collective.beaker.tests.helpers.zope_alone import zope_alone


redis_alone = server_fixture("redis")


@pytest.fixture(autouse=True)
def users(application):
    """Two users in the root's user folder."""

    def add(request):
        folder = request["PARENTS"][-1].acl_users
        for name in ("anna", "bert"):
            folder._doAddUser(name, "secret", [], [])

    def remove(request):
        request["PARENTS"][-1].acl_users._doDelUsers(["anna", "bert"])

    Visitor(application).visit(add)
    yield
    Visitor(application).visit(remove)


def log_in(visitor, name):
    visitor.browser.authorization = ("Basic", (name, "secret"))
    user = visitor.visit(lambda request: str(getSecurityManager().getUser()))
    assert user.text == name


def log_out(visitor):
    visitor.browser.authorization = None


def plant(visitor, cookie):
    """Give a visitor the cookie of somebody else."""
    visitor.browser.set_cookie(COOKIE, cookie)


def test_a_session_survives_the_login_under_a_new_id(visitor):
    visitor.visit(count)
    before = visitor.cookies[COOKIE]
    log_in(visitor, "anna")

    assert visitor.visit(count).text == "2"
    assert visitor.cookies[COOKIE] != before
    assert visitor.visit(count).text == "3"


def test_a_planted_session_does_not_show_what_the_user_stores(
    visitor, other_visitor
):
    other_visitor.visit(count)
    plant(visitor, other_visitor.cookies[COOKIE])
    log_in(visitor, "anna")
    visitor.visit(count)

    assert other_visitor.visit(read_count).text == "None"


def test_the_id_changes_once(visitor):
    visitor.visit(count)
    log_in(visitor, "anna")
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    visitor.visit(count)

    assert visitor.cookies[COOKIE] == cookie


def test_reading_in_a_users_request_leaves_the_session_as_it_is(visitor):
    visitor.visit(count)
    before = visitor.cookies[COOKIE]
    log_in(visitor, "anna")

    assert visitor.visit(read_count).text == "1"
    assert visitor.cookies[COOKIE] == before


def test_what_fits_into_a_cookie_fits_after_a_login(cookie_store, visitor):
    def fails(length):
        return visitor.fails(setting(note="x" * length))

    longest = bisect(range(4096), False, key=fails) - 1
    visitor.visit(setting(note="x" * longest))
    log_in(visitor, "anna")

    assert not fails(longest)


def test_what_was_deleted_is_not_given_to_the_user(visitor):
    visitor.visit(count)
    log_in(visitor, "anna")

    def delete_and_save(request):
        ISession(request).delete()
        ISession(request).save()

    visitor.visit(delete_and_save)
    assert not visitor.cookies


def test_the_id_is_final_once_the_session_is_saved(visitor):
    visitor.visit(count)
    log_in(visitor, "anna")

    def save_and_tell_id(request):
        ISession(request).save()
        return ISession(request).id

    told = visitor.visit(save_and_tell_id).text
    assert visitor.visit(lambda request: ISession(request).id).text == told


def test_another_user_does_not_get_the_session(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")

    assert visitor.visit(read_count).text == "None"


def test_another_user_ends_the_session(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    log_in(visitor, "bert")
    visitor.visit(count)
    plant(visitor, cookie)
    log_in(visitor, "anna")

    assert visitor.visit(read_count).text == "None"


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("view", [read_count, count])
def test_parallel_requests_of_another_user_keep_what_the_first_has_stored(
    config, visitor, other_visitor, view, transactional
):
    """Each of them finds the session of the user before, and ends it."""
    config["transactional"] = transactional
    log_in(visitor, "anna")
    visitor.visit(count)
    plant(other_visitor, visitor.cookies[COOKIE])
    log_in(visitor, "bert")
    log_in(other_visitor, "bert")

    def be_overtaken(request):
        read_count(request)
        with ThreadPoolExecutor() as threads:
            first = threads.submit(other_visitor.browser.get, "/@@first")
            assert first.result(SECONDS).text == "1"
        return view(request)

    with published(count, "first"):
        visitor.visit(be_overtaken)
    assert other_visitor.visit(count).text == "2"


def test_another_user_who_only_reads_begins_no_session(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")
    response = visitor.visit(read_count)
    assert response.text == "None"
    assert "Set-Cookie" not in response.headers
    log_in(visitor, "anna")
    assert visitor.visit(read_count).text == "None"


@pytest.mark.parametrize("transactional", [False, True])
def test_another_user_who_only_reads_needs_no_store_that_takes_changes(
    redis_alone, config, visitor, caplog, transactional
):
    config["transactional"] = transactional
    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")

    def read_and_stop(request):
        read_count(request)
        redis_alone.stop()
        return read_count(request)

    assert visitor.visit(read_and_stop).text == "None"
    assert str(redis_alone.port) in caplog.text


def test_anonymous_requests_do_not_get_the_session_of_a_user(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)

    assert visitor.visit(read_count).text == "None"


def test_a_user_finds_the_session_after_the_login_had_expired(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)
    visitor.visit(read_count)
    log_in(visitor, "anna")

    assert visitor.visit(read_count).text == "1"


def test_with_rotate_anonymous_requests_get_the_session(visitor, config):
    config["login_policy"] = "rotate"
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)

    assert visitor.visit(read_count).text == "1"


def test_with_rotate_another_user_does_not_get_it(visitor, config):
    config["login_policy"] = "rotate"
    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")

    assert visitor.visit(read_count).text == "None"


def test_off_is_what_it_was_in_1_0b3(visitor, config):
    config["login_policy"] = "off"
    visitor.visit(count)
    before = visitor.cookies[COOKIE]
    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")

    assert visitor.visit(count).text == "3"
    assert visitor.cookies[COOKIE] == before


@pytest.mark.parametrize(
    "options",
    [
        {"transactional": True},
        {"auto": True},
        {"type": "cookie", "validate_key": "a key of the tests, long"},
        {"secret": None},
        {"data_serializer": "json"},
    ],
    ids=["transactional", "auto", "cookie", "no secret", "json"],
)
def test_a_login_is_respected_with_other_options(visitor, config, options):
    config.update(options)
    visitor.visit(count)
    before = visitor.cookies[COOKIE]
    log_in(visitor, "anna")
    assert visitor.visit(count).text == "2"
    assert visitor.cookies[COOKIE] != before
    log_in(visitor, "bert")
    assert visitor.visit(count).text == "1"
    log_out(visitor)
    assert visitor.visit(count).text == "1"


def test_a_login_begins_no_session(visitor):
    log_in(visitor, "anna")

    assert not visitor.cookies


def test_what_uses_the_session_before_the_user_is_known(visitor):
    """A plugin of a user folder may keep the login itself in the session."""
    log_in(visitor, "anna")
    visitor.visit(count)

    seen = []

    def use_early(event):
        seen.append(ISession(event.request).get("count"))

    with subscribed(use_early, IPubStart):
        assert visitor.visit(read_count).text == "1"
        visitor.browser.authorization = ("Basic", ("bert", "secret"))
        assert visitor.visit(read_count).text == "None"
    assert seen == [1, 1]


class EarlyView(BrowserView):
    """Uses the session as soon as Zope knows the user, before our event."""

    __roles__ = None

    def __init__(self, context, request):
        super().__init__(context, request)
        request.post_traverse(self.use)

    def use(self):
        self.seen = count(self.request)

    def __call__(self):
        return self.seen


@pytest.mark.parametrize("name", ["bert", None])
def test_what_is_called_once_the_user_is_known_sees_no_other_session(
    visitor, name
):
    log_in(visitor, "anna")
    visitor.visit(count)
    cookie = visitor.cookies[COOKIE]
    log_out(visitor)
    if name:
        log_in(visitor, name)
    with registered_view(EarlyView, Interface, "early"):
        assert visitor.browser.get("/@@early").text == "1"

    assert visitor.cookies[COOKIE] != cookie
    assert visitor.visit(read_count).text == "1"


def thief_of_anna(visitor):
    """Return a visitor who has the cookie of anna, and her login.

    She herself has logged out.
    """
    thief = Visitor(visitor.browser.app)
    log_in(visitor, "anna")
    log_in(thief, "anna")
    visitor.visit(count)
    plant(thief, visitor.cookies[COOKIE])
    log_out(visitor)
    return thief


def delete(event):
    ISession(event.request).delete()


def reset(event):
    session = ISession(event.request)
    session["count"] = 0
    session.save()


def reset_under_new_id(event):
    ISession(event.request).regenerate_id()
    reset(event)


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize(
    ("end_login", "kept"),
    [(delete, "None"), (reset, "0"), (reset_under_new_id, "0")],
)
def test_what_ends_a_login_before_the_user_is_known_is_kept(
    config, visitor, end_login, kept, transactional
):
    """A plugin of a user folder may find that a login has expired."""
    config["transactional"] = transactional
    thief = thief_of_anna(visitor)
    with subscribed(end_login, IPubStart):
        assert visitor.visit(read_count).text == "None"

    assert thief.visit(read_count).text in (kept, "None")
    log_in(visitor, "anna")
    assert visitor.visit(read_count).text == kept


@pytest.mark.parametrize(
    ("end_login", "kept"), [(delete, "None"), (reset, "0")]
)
def test_what_ends_a_login_is_kept_where_another_cookie_is_there(
    visitor, other_visitor, end_login, kept
):
    log_in(visitor, "anna")
    visitor.visit(count)
    other_visitor.visit(count)
    both = [each.cookies[COOKIE] for each in (visitor, other_visitor)]
    log_out(visitor)
    header = "; ".join(f"{COOKIE}={value}" for value in both)
    with subscribed(end_login, IPubStart):
        visitor.visit(read_count, headers={"Cookie": header})

    plant(visitor, both[0])
    log_in(visitor, "anna")
    assert visitor.visit(read_count).text == kept


@pytest.mark.parametrize("status", [401, 404])
def test_a_session_that_is_deleted_before_the_request_fails_ends(
    visitor, status
):
    thief = thief_of_anna(visitor)
    path = {401: "/manage_main", 404: "/nothing"}[status]
    with subscribed(delete, IPubStart):
        visitor.browser.get(path, status="*")

    assert thief.visit(read_count).text == "None"


@pytest.mark.parametrize("name", ["bert", None])
def test_an_outage_shows_nobody_the_session_of_a_user(
    redis_alone, visitor, name
):
    """It may begin while the session of another cookie is looked for."""
    log_in(visitor, "anna")
    visitor.visit(count)
    cookies = f"{COOKIE}={visitor.cookies[COOKIE]}; {COOKIE}=another"
    log_out(visitor)
    if name:
        log_in(visitor, name)
    shown = []

    def load_and_stop(event):
        ISession(event.request).get("count")
        redis_alone.stop()

    def try_twice(request):
        for _ in range(2):
            with suppress(HTTPServiceUnavailable):
                shown.append(read_count(request))

    with subscribed(load_and_stop, IPubStart):
        visitor.visit(try_twice, headers={"Cookie": cookies}, status=503)
    assert shown == []


def test_a_view_may_begin_a_session_after_the_login_was_ended(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)
    with subscribed(delete, IPubStart):
        assert visitor.visit(count).text == "1"

    assert visitor.visit(read_count).text == "1"


def test_a_session_stays_that_of_its_user_when_it_is_reverted(visitor):
    visitor.visit(count)
    log_in(visitor, "anna")

    def save_and_revert(request):
        ISession(request).save()
        ISession(request).revert()

    visitor.visit(save_and_revert)
    log_out(visitor)
    assert visitor.visit(read_count).text == "None"


def test_what_a_user_saves_too_late_for_the_cookie_costs_no_session(visitor):
    visitor.visit(count)
    log_in(visitor, "anna")
    visitor.visit(streaming(count))

    assert visitor.visit(read_count).text == "1"


# Error pages, some of which Zope makes before it looks for the user


class CountingPage(BrowserView):
    """An error page that uses and saves the session."""

    def __call__(self):
        return count(self.request)


def fail(visitor, path="/nothing"):
    """Have Zope make an error page, in a thread that has served somebody."""
    former = Visitor(visitor.browser.app)
    log_in(former, "bert")
    with error_page(CountingPage):
        return visitor.browser.get(path, status="*")


unknown_user = pytest.mark.parametrize("path", ["/nothing", "/?size:int=x"])


@unknown_user
def test_an_error_page_does_not_show_the_session_of_a_user(visitor, path):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)

    assert fail(visitor, path).text == "1"


@unknown_user
def test_an_error_page_does_not_end_the_session_of_a_user(
    visitor, path, caplog
):
    caplog.set_level("INFO", "collective.beaker")
    log_in(visitor, "anna")
    visitor.visit(count)

    assert "Set-Cookie" not in fail(visitor, path).headers
    assert visitor.visit(read_count).text == "1"
    assert "failed before its user was known" in caplog.text


@unknown_user
def test_an_error_page_keeps_an_anonymous_session(visitor, path):
    visitor.visit(count)

    assert fail(visitor, path).text == "2"
    assert visitor.visit(read_count).text == "2"


def count_early(event):
    count(event.request)


def test_what_is_saved_before_an_error_is_not_taken_from_a_user(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    with subscribed(count_early, IPubStart):
        fail(visitor)

    assert visitor.visit(read_count).text == "1"


def test_a_visitor_who_must_log_in_again_gets_a_session(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)

    assert fail(visitor, "/manage_main").status_int == 401
    assert visitor.visit(count).text == "2"


def test_a_user_who_is_refused_keeps_a_session_that_was_used_early(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    with subscribed(count_early, IPubStart):
        response = visitor.browser.get("/manage_main", status=401)

    assert "Set-Cookie" not in response.headers
    assert visitor.visit(read_count).text == "1"


# Code that acts as another user for a while


@contextmanager
def acting_as_bert(request):
    """Do what adopt_user of plone.api does."""
    former, users = getSecurityManager(), request["PARENTS"][-1].acl_users
    newSecurityManager(request, users.getUser("bert").__of__(users))
    try:
        yield
    finally:
        setSecurityManager(former)


def count_as_bert(request):
    with acting_as_bert(request):
        return count(request)


@pytest.mark.parametrize("name", ["anna", None])
def test_acting_as_another_user_leaves_the_session_as_it_is(visitor, name):
    if name:
        log_in(visitor, name)
    visitor.visit(count)

    assert visitor.visit(count_as_bert).text == "2"
    assert visitor.visit(count).text == "3"


def test_acting_as_another_user_does_not_end_what_is_ignored(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    log_out(visitor)

    def read_as_bert(request):
        with acting_as_bert(request):
            return read_count(request)

    assert visitor.visit(read_as_bert).text == "None"
    log_in(visitor, "anna")
    assert visitor.visit(read_count).text == "1"


def test_a_login_that_nobody_tells_counts_at_the_end(visitor):
    visitor.visit(count)
    before = visitor.cookies[COOKIE]

    def log_in_and_count(request):
        users = request["PARENTS"][-1].acl_users
        newSecurityManager(request, users.getUser("bert").__of__(users))
        return count(request)

    assert visitor.visit(log_in_and_count).text == "2"
    assert visitor.cookies[COOKIE] != before
    assert visitor.visit(read_count).text == "None"


@zope_alone
def test_an_error_without_a_page_costs_no_session(visitor, caplog):
    """The answer of the server has no cookie, so the id must not change."""

    def count_and_fail(request):
        count(request)
        raise ValueError

    visitor.visit(count)
    log_in(visitor, "anna")

    assert visitor.fails(count_and_fail)
    assert visitor.visit(read_count).text == "1"
    assert "without an error page" in caplog.text


@zope_alone
def test_a_status_without_a_page_costs_no_session(visitor):
    def count_and_fail(request):
        count(request)
        request.response.setStatus(404)
        raise ValueError

    visitor.visit(count)
    log_in(visitor, "anna")

    assert visitor.fails(count_and_fail)
    assert visitor.visit(read_count).text == "1"


@zope_alone
def test_a_page_that_fails_costs_no_session(visitor):
    class Broken(BrowserView):
        def __call__(self):
            raise KeyError

    def count_and_fail(request):
        count(request)
        raise ValueError

    visitor.visit(count)
    log_in(visitor, "anna")
    with error_page(Broken):
        assert visitor.fails(count_and_fail)

    assert visitor.visit(read_count).text == "1"


def test_an_error_that_answers_with_a_status_of_its_own_keeps_changes(visitor):
    """As plone.caching answers 304 before a page is made."""

    class NotModified(BrowserView):
        def __call__(self):
            return ""

    def count_and_intercept(request):
        count(request)
        request.response.setStatus(304, lock=True)
        raise ValueError

    visitor.visit(count)
    log_in(visitor, "anna")
    with error_page(NotModified):
        assert visitor.visit(count_and_intercept).status_int == 304

    assert visitor.visit(read_count).text == "2"


@zope_alone
def test_an_error_without_a_page_ends_a_session_and_begins_none(visitor):
    """Nobody gets the cookie of a new one, so the next request begins it."""

    def read_and_fail(request):
        read_count(request)
        raise ValueError

    log_in(visitor, "anna")
    visitor.visit(count)
    log_in(visitor, "bert")

    assert visitor.fails(read_and_fail)
    assert [visitor.visit(count).text for _ in range(2)] == ["1", "2"]


# Several cookies, one of which is that of another user's session


def cookies_of(*visitors):
    """Return the environment of a request with the cookies of several."""
    pairs = [f"{COOKIE}={each.cookies[COOKIE]}" for each in visitors]
    return {"HTTP_COOKIE": "; ".join(pairs)}


@pytest.mark.parametrize("name", ["anna", None])
def test_the_session_of_another_user_does_not_hide_a_good_one(
    visitor, other_visitor, name
):
    """A sub-domain may have planted it."""
    log_in(other_visitor, "bert")
    other_visitor.visit(count)
    if name:
        log_in(visitor, name)
    visitor.visit(count)
    both = cookies_of(other_visitor, visitor)

    assert visitor.visit(count, extra_environ=both).text == "2"
    assert visitor.visit(read_count).text == "2"
    assert other_visitor.visit(read_count).text == "1"


def test_a_logout_ends_the_session_of_another_user_whose_cookie_is_there(
    visitor, other_visitor, config
):
    """With rotate, anonymous requests would have it after the logout."""
    config["login_policy"] = "rotate"
    log_in(other_visitor, "bert")
    other_visitor.visit(count)
    log_in(visitor, "anna")
    visitor.visit(count)
    both = cookies_of(other_visitor, visitor)
    visitor.visit(
        lambda request: ISession(request).delete(), extra_environ=both
    )
    log_out(visitor)

    assert visitor.visit(read_count, extra_environ=both).text == "None"


def test_a_cookie_of_a_narrow_path_does_not_hide_an_anonymous_session(
    visitor, sites
):
    def count_narrowly(request):
        ISession(request).path = "/plain"
        return count(request)

    log_in(visitor, "anna")
    visitor.visit(count_narrowly, "/plain")
    log_out(visitor)

    assert [visitor.visit(count, "/plain").text for _ in "12"] == ["1", "2"]
    log_in(visitor, "anna")
    assert visitor.visit(read_count, "/plain").text == "1"


def test_a_rollback_does_not_bring_back_the_session_of_another_user(
    one_store, config, visitor, other_visitor
):
    """A plugin may use the session, and a savepoint, before it knows who."""
    config.update(transactional=True)
    log_in(other_visitor, "bert")
    other_visitor.visit(count)
    log_in(visitor, "anna")
    plant(visitor, other_visitor.cookies[COOKIE])
    savepoints = []

    def use_early(event):
        ISession(event.request).get("count")
        savepoints.append(transaction.savepoint())

    def roll_back(request):
        read_count(request)
        savepoints[0].rollback()
        return read_count(request)

    with subscribed(use_early, IPubStart):
        assert visitor.visit(roll_back).text == "None"


# With which secret its user is known


@pytest.mark.parametrize("view", [count, read_count])
@pytest.mark.parametrize(
    "options",
    [{}, {"save_accessed_time": False}, {"transactional": True}],
    ids=["plain", "no access times", "transactional"],
)
def test_a_user_who_is_active_keeps_the_session_after_a_rotation(
    either_store, config, visitor, view, options
):
    """As the recipe has it: the former secret is gone in the end."""
    key = "validate_key" if either_store.type == "cookie" else "secret"
    fallbacks = f"{key}_fallbacks"
    former, current = "the former one of two", "the current one of two"
    config.update({**options, key: former})
    log_in(visitor, "anna")
    visitor.visit(count)
    config.update({key: current, fallbacks: [former]})
    stored = visitor.visit(view).text
    config.update({fallbacks: []})

    assert visitor.visit(read_count).text == stored


# With which client it became the user's


def test_a_session_holds_the_client_with_which_it_became_the_user_s(visitor):
    visitor.browser.extra_environ["HTTP_USER_AGENT"] = "curl/8.14.1"
    visitor.visit(count)

    def tell_client(request):
        return str(ISession(request).get("_client"))

    assert visitor.visit(tell_client).text == "None"
    log_in(visitor, "anna")
    visitor.visit(count)
    visitor.browser.extra_environ["HTTP_USER_AGENT"] = "Wget/1.25.0"
    visitor.visit(count)
    assert visitor.visit(tell_client).text == "curl"


def test_a_session_in_a_cookie_holds_no_client(visitor, config):
    config.update(type="cookie", validate_key="a key of the tests, long")
    visitor.browser.extra_environ["HTTP_USER_AGENT"] = "curl/8.14.1"
    log_in(visitor, "anna")
    visitor.visit(count)
    keys = visitor.visit(lambda request: " ".join(ISession(request))).text

    assert "_user" in keys
    assert "_client" not in keys


# What code that knows of a login tells at once, as in Plone


def tell_login(request):
    ISession(request).log_in("/acl_users\0anna")


def tell_logout(request):
    ISession(request).log_out()


def test_a_login_that_is_told_changes_the_id_at_once(visitor):
    visitor.visit(count)
    before = visitor.cookies[COOKIE]
    visitor.visit(tell_login)

    assert visitor.cookies[COOKIE] != before
    assert visitor.visit(read_count).text == "None"
    log_in(visitor, "anna")
    assert visitor.visit(read_count).text == "1"


def test_a_logout_that_is_told_ends_the_session(visitor):
    log_in(visitor, "anna")
    visitor.visit(count)
    visitor.visit(tell_logout)

    assert not visitor.cookies
    assert visitor.visit(read_count).text == "None"


@pytest.mark.parametrize("tell", [tell_login, tell_logout])
def test_what_is_told_begins_no_session(visitor, tell):
    visitor.visit(tell)

    assert not visitor.cookies


def test_with_off_a_logout_that_is_told_ends_nothing(visitor, config):
    config["login_policy"] = "off"
    visitor.visit(count)
    visitor.visit(tell_logout)

    assert visitor.visit(read_count).text == "1"
