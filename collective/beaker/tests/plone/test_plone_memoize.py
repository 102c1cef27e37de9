"""What plone.memoize shares, for zope.testrunner; see test_plone."""

import re
import unittest
from collections.abc import Callable
from contextlib import contextmanager
from itertools import count
from tempfile import TemporaryDirectory
from threading import Lock
from time import monotonic
from typing import Any

import transaction
from Acquisition import Implicit
from persistent.mapping import PersistentMapping
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.component.hooks import getSite
from zope.component.hooks import setSite
from zope.i18nmessageid import Message


try:
    import plone.app.caching
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.memoize import ram
    from plone.memoize.interfaces import ICacheChooser
    from zope.ramcache.interfaces.ram import IRAMCache

    from collective.beaker.plone.memoize import share_memoized_values
    from collective.beaker.tests.helpers.plone import BrowserTestCase
    from collective.beaker.tests.helpers.plone_views import SITE
    from collective.beaker.tests.helpers.plone_zopes import PloneZopes
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

import collective.beaker
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers.regions import make_region
from collective.beaker.tests.helpers.servers import free_port


__test__ = False  # pytest knows no layers


class MemoizeLayer(PloneSandboxLayer):
    """The layer of a site with plone.app.caching."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.loadZCML(package=plone.app.caching)
        self.loadZCML("overrides.zcml", package=collective.beaker)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "plone.app.caching:default")


MEMOIZE_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(MemoizeLayer(),), name="MemoizeLayer:Functional"
)


class Memoized:
    """A function with ``@ram.cache``, which counts how often it is computed.

    Each has a name of its own, as plone.memoize knows functions by that.
    """

    _names = count()

    def __init__(
        self,
        make: Callable[[], Any] = lambda: "a value",
        key: Callable[[], str] = lambda: "a key",
    ):
        self.computed = 0

        def compute() -> Any:
            self.computed += 1
            return make()

        compute.__name__ = f"compute{next(self._names)}"
        self._function = ram.cache(lambda function: key())(compute)

    def __call__(self) -> Any:
        return self._function()


class MemoizeTestCase(BrowserTestCase):
    layer = MEMOIZE_FUNCTIONAL_TESTING

    def setUp(self) -> None:
        super().setUp()
        folder = self.enterContext(TemporaryDirectory())
        self.share(make_region(type="file", data_dir=folder, expire=3600))

    def share(self, region) -> None:
        utilities = getGlobalSiteManager()
        plones = utilities.getUtility(ICacheChooser)
        share_memoized_values(region.name, utilities)
        self.addCleanup(utilities.registerUtility, plones, ICacheChooser)

    def empty_memory(self) -> None:
        """Do what makes this process the same as another one."""
        getUtility(IRAMCache).invalidateAll()

    @contextmanager
    def says(self, *reasons: str):
        """Expect one line in the log for each reason, and no other."""
        with self.assertLogs("collective.beaker", "INFO") as logs:
            yield
        self.assertEqual(len(logs.output), len(reasons), logs.output)
        for line, reason in zip(logs.output, reasons, strict=True):
            self.assertIn(reason, line)


class TestShared(MemoizeTestCase):
    """Values that are shared."""

    def test_another_process_finds_a_value(self):
        memoized = Memoized(lambda: {"title": "News", "rows": [1, None]})
        value = memoized()
        self.empty_memory()
        self.assertEqual(memoized(), value)
        self.assertEqual(memoized.computed, 1)

    def test_each_key_has_a_value(self):
        keys = iter(["de", "en", "de"])
        memoized = Memoized(key=lambda: next(keys))
        for _ in range(3):
            memoized()
        self.assertEqual(memoized.computed, 2)

    def test_a_text_that_can_be_translated_is_a_key(self):
        choose = getUtility(ICacheChooser)
        title = Message("title", domain="plone")
        choose("a.function")[title] = "a value"

        self.empty_memory()
        self.assertEqual(choose("a.function")[title], "a value")
        self.assertEqual(choose("a.function")["title"], "a value")

    def test_each_site_has_values_of_its_own(self):
        memoized = Memoized()
        memoized()
        site = getSite()
        self.addCleanup(setSite, site)
        setSite(None)
        memoized()
        setSite(site)
        memoized()
        self.assertEqual(memoized.computed, 2)

    def test_what_is_not_committed_is_not_kept(self):
        memoized = Memoized()
        self.portal.title = "Not committed"
        memoized()
        transaction.abort()
        memoized()
        memoized()
        self.assertEqual(memoized.computed, 2)

    def test_a_region_that_is_not_enabled_keeps_nothing(self):
        folder = self.enterContext(TemporaryDirectory())
        region = make_region(type="file", data_dir=folder, enabled=False)
        self.share(region)
        Memoized()()
        self.assertEqual(list(region.store.walk()), [])

    def test_while_the_store_is_down_values_are_computed(self):
        url = f"redis://127.0.0.1:{free_port()}/0"
        self.share(make_region(type="ext:redis", url=url, expire=3600))
        memoized = Memoized()
        self.assertEqual(memoized(), "a value")
        self.assertEqual(memoized(), "a value")
        self.assertEqual(memoized.computed, 2)


class TestInMemory(MemoizeTestCase):
    """Values that stay in the memory of this process."""

    def assert_in_memory(self, memoized: Memoized, reason: str) -> None:
        with self.says(reason):
            value = memoized()
            self.assertIs(memoized(), value)
            self.assertEqual(memoized.computed, 1)
            self.empty_memory()
            memoized()
        self.assertEqual(memoized.computed, 2)

    def test_what_cannot_be_pickled(self):
        self.assert_in_memory(
            Memoized(Lock), "the type lock cannot be pickled"
        )

    def test_what_is_stored_in_a_database(self):
        self.assert_in_memory(
            Memoized(lambda: [{"settings": PersistentMapping()}]),
            "of the type PersistentMapping",
        )

    def test_what_acquires(self):
        self.assert_in_memory(
            Memoized(lambda: self.portal), "ImplicitAcquisitionWrapper"
        )

    def test_what_would_acquire(self):
        self.assert_in_memory(Memoized(Acquirer), "of the type Acquirer")

    def test_what_marks_something(self):
        self.assert_in_memory(
            Memoized(lambda: (object(),)), "an object() that marks"
        )

    def test_what_only_this_process_can_read(self):
        self.assert_read_once(Memoized(Unreadable))

    def assert_read_once(self, memoized: Memoized) -> None:
        with self.says("reading a value raises ValueError"):
            memoized()
            memoized()
            memoized()
        self.assertEqual(memoized.computed, 2)

    def test_what_belongs_to_an_address_in_memory(self):
        key = f"{self.portal!r} <Portal object at 0x7f33a8>"
        self.assert_in_memory(
            Memoized(list, lambda: key), "a key holds an address"
        )


class Acquirer(Implicit):
    """Gets attributes of what it is in."""


class Unreadable:
    """Can be pickled, and not be made again."""

    def __reduce__(self):
        return int, ("no number",)


class TestEmptying(MemoizeTestCase):
    def test_the_button_of_plone_empties_the_region(self):
        memoized = Memoized()
        memoized()
        transaction.commit()
        self.log_in_as_owner()
        self.visit("@@caching-controlpanel-ramcache")
        self.browser.getControl(name="form.button.Purge").click()
        self.assertIn("Cache purged", self.browser.contents)
        memoized()
        self.assertEqual(memoized.computed, 2)


class TestTwoZopes(unittest.TestCase):
    """Two Zopes as their administrator starts them, with autoinclude."""

    layer = PloneZopes

    def test_the_second_finds_the_page_that_the_first_has_rendered(self):
        first, second = self.layer.zopes
        path = f"/{SITE}/folder/page"
        # The first page of a new site changes something in the database.
        self.is_from_cache(first, f"/{SITE}/folder")
        started = monotonic()
        self.assertFalse(self.is_from_cache(first, path))
        rendered = monotonic()
        self.assertTrue(self.is_from_cache(second, path))
        found = monotonic()
        print(
            f"The first Zope renders a page in {rendered - started:.3f} s, "
            f"the second finds it in {found - rendered:.3f} s."
        )

        panel = f"/{SITE}/@@caching-controlpanel-ramcache"
        form = second.get_as_editor(panel)
        token = re.search(r'name="_authenticator" value="(\w+)"', form)[1]
        second.post_as_editor(
            panel, **{"form.button.Purge": "1", "_authenticator": token}
        )
        self.assertFalse(self.is_from_cache(first, path))

    def is_from_cache(self, zope, path) -> bool:
        headers = {"Host": "example.org", "Accept": "text/html"}
        response = zope.request("GET", path, headers=headers)
        response.read()
        return response.headers["X-RAMCache"] is not None
