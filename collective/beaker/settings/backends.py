"""The places where Beaker stores, and all that is special about each.

A new store is a module in stores/ and an entry in this table.
"""

import inspect
import re
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any
from urllib.parse import urlsplit

from beaker.cache import clsmap

from collective.beaker.settings.options import COMMON_OPTIONS
from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import boolean
from collective.beaker.settings.readers import choice
from collective.beaker.settings.readers import seconds
from collective.beaker.settings.readers import text


_STORES = "collective.beaker.stores"


@dataclass(frozen=True)
class Backend:
    """One kind of store, as the option ``type`` names it."""

    name: str

    _: KW_ONLY

    # Its options

    options: Mapping[str, Reader] = field(default_factory=dict)
    """Those that zope.conf can set, beside those of all sessions and caches,
    and how their text is read."""

    folders: tuple[str, ...] = ()
    """Those of them that name a folder."""

    python_options: Mapping[str, str] = field(default_factory=dict)
    """Those that only code can set, and why."""

    takes_any: bool = False
    """Whether it takes options that cannot be known here."""

    needs: tuple[tuple[str, ...], ...] = ()
    """Groups of options; all those of one group must be set."""

    address: str = ""
    """The option that says where the store is."""

    check: Callable[[str], str | None] = lambda address: None
    """Returns what is wrong with the address, if anything."""

    # Its client library

    modules: tuple[str, ...] = ()
    """Client libraries; one of them must be installed."""

    session_modules: tuple[str, ...] = ()
    """The same for sessions, if they differ from caches."""

    module_option: str = ""
    """The option that chooses one of them."""

    extra: str = ""
    """The extra of collective.beaker that installs a client library."""

    distribution: str = ""
    """The distribution of the library that sessions use."""

    # Its store

    store: str = ""
    """What makes the store of sessions, as ``module:attribute``.

    It is called with the name and with those of ``store_options`` that are
    set, and imported when it is needed, as it may need a client library.  It
    is empty if there is none.
    """

    store_options: tuple[str, ...] = ()
    """The options that the store takes.

    ``timeout`` is the time in seconds after which it may forget a record that
    nobody uses, and ``socket_timeout`` the time that a server gets to answer.
    """

    namespace_class: type | None = None
    """The class by which another package adds it to Beaker."""

    in_browser: bool = False
    """Whether browsers keep the sessions, instead of a store."""

    # What it can do

    refused: str = ""
    """Why zope.conf cannot name it.  Without a store, code cannot either."""

    not_for_caches: str = ""
    """Why caches cannot be kept in it."""

    per_process: bool = False
    """Whether each process of Zope has records of its own."""

    lists: bool = True
    """Whether it can list the sessions that it stores."""

    session_remedy: str = "Ask its documentation what removes them."
    """What ends sessions that cannot be listed from outside."""

    region_option: str = ""
    """The option that keeps the values of a cache region apart from all
    others; empty if a region cannot be cleared."""

    region_remedy: str = (
        "Wait until the values expire (cache.{region}.expire)."
    )
    """What empties a region that cannot be cleared from outside."""

    keeps_loaded: bool = False
    """Whether a process keeps for good what it has loaded of a cache."""

    @property
    def is_foreign(self) -> bool:
        """Whether another package brings it."""
        return self.namespace_class is not None

    def store_arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of several options that the store takes."""
        found = {
            name: value
            for name, value in options.items()
            if value is not None and self._is_for_store(name)
        }
        if self.namespace_class is not None:
            found["namespace_class"] = self.namespace_class
        return found

    def _is_for_store(self, option: str) -> bool:
        if option in self.store_options:
            return True
        return self.takes_any and option not in COMMON_OPTIONS


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


def _files(name: str, class_name: str, **attributes: Any) -> Backend:
    """Return one of the backends that keep each session in a file."""
    folder = f"{name}_dir"
    return Backend(
        name,
        options={folder: text, "digest_filenames": boolean},
        folders=(folder,),
        needs=(("data_dir",), (folder, "lock_dir")),
        store=f"{_STORES}.files:{class_name}",
        region_option="data_dir",
        **attributes,
    )


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            "memory",
            store=f"{_STORES}.memory:MemoryStore",
            store_options=("timeout",),
            per_process=True,
            session_remedy="Restart Zope to end them.",
            region_remedy="Restart Zope to empty them.",
            keeps_loaded=True,
        ),
        _files(
            "file",
            "FileStore",
            store_options=("data_dir", "file_dir", "lock_dir"),
        ),
        _files(
            "dbm",
            "DbmStore",
            python_options={"dbmmodule": "it takes a Python module"},
            store_options=("data_dir", "dbm_dir", "lock_dir", "dbmmodule"),
        ),
        Backend(
            "cookie",
            needs=(("validate_key",),),
            in_browser=True,
            not_for_caches="only a session can be kept in a cookie",
            lists=False,
            session_remedy="Change session.validate_key to end them all.",
        ),
        Backend(
            "ext:database",
            options={"url": text, "table_name": text, "schema_name": text},
            python_options={"sa_opts": "it takes a Python dictionary"},
            needs=(("url",),),
            address="url",
            check=_database,
            modules=("sqlalchemy",),
            extra="sqlalchemy",
            distribution="SQLAlchemy",
            store=f"{_STORES}.sql:sql_store",
            store_options=(
                "url",
                "table_name",
                "schema_name",
                "sa_opts",
                "socket_timeout",
            ),
            region_option="table_name",
            keeps_loaded=True,
        ),
        Backend(
            "ext:sqla",
            python_options={
                "bind": "it takes an engine",
                "table": "it takes a table",
            },
            store=f"{_STORES}.sql:sqla_store",
            store_options=("bind", "table"),
            refused="it takes Python objects; write ext:database and its url",
            keeps_loaded=True,
        ),
        Backend(
            "ext:memcached",
            options={
                "url": text,
                "memcache_module": choice(
                    "auto", "memcache", "bmemcached", "cmemcache"
                ),
            },
            needs=(("url",),),
            address="url",
            check=_like("host:port;host:port", "((?!://).)+"),
            modules=("memcache", "bmemcached", "cmemcache"),
            session_modules=("pymemcache",),
            module_option="memcache_module",
            extra="memcached",
            distribution="pymemcache",
            store=f"{_STORES}.memcached:MemcachedStore",
            store_options=("url", "socket_timeout", "timeout"),
            lists=False,
            session_remedy=(
                "memcached removes by itself what has expired, if "
                "session.timeout is set. To end all sessions change "
                "session.secret."
            ),
            region_remedy=(
                "Beaker would empty the whole server, including sessions. "
                "Wait until the values expire (cache.{region}.expire), or "
                "give the region a memcached of its own and restart that."
            ),
        ),
        Backend(
            "ext:mongodb",
            options={"url": text},
            needs=(("url",),),
            address="url",
            check=_like(
                "mongodb://host/database",
                r"mongodb(\+srv)?://[^/]+/[^?].*",
            ),
            modules=("pymongo",),
            extra="mongodb",
            distribution="pymongo",
            store=f"{_STORES}.mongodb:MongoStore",
            store_options=("url", "socket_timeout", "timeout"),
            region_option="url",
        ),
        Backend(
            "ext:redis",
            options={"url": text, "timeout": seconds()},
            needs=(("url",),),
            address="url",
            check=_redis,
            modules=("redis",),
            extra="redis",
            distribution="redis",
            store=f"{_STORES}.redis:redis_store",
            store_options=("url", "socket_timeout", "timeout"),
            region_option="url",
        ),
        Backend(
            "ext:rediscluster",
            options={"urls": text, "timeout": seconds()},
            takes_any=True,
            needs=(("urls",),),
            address="urls",
            check=_redis_cluster,
            modules=("redis",),
            extra="redis",
            distribution="redis",
            store=f"{_STORES}.redis:redis_cluster_store",
            store_options=("urls", "socket_timeout", "timeout"),
            region_option="urls",
        ),
        Backend(
            "ext:google",
            refused="the App Engine interface that it uses is gone",
        ),
    )
}


def kind_of(options: Mapping[str, Any]) -> str:
    """Return the name of the backend of a session's or a cache's options.

    It is inferred as Beaker does if no type is set.
    """
    return options.get("type") or (
        "file" if options.get("data_dir") else "memory"
    )


def backend_of(options: Mapping[str, Any]) -> Backend:
    """Return the backend of a session's or a cache's options.

    Code may have set Beaker's option ``namespace_class``, which goes before
    the type.  Raises LookupError as ``find_backend``.
    """
    namespace_class = options.get("namespace_class")
    if namespace_class is None:
        return find_backend(kind_of(options))
    for name, backend in BACKENDS.items():
        # Beaker does not know all of them.
        with suppress(KeyError):
            if clsmap[name] is namespace_class:
                return backend
    return _foreign_backend(kind_of(options), namespace_class)


def are_stored(options: Mapping[str, Any]) -> bool:
    """Tell whether sessions with certain options are records on a server.

    An unknown type counts as a store, which nobody will be able to use.
    """
    try:
        return not backend_of(options).in_browser
    except LookupError:
        return True


def _installed() -> dict[str, EntryPoint]:
    """Return the entry points by which packages add backends."""
    points = entry_points(group="beaker.backends")
    return {point.name: point for point in points}


def backend_names(for_caches: bool) -> list[str]:
    """Return the names of all backends that zope.conf can name.

    With ``for_caches`` those that only sessions can use are left out.
    """
    known = {
        name
        for name, backend in BACKENDS.items()
        if not backend.refused and not (for_caches and backend.not_for_caches)
    }
    others = {
        name for name, point in _installed().items() if not _is_beakers(point)
    }
    return sorted(known | others)


def python_options() -> dict[str, str]:
    """Return the options of backends that zope.conf cannot set, and why."""
    return {
        option: reason
        for backend in BACKENDS.values()
        if not backend.refused
        for option, reason in backend.python_options.items()
    }


def folder_options() -> list[str]:
    """Return the options that name a folder."""
    own = (
        option for backend in BACKENDS.values() for option in backend.folders
    )
    return ["data_dir", "lock_dir", *own]


def find_backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises LookupError, with the reason, if there is none that can be used.
    """
    if name in BACKENDS:
        backend = BACKENDS[name]
        if backend.refused and not backend.store:
            raise LookupError(backend.refused)
        return backend
    point = _installed().get(name)
    if point is None:
        raise LookupError("there is no such backend")
    if _is_beakers(point):
        return find_backend(f"ext:{name}")
    try:
        return _foreign_backend(name, point.load())
    except Exception as error:  # the code of another package
        kind = type(error).__name__
        raise LookupError(
            f"{point.value} cannot be loaded ({kind}: {error})"
        ) from error


def _foreign_backend(name: str, namespace_class: type) -> Backend:
    """Return what the class of another package tells about its backend."""
    _, *parameters = inspect.signature(namespace_class).parameters.values()
    named = [
        parameter.name
        for parameter in parameters
        if parameter.kind
        not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    takes_any = any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in parameters
    )
    # What Beaker hands to all its backends
    common = ("data_dir", "lock_dir", "timeout") if takes_any else ()
    return Backend(
        name,
        options=dict.fromkeys(named, text),
        takes_any=takes_any,
        store=f"{_STORES}.generic:GenericStore",
        store_options=(*named, *common),
        namespace_class=namespace_class,
        lists=False,
    )


def _is_beakers(point: EntryPoint) -> bool:
    """Tell whether an entry point repeats one of Beaker's ext: backends."""
    return point.value.startswith("beaker.")


def has_library(
    backend: Backend, session: bool, options: Mapping[str, Any]
) -> bool:
    """Tell whether a client library for a backend is installed.

    ``options`` may say which one is wanted.
    """
    modules = (session and backend.session_modules) or backend.modules
    wanted = options.get(backend.module_option)
    if wanted in modules:
        modules = (wanted,)
    return not modules or any(map(_importable, modules))


def _importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
