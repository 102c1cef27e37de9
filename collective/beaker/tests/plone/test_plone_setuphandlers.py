"""The profiles in a Plone site, for zope.testrunner; see test_plone."""

import json
import unittest

import transaction
from OFS.Folder import Folder
from zope.component import getUtility


try:
    from plone.app.testing import applyProfile
    from plone.base.utils import get_installer
    from Products.CMFCore.utils import getToolByName

    from collective.beaker.tests.helpers.plone import LOGIN_FUNCTIONAL_TESTING
    from collective.beaker.tests.helpers.plone import BrowserTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.testing import BEAKER_FUNCTIONAL_TESTING
from collective.beaker.tests.helpers.zope_sessions import zope_sessions_on
from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.manager import StoredSessionDataManager


__test__ = False  # pytest knows no layers


class ProfileTestCase(BrowserTestCase):
    layer = BEAKER_FUNCTIONAL_TESTING

    def install(self) -> None:
        applyProfile(self.portal, "collective.beaker:default")
        transaction.commit()

    def uninstall(self) -> None:
        applyProfile(self.portal, "collective.beaker:uninstall")
        transaction.commit()


class TestSiteSetup(ProfileTestCase):
    def test_the_entry_leads_to_the_page_and_back(self):
        self.install()
        self.log_in_as_owner()
        self.visit("@@overview-controlpanel")
        self.browser.getLink("Sessions and caches").click()
        self.assertEqual(self.browser.url, f"{self.url}/@@beaker")
        self.browser.getLink(self.portal.title).click()
        self.assertEqual(
            self.browser.url, f"{self.url}/@@overview-controlpanel"
        )

    def test_without_the_profile_the_page_works_and_there_is_no_entry(self):
        self.log_in_as_owner()
        self.assertNotIn(
            "Sessions and caches", self.visit("@@overview-controlpanel")
        )
        self.assertIn("<h1>Sessions and caches</h1>", self.visit("@@beaker"))

    def test_uninstalling_takes_the_entry_away(self):
        self.install()
        self.uninstall()
        self.log_in_as_owner()
        self.assertNotIn(
            "Sessions and caches", self.visit("@@overview-controlpanel")
        )

    def test_the_list_of_add_ons_shows_one_profile(self):
        installer = get_installer(self.portal)
        self.assertTrue(installer.is_product_installable("collective.beaker"))
        self.log_in_as_owner()
        page = self.visit("prefs_install_products_form")
        self.assertIn("Sessions and caches (collective.beaker)", page)
        self.assertNotIn("collective.beaker): uninstall", page)


class TestVolto(ProfileTestCase):
    layer = LOGIN_FUNCTIONAL_TESTING

    def test_the_control_panels_have_an_entry(self):
        self.install()
        self.log_in_as_owner()
        self.browser.addHeader("Accept", "application/json")
        panels = json.loads(self.visit("@controlpanels"))
        titles = [
            panel["title"]
            for panel in panels
            if panel["@id"].endswith("/beaker")
        ]
        self.assertEqual(titles, ["Sessions and caches"])


class TestManager(ProfileTestCase):
    """The session data manager that code acquires."""

    def test_installing_puts_it_into_the_site(self):
        with zope_sessions_on():
            self.install()
        self.assertIsInstance(
            self.portal.session_data_manager, StoredSessionDataManager
        )

    def test_without_the_setting_nothing_is_put_there(self):
        with self.assertLogs("collective.beaker", "INFO") as logs:
            self.install()
        self.assertNotIn("session_data_manager", self.portal)
        (line,) = logs.output
        self.assertIn("/plone, as session.zope_session is off", line)
        self.assertIn("uninstall the add-on and install it again", line)

    def test_what_the_log_says_of_a_setting_that_came_later_works(self):
        self.install()
        with zope_sessions_on():
            self.uninstall()
            self.install()
        self.assertIsInstance(
            self.portal.session_data_manager, StoredSessionDataManager
        )

    def test_that_of_another_package_stays_and_the_add_on_is_installed(self):
        self.portal._setObject(
            "session_data_manager", Folder("session_data_manager")
        )
        with (
            zope_sessions_on(),
            self.assertLogs("collective.beaker", "INFO") as logs,
        ):
            self.install()
        self.assertIsInstance(self.portal.session_data_manager, Folder)
        (line,) = logs.output
        self.assertIn("/plone has a session_data_manager already", line)
        self.assertIn("of the class Folder", line)

    def test_uninstalling_takes_it_away(self):
        with zope_sessions_on():
            self.install()
            self.uninstall()
        self.assertNotIn("session_data_manager", self.portal)

    def test_uninstalling_leaves_the_object_of_another_package(self):
        with zope_sessions_on():
            self.install()
        self.portal._delObject("session_data_manager")
        self.portal._setObject(
            "session_data_manager", Folder("session_data_manager")
        )
        self.uninstall()
        self.assertIn("session_data_manager", self.portal)

    def test_getToolByName_finds_the_one_in_force(self):
        with zope_sessions_on():
            tool = getToolByName(self.portal, "session_data_manager")
            self.assertIs(tool, getUtility(ISessionDataManager))
