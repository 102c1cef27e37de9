"""What goes wrong in a cache is logged, and does not reach its callers."""

import logging
import time
from threading import Lock

from collective.beaker.caching.counters import counters_of
from collective.beaker.forks import in_forked_child


logger = logging.getLogger("collective.beaker")

_PAUSE_SECONDS = 60
"""For how long no other error of a kind is logged for a region."""

_logged: dict[tuple[str, str], float] = {}
"""When an error of each kind was last logged for each region."""

_lock = Lock()


def log_error(region: str, kind: str, reason: str) -> None:
    """Count an error, and log it once a minute for each kind and region.

    The reason holds neither names nor data.
    """
    counters_of(region).errors += 1
    now = time.monotonic()
    with _lock:
        last = _logged.get((region, kind))
        if last is not None and now - last < _PAUSE_SECONDS:
            return
        _logged[region, kind] = now
    logger.error(
        "The %s %s; pages are computed without it. %s",
        f"cache region {region}" if region else "cache without a region",
        kind,
        reason,
    )


@in_forked_child
def _begin_anew() -> None:
    """Wait for no thread of a parent process, which is not here."""
    global _lock
    _lock = Lock()
