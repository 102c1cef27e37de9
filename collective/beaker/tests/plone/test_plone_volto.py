"""The service of the page on Volto, for zope.testrunner; see test_plone."""

import json
import logging
import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

from zope.component import getUtility
from zope.configuration import xmlconfig


try:
    import plone.restapi
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import TEST_USER_PASSWORD
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.dexterity.fti import DexterityFTI
    from plone.dexterity.utils import addContentToContainer
    from plone.dexterity.utils import createContent

    from collective.beaker.tests.helpers.plone import BrowserTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session import orphans
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers import visits
from collective.beaker.tests.helpers.sites import DOCS
from collective.beaker.tests.helpers.sites import block_of_page


__test__ = False  # pytest knows no layers

if not DOCS.is_dir():
    raise unittest.SkipTest("This was installed without its documentation.")

ORIGIN = "https://www.example.org"


def write_addon(folder):
    """Write what the page shows as a package of an add-on."""
    addon = folder / "addon_of_the_page"
    addon.mkdir()
    (addon / "__init__.py").touch()
    service = block_of_page("python", "from collective", "volto.rst")
    (addon / "recent.py").write_text(service)
    zcml = block_of_page("xml", "<configure", "volto.rst")
    policy = block_of_page("xml", "<plone:CORSPolicy", "volto.rst")
    (addon / "configure.zcml").write_text(
        zcml.replace("</configure>", f"{policy}</configure>")
    )
    return addon.name


class VoltoLayer(PloneSandboxLayer):
    """A site with the add-on that the page shows."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.folder = TemporaryDirectory()
        name = write_addon(Path(self.folder.name))
        sys.path.insert(0, self.folder.name)
        self.loadZCML(package=plone.restapi)
        self.loadZCML(name="configure.zcml", package=__import__(name))
        xmlconfig.string(visits.ZCML, context=configurationContext)

    def tearDownZope(self, app):
        sys.path.remove(self.folder.name)
        self.folder.cleanup()

    def setUpPloneSite(self, portal):
        applyProfile(portal, "plone.restapi:default")
        portal.portal_types._setObject("Page", DexterityFTI("Page"))
        page = createContent("Page", id="page")
        addContentToContainer(portal, page, checkConstraints=False)


VOLTO_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(VoltoLayer(),), name="VoltoLayer:Functional"
)


class TestService(BrowserTestCase):
    layer = VOLTO_FUNCTIONAL_TESTING

    def setUp(self):
        super().setUp()
        self.browser.addHeader("Accept", "application/json")

    def post(self, path, **data):
        self.browser.post(
            f"{self.url}/{path}", json.dumps(data), "application/json"
        )
        return json.loads(self.browser.contents)

    def log_in(self):
        """Send a token from now on."""
        token = self.post(
            "@login", login=TEST_USER_NAME, password=TEST_USER_PASSWORD
        )["token"]
        self.browser.addHeader("Authorization", f"Bearer {token}")

    @property
    def cookie(self):
        cookies = self.browser.cookies
        return cookies.get(getUtility(ISessionConfig)["key"])

    def test_the_browser_of_a_visitor_has_a_session(self):
        self.assertEqual(self.post("@recent"), {"items": []})
        self.assertEqual(self.post("page/@recent"), {"items": [self.url]})

    def test_the_session_becomes_that_of_the_user_who_logs_in(self):
        self.post("@recent")
        before = self.cookie
        self.log_in()
        self.assertNotEqual(self.cookie, before)
        self.assertEqual(self.post("page/@recent"), {"items": [self.url]})

    def test_a_page_of_another_host_may_send_the_cookie(self):
        self.browser.addHeader("Origin", ORIGIN)
        self.post("@recent")
        headers = self.browser.headers
        self.assertEqual(headers["Access-Control-Allow-Origin"], ORIGIN)
        self.assertEqual(headers["Access-Control-Allow-Credentials"], "true")

    def test_what_volto_renders_on_its_server_is_logged_if_it_stores(self):
        orphans._warned.clear()
        self.log_in()
        with self.assertLogs("collective.beaker", logging.WARNING) as logs:
            for _ in range(2):
                # The server keeps the token and no cookie.
                self.browser.cookies.clearAll()
                self.visit("@@visits")
        (line,) = logs.output
        self.assertIn("visits has begun a session in a GET request", line)
