"""A browser in a Plone site, for the tests in Plone."""

import unittest

from plone.app.testing import SITE_OWNER_NAME
from plone.app.testing import SITE_OWNER_PASSWORD
from plone.app.testing import TEST_USER_NAME
from plone.app.testing import TEST_USER_PASSWORD
from plone.testing.zope import Browser


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
