"""The session of a request: opened at first use, saved when it ends."""

import logging
import secrets
import time
from collections.abc import Iterator
from collections.abc import MutableMapping
from typing import Any

import beaker.session
from beaker.session import Session
from zope.component import adapter
from zope.component import getUtility
from zope.component import queryUtility
from zope.interface import implementer
from zope.publisher.interfaces import IRequest
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPBaseResponse
from ZPublisher.interfaces import IPubAfterTraversal
from ZPublisher.interfaces import IPubFailure
from ZPublisher.interfaces import IPubStart
from ZPublisher.interfaces import IPubSuccess

from collective.beaker.cookies import cookie_header
from collective.beaker.cookies import copy_cookie
from collective.beaker.cookies import forget_copied_cookie
from collective.beaker.cookies import set_cookie
from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.options import SESSION_DEFAULTS


logger = logging.getLogger("collective.beaker")

RESERVED_KEYS = frozenset(
    ["_accessed_time", "_creation_time", "_domain", "_id", "_path"]
)
"""Keys of a session that are Beaker's own."""


class CookieSession(beaker.session.CookieSession):
    """Beaker's session in a cookie, with what it lacks beside the others.

    Beaker's neither knows when it was used last, nor can it change its id;
    and it forgets that it was invalidated unless it is also saved.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self.accessed_dict: dict[str, Any] = {}
        self.was_invalidated = False
        super().__init__(*args, **kwargs)
        # Beaker empties an expired session, but does not take it for new.
        self.is_new = "_id" not in self.accessed_dict
        self.setdefault("_creation_time", time.time())

    @property
    def last_accessed(self) -> float | None:
        return self.accessed_dict.get("_accessed_time")

    def regenerate_id(self) -> None:
        self["_id"] = self.accessed_dict["_id"] = secrets.token_hex(16)

    def delete(self) -> None:
        former = self.id
        super().delete()
        self["_id"] = former

    def invalidate(self) -> None:
        super().invalidate()
        self["_creation_time"] = time.time()
        self.accessed_dict = self.copy()
        self.is_new = self.was_invalidated = True

    def save(self, accessed_only: bool = False) -> None:
        if accessed_only and self.was_invalidated:
            # The old cookie must go, whether or not something is saved.
            self.clear()
            self.update(self.accessed_dict)
            accessed_only = False
        super().save(accessed_only)


@implementer(ISession)
class LazySession(MutableMapping):
    """The session of one request.  See ISession.

    It stands for a Beaker session, which is opened at the first use: only
    then is it known in which site the request is, and so which options hold.
    """

    def __init__(self, request: HTTPRequest):
        # Not the request: its environment holds this session, and a circle
        # would keep it until garbage is collected.
        self._cookies = request.cookies
        self._cookie_header = request.environ.get("HTTP_COOKIE", "")
        self._testing = request.environ.get("paste.testing_variables")
        self._session: Session | None = None
        self._options: dict[str, Any] = {}
        self._saved = False
        self._former_ids: list[str] = []
        self._closed = False

    def __repr__(self) -> str:
        state = "opened" if self.accessed() else "not opened"
        return f"<{type(self).__name__}, {state}>"

    # Identity, as that of Beaker's own lazy session.  Two sessions that hold
    # the same are not the same, and a session without keys is a session.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    # The mapping

    def __getitem__(self, key: Any) -> Any:
        return self._open()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._open()[key] = value

    def __delitem__(self, key: Any) -> None:
        session = self._open()
        # Code that empties a session key by key must not take what Beaker
        # needs to store it.
        if key not in RESERVED_KEYS:
            del session[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._open()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._open())

    def __len__(self) -> int:
        return len(self._open())

    def has_key(self, key: Any) -> bool:
        return key in self

    # MutableMapping's own take any KeyError for a missing key, also one that
    # was raised while the session was opened.

    def get(self, key: Any, default: Any = None) -> Any:
        return self._open().get(key, default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        return self._open().setdefault(key, default)

    def pop(self, key: Any, *default: Any) -> Any:
        session = self._open()
        if key in RESERVED_KEYS:
            return session.get(key, *default)
        return session.pop(key, *default)

    def popitem(self) -> tuple[Any, Any]:
        for key in self.keys() - RESERVED_KEYS:
            return key, self.pop(key)
        raise KeyError("The session is empty.")

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    # What Beaker's sessions offer beside

    @property
    def id(self) -> str:
        return self._open().id

    @property
    def is_new(self) -> bool:
        return self._open().is_new

    @property
    def created(self) -> float:
        session = self._open()
        # A session that was deleted or emptied has lost its creation time.
        return session.get("_creation_time") or time.time()

    @property
    def last_accessed(self) -> float | None:
        return self._open().last_accessed

    @property
    def domain(self) -> str | None:
        return self._open().domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._open().domain = domain

    @property
    def path(self) -> str:
        return self._open().path

    @path.setter
    def path(self, path: str) -> None:
        self._open().path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._open(), name)

    def save(self) -> None:
        self._open()
        self._saved = True

    def delete(self) -> None:
        self._open().delete()
        self._saved = True

    def invalidate(self) -> None:
        self._leave_id()
        session = self._open()
        # After delete() it would be the date in the past that ends a cookie.
        session.cookie_expires = self._options.get("cookie_expires", True)
        session.invalidate()

    def regenerate_id(self) -> None:
        self._leave_id()
        self._open().regenerate_id()

    def _leave_id(self) -> None:
        session = self._open()
        if not session.is_new:
            self._former_ids.append(session.id)

    def get_by_id(self, id: str) -> Session | None:
        options = self._read_options() | {"id": id, "use_cookies": False}
        if options["type"] == "cookie":
            return None
        session = Session({}, **options)
        return None if session.is_new else session

    def accessed(self) -> bool:
        return self._session is not None

    def dirty(self) -> bool:
        """Tell whether save() or delete() was called."""
        return self._saved

    def persist(self) -> None:
        """Store what this request leaves behind.

        All of it after ``save`` and ``delete`` and with ``auto``; otherwise
        what was loaded, with the new access time or under the new id.
        Nothing is left under a former id.
        """
        session = self._open()
        if self._saved or (self._options.get("auto") and self._has_content()):
            session.save()
        elif self._former_ids and not session.is_new:
            session.revert()
            session.save()
        elif self._former_ids or self._options.get("save_accessed_time", True):
            session.save(accessed_only=True)
        for former in filter(None, map(self.get_by_id, self._former_ids)):
            former.delete()
            former.save()

    def _has_content(self) -> bool:
        """Tell whether there is anything to keep. Reading leaves nothing."""
        session = self._open()
        return not session.is_new or bool(session.keys() - RESERVED_KEYS)

    # Opening and closing

    def _read_options(self) -> dict[str, Any]:
        if not self._options:
            self._options = SESSION_DEFAULTS | dict(getUtility(ISessionConfig))
        return self._options

    def _open(self) -> Session:
        if self._session is None:
            options = self._read_options()
            header = cookie_header(
                self._cookies, self._cookie_header, options["key"]
            )
            self._session = _load(options, header)
            self._show_to_webtest()
        return self._session

    def _show_to_webtest(self) -> None:
        name = self._options.get("webtest_varname")
        if name and self._testing is not None:
            self._testing[name] = self

    def close(self, response: HTTPBaseResponse) -> None:
        """Store the session and set its cookie, once and if it was used."""
        if self._closed or not self.accessed():
            return
        self._closed = True
        self.persist()
        headers = self._session.request
        if headers["set_cookie"] and headers["cookie_out"]:
            set_cookie(response, self._session.cookie[self._session.key])


def _load(options: dict[str, Any], header: str) -> Session:
    """Return the session that a Cookie header names, or a new one."""
    try:
        session = _beaker_session(
            header, **options | {"invalidate_corrupt": False}
        )
    except Exception as error:
        if not header or not options["invalidate_corrupt"]:
            raise
        # No more than the type: messages may hold an id or stored data.
        logger.warning(
            "A stored session cannot be read (%s); "
            "its visitor gets a new one.",
            type(error).__name__,
        )
        session = _beaker_session("", **options)
    if session.is_new:
        # An expired session is replaced, but not before something is saved.
        session.request["set_cookie"] = False
    return session


def _beaker_session(header: str, **options: Any) -> Session:
    session_class = options.get("session_class")
    if session_class is None:
        cookie_only = options["type"] == "cookie"
        session_class = CookieSession if cookie_only else Session
    exchange = {"cookie": header, "cookie_out": None, "set_cookie": False}
    return session_class(exchange, **options)


def initializeSession(
    request: HTTPRequest, environ_key: str = ENVIRON_KEY
) -> None:
    """Give a request its session, where sessions are configured.

    Nothing is read before its first use.
    """
    if queryUtility(ISessionConfig) is not None:
        request.environ[environ_key] = LazySession(request)


def closeSession(request: HTTPRequest) -> None:
    """Store the session of a request, if it was used, and set its cookie.

    Closing twice is closing once.  A session that is not ours, such as that
    of Beaker's middleware, is left alone.
    """
    session = request.environ.get(ENVIRON_KEY)
    if isinstance(session, LazySession):
        session.close(request.response)


@implementer(ISession)
@adapter(IRequest)
def ZopeSession(request: IRequest) -> ISession | None:
    """Return the session of a request, or None if there is none."""
    return getattr(request, "environ", {}).get(ENVIRON_KEY)


@adapter(IPubStart)
def configureSessionOnStart(event: IPubStart) -> None:
    """Give the request its session."""
    forget_copied_cookie()
    initializeSession(event.request)


@adapter(IPubAfterTraversal)
def configureSessionAfterTraversal(event: IPubAfterTraversal) -> None:
    """Give it one where only the site that was found configures sessions."""
    if ENVIRON_KEY not in event.request.environ:
        initializeSession(event.request)


@adapter(IPubSuccess)
def persistSessionOnSuccess(event: IPubSuccess) -> None:
    """Store the session after the transaction was committed."""
    closeSession(event.request)


@adapter(IPubFailure)
def persistSessionOnFailure(event: IPubFailure) -> None:
    """Store the session of a request that failed for good."""
    # A subscriber that runs before ours may have failed at the start.
    forget_copied_cookie()
    if event.retry:
        return
    request = event.request
    closeSession(request)
    session = request.environ.get(ENVIRON_KEY)
    if isinstance(session, LazySession) and session.accessed():
        copy_cookie(request.response, session.key, event.exc_info[1])
