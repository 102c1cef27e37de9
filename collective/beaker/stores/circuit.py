"""A server that has not answered is left alone for a while.

Whoever waits for it keeps a thread of Zope waiting, and those are few.  A
refusal is another matter: it takes no time, so the next one may try at once.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


PAUSE_SECONDS = 5
"""How long a server is left alone.

Visitors whose request failed are told to come back after that time.
"""


class Circuit:
    """Says whether this process may ask a server, by how it did before.

    It is closed as long as the server answers or refuses, and open after a
    time-out.  While it is open, one request at a time may try, and that not
    before some seconds have passed since the last time-out.
    """

    is_open = False
    """Whether the server let somebody wait in vain.

    An attribute, so that it costs nothing to look before each use.
    """

    openings = 0
    """How often it has been opened."""

    _alone_until = 0.0
    _is_tried = False

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def open(self) -> None:
        """Note that the server let somebody wait in vain."""
        with self._lock:
            self._alone_until = time.monotonic() + PAUSE_SECONDS
            self.openings += 1
            self.is_open = True

    def close(self) -> None:
        """Note that the server answered, or refused at once."""
        self.is_open = False

    @contextmanager
    def trial(self) -> Iterator[bool]:
        """Yield whether the caller may try to use the server.

        The caller then notes how that went with ``open`` or ``close``.
        """
        may_try = self._begin_trial()
        try:
            yield may_try
        finally:
            if may_try:
                self._is_tried = False

    def _begin_trial(self) -> bool:
        with self._lock:
            if self._is_tried or time.monotonic() < self._alone_until:
                return False
            self._is_tried = True
            return True
