"""A session of another visitor, opened by its id."""

from collections.abc import Callable
from typing import Any

from zope.interface import implementer

from collective.beaker.interfaces import ISession
from collective.beaker.session.mapping import SessionMapping
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.opening import open_by_id
from collective.beaker.session.policy import Policy


Guard = Callable[..., Any]
"""Calls its first argument with the others, and deals with an outage."""


@implementer(ISession)
class SessionById(SessionMapping):
    """A session that was opened by its id.  See ISession.get_by_id.

    It changes no cookie.  ``save`` and ``delete`` take effect at once.
    """

    def __init__(self, policy: Policy, session: OpenedSession, guard: Guard):
        self._policy = policy
        self._session = session
        self._store_guard = guard
        self._is_saved = False

    def _open(self) -> OpenedSession:
        return self._session

    def _guard(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        return self._store_guard(operation, *arguments)

    def accessed(self) -> bool:
        return True

    def dirty(self) -> bool:
        """Tell whether save() or delete() was called."""
        return self._is_saved

    def save(self, accessed_only: bool = False) -> None:
        """Store all changes at once.

        With ``accessed_only`` those are changes inside values and the time,
        as without a call of ``save``.
        """
        self._guard(self._session.save, not accessed_only)
        self._is_saved = True

    def delete(self) -> None:
        self._session.delete()
        self.save()

    invalidate = delete

    def regenerate_id(self) -> None:
        self._session.regenerate_id()

    def get_by_id(self, id: str) -> "SessionById | None":
        return find_by_id(self._policy, id, self._guard)


def find_by_id(policy: Policy, id: str, guard: Guard) -> SessionById | None:
    """Return the stored session with an id, or None if there is none."""
    found = guard(open_by_id, policy, id)
    return None if found is None else SessionById(policy, found, guard)
