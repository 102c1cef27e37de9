"""What edits in a Plone site drop, for zope.testrunner; see test_plone."""

import unittest
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextlib import suppress
from itertools import count
from statistics import median
from threading import Event
from time import monotonic

import transaction
from Acquisition import Implicit
from BTrees.Length import Length
from OFS.SimpleItem import SimpleItem
from zope.component import createObject
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.event import notify
from zope.interface import Interface
from zope.lifecycleevent import ObjectModifiedEvent


try:
    import plone.app.discussion
    from plone.app.discussion.interfaces import IConversation
    from plone.app.testing import TEST_USER_ID
    from plone.app.testing import TEST_USER_NAME
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import PloneSandboxLayer
    from plone.app.testing import applyProfile
    from plone.app.testing import login
    from plone.app.testing import setRoles
    from plone.indexer import indexer
    from plone.registry.interfaces import IRegistry
    from Products.CMFCore.utils import getToolByName

    from collective.beaker.plone.caching import by_catalog
    from collective.beaker.plone.caching import of_registry
    from collective.beaker.plone.caching import of_users
    from collective.beaker.tests.helpers.plone import BrowserTestCase
    from collective.beaker.tests.helpers.plone_views import SITE
    from collective.beaker.tests.helpers.plone_zopes import PloneZopes
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.caching import by_user
from collective.beaker.caching import cached
from collective.beaker.caching import of_context
from collective.beaker.testing import BEAKER_FIXTURE
from collective.beaker.tests.helpers.regions import make_region


__test__ = False  # pytest knows no layers

EDITS = 200
PAGE = "folder/page"


class ContentLayer(PloneSandboxLayer):
    """The layer of a site with comments."""

    defaultBases = (BEAKER_FIXTURE,)

    def setUpZope(self, app, configurationContext):
        self.loadZCML(package=plone.app.discussion)

    def setUpPloneSite(self, portal):
        applyProfile(portal, "plone.app.discussion:default")
        workflows = getToolByName(portal, "portal_workflow")
        workflows.setDefaultChain("simple_publication_workflow")


CONTENT_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(ContentLayer(),), name="ContentLayer:Functional"
)


class CachingTestCase(BrowserTestCase):
    layer = CONTENT_FUNCTIONAL_TESTING

    def setUp(self) -> None:
        super().setUp()
        setRoles(self.portal, TEST_USER_ID, ["Manager"])
        self.region = make_region(type="memory", expire=3600)
        self.made_of = self.cache()
        self.folder = self.add(self.portal, "Folder", "folder")
        self.page = self.add(self.folder, "Document", "page")
        transaction.commit()

    def add(self, container, portal_type: str, name: str):
        return container[container.invokeFactory(portal_type, name)]

    def cache(self) -> Callable[[str], int]:
        """Return a function that is computed anew once its tag is dropped."""
        numbers = count()

        @cached(self.region.name, name="made of", tags=lambda tag: tag)
        def made_of(tag: str) -> int:
            return next(numbers)

        return made_of

    @contextmanager
    def drops(self, *tags: str, at_once: bool = True) -> Iterator[None]:
        """Expect that a transaction drops what was made with these tags.

        It sees that itself at once, if an event tells of the edit.
        """
        before = [self.made_of(tag) for tag in tags]
        self.assertEqual(before, [self.made_of(tag) for tag in tags])
        yield
        if at_once:
            self.assert_dropped(tags, before)
        transaction.commit()
        self.assert_dropped(tags, before)

    def assert_dropped(self, tags: Iterable[str], before: list[int]) -> None:
        for tag, former in zip(tags, before, strict=True):
            self.assertNotEqual(self.made_of(tag), former, tag)

    @contextmanager
    def keeps(self, *tags: str) -> Iterator[None]:
        """Expect that a transaction drops nothing with these tags."""
        before = [self.made_of(tag) for tag in tags]
        yield
        transaction.commit()
        self.assertEqual(before, [self.made_of(tag) for tag in tags])


class TestContent(CachingTestCase):
    """What is made of content, and of the container that lists it."""

    def setUp(self) -> None:
        super().setUp()
        self.of_page = of_context(self.page)
        self.of_folder = of_context(self.folder)

    def test_a_modified_object(self):
        with self.drops(self.of_page, self.of_folder):
            notify(ObjectModifiedEvent(self.page))

    def test_an_object_that_is_not_edited_keeps_it(self):
        other = self.add(self.portal, "Folder", "other")
        transaction.commit()
        with self.keeps(self.of_page, self.of_folder):
            notify(ObjectModifiedEvent(other))

    def test_an_aborted_edit_keeps_it(self):
        with self.keeps(self.of_page, self.of_folder):
            notify(ObjectModifiedEvent(self.page))
            transaction.abort()

    def test_an_added_object(self):
        with self.drops(self.of_folder):
            self.add(self.folder, "Document", "another")

    def test_a_renamed_object(self):
        renamed = f"{self.of_folder}/renamed"
        with self.drops(self.of_page, renamed, self.of_folder):
            self.folder.manage_renameObject("page", "renamed")

    def test_a_moved_object(self):
        other = self.add(self.portal, "Folder", "other")
        transaction.commit()
        of_other = of_context(other)
        with self.drops(self.of_page, self.of_folder, of_other):
            cut = self.folder.manage_cutObjects(["page"])
            other.manage_pasteObjects(cut)

    def test_a_copied_object(self):
        of_copy = f"{self.of_folder}/copy_of_page"
        with self.drops(self.of_folder, of_copy):
            copied = self.folder.manage_copyObjects(["page"])
            self.folder.manage_pasteObjects(copied)

    def test_a_removed_object(self):
        with self.drops(self.of_page, self.of_folder):
            self.folder.manage_delObjects(["page"])

    def test_what_is_in_a_renamed_container(self):
        within = f"{of_context(self.portal)}/renamed/page"
        with self.drops(self.of_page, within):
            self.portal.manage_renameObject("folder", "renamed")

    def test_what_is_in_a_removed_container(self):
        with self.drops(self.of_page):
            self.portal.manage_delObjects(["folder"])

    def test_another_order(self):
        self.add(self.folder, "Document", "another")
        transaction.commit()
        with self.drops(self.of_folder):
            self.folder.moveObjectsToTop(["another"])

    def test_a_workflow_transition(self):
        workflows = getToolByName(self.portal, "portal_workflow")
        with self.drops(self.of_page, self.of_folder):
            workflows.doActionFor(self.page, "publish")

    def test_local_roles_below_the_object(self):
        with self.drops(self.of_page, self.of_folder, at_once=False):
            self.folder.manage_setLocalRoles(TEST_USER_ID, ["Reviewer"])
            self.folder.reindexObjectSecurity()

    def test_an_object_that_is_only_reindexed(self):
        with self.drops(self.of_page, self.of_folder, at_once=False):
            self.page.title = "Another"
            self.page.reindexObject(idxs=["Title"])

    def test_the_catalog_indexes_no_result_from_before_an_edit(self):
        """It would keep it, as nothing tells it that the result is another."""

        @indexer(Interface)
        @cached(self.region.name, name="text", vary=(), tags=of_context)
        def text(context: object) -> str:
            return context.title

        components = getGlobalSiteManager()
        components.registerAdapter(text, name="Description")
        self.addCleanup(components.unregisterAdapter, text, name="Description")
        self.page.reindexObject()
        transaction.commit()
        text(self.page, self.portal.portal_catalog)()

        self.page.title = "Another"
        self.page.reindexObject()
        transaction.commit()
        (found,) = self.portal.portal_catalog(getId="page")
        self.assertEqual(found.Description, "Another")

    def test_an_object_in_something_without_a_path_of_its_own(self):
        item = SimpleItem("item").__of__(Implicit().__of__(self.page))
        with self.drops(self.of_page):
            notify(ObjectModifiedEvent(item))

    def test_a_comment(self):
        with self.drops(self.of_page):
            conversation = IConversation(self.page)
            conversation.addComment(createObject("plone.Comment"))


class TestReaders(CachingTestCase):
    def test_a_visit_and_a_login_tell_the_store_nothing(self):
        for tag in (of_context(self.portal), of_registry(), of_users()):
            self.made_of(tag)
        self.log_in()
        before = dict(self.region.store.entries)
        self.visit("")
        self.visit("logout")
        self.log_in()
        self.assertEqual(dict(self.region.store.entries), before)


class TestSettings(CachingTestCase):
    def test_a_record_of_the_registry(self):
        with self.drops(of_registry()):
            getUtility(IRegistry)["plone.site_title"] = "Another"


class TestUsers(CachingTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.users = getToolByName(self.portal, "acl_users")
        self.groups = getToolByName(self.portal, "portal_groups")
        self.members = getToolByName(self.portal, "portal_membership")
        self.groups.addGroup("readers")
        transaction.commit()

    def test_a_new_user(self):
        with self.drops(of_users()):
            self.users.userFolderAddUser("new", "secret", ["Member"], [])

    def test_a_deleted_user(self):
        with self.drops(of_users()):
            self.users.userFolderDelUsers([TEST_USER_ID])

    def test_a_changed_property(self):
        with self.drops(of_users()):
            member = self.members.getMemberById(TEST_USER_ID)
            member.setMemberProperties({"fullname": "Another"})

    def test_a_new_group(self):
        with self.drops(of_users()):
            self.groups.addGroup("writers")

    def test_a_deleted_group(self):
        with self.drops(of_users()):
            self.groups.removeGroup("readers")

    def test_a_user_who_joins_a_group_and_leaves_it(self):
        with self.drops(of_users()):
            self.groups.addPrincipalToGroup(TEST_USER_NAME, "readers")
        with self.drops(of_users()):
            self.groups.removePrincipalFromGroup(TEST_USER_NAME, "readers")

    def test_who_leaves_a_group_no_longer_finds_what_it_may_see(self):
        """Neither content nor the user's roles in the whole site change."""

        @cached(self.region.name, name="seen", vary=by_user)
        def found() -> list[str]:
            return [each.getId for each in self.portal.portal_catalog()]

        self.users.userFolderAddUser("reader", "secret", ["Member"], [])
        self.folder.manage_setLocalRoles("readers", ["Reader"])
        self.folder.reindexObjectSecurity()
        self.groups.addPrincipalToGroup("reader", "readers")
        transaction.commit()
        login(self.portal, "reader")
        self.assertIn("page", found())

        self.groups.removePrincipalFromGroup("reader", "readers")
        transaction.commit()
        login(self.portal, "reader")
        self.assertNotIn("page", found())


class TestCatalog(CachingTestCase):
    def test_each_state_is_told_from_former_ones(self):
        before = by_catalog()
        self.assertEqual(by_catalog(), before)
        self.page.reindexObject(idxs=["Title"])
        self.assertNotEqual(by_catalog(), before)

    def test_a_catalog_that_is_emptied_is_in_another_state(self):
        transaction.commit()
        before = by_catalog()
        getToolByName(self.portal, "portal_catalog").manage_catalogClear()
        transaction.commit()

        self.assertNotEqual(by_catalog(), before)

    def test_a_catalog_that_has_counted_as_far_is_in_another_state(self):
        """So it is with that of a site which was removed and made anew."""
        transaction.commit()
        before = by_catalog()
        catalog = getToolByName(self.portal, "portal_catalog")
        number = catalog.getCounter()
        catalog._counter = Length(number)
        transaction.commit()

        self.assertEqual(catalog.getCounter(), number)
        self.assertNotEqual(by_catalog(), before)

    def test_a_state_is_the_same_in_the_next_transaction(self):
        transaction.commit()
        before = by_catalog()
        self.page.title = "another, of which the catalog is not told"
        transaction.commit()
        self.portal._p_jar.cacheMinimize()

        self.assertEqual(by_catalog(), before)

    def test_two_requests_that_have_counted_as_far_share_nothing(self):
        changed = []
        for _ in range(2):
            self.page.reindexObject(idxs=["Title"])
            changed.append(by_catalog())
            transaction.abort()
        self.page.reindexObject(idxs=["Title"])
        transaction.commit()

        self.assertEqual(len({*changed, by_catalog()}), 3)


class Read:
    """What a reader saw in one transaction."""

    def __init__(self, page: str):
        title, cached, listed, self.computed = page.split()
        self.title, self.made = int(title), (int(cached), int(listed))
        self.time = monotonic()


class TestTwoZopes(unittest.TestCase):
    """A site that is edited while it is read, by two Zopes."""

    layer = PloneZopes

    def test_nobody_gets_what_is_older_than_an_edit_that_they_see(self):
        edited: dict[int, float] = {}
        all_edited = Event()

        def edit():
            editors = [zope.another() for zope in self.layer.zopes]
            try:
                for number in range(1, EDITS + 1):
                    editors[number % 2].edit(PAGE, title=str(number))
                    edited[number] = monotonic()
            finally:
                all_edited.set()

        def read(zope):
            reader, reads = zope.another(), []
            while not all_edited.is_set():
                reads.append(Read(reader.get(f"/{SITE}/{PAGE}/@@read")))
            return reads

        zopes = self.layer.zopes
        with ThreadPoolExecutor() as threads:
            readers = [threads.submit(read, zope) for zope in zopes]
            # Each request has a limit of its own.
            threads.submit(edit).result()
            of_readers = [reader.result() for reader in readers]

        reads = [found for of_reader in of_readers for found in of_reader]
        self.assertGreater(len(reads), EDITS)
        stale = sum(min(found.made) < found.title for found in reads)
        self.assertEqual(stale, 0)
        # A cache that keeps nothing is never stale.
        values = {(found.made[0], found.computed) for found in reads}
        self.assertLess(len(values), len(reads))
        seconds = median(delays(of_readers, edited))
        print(
            f"{EDITS} edits, {len(reads)} reads, none stale. A value is new "
            f"{seconds * 1000:.0f} ms after the answer to an edit (median)."
        )


def delays(
    of_readers: list[list[Read]], edited: dict[int, float]
) -> Iterator[float]:
    """Yield how long after each edit each reader got a value from it."""
    for reads in of_readers:
        for number, moment in edited.items():
            later = (
                found.time for found in reads if min(found.made) >= number
            )
            with suppress(StopIteration):
                yield max(0, next(later) - moment)
