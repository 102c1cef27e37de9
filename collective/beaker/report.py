"""A picture of what is configured and how it fares, which shows no secrets.

All of it is plain data: ``as_dict`` makes of it what JSON can hold.  Keys and
passwords are hidden, and there is no session id and nothing of a session.
"""

import logging
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
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

from collective.beaker.ids import new_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.caches import cache_store
from collective.beaker.maintenance.slices import within
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.survey import survey
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import redacted
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import make_folders
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores import Store


logger = logging.getLogger("collective.beaker")

# Where a setting comes from
ZOPE_CONF = "zope.conf"
INHERITED = "inherited"
"""A region has it from the settings of all caches."""
DEFAULT = "default"
RUN_TIME = "run time"
"""Code has changed the options that came from zope.conf."""
LOCAL = "site-local utility"

_PACKAGES = (
    "collective.beaker",
    "Beaker",
    "Zope",
    "cryptography",
    "pymemcache",
    "pymongo",
    "redis",
    "SQLAlchemy",
)

Options = Mapping[str, Any]

_logged: set[str] = set()
"""Why the store of sessions is unavailable, as the log has it already."""


@dataclass(frozen=True)
class Setting:
    """A setting that is in force."""

    name: str
    """As in zope.conf, such as session.timeout."""

    value: Any
    """Text, a number, a boolean, None or a list of these."""

    source: str
    """One of ``ZOPE_CONF``, ``INHERITED``, ``DEFAULT``, ``RUN_TIME`` and
    ``LOCAL``."""


@dataclass
class Health:
    """How a store has done with a record that was made to be thrown away."""

    name: str
    """What is stored there: session, cache, or cache. and a region's name."""

    type: str = ""
    """The name of the backend; empty if it cannot be used at all."""

    address: str = ""
    """Where it is, without credentials."""

    error: str | None = None
    """What is wrong, or None if all is well."""

    seconds: dict[str, float] = field(default_factory=dict)
    """How long store, load, swap and delete took, those that were done."""

    @property
    def is_well(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Region:
    """A cache region, and the caches that have none as "cache"."""

    name: str
    type: str
    expire: int | None
    """The seconds after which a value is computed anew; None is never."""


@dataclass
class Count:
    """What was counted of the stored sessions."""

    survey: Survey | None = None
    is_complete: bool = False
    """Whether there was time for all."""

    estimate: int = 0
    """About how many records there are, locks included, if there was not
    time for all; 0 if nobody knows."""

    error: str | None = None
    """Why they were not counted, or not to the end."""


@dataclass
class Report:
    """All that the one who runs a site would like to know."""

    settings: list[Setting] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What stops Zope at start-up, each with its remedy."""

    warnings: list[str] = field(default_factory=list)
    """What is logged at start-up, each with its remedy."""

    stores: list[Health] = field(default_factory=list)
    """Empty if there are errors: such stores cannot be used."""

    regions: list[Region] = field(default_factory=list)
    sessions: Count | None = None
    """None if they were not counted."""

    versions: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """One of error, warning and ok."""
        if self.errors or not all(health.is_well for health in self.stores):
            return "error"
        return "warning" if self.warnings else "ok"

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, keys in the order of the fields."""
        return asdict(self)


def make_report(
    section: Mapping[str, Any] | None,
    in_force: Options | None = None,
    local: bool = False,
    count_seconds: float | None = None,
) -> Report:
    """Return a report of a beaker section, and of the stores it names.

    ``in_force`` are the options that ``ISessionConfig`` gives, if that was
    asked; ``local`` says that a site gives them.  Folders that are configured
    are created, as they are at start-up, and each store is tried out.  Stored
    sessions are counted for so many seconds, or not at all.
    """
    configuration = read_configuration(section)
    errors = configuration.errors or make_folders(configuration)
    report = Report(
        settings=list(settings_of(section, configuration, in_force, local)),
        errors=errors,
        warnings=configuration.warnings,
        regions=list(regions_of(configuration)),
        versions=versions(),
    )
    if section is None:
        report.warnings.append(
            "There is no <product-config beaker> in zope.conf: "
            "no sessions and no caches. Add one."
        )
    if errors:
        return report
    session = configuration.session if in_force is None else in_force
    report.stores += check_stores(session, configuration.cache)
    if session is not None and count_seconds is not None:
        report.sessions = _count(session, report.stores, count_seconds)
    return report


# Settings


def settings_of(
    section: Mapping[str, Any] | None,
    configuration: Configuration,
    in_force: Options | None = None,
    local: bool = False,
) -> Iterator[Setting]:
    """Yield all settings that are in force, sessions first.

    See ``make_report``.
    """
    given = {key.lower().removeprefix("beaker.") for key in (section or {})}
    read = configuration.session
    if in_force is None:
        in_force = read
    if in_force is not None:
        options = {**SESSION_DEFAULTS, **in_force}
        for option, value in sorted(options.items()):
            if local:
                source = LOCAL if option in in_force else DEFAULT
            elif read is None or value != read.get(option):
                source = RUN_TIME
            else:
                source = _source(given, f"session.{option}")
            yield _setting("session", option, value, source)
    yield from _cache_settings(given, configuration.cache or {})


def _cache_settings(given: set[str], cache: Options) -> Iterator[Setting]:
    regions = cache.get("cache_regions", {})
    for option, value in cache.items():
        if option != "cache_regions":
            source = _source(given, f"cache.{option}")
            yield _setting("cache", option, value, source)
    if cache:
        source = _source(given, "cache.regions")
        yield _setting("cache", "regions", list(regions), source)
    for name, options in regions.items():
        for option, value in options.items():
            own = f"cache.{name}.{option}".lower()
            source = _source(given, own)
            if source == DEFAULT and f"cache.{option}" in given:
                source = INHERITED
            yield _setting(f"cache.{name}", option, value, source)


def _source(given: set[str], name: str) -> str:
    return ZOPE_CONF if name in given else DEFAULT


def _setting(prefix: str, option: str, value: Any, source: str) -> Setting:
    return Setting(f"{prefix}.{option}", _shown(option, value), source)


def _shown(option: str, value: Any) -> Any:
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
        return [_shown(option, each) for each in value]
    if isinstance(value, (str, datetime)):
        return shown
    # Such as a client or the options of an engine, which hold passwords.
    return f"<{type(value).__name__}>"


def regions_of(configuration: Configuration) -> Iterator[Region]:
    """Yield the caches that have no region, and all cache regions."""
    if configuration.cache is None:
        return
    options = dict(configuration.cache)
    regions = options.pop("cache_regions")
    for name, each in {"cache": options, **regions}.items():
        yield Region(name, each["type"], each.get("expire"))


# Stores


def check_stores(
    session: Options | None, cache: Options | None
) -> list[Health]:
    """Try out the stores of sessions, of caches, and of each cache region.

    Sessions in cookies have no store.
    """
    found = []
    if session is not None:
        options = {**SESSION_DEFAULTS, **session}
        if options["type"] != "cookie":
            found.append(
                check_store("session", lambda: StoredSessions(options).store)
            )
    if cache is not None:
        regions = cache.get("cache_regions", {})
        groups = {f"cache.{name}": region for name, region in regions.items()}
        for name, options in {"cache": cache, **groups}.items():
            found.append(check_store(name, partial(cache_store, options)))
    return found


def check_store(name: str, find: Callable[[], Store]) -> Health:
    """Store a record, load it, swap it and delete it, and take the times.

    What goes wrong is found in the result; nothing is raised.
    """
    health = Health(name)
    try:
        store = find()
        health.type, health.address = store.kind, store.address
        health.error = _round_trip(store, health.seconds)
    except Exception as error:
        health.error = told(error)
    return health


def _round_trip(store: Store, seconds: dict[str, float]) -> str | None:
    """Take the time of each step; return what went wrong, if anything."""
    id = new_id()

    def timed(
        step: str, operation: Callable[..., Any], *arguments: Any
    ) -> Any:
        start = time.perf_counter()
        try:
            return operation(*arguments)
        finally:
            seconds[step] = time.perf_counter() - start

    try:
        timed("store", store.swap, id, None, "first")
        record = timed("load", store.load, id)
        if record is None or store.payload(record) != "first":
            return "What was stored there is not found there."
        if not timed("swap", store.swap, id, record, "second"):
            return "What was stored there has been changed by somebody."
        timed("delete", store.delete, id)
        return None
    finally:
        if "delete" not in seconds:
            with suppress(StoreUnavailable):
                store.delete(id)


def is_available(session: Options | None) -> bool:
    """Tell whether the store of sessions answers; one record is looked for.

    Sessions in cookies, and none at all, need no store.  A reason is logged
    once, until the store answers again: load balancers ask all the time.
    """
    if session is None or session.get("type") == "cookie":
        return True
    try:
        StoredSessions(session).store.load(new_id())
    except Exception as error:
        reason = told(error)
        if reason not in _logged:
            _logged.add(reason)
            logger.error("The store of sessions is unavailable: %s", reason)
        return False
    _logged.clear()
    return True


def count_sessions(options: Options, seconds: float) -> Count:
    """Count stored sessions, for so many seconds.

    What goes wrong is found in the result; nothing is raised.
    """
    count = Count()
    try:
        count.survey, count.is_complete = within(seconds, survey(options))
        if not count.is_complete:
            count.estimate = StoredSessions(options).estimate()
    except Exception as error:
        count.error = told(error)
    return count


def _count(
    session: Options, stores: Iterable[Health], seconds: float
) -> Count:
    """Count sessions, but do not wait again for a store that failed."""
    for health in stores:
        if health.name == "session" and not health.is_well:
            return Count(error=health.error)
    return count_sessions(session, seconds)


def told(error: Exception) -> str:
    """Return what may be said of an error: nothing of a client library."""
    if isinstance(error, (CannotMaintain, StoreUnavailable)):
        return str(error)
    # No more than the type: a message may hold a password.
    return f"It cannot be used ({type(error).__name__})."


# Versions


def versions() -> dict[str, str]:
    """Return the versions of Python, Zope, Beaker and of the libraries of
    stores, those that are installed."""
    found = {"Python": python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
