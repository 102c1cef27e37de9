"""The session data manager: the tool by which code finds SessionData."""

from AccessControl.class_init import InitializeClass
from AccessControl.SecurityInfo import ClassSecurityInfo
from OFS.SimpleItem import SimpleItem
from zope.globalrequest import getRequest
from zope.interface import implementer

from collective.beaker.zopesession.data import SessionData
from collective.beaker.zopesession.interfaces import ISessionDataManager


REQUEST_NAME = "SESSION"
"""The name under which a request has its SessionData."""

MANAGER_NAME = "session_data_manager"
"""The id of the manager, by which getToolByName and acquisition find it."""

_SESSION_DATA = "Access session data"
_OTHERS_DATA = "Access arbitrary user session data"


def _current_data() -> SessionData | None:
    request = getRequest()
    found = None if request is None else request.other.get(REQUEST_NAME)
    return found if isinstance(found, SessionData) else None


_NO_SESSION = (
    "This request has no session. Write session.zope_session on and the "
    "other settings of sessions into the beaker section of zope.conf, and "
    "restart Zope."
)


def _require_data() -> SessionData:
    data = _current_data()
    if data is None:
        raise RuntimeError(_NO_SESSION)
    return data


class BrowserIdManager:
    """Tells about the cookie what code for Zope's sessions asks."""

    security = ClassSecurityInfo()
    security.declareObjectPublic()
    security.setDefaultAccess("allow")

    def __init__(self, data: SessionData):
        self._data = data

    def hasBrowserId(self) -> bool:
        return self._data.exists()

    def getBrowserId(self, create: bool = True) -> str | None:
        """Return the session's id; None if there is none to return."""
        return self._data.getId() if create or self._data.exists() else None

    def isBrowserIdNew(self) -> bool:
        return self._data.is_new

    def getBrowserIdName(self) -> str:
        """Return the name of the cookie."""
        return self._data.cookie_name

    def isBrowserIdFromCookie(self) -> bool:
        return not self.isBrowserIdNew()

    def isBrowserIdFromForm(self) -> bool:
        """Return False: an id in a form or an address is never taken."""
        return False

    def isBrowserIdFromUrl(self) -> bool:
        """Return False: an id in a form or an address is never taken."""
        return False

    def getHiddenFormField(self) -> str:
        """Return an empty text: ids travel in the cookie only."""
        return ""

    def encodeUrl(self, url: str, style: str = "querystring") -> str:
        """Return the address as it is: ids travel in the cookie only."""
        return url

    def flushBrowserIdCookie(self) -> None:
        """End the session and remove its cookie."""
        self._data.invalidate()


InitializeClass(BrowserIdManager)


@implementer(ISessionDataManager)
class SessionDataManager:
    """See ISessionDataManager.

    It is a utility.
    """

    id = MANAGER_NAME

    security = ClassSecurityInfo()
    security.declareObjectPublic()
    security.setPermissionDefault(_SESSION_DATA, ["Manager", "Anonymous"])
    security.setPermissionDefault(_OTHERS_DATA, ["Manager"])

    # The methods have no docstrings: with one, a browser could call them.

    @security.public
    def getSessionData(self, create: bool = True) -> SessionData | None:
        if create:
            requested = _require_data()
            requested.was_requested = True
            return requested
        data = _current_data()
        return data if data is not None and data.exists() else None

    @security.public
    def hasSessionData(self) -> bool:
        data = _current_data()
        return data is not None and data.exists()

    @security.protected(_OTHERS_DATA)
    def clearSessionData(self) -> None:
        data = _current_data()
        if data is not None and data.exists():
            data.clear()

    @security.protected(_OTHERS_DATA)
    def getSessionDataByKey(self, key: str) -> SessionData | None:
        data = _require_data()
        if key == data.getContainerKey():
            return data
        return data.find_other(key)

    @security.public
    def getBrowserIdManager(self) -> BrowserIdManager:
        return BrowserIdManager(_require_data())


InitializeClass(SessionDataManager)


class StoredSessionDataManager(SessionDataManager, SimpleItem):
    """The same as an object in the database, for code that acquires it."""

    meta_type = "Beaker Session Data Manager"
    title = "Session Data Manager"
    zmi_icon = "far fa-clock"


InitializeClass(StoredSessionDataManager)
