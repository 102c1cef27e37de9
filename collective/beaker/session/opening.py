"""Open the session of a request, as the options in force say."""

from collections.abc import Sequence

from collective.beaker.ids import is_id
from collective.beaker.session.foreign import ForeignSession
from collective.beaker.session.in_cookie import CookieSession
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.policy import Policy
from collective.beaker.session.stored import StoredSession


def open_session(policy: Policy, values: Sequence[str]) -> OpenedSession:
    """Return the first session that a cookie's values lead to, or a new one.

    Raises StoreUnavailable.
    """
    options = policy.options
    if session_class := options.get("session_class"):
        foreign = ForeignSession(policy, session_class)
        foreign.open_presented(values)
        return foreign
    if policy.in_browser:
        in_cookie = CookieSession(policy)
        in_cookie.open_presented(values)
        return in_cookie
    cookies = policy.cookies if options["use_cookies"] else None
    stored = StoredSession(policy, cookies)
    if id := options.get("id"):
        # Code has set one id for all visitors.
        stored.open_id(id)
    else:
        stored.open_presented(values)
    return stored


def open_by_id(policy: Policy, id: str) -> StoredSession | None:
    """Return the stored session with an id, or None if there is none.

    It changes no cookie.  Raises StoreUnavailable.
    """
    if policy.in_browser or not is_id(id):
        return None
    session = StoredSession(policy, cookies=None)
    session.open_id(id)
    return None if session.is_new else session
