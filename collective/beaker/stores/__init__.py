"""One stored record, in each of the places where Beaker stores sessions.

``find_store`` returns the store of a configuration; IStore says what it
does.  The stored format is Beaker's own, so that Beaker reads what we write
and the reverse.
"""

import os
from collections.abc import Callable
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from beaker.cache import clsmap

from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store
from collective.beaker.stores.generic import GenericStore


__all__ = ["Record", "Store", "find_store"]

# Modules are imported when a store is used: they need client libraries.
_FACTORIES = {
    "memory": "memory:MemoryStore",
    "file": "files:FileStore",
    "dbm": "files:DbmStore",
    "ext:database": "sql:sql_store",
    "ext:sqla": "sql:sqla_store",
    "ext:memcached": "memcached:MemcachedStore",
    "ext:redis": "redis:redis_store",
    "ext:rediscluster": "redis:redis_cluster_store",
    "ext:mongodb": "mongodb:MongoStore",
}


def find_store(
    kind: str,
    namespace_class: type,
    options: Mapping[str, Any],
    socket_timeout: int,
) -> Store:
    """Return the store of a configuration, always the same for the same.

    ``options`` are those that Beaker would hand to ``namespace_class``.
    Servers get ``socket_timeout`` seconds to answer.
    """
    try:
        given = frozenset(options.items())
    except TypeError:
        # There is an option that has no hash.
        given = frozenset(
            (name, _Value(value)) for name, value in options.items()
        )
    return _make_store(kind, namespace_class, socket_timeout, given)


class _Value:
    """The value of an option, with a hash."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self.value == other.value


@cache
def _make_store(
    kind: str,
    namespace_class: type,
    socket_timeout: int,
    options: frozenset[tuple[str, Any]],
) -> Store:
    keywords = {
        name: value.value if isinstance(value, _Value) else value
        for name, value in options
    }
    factory = _factory(namespace_class)
    if factory is None:
        return GenericStore(kind, namespace_class, **keywords)
    return factory(kind, socket_timeout=socket_timeout, **keywords)


# A process that was forked must not use its parent's connections.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_store.cache_clear)


def _factory(namespace_class: type) -> Callable[..., Store] | None:
    for kind, name in _FACTORIES.items():
        if clsmap[kind] is namespace_class:
            return _imported(name)
    return None


def _imported(name: str) -> Callable[..., Store]:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)
