"""Count the stored sessions, by age and by size."""

import time
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.sweep import GRACE_SECONDS
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import is_empty


_MINUTE = 60

_HOUR = 60 * _MINUTE

_DAY = 24 * _HOUR

AGES = (_MINUTE, _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
"""The upper limits of the bars in a chart of ages, in seconds."""

SIZES = (1024, 10 * 1024, 100 * 1024, 1024 * 1024)
"""The upper limits of the bars in a chart of sizes, in bytes."""


@dataclass
class Survey:
    """How many sessions are stored, how large they are and how old.

    Sizes are bytes as stored, and ages are seconds.  A chart has one bar for
    each of ``AGES`` or ``SIZES``, and one for everything above the last.
    Expired and unreadable sessions are included in ``sessions``.
    """

    sessions: int = 0
    expired: int = 0
    removable: int = 0
    """Expired sessions that a sweep would remove now: the others expired less
    than ``GRACE_SECONDS`` ago."""

    unreadable: int = 0
    empty: int = 0
    """Records without a session; they are not included in ``sessions``."""

    bytes: int = 0
    largest: int = 0
    oldest: float = 0
    """How long ago the oldest session began."""

    idle: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of times since the last use."""

    age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of times since the sessions began."""

    size: list[int] = field(default_factory=lambda: [0] * (len(SIZES) + 1))

    problems: list[str] = field(default_factory=list)
    """The first digits of unreadable sessions, and why they are unreadable;
    no more than a few of them."""


def survey(options: Options) -> Iterator[Survey]:
    """Count the stored sessions; yield the result so far, and finally all.

    The same object is yielded each time.
    """
    inspector = SessionInspector(options)
    sweeper = SessionInspector(options, grace=GRACE_SECONDS)
    found = Survey(problems=inspector.problems)
    for inspected in slices(inspector.inspect_all()):
        for each in inspected:
            _count(found, each, inspector, sweeper)
        yield found
    yield found


def _size(raw: object) -> int:
    """Return the bytes of a record; 0 for what is none."""
    return len(raw) if isinstance(raw, str | bytes) else 0


def _count(
    found: Survey,
    inspected: InspectedRecord,
    inspector: SessionInspector,
    sweeper: SessionInspector,
) -> None:
    data = inspected.data
    if data is not None and is_empty(data):
        found.empty += 1
        return
    size = _size(inspected.record.raw)
    found.sessions += 1
    found.bytes += size
    found.largest = max(found.largest, size)
    found.size[bisect(SIZES, size)] += 1
    if data is None:
        found.unreadable += 1
        return
    now = time.time()
    began = data.get(CREATED, now)
    used = data.get(ACCESSED, began)
    found.expired += inspector.has_expired(data)
    found.removable += sweeper.has_expired(data)
    found.oldest = max(found.oldest, now - began)
    found.age[bisect(AGES, now - began)] += 1
    found.idle[bisect(AGES, now - used)] += 1
