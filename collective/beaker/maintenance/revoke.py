"""End one session, or all of them."""

import time
from collections.abc import Iterator
from collections.abc import Sequence

from collective.beaker.ids import is_id
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Findings
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.stores import Record
from collective.beaker.stores import Store


_MOST_WALKS = 10
"""So often sessions are looked for that change their ids meanwhile."""


def revoke(options: Options, id: str) -> bool:
    """End the session of an id at once; return whether there was one.

    Raises CannotMaintain for what has not the form of an id.
    """
    if not is_id(id):
        raise CannotMaintain("A session id has 32 hexadecimal digits.")
    sessions = StoredSessions(options)
    record = sessions.store.load(id)
    if record is not None and sessions.look_into(id, record) is None:
        return False
    # Also one that is stored at this moment: it must end.
    sessions.store.delete(id)
    return record is not None


def revoke_all(options: Options) -> Iterator[int]:
    """End all sessions; yield how many so far, and at last all.

    One that changes its id meanwhile does not escape.  Those that begin
    meanwhile may be ended, too, or stay.
    """
    sessions, start, number = StoredSessions(options), time.time(), 0
    for walk in range(_MOST_WALKS):
        before = number
        for findings in slices(sessions.walk()):
            ended = [
                (found.id, found.record)
                for found in findings
                if not walk or _began(found) <= start
            ]
            _remove_all(sessions.store, ended)
            number += len(ended)
            yield number
        if number == before:
            break
    yield number


def _remove_all(store: Store, records: Sequence[tuple[str, Record]]) -> None:
    """Remove records, also those that were changed meanwhile."""
    if store.remove(records) < len(records):
        for id, _ in records:
            store.delete(id)


def _began(found: Findings) -> float:
    return (found.data or {}).get("_creation_time", 0)
