"""The places where Beaker stores, and what each of them needs."""

import inspect
import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit

from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import boolean
from collective.beaker.settings.readers import choice
from collective.beaker.settings.readers import seconds
from collective.beaker.settings.readers import text


@dataclass(frozen=True)
class Backend:
    """What must be known of a backend to check its options."""

    options: Mapping[str, Reader] = field(default_factory=dict)
    """The options that it knows beside those of all sessions and caches."""

    takes_any: bool = False
    """Whether it takes options that cannot be known here."""

    needs: tuple[tuple[str, ...], ...] = ()
    """Groups of options; all those of one group must be set."""

    modules: tuple[str, ...] = ()
    """Client libraries; one of them must be installed."""

    session_modules: tuple[str, ...] = ()
    """The same for sessions, where they differ from caches."""

    extra: str = ""
    """The extra of collective.beaker that installs a client library."""

    address: str = ""
    """The option that says where the store is."""

    check: Callable[[str], str | None] = lambda address: None
    """Returns what is wrong with the address, if anything."""

    lists: bool = True
    """Whether it can list the sessions that it stores."""

    foreign: bool = False
    """Whether another package brings it."""


def _like(shape: str, pattern: str) -> Callable[[str], str | None]:
    """Return a check that an address has a certain shape."""

    def check(address: str) -> str | None:
        if re.fullmatch(pattern, address):
            return None
        return f"it must look like {shape}"

    return check


def _database(address: str) -> str | None:
    """Read a URL as SQLAlchemy will, and look for the driver it names."""
    from sqlalchemy import exc
    from sqlalchemy.engine import make_url

    try:
        url = make_url(address)
        dialect = url.get_dialect()
    except exc.NoSuchModuleError:
        return f"SQLAlchemy has no dialect {url.drivername!r}"
    except (exc.ArgumentError, ValueError):
        return "it must look like postgresql+psycopg://user@host/database"
    try:
        dialect.import_dbapi()
    except ImportError as error:
        return f"install the database driver {error.name}"
    return None


def _redis(url: str) -> str | None:
    if _redis_options(url) is not None:
        return None
    percent = ", with user and password percent-encoded" if "@" in url else ""
    return f"it must look like redis://host:port/number{percent}"


def _redis_cluster(urls: str) -> str | None:
    for url in urls.split(","):
        node = _redis_options(url) or {}
        if "path" in node:
            return "a Redis Cluster has no unix socket"
        if "db" in node:
            return "a Redis Cluster has no database numbers"
        if not node.keys() >= {"host", "port"}:
            return "it must look like redis://host:port,redis://host:port"
    return None


def _redis_options(url: str) -> dict[str, Any] | None:
    """Read a URL as the client library will; return None if it is wrong.

    The library itself passes over a database that is no number.
    """
    from redis.connection import parse_url

    try:
        options = parse_url(url)
    except ValueError:
        return None
    parts = urlsplit(url)
    if parts.scheme == "unix":
        right = "path" in options
    else:
        right = parts.path.strip("/").isdecimal() or parts.path in ("", "/")
    return options if right and url.split() == [url] else None


def _file_options(name: str) -> dict[str, Any]:
    """What the backends file and dbm, which differ in a name, need."""
    return {
        "options": {f"{name}_dir": text, "digest_filenames": boolean},
        "needs": (("data_dir",), (f"{name}_dir", "lock_dir")),
    }


BACKENDS: dict[str, Backend] = {
    "memory": Backend(),
    "file": Backend(**_file_options("file")),
    "dbm": Backend(**_file_options("dbm")),
    "cookie": Backend(needs=(("validate_key",),), lists=False),
    "ext:database": Backend(
        options={"url": text, "table_name": text, "schema_name": text},
        needs=(("url",),),
        address="url",
        modules=("sqlalchemy",),
        extra="sqlalchemy",
        check=_database,
    ),
    "ext:memcached": Backend(
        options={
            "url": text,
            "memcache_module": choice(
                "auto", "memcache", "bmemcached", "cmemcache"
            ),
        },
        needs=(("url",),),
        address="url",
        lists=False,
        modules=("memcache", "bmemcached", "cmemcache"),
        session_modules=("pymemcache",),
        extra="memcached",
        check=_like("host:port;host:port", "((?!://).)+"),
    ),
    "ext:mongodb": Backend(
        options={"url": text},
        needs=(("url",),),
        address="url",
        modules=("pymongo",),
        extra="mongodb",
        check=_like(
            "mongodb://host/database",
            r"mongodb(\+srv)?://[^/]+/[^?].*",
        ),
    ),
    "ext:redis": Backend(
        options={"url": text, "timeout": seconds()},
        needs=(("url",),),
        address="url",
        modules=("redis",),
        extra="redis",
        check=_redis,
    ),
    "ext:rediscluster": Backend(
        options={"urls": text, "timeout": seconds()},
        takes_any=True,
        needs=(("urls",),),
        address="urls",
        modules=("redis",),
        extra="redis",
        check=_redis_cluster,
    ),
}

REFUSED = {
    "ext:google": "the App Engine interface that it uses is gone",
    "ext:sqla": "it takes Python objects; write ext:database and its url",
}
"""Backends of Beaker that zope.conf cannot name, and why."""


def _installed() -> dict[str, EntryPoint]:
    """Return the entry points by which packages add backends."""
    points = entry_points(group="beaker.backends")
    return {point.name: point for point in points}


def backend_names(cookie: bool) -> list[str]:
    """Return the names of all backends; ``cookie`` is for sessions only."""
    others = {
        name for name, point in _installed().items() if not _is_beakers(point)
    }
    known = BACKENDS.keys() | others
    return sorted(known if cookie else known - {"cookie"})


def find_backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises LookupError, with the reason, if there is none that can be used.
    """
    if name in BACKENDS:
        return BACKENDS[name]
    if name in REFUSED:
        raise LookupError(REFUSED[name])
    point = _installed().get(name)
    if point is None:
        raise LookupError("there is no such backend")
    if _is_beakers(point):
        return find_backend(f"ext:{name}")
    try:
        parameters = inspect.signature(point.load()).parameters.values()
    except Exception as error:  # the code of another package
        kind = type(error).__name__
        raise LookupError(
            f"{point.value} cannot be loaded ({kind}: {error})"
        ) from error
    return Backend(
        options={parameter.name: text for parameter in parameters},
        takes_any=any(
            parameter.kind is parameter.VAR_KEYWORD for parameter in parameters
        ),
        foreign=True,
    )


def _is_beakers(point: EntryPoint) -> bool:
    """Tell whether an entry point repeats one of Beaker's ext: backends."""
    return point.value.startswith("beaker.")


def has_library(
    backend: Backend, session: bool, wanted: str | None = None
) -> bool:
    """Tell whether a client library for a backend is installed.

    ``wanted`` is the one that was configured, if it was.
    """
    modules = (session and backend.session_modules) or backend.modules
    if wanted in modules:
        modules = (wanted,)
    return not modules or any(map(_importable, modules))


def _importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
