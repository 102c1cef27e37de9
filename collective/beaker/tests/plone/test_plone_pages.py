"""Pages of a session with plone.app.caching, for zope.testrunner."""

import unittest

import transaction
from zope.component import getUtility
from zope.configuration import xmlconfig


try:
    import plone.app.caching
    from plone.app.layout.viewlets import ViewletBase
    from plone.app.testing import TEST_USER_ID
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.app.testing import setRoles
    from plone.caching.interfaces import ICacheSettings
    from plone.registry.interfaces import IRegistry
    from plone.testing.zope import Browser
    from Products.CMFCore.utils import getToolByName

    from collective.beaker.tests.helpers.plone import BrowserTestCase
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.interfaces import ISession
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers import visits


__test__ = False  # pytest knows no layers


class VisitsViewlet(ViewletBase):
    """Shows in each page what is in the session, if ``?visits``."""

    def render(self) -> str:
        if "visits" not in self.request.form:
            return "<p>No session is used.</p>"
        return f"<p>Visits: {ISession(self.request).get('visits')}.</p>"


WEAK = "plone.app.caching.weakCaching"
"""What the options of the proposed operation begin with."""

ZCML = f"""\
<configure xmlns:browser="http://namespaces.zope.org/browser">
  <browser:viewlet
      name="visits"
      manager="plone.app.layout.viewlets.interfaces.IAboveContent"
      class="{__name__}.VisitsViewlet"
      permission="zope2.View"
      />
</configure>
"""


class PagesLayer(PloneSandboxLayer):
    """The layer of a site that keeps pages as Plone proposes it."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.loadZCML(package=plone.app.caching)
        for zcml in (visits.ZCML, ZCML):
            xmlconfig.string(zcml, context=configurationContext)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "plone.app.caching:default")
        applyProfile(portal, "plone.app.caching:without-caching-proxy")
        settings = getUtility(IRegistry).forInterface(ICacheSettings)
        settings.enabled = True
        workflows = getToolByName(portal, "portal_workflow")
        workflows.setDefaultChain("simple_publication_workflow")
        setRoles(portal, TEST_USER_ID, ["Manager"])
        portal.invokeFactory("Document", "page")
        workflows.doActionFor(portal.page, "publish")


PAGES_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(PagesLayer(),), name="PagesLayer:Functional"
)


class TestPages(BrowserTestCase):
    layer = PAGES_FUNCTIONAL_TESTING

    def setUp(self) -> None:
        super().setUp()
        transaction.commit()
        self.new_visitor()

    def new_visitor(self) -> None:
        self.browser = Browser(self.layer["app"])
        self.browser.addHeader("Accept", "text/html")

    def test_a_visitor_does_not_get_the_page_of_anothers_session(self):
        self.visit("@@visits")
        self.assertIn("Visits: 1.", self.visit("page?visits"))
        self.new_visitor()
        self.assertIn("Visits: None.", self.visit("page?visits"))

    def test_a_visitor_does_not_get_the_page_of_a_former_state(self):
        self.visit("@@visits")
        self.visit("page?visits")
        self.assertNotIn("Etag", self.browser.headers)
        self.visit("@@visits")
        self.assertIn("Visits: 2.", self.visit("page?visits"))

    def test_a_page_without_a_session_is_kept(self):
        self.visit("page")
        self.assertIn("Etag", self.browser.headers)
        self.new_visitor()
        self.visit("page")
        self.assertIn("X-RAMCache", self.browser.headers)

    def test_a_page_that_is_not_kept_has_no_etag_either(self):
        registry = getUtility(IRegistry)
        registry[f"{WEAK}.plone.content.itemView.ramCache"] = False
        transaction.commit()
        self.visit("page")
        self.assertIn("Etag", self.browser.headers)
        self.visit("page?visits")
        self.assertNotIn("Etag", self.browser.headers)

    def test_the_page_of_a_session_is_for_its_visitor(self):
        self.let_caches_keep_pages("moderateCaching")
        self.visit("@@visits")
        self.visit("page?visits")
        directives = self.browser.headers["Cache-Control"]
        self.assertIn("private", directives)
        self.assertNotIn("s-maxage", directives)

    def test_the_page_of_a_visitor_without_a_session_may_be_shared(self):
        self.let_caches_keep_pages("moderateCaching")
        self.visit("page?visits")
        self.assertIn("s-maxage", self.browser.headers["Cache-Control"])
        self.assertIn("Cookie", self.browser.headers["Vary"])

    def test_a_browser_asks_for_the_page_of_a_session_each_time(self):
        self.let_caches_keep_pages("terseCaching")
        self.visit("@@visits")
        self.visit("page")
        self.assertIn("max-age=10,", self.browser.headers["Cache-Control"])
        self.visit("page?visits")
        self.assertIn("max-age=0,", self.browser.headers["Cache-Control"])

    def test_so_it_does_if_there_is_no_session_yet(self):
        self.let_caches_keep_pages("terseCaching")
        self.visit("page?visits")
        directives = self.browser.headers["Cache-Control"]
        self.assertIn("max-age=0, s-maxage=60", directives)

    def let_caches_keep_pages(self, operation: str) -> None:
        settings = getUtility(IRegistry).forInterface(ICacheSettings)
        settings.operationMapping = {
            **settings.operationMapping,
            "plone.content.itemView": f"plone.app.caching.{operation}",
        }
        transaction.commit()
