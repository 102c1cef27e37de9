"""An alarm rings for what is not over in time."""

import logging
import os
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable
from typing import Generic
from typing import TypeVar

from collective.beaker.stores.threads import start_thread


logger = logging.getLogger("collective.beaker")

_Item = TypeVar("_Item", bound=Hashable)


class Alarm(Generic[_Item]):
    """Calls a function with each item that was set and not cleared in time.

    It does so in a thread of its own, which runs only while it is needed, and
    is not worth starting for each item: most are cleared at once.  If there
    is no room for a thread, it rings once there is, after another ``set``.

    ``set`` and ``clear`` can listen to events: they ignore what else is told.
    """

    def __init__(self, seconds: float, ring: Callable[[_Item], None]):
        self._seconds = seconds
        self._ring = ring
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        # In the order of time, as all are given the same number of seconds.
        self._times: dict[_Item, float] = {}
        self._runs = False

    def set(self, item: _Item, *_: object) -> None:
        """Ring for an item unless it is cleared in time; begin anew if set."""
        if self._process != os.getpid():
            # The thread has stayed behind in the process that was forked.
            self._begin()
        with self._lock:
            self._times.pop(item, None)
            self._times[item] = time.monotonic() + self._seconds
            if not self._runs:
                self._runs = self._starts()

    def clear(self, item: _Item, *_: object) -> None:
        """Do not ring for an item."""
        # Without the lock: this may be called while garbage is collected, in
        # a thread that has it.
        self._times.pop(item, None)

    def _starts(self) -> bool:
        """Start the thread; tell whether there is room for it."""
        reason = start_thread("alarm", self._run)
        if reason:
            logger.error(
                "A store is used without a limit to how long it may take, as "
                "no thread could be started: %s.",
                reason,
            )
        return not reason

    def _run(self) -> None:
        try:
            while (wait := self._seconds_left()) is not None:
                # Whatever is set meanwhile is due later.
                time.sleep(wait)
                for item in self._due():
                    self._ring(item)
        except BaseException:
            self._runs = False
            raise

    def _seconds_left(self) -> float | None:
        """Return how long nothing is due; None if there is nothing."""
        with self._lock:
            times = list(self._times.values())
            self._runs = bool(times)
        return max(0, times[0] - time.monotonic()) if times else None

    def _due(self) -> list[_Item]:
        """Take out all items that are due."""
        now = time.monotonic()
        with self._lock:
            # Others clear items without the lock, at any time.
            times = list(self._times.items())
            due = [item for item, end in times if end <= now]
            return [i for i in due if self._times.pop(i, None) is not None]
