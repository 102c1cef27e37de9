"""When a session began, when it was used, and when it has ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from collective.beaker.stores.base import CLOCK_LEEWAY


ACCESSED = "_accessed_time"
"""The key of the time at which a session was used last."""

CREATED = "_creation_time"
"""The key of the time at which a session began."""

_NUMBERS = frozenset([int, float])
"""The types of times.  It has no bool, which is an int otherwise."""


class NoTime(ValueError):
    """A number in a stored session is no time: negative, or not finite."""


class TimeInFuture(ValueError):
    """A stored session was used, or has begun, in the future."""


@dataclass(frozen=True)
class Timeouts:
    """How long sessions last, and how exactly their times are stored.

    All of them are seconds.
    """

    idle: int | None = None
    """How long a session lasts without use; None is for ever."""

    absolute: int | None = None
    """How long a session lasts in all; None is for ever."""

    resolution: int = 0
    """How old a stored time of access may become before it is replaced."""

    stores_access: bool = True
    """Whether the time of access is stored at all."""

    def have_ended(
        self, data: Mapping[Any, Any], in_use: bool = False
    ) -> bool:
        """Tell whether a session with such data has ended by itself.

        One that is in use has not: a request may take longer than a timeout.
        Raises TypeError for a time that is not a number, NoTime for a number
        that is none, and TimeInFuture.
        """
        now = time.time()
        ended = False
        # Without a call for each time, since each request comes here.
        for key, limit in ((ACCESSED, self.idle), (CREATED, self.absolute)):
            value = data.get(key, now)
            if type(value) not in _NUMBERS or not (
                0 <= value <= now + CLOCK_LEEWAY
            ):
                raise _error_of(value)
            ended = ended or now - value > (limit or inf)
        return ended and not in_use

    def is_access_due(self, last_accessed: float | None) -> bool:
        """Tell whether it is time to store the time of access again."""
        if not self.stores_access:
            return False
        if last_accessed is None:
            return True
        resolution: float = self.resolution
        if self.idle:
            resolution = min(resolution, self.idle / 10)
        # In both directions, since a clock may have been wrong.
        return abs(time.time() - last_accessed) >= resolution


def later(one: Any, other: Any) -> float:
    """Return the later of two times of access, of which one may be wrong.

    It is not later than now.
    """
    now = time.time()
    times = [
        each
        for each in (one, other)
        if type(each) in _NUMBERS and 0 <= each < inf
    ]
    return min(max(times, default=now), now)


def _error_of(value: Any) -> Exception:
    """Return why a value is no time of a session; it is not shown."""
    if type(value) not in _NUMBERS:
        return TypeError("A time is a number.")
    if 0 <= value < inf:
        return TimeInFuture("A clock was ahead by more than the leeway.")
    return NoTime("A time is not negative, and finite.")
