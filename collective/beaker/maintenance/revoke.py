"""End one session, or all of them."""

import time
from collections.abc import Iterator
from collections.abc import Sequence

from collective.beaker.ids import ID_LENGTH
from collective.beaker.ids import is_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.cookies import SIGNATURE_LENGTH
from collective.beaker.session.moves import has_moved
from collective.beaker.session.times import CREATED
from collective.beaker.stores import Record
from collective.beaker.stores.failures import failing_late


_MOST_WALKS = 10
"""How many times at most the store is searched for sessions that have changed
their ids in the meantime."""


def find_id(text: str) -> str:
    """Return the id in what somebody has copied: an id, or a cookie.

    A signature comes before the id in the value of a cookie.  The name of the
    cookie may come before the value.

    Raises CannotMaintain if there is no id; the message does not show it.
    """
    value = text.strip().strip('"')
    value = value.rpartition("=")[2].strip('"')
    for id in (value, value[SIGNATURE_LENGTH:], value[-ID_LENGTH:]):
        if is_id(id):
            return id
    raise CannotMaintain(
        "A session ID has 32 hexadecimal digits. "
        "Give the ID, or the value of the cookie."
    )


def is_stored(options: Options, id: str) -> bool:
    """Tell whether there is a session with an id."""
    return SessionInspector(options).load(id) is not None


def revoke(options: Options, id: str) -> bool:
    """End the session with an id at once; return whether there was one.

    If it got a new id a moment ago, it is ended there.  Raises CannotMaintain
    if ``id`` does not have the form of a session id.
    """
    if not is_id(id):
        raise CannotMaintain("A session ID has 32 hexadecimal digits.")
    inspector = SessionInspector(options)
    inspected = inspector.load(id)
    if inspected is None:
        return False
    return bool(_end_all(inspector, [inspected]))


def revoke_all(options: Options) -> Iterator[int]:
    """End all sessions; yield the number so far, and finally the total.

    A session that changes its id in the meantime is ended, too.  Sessions
    that begin in the meantime may be ended or kept.  If one cannot be ended,
    the others are, and then StoreUnavailable is raised.
    """
    inspector, start, number = SessionInspector(options), time.time(), 0
    for walk in range(_MOST_WALKS):
        found = 0
        with failing_late(StoreUnavailable) as step:
            for inspected in slices(inspector.inspect_all()):
                ended = [
                    each
                    for each in inspected
                    if not walk or _creation_time(each) <= start
                ]
                with step():
                    number += _end_all(inspector, ended)
                found += len(ended)
                yield number
        if not found:
            break
    yield number


def _end_all(
    inspector: SessionInspector, inspected: Sequence[InspectedRecord]
) -> int:
    """Remove records, including any that have changed in the meantime.

    A session that has moved is ended where it is now: this walk may have been
    there before.  Returns how many sessions there were, however often one is
    among the records.
    """
    moved: list[InspectedRecord] = []
    others: list[InspectedRecord] = []
    for each in inspected:
        (moved if has_moved(each.data) else others).append(each)
    try:
        ended = inspector.end(each.id for each in moved)
    finally:
        # If one cannot be ended, the others are.
        removed = _remove(inspector, others)
    # Only now: another attempt finds by them what could not be ended.
    inspector.store.remove(_records(moved))
    return ended + removed


def _remove(
    inspector: SessionInspector, inspected: Sequence[InspectedRecord]
) -> int:
    """Remove records, even if they have changed.

    Returns how many there were.
    """
    removed = inspector.store.remove(_records(inspected))
    if removed < len(inspected):
        removed += inspector.end(each.id for each in inspected)
    return removed


def _records(
    inspected: Sequence[InspectedRecord],
) -> list[tuple[str, Record]]:
    return [(each.id, each.record) for each in inspected]


def _creation_time(inspected: InspectedRecord) -> float:
    began: float = (inspected.data or {}).get(CREATED, 0)
    return began
