"""What the profiles do besides their files, and which one is hidden."""

import logging
from typing import Any

from Acquisition import aq_base
from plone.base.interfaces import INonInstallable
from Products.GenericSetup.tool import SetupTool
from zope.component import queryUtility
from zope.interface import implementer

from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.manager import MANAGER_NAME
from collective.beaker.zopesession.manager import StoredSessionDataManager


logger = logging.getLogger("collective.beaker")

_NO_MANAGER = (
    "The add-on has put no session_data_manager into the site %s, as "
    "session.zope_session is off. Code that uses ISession(request) needs "
    "none. For code that acquires session_data_manager, set "
    "session.zope_session on in zope.conf, restart Zope, uninstall the "
    "add-on and install it again."
)

_OTHERS_MANAGER = (
    "The site %s has a session_data_manager already, of the class %s. The "
    "add-on leaves it in its place. To have ours, delete it in the ZMI, "
    "uninstall the add-on and install it again."
)


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
    manager = _manager_in(site)
    path = "/".join(site.getPhysicalPath())
    if isinstance(manager, StoredSessionDataManager):
        return
    if queryUtility(ISessionDataManager) is None:
        logger.info(_NO_MANAGER, path)
        return
    if manager is not None:
        logger.info(_OTHERS_MANAGER, path, manager.__class__.__name__)
        return
    site._setObject(MANAGER_NAME, StoredSessionDataManager())


def uninstall(setup: SetupTool) -> None:
    """Take our session data manager away again."""
    site = _site(setup)
    if isinstance(_manager_in(site), StoredSessionDataManager):
        site._delObject(MANAGER_NAME)


def _site(setup: SetupTool) -> Any:
    return setup.aq_parent


def _manager_in(site: Any) -> Any:
    """Return the manager in a site itself, not one that it acquires."""
    return getattr(aq_base(site), MANAGER_NAME, None)
