"""A session whose class is given by the option ``session_class``."""

import time
from collections.abc import Callable
from collections.abc import ItemsView
from collections.abc import Mapping
from collections.abc import MutableMapping
from collections.abc import Sequence
from http.cookies import Morsel
from http.cookies import SimpleCookie
from typing import Any
from typing import Protocol
from typing import cast

from collective.beaker.session.cookies import cookie_header
from collective.beaker.session.policy import Policy
from collective.beaker.session.policy import warn_of_unreadable_session
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import OWN_KEYS
from collective.beaker.session.working_copy import PATH
from collective.beaker.settings.options import OWN_OPTIONS


class BeakerSession(Protocol):
    """What Beaker's session classes offer.  They declare no types."""

    id: str
    key: str
    is_new: bool
    last_accessed: float | None
    domain: str | None
    path: str
    request: dict[str, Any]
    accessed_dict: dict[Any, Any]
    cookie: "SimpleCookie"

    def clear(self) -> None: ...
    def update(self, data: Mapping[Any, Any]) -> None: ...
    def items(self) -> ItemsView[Any, Any]: ...
    def delete(self) -> None: ...
    def invalidate(self) -> None: ...
    def regenerate_id(self) -> None: ...
    def save(self, accessed_only: bool = False) -> None: ...


class ForeignSession:
    """A session of any class that is derived from Beaker's.

    It behaves as that class does, and makes none of the promises of a
    ``StoredSession``: the class knows only Beaker's options.
    """

    bad_signature = False

    def __init__(
        self, policy: Policy, session_class: Callable[..., BeakerSession]
    ):
        self._options = {
            name: value
            for name, value in policy.options.items()
            if name not in OWN_OPTIONS
        } | {"secure": policy.options["secure"] is True}
        self._policy = policy
        self._session: BeakerSession
        self._class = session_class

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __getattr__(self, name: str) -> Any:
        """Return what the class has besides the methods of all sessions."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._session, name)

    def open_presented(self, values: Sequence[str]) -> None:
        """Open the first session that exists, or begin a new one.

        ``values`` are those of the visitor's cookies.  Raises what the class
        raises.
        """
        for value in values or [""]:
            self._open_value(value)
            if not self.is_new:
                break

    def _open_value(self, value: str) -> None:
        name = self._policy.cookies.name
        exchange = {
            "cookie": cookie_header(name, value),
            "cookie_out": None,
            "set_cookie": False,
        }
        try:
            session = self._class(
                exchange, **self._options | {"invalidate_corrupt": False}
            )
        except Exception as error:
            if not value or not self._policy.replaces(error):
                raise
            warn_of_unreadable_session(error)
            session = self._class(exchange | {"cookie": ""}, **self._options)
        if session.is_new:
            # An expired session is replaced only if something is saved.
            session.request["set_cookie"] = False
        self._session = session
        self._remember_own_keys()

    def _remember_own_keys(self) -> None:
        self._own = {
            key: self.data[key] for key in OWN_KEYS & self.data.keys()
        }

    def _with_own_keys(self) -> BeakerSession:
        """Return the session with the own keys that its class needs.

        Code may have removed them, as it can from any mapping.
        """
        for key, value in self._own.items():
            self.data.setdefault(key, value)
        return self._session

    @property
    def cookie(self) -> "Morsel[str] | None":
        exchange = self._session.request
        if exchange["set_cookie"] and exchange["cookie_out"]:
            return self._session.cookie[self._session.key]
        return None

    @property
    def expired_cookies(self) -> "Sequence[Morsel[str]]":
        return ()

    owner = None
    """The class knows no users."""

    def belong_to(self, mark: str, client: str) -> None:
        """Leave it nobody's."""

    def stores_changes(self, everything: bool) -> bool:
        return everything

    @property
    def needs_cookie(self) -> bool:
        return self.is_new

    @property
    def data(self) -> MutableMapping[Any, Any]:
        # Beaker's classes are derived from dict.
        return cast(MutableMapping[Any, Any], self._session)

    @property
    def id(self) -> str:
        return self._with_own_keys().id

    @property
    def is_new(self) -> bool:
        return self._session.is_new

    @property
    def created(self) -> float:
        data = {**self._own, **self.data}
        return data.get(CREATED) or time.time()

    @property
    def last_accessed(self) -> float | None:
        return self._session.last_accessed

    @property
    def domain(self) -> str | None:
        domain: str | None = self._own.get(DOMAIN)
        return domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._with_own_keys().domain = self._own[DOMAIN] = domain

    @property
    def path(self) -> str:
        path: str = self._own.get(PATH, "/")
        return path

    @path.setter
    def path(self, path: str) -> None:
        self._with_own_keys().path = self._own[PATH] = path

    stored_id = None
    """The class knows."""

    def settle_id(self) -> None:
        """The class has its own ways."""

    is_deleted = replaces_another = False

    def delete(self) -> None:
        self.is_deleted = True
        self._with_own_keys().delete()
        self._remember_own_keys()

    def invalidate(self) -> None:
        self.is_deleted = False
        self._with_own_keys().invalidate()
        self._remember_own_keys()

    def make_way(self) -> None:
        """The class knows no users."""

    def regenerate_id(self) -> None:
        self._with_own_keys().regenerate_id()

    def has_changed(self) -> bool:
        """Beaker's classes cannot tell; with ``auto``, all is stored."""
        return True

    def save(self, everything: bool = True) -> None:
        session = self._with_own_keys()
        session.save(accessed_only=not everything)
        if everything:
            # Its class stores this again when nothing else is to be stored.
            session.accessed_dict = dict(self.data)

    # Beaker's classes do not know about transactions.

    def prepare(self, everything: bool) -> None:
        """Nothing can be prepared."""

    def release(self) -> None:
        """There is nothing to release."""

    def snapshot(self) -> Any:
        return dict(self._session.items())

    def restore(self, snapshot: Any) -> None:
        self._session.clear()
        self._session.update(snapshot)
