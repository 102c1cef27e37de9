"""Tests over layers, for zope.testrunner.

Run them with ``zope-testrunner --test-path=. -s collective.beaker.tests
--tests-pattern test_layers``.
"""

import unittest

from App.config import getConfiguration
from beaker.cache import cache_managers
from beaker.cache import cache_regions
from plone.testing.zope import Browser
from zope.component import getUtility
from zope.component import queryUtility
from zope.configuration import xmlconfig
from zope.testing.cleanup import cleanUp

import collective.beaker
from collective.beaker.caching import cached
from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.testing import BEAKER_FUNCTIONAL_TESTING
from collective.beaker.testing import BEAKER_INTEGRATION_TESTING
from collective.beaker.testing import BeakerConfigLayer
from collective.beaker.testing import BeakerFixture
from collective.beaker.testing.layers import SandboxLayer
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import published


__test__ = False  # pytest knows no layers


class SiteLayer:
    """A layer that processes ZCML, as that of a site does."""

    @classmethod
    def setUp(cls):
        xmlconfig.file("configure.zcml", collective.beaker)

    @classmethod
    def tearDown(cls):
        cleanUp()


class MixinLayer(BeakerConfigLayer, SiteLayer):
    """The layer of the README of release 1.0b3."""


class PasswordLayer(BeakerConfigLayer, SiteLayer):
    """A layer that goes on from the default settings."""

    @classmethod
    def setUp(cls):
        getUtility(ISessionConfig)["secret"] = "password"

    @classmethod
    def tearDown(cls):
        getUtility(ISessionConfig)["secret"] = None


class OwnSettings(BeakerConfigLayer):
    zconfigData = {"session.key": "own", "cache.regions": "own"}


class OwnSiteLayer:
    """Like SiteLayer, which zope.testrunner may have set up by now."""

    setUp = SiteLayer.setUp
    tearDown = SiteLayer.tearDown


class OwnSettingsLayer(OwnSettings, OwnSiteLayer):
    """A mixin with settings of its own."""


class CallingLayer:
    """A layer that calls instead of mixing in."""

    @classmethod
    def setUp(cls):
        BeakerConfigLayer.setUp()
        SiteLayer.setUp()

    @classmethod
    def tearDown(cls):
        SiteLayer.tearDown()
        BeakerConfigLayer.tearDown()


class DefaultSettingsTests:
    """What is there with the settings that come with the layers."""

    def test_sessions_are_in_memory(self):
        options = getUtility(ISessionConfig)
        self.assertEqual(options["type"], "memory")
        self.assertEqual(options["key"], "beaker.session")

    def test_session_options_are_the_defaults_again_in_each_layer(self):
        self.assertIsNone(getUtility(ISessionConfig)["secret"])

    def test_cache_has_two_regions(self):
        regions = getUtility(ICacheManager).regions
        self.assertEqual(regions["short"]["expire"], 3)
        self.assertEqual(regions["long"]["expire"], 10)


class TestMixinLayer(DefaultSettingsTests, unittest.TestCase):
    layer = MixinLayer


class TestCallingLayer(DefaultSettingsTests, unittest.TestCase):
    layer = CallingLayer


class TestOwnSettingsLayer(unittest.TestCase):
    layer = OwnSettingsLayer

    def test_settings_are_those_of_the_layer(self):
        self.assertEqual(getUtility(ISessionConfig)["key"], "own")
        self.assertEqual([*getUtility(ICacheManager).regions], ["own"])


class TestPasswordLayer(unittest.TestCase):
    layer = PasswordLayer

    def test_setting_is_changed(self):
        self.assertEqual(getUtility(ISessionConfig)["secret"], "password")


def visit(request):
    """Count the visits in a session."""
    session = ISession(request)
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return str(session["visits"])


class TestIntegrationTesting(DefaultSettingsTests, unittest.TestCase):
    layer = BEAKER_INTEGRATION_TESTING

    def test_session_is_opened_and_closed_by_hand(self):
        request = self.layer["request"]
        initializeSession(request)
        self.assertEqual(visit(request), "1")
        closeSession(request)
        self.assertIn("beaker.session", request.response.cookies)

    def test_request_has_no_session_by_itself(self):
        self.assertIsNone(ISession(self.layer["request"], None))


class TestFunctionalTesting(DefaultSettingsTests, unittest.TestCase):
    layer = BEAKER_FUNCTIONAL_TESTING

    def test_session_lasts_from_request_to_request(self):
        browser = Browser(self.layer["app"])
        with published(visit):
            for visits in ("1", "2", "3"):
                browser.open(f"http://nohost/@@{VIEW_NAME}")
                self.assertEqual(browser.contents, visits)


class CachesAreEmptyTests:
    """Two tests that must not see what the other has cached."""

    def check_that_it_is_new(self):
        cache = getUtility(ICacheManager).get_cache("rates", expire=60)
        self.assertNotIn("EUR", cache)
        cache.put("EUR", 1.08)
        self.assertEqual(cached_count(), 1)
        self.assertEqual(cached_count(), 1)

    def test_caches_are_new_in_one_test(self):
        counts[:] = [0]
        self.check_that_it_is_new()

    def test_caches_are_new_in_another_test(self):
        counts[:] = [0]
        self.check_that_it_is_new()


counts = [0]


@cached("short")
def cached_count():
    """Return how often this was computed in a test."""
    counts[0] += 1
    return counts[0]


class TestCachesOfFixture(CachesAreEmptyTests, unittest.TestCase):
    layer = BEAKER_FUNCTIONAL_TESTING


class TestCachesOfMixin(CachesAreEmptyTests, unittest.TestCase):
    layer = MixinLayer


class BrokenSandbox(SandboxLayer):
    """A sandbox that cannot be set up."""

    def setUp(self):
        raise RuntimeError("broken")


class BrokenFixture(BeakerFixture, BrokenSandbox):
    """A fixture whose sandbox cannot be set up."""


class OwnFixture(BeakerFixture):
    zconfigData = {"session.key": "own"}


def state():
    """Return all that the settings of a fixture change."""
    return (
        getattr(getConfiguration(), "product_config", None),
        dict(cache_regions),
        dict(cache_managers),
        queryUtility(ISessionConfig),
        queryUtility(ICacheManager),
    )


class TestFixture(unittest.TestCase):
    """The fixture itself, set up by the tests over that which it needs."""

    layer = BEAKER_FIXTURE.__bases__[0]

    def setUp(self):
        self.before = state()

    def test_tear_down_restores_what_was_there(self):
        fixture = BeakerFixture()
        fixture.setUp()
        self.assertIsNotNone(queryUtility(ISessionConfig))
        getUtility(ICacheManager).get_cache("of the fixture")
        fixture.tearDown()
        self.assertEqual(state(), self.before)

    def test_subclass_has_settings_of_its_own(self):
        fixture = OwnFixture()
        fixture.setUp()
        self.addCleanup(fixture.tearDown)
        self.assertEqual(getUtility(ISessionConfig)["key"], "own")

    def test_fixture_on_another_one_has_settings_of_its_own(self):
        base = BeakerFixture()
        base.setUp()
        self.addCleanup(base.tearDown)
        before = state()
        fixture = OwnFixture(bases=(base,), name="on another")
        fixture.setUp()
        self.assertEqual(getUtility(ISessionConfig)["key"], "own")
        fixture.tearDown()
        self.assertEqual(state(), before)

    def test_set_up_that_fails_restores_what_was_there(self):
        with self.assertRaisesRegex(RuntimeError, "broken"):
            BrokenFixture().setUp()
        self.assertEqual(state(), self.before)
