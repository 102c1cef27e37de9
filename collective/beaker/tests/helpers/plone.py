"""A browser in a Plone site, for the tests in Plone."""

import json
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import plone.restapi
from plone.app.testing import SITE_OWNER_NAME
from plone.app.testing import SITE_OWNER_PASSWORD
from plone.app.testing import TEST_USER_NAME
from plone.app.testing import TEST_USER_PASSWORD
from plone.app.testing import FunctionalTesting
from plone.app.testing import PloneSandboxLayer
from plone.app.testing import applyProfile
from plone.testing.zope import Browser
from zope.component import getUtility
from zope.configuration import xmlconfig

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers import visits
from collective.beaker.tests.helpers.servers import redis_server


def keep_in_files(test: unittest.TestCase) -> None:
    """Keep sessions in files until a test has ended."""
    folder = test.enterContext(TemporaryDirectory())
    _change_options(test, type="file", data_dir=folder)


def keep_in_redis(test: unittest.TestCase) -> None:
    """Keep sessions in a Redis server until a test has ended."""
    folder = Path(test.enterContext(TemporaryDirectory()))
    url = test.enterContext(redis_server(folder)).url
    _change_options(test, type="ext:redis", url=url)


def _change_options(test: unittest.TestCase, **options: str) -> None:
    config = getUtility(ISessionConfig)
    before = dict(config)
    test.addCleanup(lambda: (config.clear(), config.update(before)))
    config.update(options)


class BrowserTestCase(unittest.TestCase):
    """Visits a Plone site with a browser."""

    def setUp(self) -> None:
        self.portal = self.layer["portal"]
        self.url = self.portal.absolute_url()
        self.browser = Browser(self.layer["app"])

    def visit(self, path: str) -> str:
        self.browser.open(f"{self.url}/{path}")
        return self.browser.contents

    def log_in(
        self, name: str = TEST_USER_NAME, password: str = TEST_USER_PASSWORD
    ) -> None:
        self.visit("login")
        self.browser.getControl(name="__ac_name").value = name
        self.browser.getControl(name="__ac_password").value = password
        self.browser.getControl("Log in", index=0).click()

    def log_in_as_owner(self) -> None:
        self.log_in(SITE_OWNER_NAME, SITE_OWNER_PASSWORD)

    def is_logged_in(self) -> bool:
        return "__ac" in self.browser.cookies


class LoginLayer(PloneSandboxLayer):
    """The layer of a site with sessions and plone.restapi."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.loadZCML(package=plone.restapi)
        xmlconfig.string(visits.ZCML, context=configurationContext)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "plone.restapi:default")


LOGIN_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(LoginLayer(),), name="LoginLayer:Functional"
)


class LoginTestCase(BrowserTestCase):
    layer = LOGIN_FUNCTIONAL_TESTING

    @property
    def cookie(self):
        """The session cookie of the browser, or None."""
        cookies = self.browser.cookies
        return cookies.get(getUtility(ISessionConfig)["key"])

    def new_browser(self):
        self.browser = Browser(self.layer["app"])
        return self.browser

    def be_transactional(self):
        config = getUtility(ISessionConfig)
        self.addCleanup(config.__setitem__, "transactional", False)
        config["transactional"] = True

    def rest(self, path, **data):
        """Post JSON to plone.restapi; return what it answers."""
        self.browser.addHeader("Accept", "application/json")
        self.browser.post(
            f"{self.url}/{path}", json.dumps(data), "application/json"
        )
        return json.loads(self.browser.contents or "null")
