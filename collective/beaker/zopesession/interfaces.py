"""The contract of the session data manager."""

# Methods of an interface have neither a self nor a body.
# mypy: disable-error-code="misc, empty-body"

from zope.interface import Attribute
from zope.interface import Interface

from collective.beaker.zopesession.data import SessionData


class ISessionDataManager(Interface):
    """Gives the session of the current request to code for Zope's sessions.

    The methods are those of the interface of this name in Products.Sessions.
    """

    id = Attribute("The name by which it is found.")

    def getSessionData(create: bool = True) -> SessionData | None:
        """Return the session of the current request.

        Without ``create``, return None if the visitor has none.  Nothing is
        stored and no cookie is sent before something is written.

        Raises RuntimeError if the request has no session.
        """

    def hasSessionData() -> bool:
        """Tell whether the visitor has a session."""

    def clearSessionData() -> None:
        """Remove everything from the visitor's session."""

    def getSessionDataByKey(key: str) -> SessionData | None:
        """Return a stored session by its ``getContainerKey()``."""

    def getBrowserIdManager() -> object:
        """Return what tells about the cookie."""
