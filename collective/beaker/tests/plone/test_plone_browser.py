"""A Plone site in a real browser, for zope.testrunner; see test_plone.

With BEAKER_SCREENSHOTS, which names a folder, the screenshots of the
documentation are taken into it.
"""

import os
import shutil
import unittest
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from zope.component import getUtility
from zope.configuration import xmlconfig


try:
    from plone.app.testing import SITE_OWNER_NAME
    from plone.app.testing import SITE_OWNER_PASSWORD
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import TEST_USER_PASSWORD
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.testing.zope import WSGI_SERVER_FIXTURE
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Not installed: {error}") from error

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.settings.section import read_configuration
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.testing.section import popBeakerConfig
from collective.beaker.testing.section import pushBeakerConfig
from collective.beaker.tests.helpers import visits
from collective.beaker.tests.helpers.chromium import chromium_running
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.waiting import SECONDS


__test__ = False  # pytest knows no layers

CHROMIUM = find_spec("playwright") and shutil.which("chromium")
if not CHROMIUM:
    raise unittest.SkipTest("chromium is not installed, or not playwright")

SCREENSHOTS = os.environ.get("BEAKER_SCREENSHOTS")

SECTION = {
    "session.type": "file",
    "session.data_dir": "var/sessions",
    "session.timeout": "3600",
    "session.secret": "the-secret-of-the-tests-in-plone",
    "session.data_serializer": "json",
}
"""The settings that the screenshots show."""


class SiteLayer(PloneSandboxLayer):
    """A site with the add-on, and a browser."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        xmlconfig.string(visits.ZCML, context=configurationContext)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "collective.beaker:default")

    def setUp(self):
        super().setUp()
        self._stack = ExitStack()
        self["chromium"] = self._stack.enter_context(
            chromium_running(CHROMIUM)
        )

    def tearDown(self):
        del self["chromium"]
        self._stack.close()
        super().tearDown()


SITE_BROWSER_TESTING = FunctionalTesting(
    bases=(SiteLayer(), WSGI_SERVER_FIXTURE), name="SiteLayer:Browser"
)


class TestBrowser(unittest.TestCase):
    layer = SITE_BROWSER_TESTING

    def setUp(self):
        self.page = self.open_browser()

    def open_browser(self, **options):
        """Return the page that somebody with a new browser looks at."""
        host, port = self.layer["host"], self.layer["port"]
        context = self.layer["chromium"].new_context(
            base_url=f"http://{host}:{port}", **options
        )
        context.set_default_timeout(SECONDS * 1000)
        self.addCleanup(context.close)
        return context.new_page()

    def log_in(self, name, password):
        self.page.goto("/plone/login")
        self.page.fill("[name=__ac_name]", name)
        self.page.fill("[name=__ac_password]", password)
        self.page.click("button:has-text('Log in')")
        self.page.wait_for_selector("#personaltools-logout", state="attached")

    def follow(self, link):
        self.page.get_by_role("link", name=link).click()

    @property
    def cookie(self):
        """The value of the session cookie, or None."""
        name = getUtility(ISessionConfig)["key"]
        cookies = {
            cookie["name"]: cookie["value"]
            for cookie in self.page.context.cookies()
        }
        return cookies.get(name)

    def assert_visits(self, text):
        self.page.goto("/plone/@@visits")
        self.assertEqual(self.page.inner_text("body"), text)

    def test_a_login_changes_the_id_and_a_logout_ends_the_session(self):
        self.assert_visits("Anonymous User: 1")
        before = self.cookie
        self.log_in(TEST_USER_NAME, TEST_USER_PASSWORD)
        self.assertNotIn(self.cookie, (None, before))
        self.assert_visits(f"{TEST_USER_NAME}: 2")

        self.page.goto("/plone/logout")

        self.assertIsNone(self.cookie)
        self.assert_visits("Anonymous User: 1")

    def test_site_setup_leads_to_the_page_and_the_page_back(self):
        self.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)
        self.page.goto("/plone/@@overview-controlpanel")
        self.follow("Sessions and caches")

        self.page.wait_for_url("**/plone/@@beaker")
        heading = self.page.get_by_role("heading", level=1)
        self.assertEqual(heading.inner_text(), "Sessions and caches")

        self.follow("Plone site")
        self.page.wait_for_url("**/plone/@@overview-controlpanel")

    def test_screenshots_are_taken(self):
        if not SCREENSHOTS:
            self.skipTest("BEAKER_SCREENSHOTS names no folder")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.enterContext(TemporaryDirectory()))
        pushBeakerConfig(SECTION)
        self.addCleanup(popBeakerConfig)
        options = getUtility(ISessionConfig)
        self.addCleanup(options.update, dict(options))
        options.update(read_configuration(SECTION).session)
        sessions = Sessions(options)
        for idle, number in ((10, 24), (300, 131), (2400, 58)):
            for some in range(number):
                sessions.make(idle, idle + 900 * (some % 5), note="x" * some)

        self.page = self.open_browser(viewport={"width": 1100, "height": 620})
        self.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)
        self.page.goto("/plone/@@overview-controlpanel")
        self.page.get_by_role("link", name="Sessions and caches").hover()
        self.page.screenshot(path=Path(SCREENSHOTS) / "plone-setup.png")
        self.follow("Sessions and caches")
        self.page.wait_for_url("**/plone/@@beaker")
        self.page.screenshot(path=Path(SCREENSHOTS) / "plone-page.png")
