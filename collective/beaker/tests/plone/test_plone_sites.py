"""What Plone sites configure for themselves, for zope.testrunner."""

import unittest

import transaction
from persistent.mapping import PersistentMapping


try:
    from five.localsitemanager import make_objectmanager_site
    from plone.app.testing import PLONE_FIXTURE
    from plone.app.testing import FunctionalTesting
    from plone.dexterity.fti import DexterityFTI
    from plone.dexterity.utils import addContentToContainer
    from plone.dexterity.utils import createContent
except ModuleNotFoundError as error:
    raise unittest.SkipTest(f"Plone is not installed: {error}") from error

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.sites import Owned
from collective.beaker.maintenance.sites import read_sites


__test__ = False  # pytest knows no layers

SITES_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(PLONE_FIXTURE,), name="Sites:Functional"
)


class TestSites(unittest.TestCase):
    layer = SITES_FUNCTIONAL_TESTING

    def setUp(self):
        portal = self.layer["portal"]
        folder = "plone.dexterity.content.Container"
        fti = DexterityFTI("Part", klass=folder)
        portal.portal_types._setObject("Part", fti)
        part = createContent("Part", id="part")
        addContentToContainer(portal, part, checkConstraints=False)
        make_objectmanager_site(portal.part)
        portal.part.reindexObject(idxs=["object_provides"])
        self.configure(portal, timeout=900)
        self.configure(portal.part, timeout=60)
        transaction.commit()

    def configure(self, site, **options):
        site.getSiteManager().registerUtility(
            PersistentMapping(options), ISessionConfig
        )

    def test_a_site_and_a_site_in_it_are_found(self):
        found = read_sites(self.layer["app"])
        self.assertEqual(found.problems, [])
        self.assertEqual(
            found.found,
            [
                Owned("/plone", {"timeout": 900}),
                Owned("/plone/part", {"timeout": 60}),
            ],
        )
