"""Count the stored sessions, by age and by size."""

import time
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import Findings
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.session.working_copy import is_empty


_MINUTE = 60

_HOUR = 60 * _MINUTE

_DAY = 24 * _HOUR

AGES = (_MINUTE, _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
"""The seconds at which one bar of a chart of ages ends and another begins."""

SIZES = (1024, 10 * 1024, 100 * 1024, 1024 * 1024)
"""The same for sizes, in bytes."""


@dataclass
class Survey:
    """How many sessions are stored, how large and how old they are.

    Sizes are bytes as they are stored, and ages seconds.  A chart has one bar
    for each of ``AGES`` or ``SIZES``, and one for what is beyond the last.
    Sessions that have expired or cannot be read are counted among the others.
    """

    sessions: int = 0
    expired: int = 0
    unreadable: int = 0
    empty: int = 0
    """Records that hold no session, and count as none."""

    bytes: int = 0
    largest: int = 0
    oldest: float = 0
    """How long ago the first of them began."""

    idle: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of how long they have not been used."""

    age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of how long ago they began."""

    size: list[int] = field(default_factory=lambda: [0] * (len(SIZES) + 1))


def survey(options: Options) -> Iterator[Survey]:
    """Count the stored sessions; yield the result so far, and at last all.

    It is always the same object.
    """
    sessions, found = StoredSessions(options), Survey()
    for findings in slices(sessions.walk()):
        for each in findings:
            _count(found, each, sessions)
        yield found
    yield found


def _count(
    found: Survey, findings: Findings, sessions: StoredSessions
) -> None:
    data = findings.data
    if data is not None and is_empty(data):
        found.empty += 1
        return
    size = len(findings.record.raw)
    found.sessions += 1
    found.bytes += size
    found.largest = max(found.largest, size)
    found.size[bisect(SIZES, size)] += 1
    if data is None:
        found.unreadable += 1
        return
    now = time.time()
    began = data.get("_creation_time", now)
    used = data.get("_accessed_time", began)
    found.expired += sessions.has_expired(data)
    found.oldest = max(found.oldest, now - began)
    found.age[bisect(AGES, now - began)] += 1
    found.idle[bisect(AGES, now - used)] += 1
