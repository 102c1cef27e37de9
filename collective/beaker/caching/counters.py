"""What the caches of this process have done since it started.

Threads count without a lock, since that would be a good part of what a hit in
memory takes.  At worst they lose one of many events.
"""

import time

from collective.beaker.forks import in_forked_child


class Counters:
    """The events of one region; code that is in a hurry adds to them."""

    __slots__ = (
        "computation_seconds",
        "computations",
        "errors",
        "hits",
        "misses",
        "saved_seconds",
        "since",
        "stale",
        "waits",
    )

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Begin with nothing, as in a forked child."""
        self.since = time.time()
        """When it began: seconds since 1970."""

        self.hits = 0
        """How many callers got a value that was there and had not expired."""

        self.stale = 0
        """How many got an expired value while others computed a new one."""

        self.misses = 0
        """How many got neither, and had to compute the value."""

        self.computations = 0
        """How many of these have computed it; in the others it failed."""

        self.waits = 0
        """How many callers waited for others to compute the value."""

        self.errors = 0
        """How often a store or a value failed, which no caller saw."""

        self.saved_seconds = 0.0
        """How long it took to compute what hits and stale values gave."""

        self.computation_seconds = 0.0
        """How long all computations took."""


_counters: dict[str, Counters] = {}
"""The counters of each region, which all its objects share."""


def counters_of(region: str) -> Counters:
    """Return the counters of a region, or of the caches without one, ""."""
    return _counters.setdefault(region, Counters())


@in_forked_child
def _begin_anew() -> None:
    for counters in _counters.values():
        counters.begin_anew()
