"""What the profiles do besides their files, and which one is hidden."""

from typing import Any

from Acquisition import aq_base
from plone.base.interfaces import INonInstallable
from Products.GenericSetup.tool import SetupTool
from zope.component import queryUtility
from zope.interface import implementer

from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.manager import MANAGER_NAME
from collective.beaker.zopesession.manager import StoredSessionDataManager


@implementer(INonInstallable)
class HiddenProfiles:
    """Keeps the uninstall profile out of the list of add-ons."""

    def getNonInstallableProfiles(self) -> list[str]:
        return ["collective.beaker:uninstall"]


def install(setup: SetupTool) -> None:
    """Have acquisition find our session data manager, if there is one.

    In the site it hides that of Products.Sessions, which is in Zope's root.
    """
    site = _site(setup)
    if queryUtility(ISessionDataManager) is not None and not _has_ours(site):
        site._setObject(MANAGER_NAME, StoredSessionDataManager())


def uninstall(setup: SetupTool) -> None:
    """Take our session data manager away again."""
    site = _site(setup)
    if _has_ours(site):
        site._delObject(MANAGER_NAME)


def _site(setup: SetupTool) -> Any:
    return setup.aq_parent


def _has_ours(site: Any) -> bool:
    found = getattr(aq_base(site), MANAGER_NAME, None)
    return isinstance(found, StoredSessionDataManager)
