"""Remove what nobody needs: expired sessions, free locks and the like."""

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from enum import auto

from collective.beaker.ids import is_id
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.session.working_copy import is_empty
from collective.beaker.stores import Record
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.stores.base import Leftover


GRACE_SECONDS = LEEWAY_SECONDS
"""A request that began in time may still store a session that has expired."""


class _Verdict(Enum):
    """What a sweep thinks of a record."""

    ALIVE = auto()
    UNREADABLE = auto()
    EXPIRED = auto()
    EMPTY = auto()
    OVER = auto()
    """A lock that nobody holds."""

    FOREIGN = auto()
    """A lock that somebody holds, or a file of a cache."""


@dataclass
class Sweep:
    """What a sweep has removed, or with ``dry_run`` would remove, and kept."""

    expired: int = 0
    empty: int = 0
    locks: int = 0
    temporary_files: int = 0
    kept: int = 0
    """Sessions that go on; the unreadable ones are among them."""

    unreadable: int = 0
    used_meanwhile: int = 0
    """Sessions that had expired, but were stored anew before they were
    removed; they are among those that go on."""

    looked_at: int = 0
    """Records and files, of all kinds."""

    @property
    def removed(self) -> int:
        return self.expired + self.empty + self.locks + self.temporary_files


def sweep(
    options: Options, idle: int | None = None, dry_run: bool = False
) -> Iterator[Sweep]:
    """Remove what nobody needs; yield the result so far, and at last all.

    That is: sessions that have expired ``GRACE_SECONDS`` ago, or were not used
    for ``idle`` seconds (see StoredSessions), records that hold no session,
    locks that nobody holds, and what killed processes left.  A session that
    is used meanwhile stays, and so does one that cannot be read.  The result
    is always the same object.
    """
    sessions, swept = StoredSessions(options, idle, GRACE_SECONDS), Sweep()
    for records in slices(sessions.walk_all()):
        swept.looked_at += len(records)
        _sweep_slice(sessions, records, swept, dry_run)
        yield swept
    for leftovers in slices(sessions.store.clean_up(dry_run)):
        swept.looked_at += len(leftovers)
        swept.locks += leftovers.count(Leftover.LOCK)
        swept.temporary_files += leftovers.count(Leftover.TEMPORARY_FILE)
        yield swept
    yield swept


def _sweep_slice(
    sessions: StoredSessions,
    records: Sequence[tuple[str, Record]],
    swept: Sweep,
    dry_run: bool,
) -> None:
    judged: dict[_Verdict, list[tuple[str, Record]]] = defaultdict(list)
    for name, record in records:
        judged[_judge(sessions, name, record)].append((name, record))
    remove = len if dry_run else sessions.store.remove
    swept.locks += remove(judged[_Verdict.OVER])
    swept.empty += remove(judged[_Verdict.EMPTY])
    expired = judged[_Verdict.EXPIRED]
    removed = remove(expired)
    swept.expired += removed
    if removed < len(expired):
        there = sum(sessions.store.load(id) is not None for id, _ in expired)
        swept.used_meanwhile += there
        swept.kept += there
    swept.unreadable += len(judged[_Verdict.UNREADABLE])
    swept.kept += len(judged[_Verdict.UNREADABLE])
    swept.kept += len(judged[_Verdict.ALIVE])


def _judge(sessions: StoredSessions, name: str, record: Record) -> _Verdict:
    if not is_id(name):
        over = sessions.store.is_over(record)
        return _Verdict.OVER if over else _Verdict.FOREIGN
    found = sessions.look_into(name, record)
    if found is None:
        return _Verdict.FOREIGN
    if found.data is None:
        return _Verdict.UNREADABLE
    if is_empty(found.data):
        return _Verdict.EMPTY
    expired = sessions.has_expired(found.data)
    return _Verdict.EXPIRED if expired else _Verdict.ALIVE
