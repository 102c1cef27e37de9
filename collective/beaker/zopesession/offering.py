"""Offer ``request.SESSION`` and ``session_data_manager`` to code."""

from contextlib import suppress

from zope.component import adapter
from zope.interface.interfaces import IComponents
from ZPublisher.interfaces import IPubStart

from collective.beaker.interfaces import ISession
from collective.beaker.zopesession.data import SessionData
from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.manager import MANAGER_NAME
from collective.beaker.zopesession.manager import REQUEST_NAME
from collective.beaker.zopesession.manager import SessionDataManager


def offer_zope_sessions(utilities: IComponents) -> None:
    """Set request.SESSION from now on, and register the manager.

    Where Products.CMFCore is installed, its ``getToolByName`` and plone.api's
    ``get_tool`` find the manager by its name.
    """
    utilities.registerHandler(offerSessionDataOnStart)
    utilities.registerUtility(SessionDataManager(), ISessionDataManager)
    with suppress(ModuleNotFoundError):
        from Products.CMFCore.utils import registerToolInterface

        registerToolInterface(MANAGER_NAME, ISessionDataManager)


@adapter(IPubStart)
def offerSessionDataOnStart(event: IPubStart) -> None:
    """Set request.SESSION, before a user folder asks for credentials.

    Nothing is opened before its first use.
    """
    session = ISession(event.request, None)
    if session is not None:
        # Not by set_lazy: Products.Sessions would replace that.
        event.request.other[REQUEST_NAME] = SessionData(session)
