"""Logins and logouts in a Plone site, for zope.testrunner; see test_plone."""

import unittest
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError

import transaction
from zExceptions import Forbidden
from zExceptions import Redirect
from zExceptions import Unauthorized
from zope.component import getUtility
from zope.component.hooks import getSite
from zope.event import notify
from zope.globalrequest import getRequest
from ZPublisher.interfaces import IPubBeforeCommit


try:
    from plone.app.testing import SITE_OWNER_NAME
    from plone.app.testing import SITE_OWNER_PASSWORD
    from plone.app.testing import TEST_USER_ID
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import TEST_USER_PASSWORD
    from plone.registry.interfaces import IRegistry
    from Products.PlonePAS.events import UserLoggedInEvent
    from Products.PluggableAuthService.interfaces.events import (
        IUserLoggedOutEvent,
    )
    from Products.PluggableAuthService.interfaces.plugins import (
        IUserEnumerationPlugin,
    )

    from collective.beaker.tests.helpers.plone import LoginTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.helpers.servers import redis_server
from collective.beaker.tests.helpers.visits import count_visit
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope import subscribed


__test__ = False  # pytest knows no layers


class TestLogin(LoginTestCase):
    def test_the_form_gives_the_session_a_new_id_at_once(self):
        self.visit("@@visits")
        before = self.cookie
        self.log_in()
        self.assertNotEqual(self.cookie, before)
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")

    def test_a_planted_session_is_nobodys_after_the_login(self):
        self.visit("@@visits")
        planted, attacker = self.cookie, self.browser
        self.new_browser()
        self.visit("")
        self.browser.cookies.create(getUtility(ISessionConfig)["key"], planted)
        self.log_in()
        self.browser = attacker
        self.assertEqual(self.visit("@@visits"), "Anonymous User: 1")

    def test_restapi_gives_the_session_a_new_id_at_once(self):
        self.visit("@@visits")
        before = self.cookie
        answer = self.rest(
            "@login", login=TEST_USER_NAME, password=TEST_USER_PASSWORD
        )
        self.assertIn("token", answer)
        self.assertNotEqual(self.cookie, before)

    def test_basic_authentication_gives_it_with_the_first_write(self):
        self.visit("@@visits")
        before = self.cookie
        credentials = f"{TEST_USER_NAME}:{TEST_USER_PASSWORD}"
        self.browser.addHeader("Authorization", f"Basic {credentials}")
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")
        self.assertNotEqual(self.cookie, before)

    def test_a_login_that_a_savepoint_undoes_takes_no_session_away(self):
        def try_to_log_in(request):
            count_visit(request)
            savepoint = transaction.savepoint()
            user = getSite().acl_users.getUser(TEST_USER_NAME)
            notify(UserLoggedInEvent(user))
            savepoint.rollback()
            return count_visit(request)

        self.be_transactional()
        with published(try_to_log_in):
            self.assertEqual(self.visit(f"@@{VIEW_NAME}"), "2")
        self.assertEqual(self.visit("@@visits_of"), "Anonymous User: 2")

    def test_a_login_begins_no_session(self):
        self.log_in()
        self.assertIsNone(self.cookie)


class TestLogout(LoginTestCase):
    def test_it_ends_the_session(self):
        self.log_in()
        self.visit("@@visits")
        self.visit("logout")
        self.assertIsNone(self.cookie)

    def test_that_of_the_zmi_ends_the_session(self):
        self.log_in()
        self.visit("@@visits")
        self.visit("manage_zmi_logout")
        self.assertFalse(self.is_logged_in())
        self.assertIsNone(self.cookie)

    def test_code_may_begin_a_session_once_it_is_told(self):
        def say_goodbye(event):
            ISession(getRequest()).invalidate()
            count_visit(getRequest())

        self.log_in()
        self.visit("@@visits")
        with subscribed(say_goodbye, IUserLoggedOutEvent):
            self.visit("logout")
        self.assertEqual(self.visit("@@visits_of"), "Anonymous User: 1")

    def test_it_ends_the_session_if_its_transaction_does_not_commit(self):
        """The answer removes the cookie of the login all the same."""
        self.be_transactional()
        for event, end in (
            (IUserLoggedOutEvent, transaction.abort),
            (IUserLoggedOutEvent, transaction.doom),
            (IPubBeforeCommit, transaction.abort),
        ):
            with self.subTest(event=event, end=end):
                self.log_in()
                self.visit("@@visits")
                with subscribed(lambda event, end=end: end(), event):
                    self.visit("logout")
                self.assertFalse(self.is_logged_in())
                self.assertIsNone(self.cookie)

    def test_it_ends_the_session_if_a_savepoint_undoes_what_was_told(self):
        def log_out(request):
            ISession(request).get("visits")
            savepoint = transaction.savepoint()
            getSite().portal_membership.logoutUser(request)
            savepoint.rollback()

        self.assert_ends_session(log_out)
        self.be_transactional()
        self.assert_ends_session(log_out)

    def test_it_may_raise_a_redirect(self):
        """Plone answers by a page, which removes the cookie of the login."""

        def log_out(request):
            request.response.expireCookie("__ac", path="/")
            raise Redirect(f"{self.url}/@@visits_of")

        self.assert_ends_session(log_out)
        self.be_transactional()
        self.assert_ends_session(log_out)

    def test_it_may_raise_a_redirect_after_it_was_told(self):
        def log_out(request):
            getSite().portal_membership.logoutUser(request)
            raise Redirect(f"{self.url}/@@visits_of")

        self.assert_ends_session(log_out)
        self.be_transactional()
        self.assert_ends_session(log_out)

    def test_it_may_fail_once_the_cookie_is_removed(self):
        def log_out(request):
            request.response.expireCookie("__ac", path="/")
            raise Forbidden("This is a page, too.")

        def log_out_told(request):
            getSite().portal_membership.logoutUser(request)
            raise ValueError("So is this.")

        for view in (log_out, log_out_told):
            self.assert_ends_session(view)
        self.be_transactional()
        for view in (log_out, log_out_told):
            self.assert_ends_session(view)

    def test_it_shows_the_page_of_an_outage(self):
        folder = Path(self.enterContext(TemporaryDirectory()))
        config = getUtility(ISessionConfig)
        before = dict(config)
        self.addCleanup(lambda: (config.clear(), config.update(before)))
        with redis_server(folder) as server:
            config.update(type="ext:redis", url=server.url)
            self.log_in()
            self.visit("@@visits")
        with self.assertLogs("collective.beaker", "ERROR"):
            self.assertRaisesRegex(HTTPError, "503", self.visit, "logout")
        # Of Plone, in JSON for a client that does not ask for HTML.
        self.assertIn("error_type", str(self.browser.contents))

    def test_who_is_asked_to_log_in_keeps_the_session(self):
        """Plone leaves the login alone then."""

        def refuse(request):
            request.response.expireCookie("__ac", path="/")
            raise Unauthorized("Not you.")

        self.log_in()
        self.visit("@@visits")
        with published(refuse):
            self.visit(f"@@{VIEW_NAME}")
        self.assertTrue(self.is_logged_in())
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")

    def test_a_redirect_that_removes_another_cookie_ends_nothing(self):
        def forget(request):
            request.response.expireCookie("theme", path="/")
            raise Redirect(f"{self.url}/@@visits_of")

        self.log_in()
        self.visit("@@visits")
        with published(forget):
            self.assertEqual(
                self.visit(f"@@{VIEW_NAME}"), f"{TEST_USER_NAME}: 1"
            )

    def assert_ends_session(self, log_out):
        self.log_in()
        self.visit("@@visits")
        with published(log_out), suppress(HTTPError):
            self.visit(f"@@{VIEW_NAME}")
        self.assertFalse(self.is_logged_in())
        self.assertIsNone(self.cookie)

    def test_restapi_ends_the_session(self):
        answer = self.rest(
            "@login", login=TEST_USER_NAME, password=TEST_USER_PASSWORD
        )
        self.browser.addHeader("Authorization", f"Bearer {answer['token']}")
        self.visit("@@visits")
        self.assertIsNotNone(self.cookie)
        self.portal.acl_users.jwt_auth.store_tokens = True
        transaction.commit()
        answer = self.rest(
            "@login", login=TEST_USER_NAME, password=TEST_USER_PASSWORD
        )
        self.browser.addHeader("Authorization", f"Bearer {answer['token']}")
        self.rest("@logout")
        self.assertIsNone(self.cookie)


class TestOneBrowserForTwoUsers(LoginTestCase):
    def test_the_second_does_not_get_the_session_of_the_first(self):
        self.log_in()
        self.visit("@@visits")
        # The login expires, and nobody logs out.
        del self.browser.cookies["__ac"]
        self.assertEqual(self.visit("@@visits_of"), "Anonymous User: None")
        self.log_in_as_owner()
        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 1")

    def test_the_first_finds_it_again_if_nobody_has_come_between(self):
        self.log_in()
        self.visit("@@visits")
        del self.browser.cookies["__ac"]
        self.assertEqual(self.visit("@@visits_of"), "Anonymous User: None")
        self.log_in()
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")


class TestNewPassword(LoginTestCase):
    def change_password(self):
        self.portal.acl_users.userSetPassword(TEST_USER_ID, "another secret")
        transaction.commit()

    def test_it_ends_the_sessions_of_the_user(self):
        self.log_in()
        self.visit("@@visits")
        users = self.browser
        owners = self.new_browser()
        self.log_in_as_owner()
        self.visit("@@visits")
        self.change_password()

        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 2")
        self.browser = users
        del self.browser.cookies["__ac"]
        self.log_in(password="another secret")
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 1")
        self.assertIsNot(users, owners)

    def test_one_that_is_not_committed_ends_no_session(self):
        self.log_in()
        self.visit("@@visits")
        self.portal.acl_users.userSetPassword(TEST_USER_ID, "another secret")
        transaction.abort()

        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")

    def test_it_is_set_where_no_plugin_finds_the_user(self):
        plugins = self.portal.acl_users.plugins
        for name in plugins.listPluginIds(IUserEnumerationPlugin):
            plugins.deactivatePlugin(IUserEnumerationPlugin, name)
        with self.assertLogs("collective.beaker", "WARNING") as log:
            self.change_password()
        self.assertIn("no plugin of acl_users finds the user", log.output[0])


class TestNewPasswordOverHTTP(LoginTestCase):
    NEW = "another secret"

    def setUp(self):
        super().setUp()
        self.log_in()
        self.visit("@@visits")
        self.users = self.browser

    def assert_session_has_ended(self):
        """What the user stored is gone, also if the user logs in anew."""
        self.browser = self.users
        del self.browser.cookies["__ac"]
        self.log_in(password=self.NEW)
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 1")

    def test_an_administrator_ends_the_sessions_of_that_user_only(self):
        self.new_browser()
        self.log_in_as_owner()
        self.visit("@@visits")
        owners_cookie = self.cookie
        self.patch(f"@users/{TEST_USER_ID}", password=self.NEW)

        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 2")
        self.assertEqual(self.cookie, owners_cookie)
        self.assert_session_has_ended()

    def test_a_user_keeps_the_session_in_which_the_password_was_changed(self):
        self.new_browser()
        self.log_in()
        self.visit("@@visits")
        self.visit("@@change-password")
        form = {
            "form.widgets.current_password": TEST_USER_PASSWORD,
            "form.widgets.new_password": self.NEW,
            "form.widgets.new_password_ctl": self.NEW,
        }
        for name, value in form.items():
            self.browser.getControl(name=name).value = value
        self.browser.getControl("Change Password").click()

        self.assertIn("Password changed", self.browser.contents)
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")
        self.assert_session_has_ended()

    def test_a_reset_ends_all_sessions_of_the_user(self):
        reset = self.request_reset()
        self.new_browser()
        self.reset_password(reset)

        self.assert_session_has_ended()

    def test_a_reset_that_logs_in_keeps_what_the_visitor_has_stored(self):
        registry = getUtility(IRegistry)
        registry["plone.autologin_after_password_reset"] = True
        reset = self.request_reset()
        self.be_transactional()
        self.new_browser()
        self.visit("@@visits")
        self.reset_password(reset)

        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")
        self.assert_session_has_ended()

    def request_reset(self):
        tool = self.portal.portal_password_reset
        reset = tool.requestReset(TEST_USER_ID)["randomstring"]
        transaction.commit()
        return reset

    def reset_password(self, reset):
        self.visit(f"passwordreset/{reset}")
        self.browser.getControl(name="userid").value = TEST_USER_NAME
        for name in ("password", "password2"):
            self.browser.getControl(name=name).value = self.NEW
        self.browser.getControl("Set my password").click()

    def patch(self, path, **data):
        request = self.browser.testapp.patch_json
        token = self.browser.cookies["__ac"]
        request(
            f"{self.url}/{path}",
            data,
            headers={"Accept": "application/json", "Cookie": f"__ac={token}"},
        )


class TestDeletedUser(LoginTestCase):
    def test_a_user_who_is_not_deleted_after_all_keeps_the_session(self):
        def fail_to_delete(request):
            getSite().acl_users.userFolderDelUsers([TEST_USER_ID])
            raise ValueError("The user stays.")

        self.log_in()
        self.visit("@@visits")
        with published(fail_to_delete), suppress(HTTPError):
            self.visit(f"@@{VIEW_NAME}")

        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")

    def test_who_gets_the_id_does_not_get_the_session(self):
        self.log_in()
        self.visit("@@visits")
        del self.browser.cookies["__ac"]

        self.portal.acl_users.userFolderDelUsers([TEST_USER_ID])
        users = self.portal.acl_users.source_users
        users.addUser(TEST_USER_ID, TEST_USER_NAME, "another secret")
        transaction.commit()

        self.log_in(password="another secret")
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 1")


class TestRootOfZope(LoginTestCase):
    """The root has no ``/login``, but a form of its user folder."""

    def setUp(self):
        super().setUp()
        self.url = self.layer["app"].absolute_url()

    def log_in(self):
        form = "acl_users/credentials_cookie_auth/login_form"
        self.visit(f"{form}?came_from=/@@visits_of")
        self.browser.getControl(name="__ac_name").value = SITE_OWNER_NAME
        password = self.browser.getControl(name="__ac_password")
        password.value = SITE_OWNER_PASSWORD
        self.browser.getForm(index=0).submit()

    def test_a_planted_session_is_nobodys_after_the_login(self):
        self.visit("@@visits")
        planted, attacker = self.cookie, self.browser
        self.new_browser()
        self.visit("@@visits_of")
        self.browser.cookies.create(getUtility(ISessionConfig)["key"], planted)
        self.log_in()
        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 2")
        self.browser = attacker
        self.assertEqual(self.visit("@@visits"), "Anonymous User: 1")


class TestSiteOwner(LoginTestCase):
    def test_a_user_of_the_root_is_told_from_one_of_the_site(self):
        self.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)
        self.visit("@@visits")
        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 2")
