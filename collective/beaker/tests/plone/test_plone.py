"""Tests in Plone, for zope.testrunner.

Run them with ``zope-testrunner --test-path=. -s collective.beaker.tests
--tests-pattern test_plone``, where Plone and this package are installed.
"""

import json
import subprocess
import sys
import unittest
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from urllib.request import HTTPCookieProcessor
from urllib.request import build_opener

import transaction
from persistent.mapping import PersistentMapping
from zope.component import getUtility
from zope.configuration import xmlconfig

from collective.beaker.caching import by_language
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.tests.helpers import visits


try:
    import plone.app.caching
    from plone.app.testing import PLONE_FIXTURE
    from plone.app.testing import SITE_OWNER_NAME
    from plone.app.testing import SITE_OWNER_PASSWORD
    from plone.app.testing import TEST_USER_ID
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.app.testing import setRoles
    from plone.caching.interfaces import ICacheSettings
    from plone.i18n.interfaces import ILanguageSchema
    from plone.i18n.utility import setLanguageBinding
    from plone.registry.interfaces import IRegistry
    from plone.testing.zope import Browser
    from z3c.caching.registry import register
    from z3c.caching.registry import unregister

    from collective.beaker.tests.helpers.plone import BrowserTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.testing import BEAKER_FUNCTIONAL_TESTING
from collective.beaker.testing import BEAKER_INTEGRATION_TESTING


__test__ = False  # pytest knows no layers

START_SECONDS = 300
RULESET = "plone.content.dynamic"


class AddonLayer(PloneSandboxLayer):
    """The layer of an add-on that uses sessions."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.loadZCML(package=plone.app.caching)
        xmlconfig.string(visits.ZCML, context=configurationContext)


ADDON_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(AddonLayer(), PLONE_FIXTURE), name="AddonLayer:Functional"
)


class TestIntegrationTesting(unittest.TestCase):
    layer = BEAKER_INTEGRATION_TESTING

    def test_there_is_a_plone_site(self):
        self.assertEqual(self.layer["portal"].portal_type, "Plone Site")


class TestSessionsInPlone(BrowserTestCase):
    layer = ADDON_FUNCTIONAL_TESTING

    def setUp(self):
        super().setUp()
        setRoles(self.portal, TEST_USER_ID, ["Editor"])
        transaction.commit()

    def test_session_of_an_editor_lasts(self):
        self.log_in()
        for count in (1, 2, 3):
            self.assertEqual(
                self.visit("@@visits"), f"{TEST_USER_NAME}: {count}"
            )

    def test_session_of_an_editor_outlives_edits(self):
        self.log_in()
        self.visit("@@visits")
        self.visit("edit")
        title = self.browser.getControl(name="form.widgets.IDublinCore.title")
        title.value = "Edited"
        self.browser.getControl("Save").click()
        self.assertEqual(self.portal.title, "Edited")
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")

    def test_visitors_have_sessions_of_their_own(self):
        self.visit("@@visits")
        self.browser = Browser(self.layer["app"])
        self.assertEqual(self.visit("@@visits"), "Anonymous User: 1")

    def test_session_begins_before_the_login_and_ends_with_the_logout(self):
        self.visit("@@visits")
        self.log_in()
        self.assertEqual(self.visit("@@visits"), f"{TEST_USER_NAME}: 2")
        self.visit("logout")
        self.assertEqual(self.visit("@@visits"), "Anonymous User: 1")

    def test_login_is_undisturbed_by_sessions(self):
        self.visit("@@visits")
        self.log_in()
        self.assertTrue(self.is_logged_in())
        self.visit("@@visits")
        self.assertTrue(self.is_logged_in())
        self.visit("logout")
        self.assertFalse(self.is_logged_in())

    def test_wrong_password_is_refused_with_a_session_in_use(self):
        self.visit("@@visits")
        self.log_in(password="wrong")
        self.assertFalse(self.is_logged_in())
        self.assertIn("Login failed", self.browser.contents)

    def test_site_owner_has_a_session(self):
        self.log_in_as_owner()
        self.assertEqual(self.visit("@@visits"), f"{SITE_OWNER_NAME}: 1")


class TestCachingInPlone(BrowserTestCase):
    layer = ADDON_FUNCTIONAL_TESTING

    def setUp(self):
        super().setUp()
        applyProfile(self.portal, "plone.app.caching:default")
        registry = getUtility(IRegistry)
        settings = registry.forInterface(ICacheSettings)
        settings.enabled = True
        operation = "plone.app.caching.moderateCaching"
        settings.operationMapping = {RULESET: operation}
        registry[f"{operation}.smaxage"] = 3600
        register(visits.VisitsView, RULESET)
        transaction.commit()

    def tearDown(self):
        unregister(visits.VisitsView)

    def headers(self):
        self.visit("@@visits")
        headers = self.browser.headers
        self.assertEqual(headers["X-Cache-Rule"], RULESET)
        return headers["Cache-Control"], headers["Vary"]

    def test_response_with_the_cookie_is_not_for_shared_caches(self):
        cache_control, vary = self.headers()
        self.assertIn("private", cache_control)
        self.assertNotIn("s-maxage", cache_control)
        self.assertIn("Cookie", vary)

    def test_later_responses_are_not_for_shared_caches_either(self):
        self.visit("@@visits")
        cache_control, vary = self.headers()
        self.assertIn("private", cache_control)
        self.assertNotIn("s-maxage", cache_control)
        self.assertIn("Cookie", vary)


class TestLanguages(BrowserTestCase):
    layer = BEAKER_FUNCTIONAL_TESTING

    def languages(self, accepted):
        request = self.layer["request"].clone()
        request["HTTP_ACCEPT_LANGUAGE"] = accepted
        setLanguageBinding(request)
        return by_language(request=request)

    def test_those_of_a_text_without_a_translation_count(self):
        settings = getUtility(IRegistry).forInterface(
            ILanguageSchema, prefix="plone"
        )
        settings.available_languages = ["de", "en", "fr"]
        settings.use_request_negotiation = True

        self.assertEqual(self.languages("de,pt"), ("de", "en"))
        self.assertEqual(self.languages("de,fr"), ("de", "fr", "en"))


class TestLoginWithoutSession(BrowserTestCase):
    layer = BEAKER_FUNCTIONAL_TESTING

    def test_login_alone_makes_no_session(self):
        self.log_in()
        self.assertTrue(self.is_logged_in())
        self.assertNotIn(
            getUtility(ISessionConfig)["key"], self.browser.cookies
        )


class TestPage(BrowserTestCase):
    """The page for the one who runs a site, in a Plone site."""

    layer = BEAKER_FUNCTIONAL_TESTING

    def test_anonymous_visitors_are_asked_to_log_in(self):
        for view in ("@@beaker", "@@beaker-status.json"):
            self.visit(view)
            self.assertIn("/login?came_from=", self.browser.url)

    def test_who_administers_one_site_only_is_refused(self):
        setRoles(self.portal, TEST_USER_ID, ["Site Administrator"])
        transaction.commit()
        self.log_in()
        self.assertIn("Insufficient Privileges", self.visit("@@beaker"))

    def test_managers_see_the_page_as_it_is_without_a_theme(self):
        setRoles(self.portal, TEST_USER_ID, ["Manager"])
        transaction.commit()
        self.log_in()
        page = self.visit("@@beaker")
        self.assertIn("<h1>Sessions and caches</h1>", page)
        self.assertEqual(self.browser.headers["X-Theme-Disabled"], "1")
        cache_control = self.browser.headers["Cache-Control"]
        self.assertEqual(cache_control, "no-store")

    def test_a_button_works_with_the_token_of_plone_protect(self):
        self.log_in_as_owner()
        self.visit("@@beaker")
        form = self.browser.getForm(id="sweep")
        form.getControl("Remove expired sessions").click()
        self.assertEqual(self.browser.url, f"{self.url}/@@beaker")
        self.assertIn("Removed 0 expired", self.browser.contents)

    def test_without_the_token_of_plone_protect_a_button_is_refused(self):
        self.log_in_as_owner()
        for token in ("", "_authenticator=wrong"):
            self.browser.raiseHttpErrors = False
            self.browser.post(f"{self.url}/@@beaker-sweep", token)
            self.assertEqual(self.browser.headers["Status"][:3], "403")
            self.assertIn("Press the button again", self.browser.contents)

    def test_a_token_is_not_that_of_the_same_name_in_another_folder(self):
        self.portal.acl_users.userFolderAddUser(
            SITE_OWNER_NAME, "that of the site", ["Manager"], []
        )
        transaction.commit()
        owner, other = (
            Browser(self.layer["app"]) for _ in ("of Zope", "of the site")
        )
        for browser, password in (
            (owner, SITE_OWNER_PASSWORD),
            (other, "that of the site"),
        ):
            browser.addHeader(
                "Authorization", f"Basic {SITE_OWNER_NAME}:{password}"
            )
        other.open(f"{self.url}/@@beaker")
        token = other.getForm(id="sweep").getControl(name="_authenticator")
        form = f"_authenticator={token.value}"

        owner.raiseHttpErrors = False
        owner.post(f"{self.url}/@@beaker-sweep", form)
        self.assertEqual(owner.headers["Status"][:3], "403")

        other.post(f"{self.url}/@@beaker-sweep", form)
        self.assertIn("Removed 0 expired", other.contents)

    def test_a_button_works_on_the_root_of_zope(self):
        self.browser.addHeader(
            "Authorization", f"Basic {SITE_OWNER_NAME}:{SITE_OWNER_PASSWORD}"
        )
        self.browser.open(f"{self.layer['app'].absolute_url()}/@@beaker")
        form = self.browser.getForm(id="sweep")
        form.getControl("Remove expired sessions").click()
        self.assertIn("Removed 0 expired", self.browser.contents)

    def test_the_options_of_the_site_are_shown(self):
        sites = self.portal.getSiteManager()
        options = PersistentMapping(type="memory", key="special")
        sites.registerUtility(options, ISessionConfig)
        transaction.commit()
        self.log_in_as_owner()
        self.visit("@@beaker-status.json")
        setting = {
            "name": "session.key",
            "value": "special",
            "source": "site-local utility",
        }
        data = json.loads(self.browser.contents)
        self.assertIn(setting, data["settings"])

    def test_health_is_public(self):
        self.assertEqual(self.visit("@@beaker-health"), "ok")


ZOPE_CONF = """
<product-config beaker>
    session.type memory
</product-config>
"""


def make_instance(folder):
    """Make a Zope instance that has no ZCML of this package; return its ini.

    An add-on's view is in it, and a port that the system chooses.
    """
    maker = [sys.executable, "-m", "Zope2.utilities.mkwsgiinstance"]
    maker += ["--user", "admin:secret", "--dir", folder]
    subprocess.run(maker, check=True, capture_output=True)

    etc = folder / "etc"
    with (etc / "zope.conf").open("a") as zope_conf:
        zope_conf.write(ZOPE_CONF)
    includes = etc / "package-includes"
    includes.mkdir()
    (includes / "visits-configure.zcml").write_text(visits.ZCML)
    zope_ini = etc / "zope.ini"
    address = "host = 127.0.0.1\nport = 8080"
    text = zope_ini.read_text()
    zope_ini.write_text(text.replace(address, "listen = 127.0.0.1:0"))
    return zope_ini


@contextmanager
def serving(zope_ini):
    """Run Zope in a process of its own; yield its URL once it serves."""
    server = [sys.executable, "-m", "Zope2.Startup.serve", zope_ini]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(server, **output, text=True) as zope:
        watchdog = Timer(START_SECONDS, zope.kill)
        watchdog.start()
        try:
            yield find_url(zope.stderr)
        finally:
            watchdog.cancel()
            zope.terminate()


def find_url(log):
    """Read the lines of a log up to the one that tells the URL."""
    lines = []
    for line in log:
        lines.append(line)
        if "Serving on " in line:
            return line.split()[-1]
    raise AssertionError("Zope ended:\n" + "".join(lines))


class TestInstance(unittest.TestCase):
    """Plone as its administrator starts it, from zope.conf."""

    def test_package_is_found_without_a_slug(self):
        browser = build_opener(HTTPCookieProcessor())
        with (
            TemporaryDirectory() as folder,
            serving(make_instance(Path(folder))) as url,
        ):
            for count in (1, 2, 3):
                with browser.open(f"{url}/@@visits") as response:
                    text = response.read().decode()
                self.assertEqual(text, f"Anonymous User: {count}")
