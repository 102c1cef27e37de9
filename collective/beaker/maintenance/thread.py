"""The sweep inside Zope: threads that remove what is no longer needed.

The option ``sweep_interval`` turns that of the sessions on.  Values of caches
are swept each hour, in stores that do not forget by themselves.  In each
interval, only one of the processes that use a store sweeps it; the store
itself decides which one.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

import Zope2
from transaction import TransactionManager
from zope.component import adapter
from zope.component import getGlobalSiteManager
from zope.processlifetime import IProcessStarting

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreFull
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.caches import regions_to_sweep
from collective.beaker.maintenance.sites import ZOPE_CONF
from collective.beaker.maintenance.sites import Owned
from collective.beaker.maintenance.sites import of_zope_conf
from collective.beaker.maintenance.sites import one_for_each_place
from collective.beaker.maintenance.sites import read_sites
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import check_session_options
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import running_section
from collective.beaker.stores.values import ValueStore


logger = logging.getLogger("collective.beaker")

_FIRST_SECONDS = 60
"""How long a process waits at most before its first attempt to sweep."""

_PAUSE_SECONDS = 0.05
"""How long the thread pauses after each slice, so that requests go first."""

_SHORTEST_TURN_SECONDS = 60
"""How long a turn lasts at least; a slice takes less."""

_VALUE_SECONDS = 3600
"""The time between two sweeps of the values of caches."""

_TURN = "s:turn"
"""The name on which a process that sweeps values has a claim."""


@adapter(IProcessStarting)
def start_sweeping(event: IProcessStarting) -> None:
    """Start the threads for which there is something to sweep."""
    for sweeper in (Sweeper(), ValueSweeper()):
        if sweeper.interval():
            sweeper.start()


class _Periodic(threading.Thread):
    """Sweeps at intervals.

    The thread ends with its process, which need not wait for it: each of its
    changes is a single operation in the store.
    """

    what = ""
    """What is swept, as the log says it."""

    def __init__(self) -> None:
        super().__init__(name="collective.beaker sweep", daemon=True)
        self.stopping = threading.Event()

    def run(self) -> None:
        interval = self.interval()
        wait = min(interval or 0, _FIRST_SECONDS)
        while interval and not self.stopping.wait(wait):
            self.sweep_if_due()
            interval = self.interval()
            wait = interval or 0

    def interval(self) -> int | None:
        """Return the seconds between two sweeps; None if there are none."""
        raise NotImplementedError

    def sweep_if_due(self) -> None:
        """Sweep if it is the turn of this process; log any failure."""
        with _failure_logged(f"{self.what} were not swept"):
            self.sweep()

    def sweep(self) -> None:
        """Sweep if it is the turn of this process."""
        raise NotImplementedError


class ValueSweeper(_Periodic):
    """Sweeps the values of caches."""

    what = "Caches"

    def interval(self) -> int | None:
        swept = any(
            backend_of(options).values_are_swept
            for options in _configuration().caches.values()
        )
        return _VALUE_SECONDS if swept else None

    def sweep(self) -> None:
        for region in regions_to_sweep(_configuration()):
            with _failure_logged(f"{self.what} were not swept"):
                self._sweep(region.store)

    def _sweep(self, store: ValueStore) -> None:
        """Sweep a store, unless another process has done so."""

        def take_turn() -> bool:
            seconds = _VALUE_SECONDS - _SHORTEST_TURN_SECONDS
            turn, _ = store.claim(_TURN, [_TURN], seconds)
            return turn is not None

        if not _may_sweep(take_turn):
            return
        removed = 0
        for number in store.sweep():
            removed += number
            if self.stopping.wait(_PAUSE_SECONDS):
                break
        if removed:
            logger.info("Removed %s expired values of caches.", removed)


class Sweeper(_Periodic):
    """Sweeps the sessions, until ``sweep_interval`` is no longer set.

    Those that sites configure for themselves are swept, too.
    """

    what = "Sessions"

    def __init__(self) -> None:
        super().__init__()
        self.owner = secrets.token_hex(8)
        self._logged: set[str] = set()

    def interval(self) -> int | None:
        return _global_options().get("sweep_interval")

    def sweep(self) -> None:
        options = _global_options()
        all_options = of_zope_conf(options)
        with _failure_logged("What sites configure was not read"):
            all_options += self._options_of_sites()
        for owner, each in one_for_each_place(all_options):
            of = "" if owner == ZOPE_CONF else f" of {owner}"
            with _failure_logged(f"Sessions{of} were not swept"):
                _log(self._sweep(each, options["sweep_interval"]))

    def _options_of_sites(self) -> list[Owned]:
        """Return what sites configure whose stores can be swept.

        The connection is this thread's own, and nothing is committed.
        """
        if Zope2.DB is None:
            return []
        transactions = TransactionManager()
        connection = Zope2.DB.open(transactions)
        try:
            sites = read_sites(connection.root()["Application"])
        finally:
            transactions.abort()
            connection.close()
        for problem in sites.problems:
            if problem not in self._logged:
                self._logged.add(problem)
                logger.warning("%s", problem)
        return list(filter(_can_be_swept, sites.found))

    def _sweep(self, options: Options, interval: int) -> Sweep | None:
        """Sweep in slices; return None if it is another process's turn."""
        store, swept = SessionInspector(options).store, None
        seconds = max(interval, _SHORTEST_TURN_SECONDS)
        results = sweep(options)
        while _may_sweep(lambda: store.take_turn(self.owner, seconds)):
            result = next(results, None)
            if result is None or self.stopping.wait(_PAUSE_SECONDS):
                break
            swept = result
        return swept


def _may_sweep(take_turn: Callable[[], bool]) -> bool:
    """Take the turn, and tell whether this process may sweep.

    A full store cannot note whose turn it is, and only a sweep makes room in
    it.  Two sweeps at once do no harm.
    """
    try:
        return take_turn()
    except StoreFull:
        return True


@contextmanager
def _failure_logged(what: str) -> Iterator[None]:
    try:
        yield
    except (CannotMaintain, StoreUnavailable) as error:
        logger.error("%s: %s", what, error)
    except Exception as error:
        # Only the type: the message may hold an id or stored data.
        logger.error("%s: %s.", what, type(error).__name__)


def _log(swept: Sweep | None) -> None:
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


def _can_be_swept(site: Owned) -> bool:
    """Tell whether the store of a site can list what there is to sweep.

    A site whose options have mistakes is left out, and they are logged.
    """
    errors = check_session_options(site.options).errors
    for error in errors:
        logger.error("Sessions of %s were not swept: %s", site.owner, error)
    return not errors and backend_of(site.options).lists


def _configuration() -> Configuration:
    return read_configuration(running_section())


def _global_options() -> Options:
    """Return the session options of the whole Zope, as they are now."""
    utilities = getGlobalSiteManager()
    return utilities.queryUtility(ISessionConfig) or {}
