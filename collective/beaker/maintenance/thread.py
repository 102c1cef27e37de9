"""The sweep inside of Zope: a thread that removes what nobody needs.

It is switched on by the option ``sweep_interval``.  Of all processes that use
a store one sweeps it in each interval; the store itself says whose turn it is.
"""

import logging
import secrets
import threading
from collections.abc import Mapping
from typing import Any

from zope.component import adapter
from zope.component import getGlobalSiteManager
from zope.processlifetime import IProcessStarting

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import sweep


logger = logging.getLogger("collective.beaker")

_FIRST_SECONDS = 60
"""A process that has just started does not wait longer for its first try."""

_PAUSE_SECONDS = 0.05
"""After each slice visitors go first."""

_LEASE_SECONDS = 60
"""A turn lasts at least so long: a slice takes less."""


Options = Mapping[str, Any]


@adapter(IProcessStarting)
def start_sweeping(event: IProcessStarting) -> None:
    """Start the thread, if the options want it."""
    if _interval():
        Sweeper().start()


class Sweeper(threading.Thread):
    """Sweeps now and then, until the options want it no more.

    It ends with the process, which need not wait for it: whatever it does is
    done by one step in the store.
    """

    def __init__(self) -> None:
        super().__init__(name="collective.beaker sweep", daemon=True)
        self.stopping = threading.Event()
        self.owner = secrets.token_hex(8)

    def run(self) -> None:
        interval = _interval()
        wait = min(interval or 0, _FIRST_SECONDS)
        while interval and not self.stopping.wait(wait):
            self.take_turn()
            wait = interval = _interval()

    def take_turn(self) -> None:
        """Sweep, if it is this process's turn.  What fails is logged."""
        try:
            options = _options()
            swept = self._sweep(options, options["sweep_interval"])
        except (CannotMaintain, StoreUnavailable) as error:
            logger.error("Sessions were not swept: %s", error)
        except Exception as error:
            # No more than the type: messages may hold an id or stored data.
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
        """Sweep in slices; return the result, or None if others do it."""
        store, swept = StoredSessions(options).store, None
        seconds = max(interval, _LEASE_SECONDS)
        slices = sweep(options)
        while store.take_turn(self.owner, seconds):
            following = next(slices, None)
            if following is None or self.stopping.wait(_PAUSE_SECONDS):
                break
            swept = following
        return swept


def _options() -> Options:
    """Return the options of the whole Zope, as they are now."""
    utilities = getGlobalSiteManager()
    return utilities.queryUtility(ISessionConfig) or {}


def _interval() -> int | None:
    return _options().get("sweep_interval")
