"""Sessions across logins: whose they become, and who may use them."""

import pytest
from AccessControl import getSecurityManager

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.zope import Visitor


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

    def use_early(request):
        session = ISession(request)
        session.knows_user = session._is_judged = False
        seen = session.get("count")
        session.knows_user = True
        return f"{seen} {session.get('count')}"

    assert visitor.visit(use_early).text == "1 1"
    log_in(visitor, "bert")
    assert visitor.visit(use_early).text == "1 None"


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
