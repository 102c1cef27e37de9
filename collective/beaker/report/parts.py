"""What a report consists of: plain data without secrets.

Keys and passwords are hidden.  Session ids and session data are not included.
"""

from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import TypeAlias

from collective.beaker.maintenance.survey import Survey


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

SettingValue: TypeAlias = (
    "str | int | float | bool | list[SettingValue] | None"
)
"""A value that may be shown, and that JSON can hold."""


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
    """Mistakes that prevent Zope from starting, each with its remedy, and
    those in the options of the site that a page is for."""

    warnings: list[str] = field(default_factory=list)
    """Warnings that are logged at start-up, each with its remedy, and those of
    the options of that site."""

    stores: list[StoreCheck] = field(default_factory=list)
    """Empty if settings are wrong: the stores cannot be used then."""

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
