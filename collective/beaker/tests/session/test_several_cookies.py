"""Visitors whose browsers have several cookies of the session's name."""

import pytest
from zExceptions import Redirect

from collective.beaker.ids import new_id
from collective.beaker.interfaces import ISession
from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.policy import policy_for
from collective.beaker.tests.helpers.logs import log_of
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import delete
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.visitors import all_session_cookies
from collective.beaker.tests.helpers.visitors import session_cookie
from collective.beaker.tests.helpers.visitors import session_id
from collective.beaker.tests.helpers.zope import Visitor


def header_for(*values):
    """Return the header of a browser with several cookies of one name."""
    return {"Cookie": "; ".join(f"{COOKIE}={value}" for value in values)}


def signed(id, config):
    maker = CookieMaker(COOKIE, [config["secret"]])
    return maker.make(id, None, None).coded_value


@pytest.fixture
def dead(config):
    """The cookie of a session that is no more."""
    return signed(new_id(), config)


@pytest.fixture(params=["dead", "forged", "not ours"])
def tossed(request, config, dead):
    """A cookie that leads to no session."""
    return {"dead": dead, "forged": "0" * 72, "not ours": "x"}[request.param]


def scopes_of(response):
    """Return the domain and path of each cookie that a response expires."""
    return {
        (cookie["domain"], cookie["path"])
        for cookie in all_session_cookies(response)
        if cookie["expires"]
    }


def test_a_cookie_that_leads_nowhere_does_not_hide_a_good_one(
    visitor, tossed, caplog
):
    value = session_cookie(visitor.visit(count)).value
    headers = header_for(tossed, value)
    counts = [visitor.visit(count, headers=headers).text for _ in range(2)]

    assert counts == ["2", "3"]
    assert log_of(caplog) == []


def test_a_cookie_that_leads_nowhere_leaves_no_record_in_each_request(
    config, visitor, dead
):
    value = session_cookie(visitor.visit(count)).value
    store = policy_for(config).store
    before = {id for id, _ in store.walk()}
    visitor.visit(count, headers=header_for(dead, value))

    assert {id for id, _ in store.walk()} == before


def test_a_session_in_a_cookie_is_not_hidden_either(config, visitor):
    config.update(type="cookie", validate_key="a key for the tests")
    value = session_cookie(visitor.visit(count)).value
    headers = header_for("0" * 72, value)

    assert visitor.visit(read_count, headers=headers).text == "1"


def test_the_first_cookie_that_leads_to_a_session_holds(
    visitor, other_visitor
):
    first = session_cookie(visitor.visit(count)).value
    second = session_cookie(other_visitor.visit(count)).value
    other_visitor.visit(count)

    for values, expected in [((first, second), "1"), ((second, first), "2")]:
        headers = header_for(*values)
        assert visitor.visit(read_count, headers=headers).text == expected


def test_five_cookies_are_considered(config, visitor):
    value = session_cookie(visitor.visit(count)).value
    dead = [signed(new_id(), config) for _ in range(5)]
    fifth = header_for(*dead[:4], value)
    sixth = header_for(*dead, value)

    assert visitor.visit(read_count, headers=fifth).text == "1"
    assert visitor.visit(read_count, headers=sixth).text == "None"


def test_a_wrong_signature_is_logged_if_no_cookie_leads_to_a_session(
    visitor, dead, caplog
):
    visitor.visit(read_count, headers=header_for("0" * 72, dead))

    [record] = log_of(caplog)
    assert "wrong signature" in record.getMessage()


# What the browser must drop


@pytest.fixture(params=["memory", "cookie"])
def each_place(request, config):
    """Sessions in a store, and in a cookie."""
    config.update(type=request.param, validate_key="a key for the tests")


@pytest.mark.parametrize(
    ("name", "value"), [("path", "/shop"), ("domain", "localhost")]
)
def test_when_code_changes_the_scope_the_former_cookie_is_dropped(
    each_place, visitor, name, value
):
    def change(request):
        setattr(ISession(request), name, value)
        return count(request)

    visitor.visit(count)
    response = visitor.visit(change)
    kept = [
        cookie
        for cookie in all_session_cookies(response)
        if not cookie["expires"]
    ]

    assert [cookie[name] for cookie in kept] == [value]
    assert scopes_of(response) == {("", "/")}


def test_a_new_id_with_another_scope_drops_the_former_cookie(visitor):
    def change(request):
        session = ISession(request)
        session.path = "/shop"
        session.regenerate_id()
        session.save()

    visitor.visit(count)

    assert scopes_of(visitor.visit(change)) == {("", "/")}


def test_the_cookie_that_is_dropped_holds_no_id(visitor):
    def change(request):
        ISession(request).path = "/shop"
        return count(request)

    visitor.visit(count)
    id = session_id(visitor)
    response = visitor.visit(change)
    [dropped] = [
        cookie.value
        for cookie in all_session_cookies(response)
        if cookie["expires"]
    ]

    assert id not in dropped


def test_logout_drops_the_cookie_of_the_session_and_that_of_the_options(
    each_place, config, visitor
):
    visitor.visit(count)
    config.update(cookie_path="/shop", cookie_domain="localhost")
    response = visitor.visit(delete)

    assert scopes_of(response) == {("", "/"), ("localhost", "/shop")}


@pytest.fixture
def two_sessions(each_place, config, visitor):
    """The header of a browser with two sessions, of different paths."""
    first = session_cookie(visitor.visit(count)).value
    config["cookie_path"] = "/shop"
    other = Visitor(visitor.browser.app)
    second = session_cookie(other.visit(count)).value
    config["cookie_path"] = "/"
    return header_for(first, second)


def test_logout_ends_all_sessions_of_the_browser(
    config, visitor, two_sessions
):
    response = visitor.visit(delete, headers=two_sessions)

    assert scopes_of(response) == {("", "/"), ("", "/shop")}
    if config["type"] == "memory":
        after = visitor.visit(read_count, headers=two_sessions)
        assert after.text == "None"


def test_logout_by_an_exception_drops_all_cookies(visitor, two_sessions):
    def log_out(request):
        delete(request)
        raise Redirect("/elsewhere")

    response = visitor.visit(log_out, headers=two_sessions, status=302)

    assert scopes_of(response) == {("", "/"), ("", "/shop")}


def test_a_scope_that_no_browser_takes_is_not_sent(config, visitor):
    value = session_cookie(visitor.visit(count)).value
    policy = policy_for(config)
    id = value[-32:]
    record = policy.store.load(id)
    data = policy.codec.decode(policy.store.payload(record))
    data["_path"] = "/; domain=example.com"
    assert policy.store.swap(id, record, policy.codec.encode(data))

    def change(request):
        ISession(request).path = "/"
        return count(request)

    response = visitor.visit(change, headers=header_for(value))

    assert len(all_session_cookies(response)) == 1
