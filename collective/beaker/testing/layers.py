"""The layers of plone.testing: for Plone or, without Plone, for Zope.

Import them from ``collective.beaker.testing``, which can be imported without
plone.testing.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from OFS.Application import Application
from zope.configuration import xmlconfig
from zope.configuration.config import ConfigurationMachine

from collective.beaker.caching.factory import clear_memory
from collective.beaker.testing.section import BeakerConfigLayer
from collective.beaker.testing.section import popBeakerConfig
from collective.beaker.testing.section import pushBeakerConfig


try:
    from plone.app.testing import PLONE_FIXTURE as FIXTURE
    from plone.app.testing import FunctionalTesting
    from plone.app.testing import IntegrationTesting
    from plone.app.testing import PloneSandboxLayer as SandboxLayer
except ModuleNotFoundError:
    from plone.testing.zca import ZCMLSandbox as SandboxLayer
    from plone.testing.zope import STARTUP as FIXTURE
    from plone.testing.zope import FunctionalTesting
    from plone.testing.zope import IntegrationTesting


_ZCML = """\
<configure
    xmlns="http://namespaces.zope.org/zope"
    xmlns:beaker="http://namespaces.plone.org/beaker">
  <include package="collective.beaker" />
  <beaker:loadConfiguration />
</configure>
"""
"""Reads the settings even if a layer below has already included the package:
then they are those of that layer, and including it again does nothing."""


class BeakerFixture(SandboxLayer):
    """A layer with this package's ZCML and "fake" zope.conf settings.

    Set ``zconfigData`` in a subclass for settings of your own, and
    ``zcmlPackages`` for packages whose ZCML is to be loaded, too.

    Caches in memory are emptied after each test.
    """

    defaultBases = (FIXTURE,)

    zconfigData: Mapping[str, Any] = BeakerConfigLayer.zconfigData

    zcmlPackages: Sequence[ModuleType] = ()

    def setUp(self) -> None:
        pushBeakerConfig(self.zconfigData)
        try:
            super().setUp()
        except BaseException:
            # A layer whose setup failed is not torn down.
            popBeakerConfig()
            raise

    def tearDown(self) -> None:
        super().tearDown()
        popBeakerConfig()

    def testTearDown(self) -> None:
        super().testTearDown()
        clear_memory()

    def setUpZope(
        self, app: Application, configurationContext: ConfigurationMachine
    ) -> None:
        """Load the ZCML; PloneSandboxLayer calls this."""
        xmlconfig.string(_ZCML, configurationContext)
        for package in self.zcmlPackages:
            xmlconfig.file(
                "configure.zcml", package, context=configurationContext
            )

    def setUpZCMLFiles(self) -> None:
        """Load the ZCML; ZCMLSandbox calls this."""
        xmlconfig.string(_ZCML, self["configurationContext"])
        for package in self.zcmlPackages:
            self.loadZCMLFile("configure.zcml", package)


BEAKER_FIXTURE = BeakerFixture(module=__name__)

BEAKER_INTEGRATION_TESTING = IntegrationTesting(
    bases=(BEAKER_FIXTURE,), name="BeakerFixture:Integration"
)

BEAKER_FUNCTIONAL_TESTING = FunctionalTesting(
    bases=(BEAKER_FIXTURE,), name="BeakerFixture:Functional"
)
