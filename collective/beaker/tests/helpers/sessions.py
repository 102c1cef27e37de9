"""Sessions of the package's own classes, without a request around them."""

from typing import Any

from collective.beaker.session.in_cookie import CookieSession
from collective.beaker.session.mapping import SessionMapping
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.policy import Policy
from collective.beaker.session.policy import make_policy
from collective.beaker.session.stored import StoredSession
from collective.beaker.stores import Store


class PlainSession(SessionMapping):
    """A mapping over an opened session, and the methods of that session."""

    def __init__(self, policy: Policy, opened: OpenedSession):
        self.policy = policy
        self.opened = opened

    def _open(self) -> OpenedSession:
        return self.opened

    def save(self, everything: bool = True) -> None:
        self.opened.save(everything)

    @property
    def store(self) -> Store:
        return self.policy.store


def open_stored(id: str | None = None, **options: Any) -> PlainSession:
    """Return the session of an id, or a new one, which sends no cookie."""
    policy = make_policy(options)
    session = StoredSession(policy, cookies=None)
    if id is None:
        session.open_presented([])
    else:
        session.open_id(id)
    return PlainSession(policy, session)


def open_cookie(value: str = "", **options: Any) -> PlainSession:
    """Return the session in a cookie, or a new one."""
    policy = make_policy({"type": "cookie", **options})
    session = CookieSession(policy)
    session.open_presented([value] if value else [])
    return PlainSession(policy, session)
