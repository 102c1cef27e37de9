"""The sweep inside Zope: a thread that removes what is no longer needed.

The option ``sweep_interval`` turns it on.  In each interval, only one of the
processes that use a store sweeps it; the store itself decides which one.
"""

import logging
import secrets
import threading

from zope.component import adapter
from zope.component import getGlobalSiteManager
from zope.processlifetime import IProcessStarting

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import sweep


logger = logging.getLogger("collective.beaker")

_FIRST_SECONDS = 60
"""How long a process waits at most before its first attempt to sweep."""

_PAUSE_SECONDS = 0.05
"""How long the thread pauses after each slice, so that requests go first."""

_SHORTEST_TURN_SECONDS = 60
"""How long a turn lasts at least; a slice takes less."""


@adapter(IProcessStarting)
def start_sweeping(event: IProcessStarting) -> None:
    """Start the thread if the option ``sweep_interval`` is set."""
    if _sweep_interval():
        Sweeper().start()


class Sweeper(threading.Thread):
    """Sweeps at intervals, until ``sweep_interval`` is no longer set.

    The thread ends with its process, which need not wait for it: each of its
    changes is a single operation in the store.
    """

    def __init__(self) -> None:
        super().__init__(name="collective.beaker sweep", daemon=True)
        self.stopping = threading.Event()
        self.owner = secrets.token_hex(8)

    def run(self) -> None:
        interval = _sweep_interval()
        wait = min(interval or 0, _FIRST_SECONDS)
        while interval and not self.stopping.wait(wait):
            self.sweep_if_due()
            interval = _sweep_interval()
            wait = interval or 0

    def sweep_if_due(self) -> None:
        """Sweep if it is the turn of this process; log any failure."""
        try:
            options = _global_options()
            swept = self._sweep(options, options["sweep_interval"])
        except (CannotMaintain, StoreUnavailable) as error:
            logger.error("Sessions were not swept: %s", error)
        except Exception as error:
            # Only the type: the message may hold an id or stored data.
            name = type(error).__name__
            logger.error("Sessions were not swept: %s.", name)
        else:
            if swept and swept.removed:
                logger.info(
                    "Removed %s sessions, %s empty records, %s locks and %s "
                    "temporary files; kept %s sessions.",
                    swept.expired,
                    swept.empty,
                    swept.locks,
                    swept.temporary_files,
                    swept.kept,
                )

    def _sweep(self, options: Options, interval: int) -> Sweep | None:
        """Sweep in slices; return None if it is another process's turn."""
        store, swept = SessionInspector(options).store, None
        seconds = max(interval, _SHORTEST_TURN_SECONDS)
        results = sweep(options)
        while store.take_turn(self.owner, seconds):
            result = next(results, None)
            if result is None or self.stopping.wait(_PAUSE_SECONDS):
                break
            swept = result
        return swept


def _global_options() -> Options:
    """Return the session options of the whole Zope, as they are now."""
    utilities = getGlobalSiteManager()
    return utilities.queryUtility(ISessionConfig) or {}


def _sweep_interval() -> int | None:
    return _global_options().get("sweep_interval")
