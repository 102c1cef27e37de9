"""What a new password does to sessions, with the events of PAS in Zope."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from AccessControl import getSecurityManager

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.stores import server_fixture
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.views import read_count
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import published


events = pytest.importorskip("Products.PluggableAuthService.events")
logins = pytest.importorskip("collective.beaker.plone.logins")

USER, PASSWORD = "anna", "secret"

server = server_fixture("redis")


@pytest.fixture
def anna(visitor, config):
    """A visitor who has logged in."""

    def add(request):
        folder = request["PARENTS"][-1].acl_users
        folder._doAddUser(USER, PASSWORD, [], [])

    def remove(request):
        request["PARENTS"][-1].acl_users._doDelUsers([USER])

    visitor.visit(add)
    visitor.browser.authorization = ("Basic", (USER, PASSWORD))
    yield visitor
    visitor.visit(remove)


def set_password(request):
    user = getSecurityManager().getUser()
    event = events.CredentialsUpdated(user, "another secret")
    logins.endOtherSessionsOfUser(event)


@pytest.mark.parametrize("transactional", [False, True])
@pytest.mark.parametrize("gets_new_id", [False, True])
def test_a_new_password_does_not_end_the_session_in_which_it_was_set(
    anna, config, gets_new_id, transactional
):
    """Code may give the session a new id then (OWASP)."""
    config["transactional"] = transactional

    def keep_session(request):
        if gets_new_id:
            ISession(request).regenerate_id()
        set_password(request)
        ISession(request).save()

    anna.visit(count)
    anna.visit(keep_session)

    assert anna.visit(read_count).text == "1"


def test_a_new_password_ends_what_was_stored_while_it_was_not_committed(
    anna, other_visitor
):
    """Others do not see it until then, and the former one still works."""
    other_visitor.browser.authorization = ("Basic", (USER, PASSWORD))

    def take_long(request):
        set_password(request)
        with published(count, "count"), ThreadPoolExecutor() as threads:
            visit = threads.submit(other_visitor.browser.get, "/@@count")
            assert visit.result(SECONDS).text == "1"

    anna.visit(take_long)

    assert other_visitor.visit(read_count).text == "None"


def test_a_password_can_be_changed_during_an_outage(anna, server, caplog):
    """Somebody may know the former one, which is worse than their session."""
    anna.visit(count)
    server.stop()
    caplog.clear()
    anna.visit(set_password)

    *_, message = (each.getMessage() for each in caplog.records)
    assert "other sessions of this user could not be ended" in message
