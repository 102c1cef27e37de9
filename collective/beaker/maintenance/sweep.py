"""Remove what is no longer needed: expired sessions, free locks and more."""

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import Enum
from enum import auto

from collective.beaker.ids import is_id
from collective.beaker.interfaces import Leftover
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.moves import has_moved
from collective.beaker.session.working_copy import is_empty
from collective.beaker.stores import Record
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.stores.failures import failing_late


GRACE_SECONDS = LEEWAY_SECONDS
"""How long an expired session is kept: a request that began before it expired
may still store it."""


class _Verdict(Enum):
    """How a sweep classifies a record."""

    ALIVE = auto()
    UNREADABLE = auto()
    EXPIRED = auto()
    EMPTY = auto()
    FREE_LOCK = auto()
    """A lock that is not held."""

    TOMBSTONE = auto()
    """What a session has left that moved a moment ago."""

    FOREIGN = auto()
    """A lock that is held, or a file of a cache."""


@dataclass
class Sweep:
    """What a sweep has removed and kept, or would with ``dry_run``."""

    expired: int = 0
    empty: int = 0
    locks: int = 0
    temporary_files: int = 0
    kept: int = 0
    """Sessions that were kept, including unreadable ones."""

    unreadable: int = 0
    used_meanwhile: int = 0
    """Expired sessions that a request stored again before they could be
    removed; they are included in ``kept``."""

    looked_at: int = 0
    """Records and files of all kinds."""

    problems: list[str] = field(default_factory=list)
    """The first digits of unreadable sessions, and why they are unreadable;
    no more than a few of them."""

    @property
    def removed(self) -> int:
        return self.expired + self.empty + self.locks + self.temporary_files


def sweep(
    options: Options, idle: int | None = None, dry_run: bool = False
) -> Iterator[Sweep]:
    """Remove what is no longer needed; yield the result so far, finally all.

    This removes sessions that expired more than ``GRACE_SECONDS`` ago or were
    not used for ``idle`` seconds (see SessionInspector), records without a
    session, locks that are not held, and files that killed processes left
    behind.  A session that is used in the meantime is kept, and so is one
    that cannot be read.  The same object is yielded each time.  If something
    cannot be removed, all else is, and then StoreUnavailable is raised.
    """
    inspector = SessionInspector(options, idle, GRACE_SECONDS)
    swept = Sweep(problems=inspector.problems)
    with failing_late(StoreUnavailable) as step:
        for part in (_sweep_records, _sweep_leftovers):
            with step():
                yield from part(inspector, swept, dry_run)
    yield swept


def _sweep_records(
    inspector: SessionInspector, swept: Sweep, dry_run: bool
) -> Iterator[Sweep]:
    with failing_late(StoreUnavailable) as step:
        for records in slices(inspector.walk_all()):
            swept.looked_at += len(records)
            with step():
                _sweep_slice(inspector, records, swept, dry_run)
            yield swept


def _sweep_leftovers(
    inspector: SessionInspector, swept: Sweep, dry_run: bool
) -> Iterator[Sweep]:
    for leftovers in slices(inspector.store.clean_up(dry_run)):
        swept.looked_at += len(leftovers)
        swept.locks += leftovers.count(Leftover.LOCK)
        swept.temporary_files += leftovers.count(Leftover.TEMPORARY_FILE)
        yield swept


def _sweep_slice(
    inspector: SessionInspector,
    records: Sequence[tuple[str, Record]],
    swept: Sweep,
    dry_run: bool,
) -> None:
    classified: dict[_Verdict, list[tuple[str, Record]]] = defaultdict(list)
    for name, record in records:
        verdict = _classify(inspector, name, record)
        classified[verdict].append((name, record))
    swept.unreadable += len(classified[_Verdict.UNREADABLE])
    swept.kept += len(classified[_Verdict.UNREADABLE])
    swept.kept += len(classified[_Verdict.ALIVE])
    remove = len if dry_run else inspector.store.remove
    try:
        swept.locks += remove(classified[_Verdict.FREE_LOCK])
        swept.empty += remove(classified[_Verdict.EMPTY])
    finally:
        # If one cannot be removed, the others are.
        expired = classified[_Verdict.EXPIRED]
        removed = remove(expired)
    swept.expired += removed
    if removed < len(expired):
        there = sum(inspector.store.load(id) is not None for id, _ in expired)
        swept.used_meanwhile += there
        swept.kept += there


def _classify(
    inspector: SessionInspector, name: str, record: Record
) -> _Verdict:
    if not is_id(name):
        is_free = inspector.store.is_free(record)
        return _Verdict.FREE_LOCK if is_free else _Verdict.FOREIGN
    inspected = inspector.inspect(name, record)
    if inspected is None:
        return _Verdict.FOREIGN
    if inspected.data is None:
        return _Verdict.UNREADABLE
    if has_moved(inspected.data):
        return _Verdict.TOMBSTONE
    if is_empty(inspected.data):
        return _Verdict.EMPTY
    expired = inspector.has_expired(inspected.data)
    return _Verdict.EXPIRED if expired else _Verdict.ALIVE
