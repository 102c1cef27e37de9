"""When a session began, when it was used, and when it has ended."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any


ACCESSED = "_accessed_time"
"""The key of the time at which a session was used last."""

CREATED = "_creation_time"
"""The key of the time at which a session began."""


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

    def have_ended(self, data: Mapping[Any, Any]) -> bool:
        """Tell whether a session with such data has ended by itself.

        Raises TypeError for a time that is not a number.
        """
        now = time.time()
        unused = now - data.get(ACCESSED, now)
        age = now - data.get(CREATED, now)
        return bool(
            unused > (self.idle or inf) or age > (self.absolute or inf)
        )

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


def later(one: Any, other: Any) -> Any:
    """Return the later of two times of access, of which one may be wrong."""
    now = time.time()
    times = [each for each in (one, other) if isinstance(each, int | float)]
    return min(max(times, default=now), now)
