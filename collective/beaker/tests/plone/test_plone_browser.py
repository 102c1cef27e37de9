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
from collective.beaker.tests.helpers.plone import keep_in_files
from collective.beaker.tests.helpers.plone import keep_in_redis
from collective.beaker.tests.helpers.plone_views import PASSWORD
from collective.beaker.tests.helpers.plone_views import SITE
from collective.beaker.tests.helpers.plone_views import USER
from collective.beaker.tests.helpers.plone_zopes import PloneZopes
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.waiting import SECONDS


__test__ = False  # pytest knows no layers

CHROMIUM = find_spec("playwright") and shutil.which("chromium")
if not CHROMIUM:
    raise unittest.SkipTest("chromium is not installed, or not playwright")

SCREENSHOTS = os.environ.get("BEAKER_SCREENSHOTS")

SECTION = {
    "session.type": "file",
    "session.timeout": "3600",
    "session.secret": "the-secret-of-the-tests-in-plone",
    "session.data_serializer": "json",
}
"""The settings that the screenshots show, besides the folder."""


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


class Screen:
    """What somebody with a browser of their own looks at."""

    def __init__(self, test, chromium, site, **options):
        context = chromium.new_context(base_url=f"{site}/", **options)
        context.set_default_timeout(SECONDS * 1000)
        test.addCleanup(context.close)
        self.page = context.new_page()

    def visit(self, address):
        """Return the text of a page of the site."""
        self.page.goto(address)
        return self.page.inner_text("body")

    def log_in(self, name, password):
        self.visit("login")
        self.page.fill("[name=__ac_name]", name)
        self.page.fill("[name=__ac_password]", password)
        self.press("Log in")
        self.page.wait_for_selector("#personaltools-logout", state="attached")

    def press(self, button):
        self.page.click(f"#content button:text-is('{button}')")

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


class BrowserTestCase(unittest.TestCase):
    layer = SITE_BROWSER_TESTING

    def open_browser(self, **options):
        site = f"http://{self.layer['host']}:{self.layer['port']}/plone"
        return Screen(self, self.layer["chromium"], site, **options)


class TestLogin(BrowserTestCase):
    keep_sessions = keep_in_files

    def setUp(self):
        self.keep_sessions()

    def test_a_login_changes_the_id_and_a_logout_ends_the_session(self):
        screen = self.open_browser()
        self.assertEqual(screen.visit("@@visits"), "Anonymous User: 1")
        before = screen.cookie
        screen.log_in(TEST_USER_NAME, TEST_USER_PASSWORD)
        self.assertNotIn(screen.cookie, (None, before))
        self.assertEqual(screen.visit("@@visits"), f"{TEST_USER_NAME}: 2")

        screen.visit("logout")

        self.assertIsNone(screen.cookie)
        self.assertEqual(screen.visit("@@visits"), "Anonymous User: 1")


class TestLoginOnRedis(TestLogin):
    keep_sessions = keep_in_redis


class TestMySessions(BrowserTestCase):
    def test_another_device_is_signed_out(self):
        keep_in_files(self)
        here, there = self.open_browser(), self.open_browser()
        for screen in (here, there):
            screen.log_in(TEST_USER_NAME, TEST_USER_PASSWORD)
            screen.visit("@@visits")

        here.visit("@@my-sessions")
        here.press("Sign out")
        here.page.get_by_text("Signed out there").wait_for()

        self.assertEqual(there.visit("@@visits"), f"{TEST_USER_NAME}: 1")
        self.assertEqual(here.visit("@@visits"), f"{TEST_USER_NAME}: 2")


class TestSiteSetup(BrowserTestCase):
    def test_site_setup_leads_to_the_page_and_the_page_back(self):
        screen = self.open_browser()
        screen.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)
        screen.visit("@@overview-controlpanel")
        screen.follow("Sessions and caches")

        screen.page.wait_for_url("**/plone/@@beaker")
        heading = screen.page.get_by_role("heading", level=1)
        self.assertEqual(heading.inner_text(), "Sessions and caches")

        screen.follow("Plone site")
        screen.page.wait_for_url("**/plone/@@overview-controlpanel")

    def test_screenshots_are_taken(self):
        if not SCREENSHOTS:
            self.skipTest("BEAKER_SCREENSHOTS names no folder")
        folder = self.enterContext(TemporaryDirectory())
        section = SECTION | {"session.data_dir": f"{folder}/sessions"}
        pushBeakerConfig(section)
        self.addCleanup(popBeakerConfig)
        options = getUtility(ISessionConfig)
        self.addCleanup(options.update, dict(options))
        options.update(read_configuration(section).session)
        sessions = Sessions(options)
        for idle, number in ((10, 24), (300, 131), (2400, 58)):
            for some in range(number):
                sessions.make(idle, idle + 900 * (some % 5), note="x" * some)

        size = {"width": 1100, "height": 620}
        screen = self.open_browser(viewport=size)
        screen.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)
        screen.visit("@@overview-controlpanel")
        screen.page.get_by_role("link", name="Sessions and caches").hover()
        screen.page.screenshot(path=Path(SCREENSHOTS) / "plone-setup.png")
        screen.follow("Sessions and caches")
        screen.page.wait_for_url("**/plone/@@beaker")
        screen.page.screenshot(path=Path(SCREENSHOTS) / "plone-page.png")


class TestTwoZopes(unittest.TestCase):
    layer = PloneZopes

    def test_an_edit_changes_the_teaser_that_the_other_zope_has_cached(self):
        chromium = self.enterContext(chromium_running(CHROMIUM))
        editor, reader = (
            Screen(self, chromium, f"{zope.url}/{SITE}")
            for zope in self.layer.zopes
        )
        before = reader.visit("folder/@@teaser")
        self.assertEqual(reader.visit("folder/@@teaser"), before)

        editor.log_in(USER, PASSWORD)
        editor.visit("folder/edit")
        # Plone asks before it locks for the first time what has no lock yet.
        editor.page.click("text='Confirm action'")
        editor.page.get_by_label("Title").fill("What is new")
        editor.press("Save")
        editor.page.get_by_text("Changes saved").wait_for()

        self.assertRegex(reader.visit("folder/@@teaser"), "^What is new, ")
