"""How the session of a request is opened, by the options that hold for it."""

import os
from collections import UserList
from collections.abc import Mapping
from collections.abc import Set
from typing import Any

from collective.beaker.ids import is_id
from collective.beaker.session.foreign import ForeignSession
from collective.beaker.session.in_cookie import CookieSession
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.policy import Policy
from collective.beaker.session.policy import make_policy
from collective.beaker.session.stored import StoredSession
from collective.beaker.settings.options import SESSION_DEFAULTS


_policies: dict[str, tuple[dict[str, Any], Policy]] = {}
"""Options and what was made of them, by the names of their cookies."""

if hasattr(os, "register_at_fork"):
    # A forked process must not use the connections of its parent.
    os.register_at_fork(after_in_child=_policies.clear)


def policy_for(config: Mapping[str, Any]) -> Policy:
    """Return the policy for the options in force.

    To make one takes long, so it is kept as long as the options stay the
    same.  Sites with sessions of their own have a cookie of their own, by
    whose name the policy is found again.
    """
    given = config if type(config) is dict else dict(config)
    name = given.get("key", SESSION_DEFAULTS["key"])
    known = _policies.get(name)
    if known is None or known[0] != given:
        copied = _copied(given)
        known = _policies[name] = copied, make_policy(copied)
    return known[1]


def _copied(value: Any) -> Any:
    """Return an equal value that stays the same when its original changes.

    Nor does it belong to a connection to the ZODB, as that of a site may.
    """
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list | UserList):
        return [_copied(each) for each in value]
    if isinstance(value, Set):
        return set(value)
    return value


def open_session(policy: Policy, value: str) -> OpenedSession:
    """Return the session of a cookie's value, or a new one.

    Raises StoreUnavailable.
    """
    options = policy.options
    if session_class := options.get("session_class"):
        foreign = ForeignSession(policy, session_class)
        foreign.open_presented(value)
        return foreign
    if options["type"] == "cookie":
        in_cookie = CookieSession(policy)
        in_cookie.open_presented(value)
        return in_cookie
    cookies = policy.cookies if options["use_cookies"] else None
    stored = StoredSession(policy, cookies)
    if id := options.get("id"):
        # Code gives it, for all visitors.
        stored.open_id(id)
    else:
        stored.open_presented(value)
    return stored


def open_by_id(policy: Policy, id: str) -> StoredSession | None:
    """Return the stored session of an id, or None if there is none.

    Nobody's cookie follows it.  Raises StoreUnavailable.
    """
    if policy.options["type"] == "cookie" or not is_id(id):
        return None
    session = StoredSession(policy, cookies=None)
    session.open_id(id)
    return None if session.is_new else session
