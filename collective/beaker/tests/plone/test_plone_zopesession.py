"""request.SESSION in Plone, used by code of other packages."""

import unittest
from http.client import HTTPConnection
from urllib.parse import urlsplit

import transaction
from zope.component import getUtility


try:
    import pas.plugins.oidc
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import TEST_USER_PASSWORD
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.testing.zope import Browser
    from plone.testing.zope import installProduct
    from Products.CMFCore.utils import getToolByName
    from Products.PluggableAuthService.plugins.SessionAuthHelper import (
        SessionAuthHelper,
    )

    from collective.beaker.tests.helpers.oidc_provider import CLIENT
    from collective.beaker.tests.helpers.oidc_provider import SECRET
    from collective.beaker.tests.helpers.oidc_provider import oidc_provider
    from collective.beaker.tests.helpers.plone import BrowserTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Not installed: {error}") from error

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published
from collective.beaker.tests.helpers.zope_sessions import put_item
from collective.beaker.tests.helpers.zope_sessions import zope_sessions_on


__test__ = False  # pytest knows no layers


class ZopeSessionLayer(PloneSandboxLayer):
    """A site with ``session.zope_session on`` and pas.plugins.oidc."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self._on = zope_sessions_on()
        self._on.__enter__()
        self.loadZCML(package=pas.plugins.oidc)
        installProduct(app, "pas.plugins.oidc")

    def tearDownZope(self, app):
        self._on.__exit__(None, None, None)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "pas.plugins.oidc:default")


ZOPE_SESSION_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(ZopeSessionLayer(),), name="ZopeSessionLayer:Functional"
)


class ZopeSessionTestCase(BrowserTestCase):
    layer = ZOPE_SESSION_FUNCTIONAL_TESTING

    @property
    def session_cookie(self):
        return getUtility(ISessionConfig)["key"]

    def call(self, view):
        """Have the browser visit a function of the request as a view."""
        with published(view):
            return self.visit(f"@@{VIEW_NAME}")


class TestLogout(ZopeSessionTestCase):
    def test_logging_out_by_the_membership_tool_ends_the_session(self):
        self.call(put_item)
        self.assertIn(self.session_cookie, self.browser.cookies)

        def log_out(request):
            getToolByName(self.portal, "portal_membership").logoutUser(request)

        self.call(log_out)
        self.assertNotIn(self.session_cookie, self.browser.cookies)


class TestOpenIDConnect(ZopeSessionTestCase):
    """pas.plugins.oidc with ``use_session_data_manager``."""

    def test_a_login_works(self):
        with oidc_provider() as issuer:
            self.configure(issuer)
            self.log_in_at_provider()
        self.browser.followRedirects = True

        self.assertIn("__ac", self.browser.cookies)
        self.assertNotIn("__ac_session", self.browser.cookies)
        self.assertIn("erika", self.visit("@@personal-information"))

    def test_a_logout_ends_the_session(self):
        with oidc_provider() as issuer:
            self.configure(issuer)
            self.log_in_at_provider()
            self.assertIn(self.session_cookie, self.browser.cookies)
            self.visit("acl_users/oidc/logout")
        self.assertNotIn("__ac", self.browser.cookies)
        self.assertNotIn(self.session_cookie, self.browser.cookies)

    def log_in_at_provider(self):
        self.browser.followRedirects = False
        self.visit("acl_users/oidc/login")
        callback = self.redirect_of(self.browser.headers["Location"])
        self.assertTrue(
            callback.startswith(f"{self.url}/acl_users/oidc/callback?")
        )
        self.browser.open(callback)

    def configure(self, issuer):
        plugin = self.portal.acl_users.oidc
        plugin.manage_changeProperties(
            issuer=issuer,
            client_id=CLIENT,
            client_secret=SECRET,
            redirect_uris=[f"{self.url}/acl_users/oidc/callback"],
            use_session_data_manager=True,
        )
        transaction.commit()

    def redirect_of(self, url):
        """Return where the provider sends the browser."""
        address = urlsplit(url)
        connection = HTTPConnection(address.netloc, timeout=SECONDS)
        connection.request("GET", f"{address.path}?{address.query}")
        return connection.getresponse().headers["Location"]


class TestSessionAuthHelper(ZopeSessionTestCase):
    """The plugin of PluggableAuthService that keeps logins in sessions."""

    def setUp(self):
        super().setUp()
        users = self.portal.acl_users
        users._setObject("in_session", SessionAuthHelper("in_session"))
        users.in_session.manage_activateInterfaces(["IExtractionPlugin"])
        users.plugins.movePluginsTop(
            users.plugins._getInterfaceFromName("IExtractionPlugin"),
            ["in_session"],
        )
        transaction.commit()

    def test_a_login_lasts(self):
        basic = f"Basic {TEST_USER_NAME}:{TEST_USER_PASSWORD}"
        self.browser.addHeader("Authorization", basic)
        self.assertEqual(self.call(user_name), TEST_USER_NAME)

        cookie = self.browser.cookies[self.session_cookie]
        self.browser = Browser(self.layer["app"])
        self.assertEqual(self.call(user_name), "Anonymous User")
        self.browser.cookies.create(self.session_cookie, cookie)
        self.assertEqual(self.call(user_name), TEST_USER_NAME)


def user_name(request):
    return request["AUTHENTICATED_USER"].getUserName()
