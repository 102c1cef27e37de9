"""What a request needs of a session that was opened for it."""

import time
from collections.abc import MutableMapping
from collections.abc import Sequence
from http.cookies import Morsel
from typing import Any
from typing import Protocol

from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.cookies import Scope
from collective.beaker.session.cookies import as_compared
from collective.beaker.session.policy import Policy
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import Data
from collective.beaker.session.working_copy import WorkingCopy


_BEAKERS_NAMES = {"save_atime": "save_accessed_time"}
"""Attributes of Beaker's sessions that are options of another name."""

BEAKERS_ATTRIBUTES = frozenset(
    ["load", "lock", "revert", "unlock", "was_invalidated", *_BEAKERS_NAMES]
)
"""What an opened session has as Beaker's have it, beside its options."""


class OpenedSession(Protocol):
    """A session that was loaded or begun.

    It may be in a store, in a cookie, or of a class of another package.
    Methods that need a store raise StoreUnavailable.
    """

    @property
    def is_new(self) -> bool:
        """Whether no stored session was found for the visitor."""

    @property
    def last_accessed(self) -> float | None:
        """When it was last used before this request: seconds since 1970."""

    @property
    def bad_signature(self) -> bool:
        """Whether the visitor's cookie was signed with an unknown secret."""

    @property
    def cookie(self) -> "Morsel[str] | None":
        """The cookie to be sent, once the session is saved."""

    @property
    def expired_cookies(self) -> "Sequence[Morsel[str]]":
        """Cookies to be sent with it, which remove those it replaces.

        A browser keeps cookies apart whose domains or paths differ.
        """

    @property
    def needs_cookie(self) -> bool:
        """Whether saving is of no use unless the cookie can be sent."""

    @property
    def data(self) -> MutableMapping[Any, Any]:
        """What code sees and changes; always the same object."""

    @property
    def id(self) -> str:
        """The id under which ``save`` stores the session."""

    @property
    def stored_id(self) -> str | None:
        """The id under which it is in a store now, if it is in one."""

    @property
    def is_deleted(self) -> bool:
        """Whether ``delete`` has ended the session, and none has begun."""

    @property
    def replaces_another(self) -> bool:
        """Whether it takes the place of one that ``invalidate`` has ended."""

    @property
    def created(self) -> float:
        """When the session began: seconds since 1970."""

    @property
    def domain(self) -> str | None:
        """The domain of the cookie."""

    @domain.setter
    def domain(self, domain: str | None) -> None: ...

    @property
    def path(self) -> str:
        """The path of the cookie."""

    @path.setter
    def path(self, path: str) -> None: ...

    def settle_id(self) -> None:
        """Make sure that code may rely on the id from now on."""

    @property
    def owner(self) -> str | None:
        """The mark of the user whose session it is; None if nobody's."""

    def belong_to(self, mark: str, client: str) -> None:
        """Make a session that of a user with a client; "" keeps the client.

        What was stored as nobody's gets a new id.
        """

    def stores_changes(self, everything: bool) -> bool:
        """Tell whether ``save`` would store more than the time of access."""

    def delete(self) -> None:
        """End the session; ``save`` removes what is stored and the cookie."""

    def invalidate(self) -> None:
        """Begin a new session under a new id; ``save`` ends the former one."""

    def make_way(self) -> None:
        """Begin a new session in place of one of another user.

        Unlike ``invalidate`` it is no wish of the visitor's.
        """

    def regenerate_id(self) -> None:
        """Go on under a new id."""

    def has_changed(self) -> bool:
        """Tell whether there is anything that has not been stored yet."""

    def save(self, everything: bool = True) -> None:
        """Store all changes, or only those inside values.

        Raises RecordTooLarge, and TypeError for a value that cannot be
        serialized.
        """

    def prepare(self, everything: bool) -> None:
        """Make sure that ``save`` will succeed, and keep others from storing.

        Raises what ``save`` does, and ConflictError if another request has
        changed what this one changed.  ``release`` must follow.
        """

    def release(self) -> None:
        """Let others store the session."""

    def snapshot(self) -> Any:
        """Return all that ``restore`` needs to bring back this state."""

    def restore(self, snapshot: Any) -> None:
        """Bring back an earlier state."""


class SessionOfCopy:
    """What a session in a store and one in a cookie have in common.

    Both hold a working copy of data that is stored elsewhere.
    """

    cookie: "Morsel[str] | None" = None
    bad_signature = False
    was_invalidated = False
    is_new = True
    last_accessed: float | None = None
    owner: str | None = None

    _presented: Sequence[str] = ()
    """The values of the cookies that the visitor's request has."""

    _sent_scope: Scope = (None, None)
    """The domain and path of the visitor's cookie, if they are known."""

    _left_scopes: tuple[Scope, ...] = ()
    """Those of cookies that the visitor may have, and must not keep."""

    _has_new_mark = False
    """Whether its user's mark is to be stored, even if nothing else is."""

    is_deleted = False
    replaces_another = False

    def __init__(self, policy: Policy, cookies: CookieMaker | None = None):
        self._policy = policy
        self._cookies = cookies
        self._copy = WorkingCopy(policy.codec)
        self.data = self._copy.data

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __getattr__(self, name: str) -> Any:
        """Return an option, as it is an attribute of Beaker's sessions."""
        options = self._policy.options
        name = _BEAKERS_NAMES.get(name, name)
        if name.startswith("_") or name not in options:
            raise AttributeError(f"A session has no attribute {name!r}.")
        option = options[name]
        return option is True if name == "secure" else option

    @property
    def created(self) -> float:
        # A deleted session no longer has this time.
        return self._copy.loaded.get(CREATED) or time.time()

    @property
    def domain(self) -> str | None:
        domain: str | None = self._copy.get_own(DOMAIN, self._policy.domain)
        return domain

    @domain.setter
    def domain(self, domain: str | None) -> None:
        self._copy.set_own(DOMAIN, domain)

    @property
    def path(self) -> str:
        path: str = self._copy.get_own(PATH, self._policy.path)
        return path

    @path.setter
    def path(self, path: str) -> None:
        self._copy.set_own(PATH, path)

    @property
    def _scope(self) -> dict[str, str | None]:
        """The own keys that hold the scope of the cookie."""
        return {DOMAIN: self.domain, PATH: self.path}

    def _scope_in(self, stored: Data) -> tuple[str | None, str]:
        """Return domain and path of the cookie of what is stored.

        Those that were set since are not stored without ``save``.
        """
        policy = self._policy
        return stored.get(DOMAIN, policy.domain), stored.get(PATH, policy.path)

    def settle_id(self) -> None:
        """The id is that of ``save`` from the beginning."""

    def belong_to(self, mark: str, client: str) -> None:
        if self.owner is None and self._copy.text is not None:
            self.regenerate_id()
        self._copy.belong_to(mark, client)
        self.owner = mark
        self._has_new_mark = True

    def regenerate_id(self) -> None:
        raise NotImplementedError

    @property
    def expired_cookies(self) -> "Sequence[Morsel[str]]":
        current = as_compared(self._sent_scope)
        left = {as_compared(scope): scope for scope in self._left_scopes}
        return [
            self._policy.cookies.expire("", *scope)
            for compared, scope in left.items()
            if compared != current and scope[1]
        ]

    def _change_scope(self, scope: Scope) -> None:
        """Note that a cookie with this domain and path is sent."""
        self._left_scopes += (self._sent_scope,)
        self._sent_scope = scope

    def delete(self) -> None:
        self._copy.empty()
        self.is_deleted = True

    def revert(self) -> None:
        """Take back all changes, also those inside values."""
        self._copy.revert()

    def has_changed(self) -> bool:
        if self.is_deleted or self.replaces_another:
            return True
        return self._copy.has_changed()

    def snapshot(self) -> Any:
        return self._copy.snapshot(), vars(self).copy()

    def restore(self, snapshot: Any) -> None:
        data, state = snapshot
        vars(self).clear()
        vars(self).update(state)
        self._copy.restore(data)
