"""The table of backends: everything that is special about a kind of store.

To add a store, add a module to stores/ and an entry to this table.
"""

import inspect
import os
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import Any

from beaker.cache import clsmap

from collective.beaker.settings.addresses import database_error
from collective.beaker.settings.addresses import database_places
from collective.beaker.settings.addresses import memcached_error
from collective.beaker.settings.addresses import memcached_places
from collective.beaker.settings.addresses import mongodb_error
from collective.beaker.settings.addresses import redis_cluster_error
from collective.beaker.settings.addresses import redis_error
from collective.beaker.settings.addresses import redis_places
from collective.beaker.settings.addresses import sqlite_file
from collective.beaker.settings.options import COMMON_OPTIONS
from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import boolean
from collective.beaker.settings.readers import choice
from collective.beaker.settings.readers import folder_name
from collective.beaker.settings.readers import seconds
from collective.beaker.settings.readers import text


_NEVER_FOREIGN = COMMON_OPTIONS | {"region"}
"""Options that a store gets only if it names them."""

_STORES = "collective.beaker.stores"
"""The package of the stores.  They are imported when they are needed."""


@dataclass(frozen=True)
class Backend:
    """One kind of store, which the option ``type`` names."""

    name: str

    _: KW_ONLY

    # Its options

    options: Mapping[str, Reader] = field(default_factory=dict)
    """The options that zope.conf can set, in addition to those of all sessions
    and caches, and their readers."""

    folders: tuple[str, ...] = ()
    """The options that name a folder."""

    python_options: Mapping[str, str] = field(default_factory=dict)
    """The options that only code can set, and why."""

    takes_any: bool = False
    """Whether it accepts options that are not known here."""

    needs: tuple[tuple[str, ...], ...] = ()
    """Groups of options.  All options of at least one group must be set."""

    address: str = ""
    """The option that says where the store is."""

    address_error: Callable[[str], str | None] = lambda address: None
    """Returns what is wrong with an address, or None."""

    places: Callable[[Mapping[str, Any]], frozenset[Hashable]] = (
        lambda options: frozenset()
    )
    """Returns where options keep records, as far as the options tell.  If two
    groups of options have a place in common, emptying that empties both."""

    file: Callable[[Any], str | None] = lambda address: None
    """Returns the file that an address names, or None."""

    place: str = ""
    """What such a place is, in words."""

    shares_memory: bool = False
    """Whether a place has a memory of limited size, in which caches would
    compete with sessions."""

    # Its client library

    module: str = ""
    """The module of its client library, which must be installed."""

    extra: str = ""
    """The extra of collective.beaker that installs a client library."""

    distribution: str = ""
    """The distribution of the library."""

    # Its store

    store: str = ""
    """The factory of the store, as ``module:attribute``; empty if none.

    It is called with the name of the backend and those ``store_options`` that
    are set.  It is imported when the store is used, since it may need a client
    library.
    """

    store_options: tuple[str, ...] = ()
    """The options that the factory of the store accepts.

    ``timeout`` is the time in seconds after which the store may forget an
    unused record.  ``socket_timeout`` is how many seconds to wait for an
    answer of a server.
    """

    values: str = ""
    """The factory of the store in which caches keep values, as ``store``."""

    value_options: tuple[str, ...] = ()
    """The options that this factory accepts.

    ``region`` is the name of the cache region, for a store in which each
    region has a place of its own.
    """

    cache_type: str = ""
    """The name under which Beaker finds our caches that keep their values in
    it: an entry point in pyproject.toml.  Empty if there are none."""

    namespace_class: type | None = None
    """The class by which another package adds it to Beaker."""

    in_browser: bool = False
    """Whether the sessions are in the visitors' browsers, not in a store."""

    # What it can do

    refused: str = ""
    """Why zope.conf cannot name it; code cannot either if it has no store."""

    not_for_caches: str = ""
    """Why caches cannot be kept in it."""

    per_process: bool = False
    """Whether each process of Zope has its own records."""

    lists: bool = True
    """Whether it can list its sessions."""

    session_remedy: str = "Ask its documentation what removes them."
    """How to end sessions that a command cannot list."""

    region_remedy: str = (
        "Wait until the values expire (cache.{region}.expire)."
    )
    """How to empty a region that a command cannot clear."""

    values_are_swept: bool = False
    """Whether the sweep removes values that have expired: the store does not
    do it by itself."""

    @property
    def is_foreign(self) -> bool:
        """Whether another package brings it."""
        return self.namespace_class is not None

    def store_arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of these options that the store accepts."""
        found = {
            name: value
            for name, value in options.items()
            if value is not None and self._is_for_store(name)
        }
        if self.namespace_class is not None:
            found["namespace_class"] = self.namespace_class
        return found

    def value_arguments(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of these options that the store of values accepts."""
        return {
            name: value
            for name, value in options.items()
            if value is not None
            and (
                name in self.value_options
                or (self.takes_any and name not in _NEVER_FOREIGN)
            )
        }

    def _is_for_store(self, option: str) -> bool:
        if option in self.store_options:
            return True
        return self.takes_any and option not in COMMON_OPTIONS


def _file_backend(
    name: str,
    store: str,
    store_options: tuple[str, ...],
    python_options: Mapping[str, str] | None = None,
) -> Backend:
    """Return a backend that keeps each session in a file."""
    folder = f"{name}_dir"

    def places(options: Mapping[str, Any]) -> frozenset[Hashable]:
        own, data_dir = options.get(folder), options.get("data_dir")
        if not (own or data_dir):
            return frozenset()
        path = own or os.path.join(data_dir or "", f"container_{name}")
        return frozenset([os.path.realpath(path)])

    return Backend(
        name,
        places=places,
        place="folder",
        options={folder: folder_name, "digest_filenames": boolean},
        folders=(folder,),
        cache_type=f"collective.beaker.{name}",
        needs=(("data_dir",), (folder, "lock_dir")),
        python_options=python_options or {},
        store=f"{_STORES}.{store}",
        store_options=store_options,
        values=f"{_STORES}.values.files:FileValues",
        value_options=("data_dir", folder, "socket_timeout"),
        values_are_swept=True,
    )


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            "memory",
            cache_type="collective.beaker.memory",
            store=f"{_STORES}.memory:MemoryStore",
            store_options=("timeout",),
            places=lambda options: frozenset(["this process"]),
            values=f"{_STORES}.values.memory:MemoryValues",
            value_options=("region", "max_entries"),
            per_process=True,
            session_remedy="Restart Zope to end them.",
            region_remedy="Restart Zope to empty them.",
        ),
        _file_backend(
            "file",
            "files:FileStore",
            store_options=("data_dir", "file_dir", "lock_dir"),
        ),
        _file_backend(
            "dbm",
            "dbm:DbmStore",
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
            cache_type="collective.beaker.database",
            values_are_swept=True,
            options={"url": text, "table_name": text, "schema_name": text},
            python_options={"sa_opts": "it takes a Python dictionary"},
            needs=(("url",),),
            address="url",
            address_error=database_error,
            places=database_places,
            file=sqlite_file,
            place="table",
            module="sqlalchemy",
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
            values=f"{_STORES}.values.sql:sql_values",
            value_options=(
                "url",
                "table_name",
                "schema_name",
                "sa_opts",
                "socket_timeout",
            ),
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
        ),
        Backend(
            "ext:memcached",
            cache_type="collective.beaker.memcached",
            options={
                "url": text,
                "memcache_module": choice(
                    "auto", "memcache", "bmemcached", "cmemcache"
                ),
            },
            needs=(("url",),),
            address="url",
            address_error=memcached_error,
            places=memcached_places,
            place="memcached",
            shares_memory=True,
            module="pymemcache",
            extra="memcached",
            distribution="pymemcache",
            store=f"{_STORES}.memcached:memcached_store",
            store_options=("url", "socket_timeout", "timeout"),
            values=f"{_STORES}.values.memcached:MemcachedValues",
            value_options=("url", "socket_timeout"),
            lists=False,
            session_remedy=(
                "memcached removes by itself what has expired, if "
                "session.timeout is set. To end all sessions change "
                "session.secret."
            ),
        ),
        Backend(
            "ext:mongodb",
            cache_type="collective.beaker.mongodb",
            options={"url": text},
            needs=(("url",),),
            address="url",
            address_error=mongodb_error,
            module="pymongo",
            extra="mongodb",
            distribution="pymongo",
            store=f"{_STORES}.mongodb:MongoStore",
            store_options=("url", "socket_timeout", "timeout"),
            values=f"{_STORES}.values.mongodb:MongoValues",
            value_options=("url", "socket_timeout"),
        ),
        Backend(
            "ext:redis",
            cache_type="collective.beaker.redis",
            options={"url": text, "timeout": seconds()},
            needs=(("url",),),
            address="url",
            address_error=redis_error,
            places=redis_places,
            place="Redis database",
            shares_memory=True,
            module="redis",
            extra="redis",
            distribution="redis",
            store=f"{_STORES}.redis:redis_store",
            store_options=("url", "socket_timeout", "timeout"),
            values=f"{_STORES}.values.redis:redis_values",
            value_options=("url", "socket_timeout"),
        ),
        Backend(
            "ext:rediscluster",
            cache_type="collective.beaker.rediscluster",
            options={"urls": text, "timeout": seconds()},
            takes_any=True,
            needs=(("urls",),),
            address="urls",
            address_error=redis_cluster_error,
            module="redis",
            extra="redis",
            distribution="redis",
            store=f"{_STORES}.redis:redis_cluster_store",
            store_options=("urls", "socket_timeout", "timeout"),
            values=f"{_STORES}.values.redis:redis_cluster_values",
            value_options=("urls", "socket_timeout"),
        ),
        Backend(
            "ext:google",
            refused="the App Engine interface that it uses is gone",
        ),
    )
}


_KINDS = {
    backend.cache_type: name
    for name, backend in BACKENDS.items()
    if backend.cache_type
}
"""The backends by the names under which Beaker finds our caches."""


def kind_of(options: Mapping[str, Any]) -> str:
    """Return the name of the backend that options of sessions or caches name.

    If no type is set, it is inferred as in Beaker.
    """
    inferred = "file" if options.get("data_dir") else "memory"
    # Code may have set it to anything.
    kind = str(options.get("type") or inferred)
    return _KINDS.get(kind, kind)


def backend_of(options: Mapping[str, Any]) -> Backend:
    """Return the backend that options of sessions or caches name.

    Code may have set Beaker's option ``namespace_class``, which overrides the
    type.  Raises LookupError as ``find_backend``.
    """
    namespace_class = options.get("namespace_class")
    if namespace_class is None:
        return find_backend(kind_of(options))
    for name, backend in BACKENDS.items():
        # Beaker does not know every backend.
        with suppress(KeyError):
            if clsmap[name] is namespace_class:
                return backend
    return _foreign_backend(kind_of(options), namespace_class)


def are_stored(options: Mapping[str, Any]) -> bool:
    """Tell whether sessions with these options are in a store.

    An unknown type counts as a store; an error follows when it is used.
    """
    try:
        return not backend_of(options).in_browser
    except LookupError:
        return True


def places_of(options: Mapping[str, Any]) -> frozenset[Hashable]:
    """Return where sessions with these options are kept, as far as is known.

    If two groups of options have a place in common, their sessions are in one
    store.  Where nothing else tells, the address does.
    """
    try:
        backend = backend_of(options)
    except LookupError:
        # A session class of its own may know more types.
        return frozenset()
    places = backend.places(options)
    address = options.get(backend.address)
    if not places and isinstance(address, str):
        places = frozenset([address])
    return frozenset((backend.name, place) for place in places)


def _installed() -> dict[str, EntryPoint]:
    """Return the entry points with which packages add backends, by name."""
    points = entry_points(group="beaker.backends")
    return {point.name: point for point in points}


def backend_names(for_caches: bool) -> list[str]:
    """Return the names of the backends that zope.conf can name.

    With ``for_caches``, those that only sessions can use are omitted.
    """
    known = {
        name
        for name, backend in BACKENDS.items()
        if not backend.refused and not (for_caches and backend.not_for_caches)
    }
    others = {
        name
        for name, point in _installed().items()
        if not _is_beakers(point) and name not in _KINDS
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
    """Return the backend with this name.

    Raises LookupError with the reason if there is none that can be used.
    """
    name = _KINDS.get(name, name)
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
    """Return a backend of another package, described by its class."""
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
    # Beaker passes these to every backend.
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
    """Tell whether an entry point is another name of Beaker's own backend."""
    return point.value.startswith("beaker.")


def has_library(backend: Backend) -> bool:
    """Tell whether the client library for a backend is installed."""
    return not backend.module or _importable(backend.module)


def _importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True
