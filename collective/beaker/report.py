"""What is configured and how it works: the data of page, JSON and command.

It is plain data without secrets, and ``as_dict`` converts it to what JSON can
hold.  Keys and passwords are hidden.  Session ids and session data are not
included.
"""

import logging
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from platform import python_version
from typing import Any
from typing import TypeAlias
from typing import TypeVar

from collective.beaker.caching.counters import Counters
from collective.beaker.caching.counters import counters_of
from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.caches import cache_size
from collective.beaker.maintenance.caches import cache_store
from collective.beaker.maintenance.slices import last_result_within
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.survey import survey
from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.backends import are_stored
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.folders import folder_warnings
from collective.beaker.settings.folders import make_folders
from collective.beaker.settings.options import redacted
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import check_session_options
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.values import ValueStore


logger = logging.getLogger("collective.beaker")

_TEST_SECONDS = 60
"""For how long a test record of a cache is there if it is not deleted."""

ZOPE_CONF = "zope.conf"
"""The source of a setting that is made in zope.conf."""

INHERITED = "inherited"
"""The source of a region's setting that is made for all caches."""

DEFAULT = "default"
"""The source of a setting that is not made."""

RUN_TIME = "run time"
"""The source of a setting that code has changed."""

LOCAL = "site-local utility"
"""The source of a setting that a utility of a site makes."""

_PACKAGES = (
    "collective.beaker",
    "Beaker",
    "Zope",
    "cryptography",
)
"""The packages whose versions are reported, if they are installed.  The client
libraries of stores are reported, too."""

SettingValue: TypeAlias = (
    "str | int | float | bool | list[SettingValue] | None"
)
"""A value that may be shown, and that JSON can hold."""

_logged_reasons: set[str] = set()
"""Why the session store is unavailable, as already logged."""


@dataclass(frozen=True)
class Setting:
    """A setting that is in force."""

    name: str
    """As in zope.conf, such as session.timeout."""

    value: SettingValue

    source: str
    """One of ``ZOPE_CONF``, ``INHERITED``, ``DEFAULT``, ``RUN_TIME`` and
    ``LOCAL``."""


@dataclass
class StoreCheck:
    """The result of storing and removing a test record in a store."""

    name: str
    """What is stored there: session, cache, or cache. and a region's name."""

    type: str = ""
    """The name of the backend; empty if it cannot be used at all."""

    address: str = ""
    """Where the store is, without credentials."""

    error: str | None = None
    """What is wrong, or None if the store works."""

    seconds: dict[str, float] = field(default_factory=dict)
    """The duration of each step that was run: store, load, swap, delete."""

    @property
    def works(self) -> bool:
        return self.error is None


@dataclass
class Figures:
    """What a cache region has done in this process, and what it holds."""

    since: float
    """When this process began to count: seconds since 1970."""

    hits: int
    """How many callers got a value that was there and had not expired."""

    stale: int
    """How many got an expired value while others computed a new one."""

    misses: int
    """How many got neither, and had to compute the value."""

    computations: int
    """How many of these have computed it; in the others it failed."""

    waits: int
    """How many callers waited for others to compute the value."""

    errors: int
    """How often a store or a value failed, which no caller saw."""

    saved_seconds: float
    """How long it took to compute what hits and stale values gave."""

    computation_seconds: float
    """How long all computations took."""

    entries: int | None = None
    """How many values are in the store, if it can tell that in time."""

    bytes: int | None = None
    """How large they are together, if the store can tell that."""

    @property
    def requests(self) -> int:
        """How often a value was asked for."""
        return self.hits + self.stale + self.misses


@dataclass
class Region:
    """A cache region; "cache" stands for the caches without one."""

    name: str
    type: str
    expire: int | None
    """The seconds after which a value is computed again; None means never."""

    figures: Figures | None = None
    """None if this is not the process that uses it, or if another package
    keeps its values."""


@dataclass
class Count:
    """The result of counting the stored sessions."""

    survey: Survey | None = None
    is_complete: bool = False
    """Whether there was time to count all of them."""

    estimate: int = 0
    """Roughly how many records there are, including locks, if the count is
    not complete; 0 if unknown."""

    error: str | None = None
    """Why they were not counted, or not all of them."""


@dataclass
class SiteReport:
    """What a site configures for itself, in the database of Zope."""

    path: str
    settings: list[Setting]
    errors: list[str]
    """Mistakes that make requests of the site fail, each with its remedy."""

    warnings: list[str]
    stores: list[StoreCheck]
    """Empty if there are errors, and if sessions are not in a store that this
    process can reach."""


@dataclass
class Report:
    """Everything an administrator would like to know."""

    settings: list[Setting] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Mistakes that prevent Zope from starting, each with its remedy."""

    warnings: list[str] = field(default_factory=list)
    """Warnings that are logged at start-up, each with its remedy."""

    stores: list[StoreCheck] = field(default_factory=list)
    """Empty if there are errors: the stores cannot be used then."""

    regions: list[Region] = field(default_factory=list)
    sessions: Count | None = None
    """None if they were not counted."""

    versions: dict[str, str] = field(default_factory=dict)

    sites: list[SiteReport] = field(default_factory=list)
    """Empty if they were not looked for."""

    @property
    def verdict(self) -> str:
        """One of error, warning and ok."""
        parts: list[Report | SiteReport] = [self, *self.sites]
        stores = [store for part in parts for store in part.stores]
        if any(part.errors for part in parts) or not all(
            store.works for store in stores
        ):
            return "error"
        return "warning" if any(part.warnings for part in parts) else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, with keys in the order of the fields."""
        return asdict(self)


def make_report(
    section: Mapping[str, Any] | None,
    in_force: Options | None = None,
    local: bool = False,
    count_seconds: float | None = None,
) -> Report:
    """Return a report of a beaker section and of the stores that it names.

    ``in_force`` are the session options that ``ISessionConfig`` provides; by
    default, those of the section.  ``local`` says that they come from a site.
    ``count_seconds`` limits the time for counting the stored sessions, and
    that for counting the values of caches.  By default they are not counted,
    and there are no figures of what this process has done.

    Configured folders are created, as at start-up, and each store is checked.
    """
    configuration = read_configuration(section)
    errors = configuration.errors + make_folders(configuration)
    report = Report(
        settings=list(settings_of(section, configuration, in_force, local)),
        errors=errors,
        warnings=configuration.warnings + folder_warnings(configuration),
        regions=list(regions_of(configuration)),
        versions=versions(),
    )
    if section is None:
        report.warnings.append(
            "There is no <product-config beaker> in zope.conf, so there are "
            "no sessions and no caches. Add one."
        )
    if errors:
        return report
    session = configuration.session if in_force is None else in_force
    report.stores += check_stores(session, configuration.caches)
    if count_seconds is None:
        return report
    add_figures(report, configuration, count_seconds)
    if session is not None:
        report.sessions = _count_unless_failed(
            session, report.stores, count_seconds
        )
    return report


def report_site(
    path: str, options: Options, errors: Sequence[str]
) -> SiteReport:
    """Return a report of the session options of a site, and of their store.

    With ``errors``, the store is not used.
    """
    found = check_session_options(options)
    report = SiteReport(
        path=path,
        settings=list(settings_of(None, found, options, local=True)),
        errors=list(errors),
        warnings=found.warnings + folder_warnings(found),
        stores=[],
    )
    if not errors and not backend_of(options).per_process:
        report.stores += check_stores(options, {})
    return report


# Settings


def settings_of(
    section: Mapping[str, Any] | None,
    configuration: Configuration,
    in_force: Options | None = None,
    local: bool = False,
) -> Iterator[Setting]:
    """Yield all settings that are in force, those of sessions first.

    The arguments are those of ``make_report``.
    """
    given = {key.lower().removeprefix("beaker.") for key in (section or {})}
    read = configuration.session
    if in_force is None:
        in_force = read
    if in_force is not None:
        options = with_defaults(in_force)
        for option, value in sorted(options.items()):
            if local:
                source = LOCAL if option in in_force else DEFAULT
            elif read is None or value != read.get(option):
                source = RUN_TIME
            else:
                source = _zope_conf_or_default(given, f"session.{option}")
            yield _make_setting("session", option, value, source)
    for prefix, options in configuration.caches.items():
        yield from _cache_settings(given, prefix, options)
        if prefix == "cache":
            source = _zope_conf_or_default(given, "cache.regions")
            regions = list(configuration.regions)
            yield _make_setting("cache", "regions", regions, source)
    if configuration.memoize:
        yield _make_setting(
            "cache", "memoize", configuration.memoize, ZOPE_CONF
        )
    yield from _metrics_settings(configuration)


def _metrics_settings(configuration: Configuration) -> Iterator[Setting]:
    for option, value in configuration.metrics.items():
        yield _make_setting("metrics", option, value, ZOPE_CONF)


def _cache_settings(
    given: set[str], prefix: str, options: Options
) -> Iterator[Setting]:
    for option, value in options.items():
        source = _zope_conf_or_default(given, f"{prefix}.{option}".lower())
        if source == DEFAULT and f"cache.{option}" in given:
            source = INHERITED
        yield _make_setting(prefix, option, value, source)


def _zope_conf_or_default(given: set[str], name: str) -> str:
    return ZOPE_CONF if name in given else DEFAULT


def _make_setting(
    prefix: str, option: str, value: object, source: str
) -> Setting:
    return Setting(f"{prefix}.{option}", _displayable(option, value), source)


def _displayable(option: str, value: object) -> SettingValue:
    """Return a value that may be shown, and that JSON can hold."""
    if value is None or value == ():
        return None
    shown = redacted(option, value)
    if shown == redacted("secret", value):
        return shown
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, (list, tuple)):
        return [_displayable(option, each) for each in value]
    if isinstance(value, (str, datetime)):
        return shown
    # For example a client or the options of an engine: they hold passwords.
    return f"<{type(value).__name__}>"


def regions_of(configuration: Configuration) -> Iterator[Region]:
    """Yield the caches without a region, and all cache regions."""
    for prefix, options in configuration.caches.items():
        name = prefix.removeprefix("cache.")
        yield Region(name, options["type"], options.get("expire"))


def add_figures(
    report: Report, configuration: Configuration, seconds: float
) -> None:
    """Add what each region has done in this process, and what it holds.

    All regions together are counted for so many seconds, and no store is asked
    that has failed.
    """
    working = {check.name for check in report.stores if check.works}
    end = time.monotonic() + seconds
    for region, (prefix, options) in zip(
        report.regions, configuration.caches.items(), strict=True
    ):
        if backend_of(options).is_foreign:
            continue
        name = prefix.removeprefix("cache").removeprefix(".")
        region.figures = figures_of(counters_of(name))
        left = end - time.monotonic()
        if prefix in working and left > 0:
            with suppress(StoreUnavailable):
                size = cache_size(name, options, left)
                if size is not None:
                    region.figures.entries = size.entries
                    region.figures.bytes = size.bytes


def figures_of(counters: Counters) -> Figures:
    """Return what was counted so far."""
    return Figures(
        **{name: getattr(counters, name) for name in Counters.__slots__}
    )


# Stores


def check_stores(
    session: Options | None, caches: Mapping[str, Options]
) -> list[StoreCheck]:
    """Check the stores of sessions, of caches and of each cache region.

    ``caches`` are those of a Configuration.  Sessions in cookies have no
    store.
    """
    found = []
    if session is not None and are_stored(session):
        found.append(
            check_store("session", lambda: SessionInspector(session).store)
        )
    for name, options in caches.items():
        found.append(_check_cache(name, options))
    return found


def _check_cache(name: str, options: Options) -> StoreCheck:
    if backend_of(options).is_foreign:
        return check_store(name, partial(find_store, options))
    region = name.removeprefix("cache").removeprefix(".")
    return check_value_store(name, partial(cache_store, region, options))


def check_store(name: str, find: Callable[[], Store]) -> StoreCheck:
    """Store, load, swap and delete a test record, and time each step.

    Any failure is part of the result; nothing is raised.
    """
    return _checked(name, find, _round_trip)


def check_value_store(name: str, find: Callable[[], ValueStore]) -> StoreCheck:
    """Store, load and delete a test record, and time each step.

    Any failure is part of the result; nothing is raised.
    """
    return _checked(name, find, _round_trip_of_value)


_Store = TypeVar("_Store", Store, ValueStore)


def _checked(
    name: str,
    find: Callable[[], _Store],
    round_trip: Callable[[_Store, dict[str, float]], str | None],
) -> StoreCheck:
    check = StoreCheck(name)
    try:
        store = find()
        check.type, check.address = store.kind, store.address
        check.error = round_trip(store, check.seconds)
    except Exception as error:
        check.error = describe_error(error)
    return check


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds[step] = time.perf_counter() - start


def _round_trip_of_value(
    store: ValueStore, seconds: dict[str, float]
) -> str | None:
    """Time each step; return what went wrong, or None."""
    name = f"c:{new_id()}"
    with _timed("store", seconds):
        store.put(name, b"test", _TEST_SECONDS)
    with _timed("load", seconds):
        found = store.get([name])
    with _timed("delete", seconds):
        store.delete([name])
    if found.get(name) != b"test":
        return "The test record was stored, but not found again."
    return None


def _round_trip(store: Store, seconds: dict[str, float]) -> str | None:
    """Time each step; return what went wrong, or None."""
    id = new_id()

    timed = partial(_timed, seconds=seconds)
    try:
        with timed("store"):
            store.swap(id, None, "first")
        with timed("load"):
            record = store.load(id)
        if record is None or store.payload(record) != "first":
            return "The test record was stored, but not found again."
        with timed("swap"):
            swapped = store.swap(id, record, "second")
        if not swapped:
            return "Something else has changed the test record."
        with timed("delete"):
            store.delete(id)
        return None
    finally:
        if "delete" not in seconds:
            with suppress(StoreUnavailable):
                store.delete(id)


def is_available(session: Options | None) -> bool:
    """Tell whether the session store answers a request for one record.

    This is true if sessions are in cookies, or not configured.  A reason is
    logged once, until the store answers again: load balancers ask often.
    """
    if session is None or not are_stored(session):
        return True
    try:
        store = SessionInspector(session).store
        store.load(store.reachable_id(new_id()))
    except Exception as error:
        reason = describe_error(error)
        if reason not in _logged_reasons:
            _logged_reasons.add(reason)
            logger.error("The session store is unavailable: %s", reason)
        return False
    if _logged_reasons:
        _logged_reasons.clear()
        logger.info("The session store is available again.")
    return True


def count_sessions(options: Options, seconds: float) -> Count:
    """Count the stored sessions, for at most so many seconds.

    Any failure is part of the result; nothing is raised.
    """
    count = Count()
    try:
        count.survey, count.is_complete = last_result_within(
            seconds, survey(options)
        )
        if not count.is_complete:
            count.estimate = SessionInspector(options).estimate()
    except Exception as error:
        count.error = describe_error(error)
    return count


def _count_unless_failed(
    session: Options, stores: Iterable[StoreCheck], seconds: float
) -> Count:
    """Count sessions, but do not wait again for a store that failed."""
    for check in stores:
        if check.name == "session" and not check.works:
            return Count(error=check.error)
    return count_sessions(session, seconds)


def describe_error(error: Exception) -> str:
    """Return a message that may be shown: nothing from a client library."""
    if isinstance(error, (CannotMaintain, StoreUnavailable)):
        return str(error)
    # Only the type: the message may hold a password.
    return f"It cannot be used ({type(error).__name__})."


# Versions


def versions() -> dict[str, str]:
    """Return the versions of Python, Zope, Beaker and of the client libraries
    that are installed."""
    found = {"Python": python_version()}
    libraries = {backend.distribution for backend in BACKENDS.values()} - {""}
    for package in (*_PACKAGES, *sorted(libraries, key=str.lower)):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
