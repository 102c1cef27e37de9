"""The session of one request: opened at first use, stored when it ends."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import MutableMapping
from http.cookies import Morsel
from typing import Any
from typing import TypeVar

import beaker.session
from zExceptions import HTTPServiceUnavailable
from zope.component import getUtility
from zope.interface import implementer
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.ids import is_id
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.content import RESERVED_KEYS
from collective.beaker.session.content import Content
from collective.beaker.session.content import logger
from collective.beaker.session.cookies import hide_cookie
from collective.beaker.session.cookies import presented_value
from collective.beaker.session.opening import Opener
from collective.beaker.session.opening import find_opener
from collective.beaker.session.participation import join
from collective.beaker.session.stored import Session
from collective.beaker.settings.options import Reader
from collective.beaker.settings.options import cookie_domain
from collective.beaker.settings.options import cookie_path


_RETRY_SECONDS = 5
"""When a visitor may come back whose session cannot be reached."""

_Result = TypeVar("_Result")


@implementer(ISession)
class LazySession(MutableMapping):
    """The session of one request.  See ISession.

    It stands for a Beaker session, which is opened at the first use: only
    then is it known in which site the request is, and so which options hold.
    """

    # Where most requests stay: they use no session.
    _session: beaker.session.Session | None = None
    _cookie: Morsel | None = None
    _opener: Opener | None = None
    _used = _saved = _joined = _closed = False
    unavailable = False

    def __init__(self, request: HTTPRequest):
        # Not the request: its environment holds this session, and a circle
        # would keep it until garbage is collected.
        self._cookies = request.cookies
        self._cookie_header = request.environ.get("HTTP_COOKIE", "")
        self._testing = request.environ.get("paste.testing_variables")
        self._client_address = request.getClientAddr()

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
        # A session that was deleted has lost its creation time.
        return session.get("_creation_time") or time.time()

    @property
    def last_accessed(self) -> float | None:
        return self._open().last_accessed

    @property
    def domain(self) -> str | None:
        return self._open().domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._open().domain = domain and _checked(
            "domain", cookie_domain, domain
        )

    @property
    def path(self) -> str:
        return self._open().path

    @path.setter
    def path(self, path: str) -> None:
        self._open().path = _checked("path", cookie_path, path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._open(), name)

    def save(self) -> None:
        self._open_to_store()
        self._saved = True

    def delete(self) -> None:
        self._open_to_store().delete()
        self._saved = True

    def invalidate(self) -> None:
        self._open_to_store().invalidate()

    def regenerate_id(self) -> None:
        self._open_to_store().regenerate_id()

    def get_by_id(self, id: str) -> Session | None:
        options = self._find_opener().options
        if options["type"] == "cookie" or not is_id(id):
            return None
        options = options | {"id": id, "use_cookies": False}
        session = self._reach(lambda: SessionById(self._reach, options))
        return None if session.is_new else session

    def accessed(self) -> bool:
        return self._used

    def dirty(self) -> bool:
        """Tell whether save() or delete() was called."""
        return self._saved

    def persist(self) -> None:
        """Store what this request leaves behind.

        All changes after ``save`` and ``delete`` and with ``auto``; otherwise
        those inside stored values, and the time.
        """
        session = self._open()
        self._reach(lambda: session.save(accessed_only=not self._keeps_all()))

    def _keeps_all(self) -> bool:
        if self._saved or not self._find_opener().options["auto"]:
            return self._saved
        session = self._open()
        return not isinstance(session, Content) or session.changed()

    # Opening and closing

    def _find_opener(self) -> Opener:
        if self._opener is None:
            self._opener = find_opener(getUtility(ISessionConfig))
        return self._opener

    def _open(self) -> beaker.session.Session:
        if self._session is None:
            opener = self._find_opener()
            name = opener.options["key"]
            # A site may have a name of its own for it.
            hide_cookie(self._cookies, name)
            value = presented_value(self._cookies, self._cookie_header, name)
            self._session = self._reach(lambda: opener.open(value))
            self._used = True
            self._warn_of_bad_signature()
            self._show_to_webtest()
        if not self._joined and self._is_transactional():
            self._joined = join(self)
        return self._session

    def _open_to_store(self) -> beaker.session.Session:
        if self._closed:
            _warn_of_late_change()
        return self._open()

    def _warn_of_bad_signature(self) -> None:
        if getattr(self._session, "bad_signature", False):
            logger.warning(
                "The cookie of a session has a wrong signature; its visitor "
                "(%s) gets a new session.",
                self._client_address,
            )

    def _show_to_webtest(self) -> None:
        name = self._find_opener().options["webtest_varname"]
        if name and self._testing is not None:
            self._testing[name] = self

    def _reach(self, operation: Callable[[], _Result]) -> _Result:
        """Call what needs the store.

        Raises HTTPServiceUnavailable if it fails, and again at once for the
        rest of the request, which needs not wait once more.
        """
        if not self.unavailable:
            try:
                return operation()
            except StoreUnavailable as error:
                self.unavailable = True
                logger.error("%s", error)
        answer = HTTPServiceUnavailable(
            "Sessions cannot be reached. Please try again in a moment."
        )
        answer.setHeader("Retry-After", str(_RETRY_SECONDS))
        raise answer from None

    def close(self) -> Morsel | None:
        """Store the session, once and if it was used.

        Returns the cookie to be sent, if there is one.  In a transaction the
        session has been stored with it.
        """
        if self._closed:
            return None
        transactional = self._is_transactional()
        self._closed = True
        if not transactional:
            self.persist()
            self._take_cookie()
        elif self._saved:
            # Somebody did it after the commit.
            _warn_of_late_change()
        return self._cookie

    def _take_cookie(self) -> None:
        """Take the cookie that is to be sent, now that its session is stored.

        If the session is opened once more, it is that of this cookie.
        """
        session = self._open()
        if session.request["set_cookie"] and session.request["cookie_out"]:
            self._cookie = session.cookie[session.key]
            self._cookies = {session.key: self._cookie.coded_value}

    @property
    def cookie_name(self) -> str:
        return self._find_opener().options["key"]

    def sends_secure(self, url: str) -> bool:
        """Tell whether the cookie is for encrypted connections only."""
        secure = self._find_opener().options["secure"]
        return url.startswith("https:") if secure == "auto" else bool(secure)

    # The part of a transaction.  See transaction.Participant.

    def _is_transactional(self) -> bool:
        opener = self._opener
        return (
            opener is not None
            and opener.options["transactional"]
            and not self._closed
        )

    def prepare(self) -> None:
        session = self._open()
        if isinstance(session, Content):
            accessed_only = not self._keeps_all()
            self._reach(lambda: session.prepare(accessed_only))

    def finish(self) -> None:
        try:
            self.persist()
            self._take_cookie()
        finally:
            self._leave_transaction()

    def roll_back(self) -> None:
        self._leave_transaction()
        self._session = None

    def _leave_transaction(self) -> None:
        self._joined = self._saved = False
        if isinstance(self._session, Content):
            self._session.release()

    def snapshot(self) -> Any:
        session = self._open()
        if isinstance(session, Content):
            return self._saved, session.snapshot()
        return self._saved, dict(session)

    def restore(self, snapshot: Any) -> None:
        self._saved, state = snapshot
        session = self._open()
        if isinstance(session, Content):
            session.restore(state)
            return
        session.clear()
        session.update(state)


class SessionById(Session):
    """A session that was opened by its id.  See ISession.get_by_id.

    Nobody's cookie follows it: who ends it begins no other.
    """

    def __init__(
        self,
        reach: Callable[[Callable[[], None]], None],
        options: dict[str, Any],
    ):
        self._reach = reach
        super().__init__({}, **options)

    def save(self, accessed_only: bool = False) -> None:
        store = super().save
        self._reach(lambda: store(accessed_only))

    def delete(self) -> None:
        super().delete()
        self.save()

    invalidate = delete


def _warn_of_late_change() -> None:
    logger.warning(
        "A session was to be stored after the end of its request. What was "
        "changed so late is not kept."
    )


def _checked(name: str, reader: Reader, value: str) -> str:
    """Return what may stand in a header; raise ValueError otherwise."""
    try:
        return reader(value)
    except ValueError as error:
        reason = error
    raise ValueError(
        f"The session's {name} is {value!r}; allowed is {reason}."
    )
