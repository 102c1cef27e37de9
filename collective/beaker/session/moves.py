"""What is left under the former id of a session, and how its end follows it.

Requests that the browser sent before it knew the new id still present the
former one, and others may be about to end the session there.  So for a while
a tombstone is under the former id, which names the new one.  Whoever ends the
session follows it.  No cookie leads there.
"""

import hmac
import time
from collections.abc import Iterator
from typing import Any

from collective.beaker.ids import is_id
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.cookies import Scope
from collective.beaker.session.cookies import check_scope
from collective.beaker.session.policy import MOVED_SECONDS
from collective.beaker.session.policy import Policy
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import MOVED
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import Data
from collective.beaker.session.working_copy import is_empty
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.stores.container import UNREADABLE


MOST_ATTEMPTS = 1000
"""How often others may be faster before a store counts as broken."""


TOMBSTONE_SECONDS = MOVED_SECONDS + LEEWAY_SECONDS
"""How long a store keeps a tombstone at least."""


def make_tombstone(
    policy: Policy, former_id: str, new_id: str, scope: Scope
) -> str:
    """Return the text to store where a session with such a cookie was."""
    domain, path = scope
    secret = policy.cookies.secrets[0] if policy.cookies.secrets else ""
    tombstone = {
        DOMAIN: domain,
        PATH: path,
        ACCESSED: time.time(),
        MOVED: _masked(new_id, former_id, secret),
    }
    return policy.codec.encode(tombstone)


def _masked(id: str, former_id: str, secret: str) -> str:
    """Mask an id, or take its mask off.

    Beaker's middleware would show a tombstone to anyone who has the former
    cookie.
    """
    mask = hmac.digest(secret.encode(), former_id.encode(), "sha256")
    pairs = zip(bytes.fromhex(id), mask, strict=False)
    return bytes(one ^ other for one, other in pairs).hex()


def has_moved(data: Data | None) -> bool:
    """Tell whether data are a tombstone of a session that moved lately."""
    if not data or MOVED not in data or not is_empty(data):
        return False
    accessed: Any = data.get(ACCESSED)
    if not isinstance(accessed, int | float):
        return False
    # In both directions, since clocks differ.  Nothing is calculated with what
    # is stored: a number may be too large for that.
    now = time.time()
    return now - MOVED_SECONDS < accessed < now + MOVED_SECONDS


def read_tombstone(policy: Policy, record: Record | None) -> Data | None:
    """Return the data of a tombstone; None if the record is anything else."""
    if record is None:
        return None
    try:
        text = policy.store.payload(record)
        data = {} if text is None else policy.codec.decode(text)
        check_scope(data.get(DOMAIN), data.get(PATH, "/"))
    except Exception:
        # Whoever loads a session tells that it cannot be read.
        return None
    return data if has_moved(data) else None


def end_session(
    policy: Policy,
    id: str,
    record: Record | None = None,
    new_id: str | None = None,
    scope: Scope = (None, None),
    follows: bool = True,
) -> bool:
    """End a stored session, wherever it moves meanwhile.

    ``record`` is what was loaded, if anything was.  With ``new_id`` another
    session has begun there in its place, whose cookie has this scope.  What
    is under another id stays unless it ``follows`` the session there.
    Returns whether there was a session.  Raises StoreUnavailable.
    """
    has_ended = False
    waiting: list[tuple[str, Record | None]] = [(id, record)]
    met = {new_id}
    while waiting:
        each, record = waiting.pop()
        if each in met:
            continue
        met.add(each)
        new = new_id and make_tombstone(policy, each, new_id, scope)
        is_here, tombstone = _replace(policy, each, record, new)
        has_ended = has_ended or is_here
        if not follows:
            break
        new_ids = _new_ids(policy, each, tombstone)
        waiting += [(following, None) for following in new_ids]
    return has_ended


def _replace(
    policy: Policy, id: str, record: Record | None, new: str | None
) -> tuple[bool, Data | None]:
    """Put a text in the place of a session, or remove it.

    Returns whether the session was there, and the tombstone if one is.
    """
    store = policy.store
    for _ in range(MOST_ATTEMPTS):
        if record == UNREADABLE:
            # Nothing can be compared with it.
            store.delete(id)
            return True, None
        if record is not None and store.swap(
            id, record, new, TOMBSTONE_SECONDS
        ):
            return True, None
        record = store.load(id)
        tombstone = read_tombstone(policy, record)
        if record is None or tombstone is not None:
            return False, tombstone
    raise StoreUnavailable(store.kind, store.address, "it never stores")


def follow(policy: Policy, id: str) -> Iterator[tuple[str, Record]]:
    """Yield where a session may be now that has moved, with what is there.

    Raises StoreUnavailable.
    """
    waiting, met = [id], set[str]()
    while waiting:
        each = waiting.pop()
        record = None if each in met else policy.store.load(each)
        met.add(each)
        tombstone = read_tombstone(policy, record)
        waiting += _new_ids(policy, each, tombstone)
        if record is not None and tombstone is None:
            yield each, record


def _new_ids(
    policy: Policy, former_id: str, tombstone: Data | None
) -> list[str]:
    """Return where a session may be: an id for each of the secrets."""
    if tombstone is None:
        return []
    try:
        ids = [
            _masked(tombstone[MOVED], former_id, secret)
            for secret in policy.cookies.secrets or [""]
        ]
    except (TypeError, ValueError):
        # Somebody else's.
        return []
    return list(filter(is_id, ids))
