"""Empty one cache region, and nothing else."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from beaker.cache import cache_managers
from beaker.cache import cache_regions
from beaker.cache import clsmap
from beaker.container import DBMNamespaceManager
from beaker.container import FileNamespaceManager
from beaker.container import MemoryNamespaceManager
from beaker.ext.database import DatabaseNamespaceManager
from beaker.ext.memcached import MemcachedNamespaceManager
from beaker.ext.mongodb import MongoNamespaceManager
from beaker.ext.redisclusternm import RedisClusterNamespaceManager
from beaker.ext.redisnm import RedisNamespaceManager
from beaker.ext.sqla import SqlaNamespaceManager

from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.settings.options import CACHE_OPTIONS
from collective.beaker.settings.options import FOLDER_OPTIONS
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import redacted
from collective.beaker.settings.section import Configuration
from collective.beaker.stores import Store
from collective.beaker.stores import find_store


_CLEARABLE = {
    FileNamespaceManager: "data_dir",
    DBMNamespaceManager: "data_dir",
    DatabaseNamespaceManager: "table_name",
    RedisNamespaceManager: "url",
    RedisClusterNamespaceManager: "urls",
    MongoNamespaceManager: "url",
}
"""Backends that can remove the values of a region, and the option that keeps
those of one region apart from all others."""

_LOADED = (MemoryNamespaceManager, SqlaNamespaceManager)
"""Backends that keep values in the process."""


def cache_store(options: Options) -> Store:
    """Return where caches with certain options are stored.

    ``options`` are all those of a region, or of the caches without one.
    """
    kind = options["type"]
    of_store = {
        name: value
        for name, value in options.items()
        if name not in CACHE_OPTIONS or name in FOLDER_OPTIONS
    }
    timeout = SESSION_DEFAULTS["socket_timeout"]
    return find_store(kind, clsmap[kind], of_store, timeout)


def clear_region(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> int:
    """Remove all values of one cache region, and nothing else.

    ``in_force`` are options of sessions beside those of the configuration.

    Returns how many pieces were removed: keys or documents, files or rows.
    A region in memory is cleared in this process.

    Raises what ``check_can_clear`` does.
    """
    check_can_clear(configuration, region, in_force)
    options = _region(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        return _clear_loaded(region, options)
    number = cache_store(options).clear_caches()
    _clear_loaded(region, options)
    return number


def check_can_clear(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> None:
    """Raise CannotMaintain if a cache region cannot be cleared.

    That is where its store does not tell the region apart from other caches
    or from sessions.  See ``clear_region``.
    """
    options = _region(configuration, region)
    others = _others(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        _check_is_apart(region, options, others)
        return
    _check_lists(region, options)
    store = cache_store(options)
    sessions = [configuration.session or {}, *in_force]
    for name, other in _stores(others, sessions):
        if type(store) is type(other) and store.place == other.place:
            raise CannotMaintain(_shared(region, options, name))


def _region(configuration: Configuration, region: str) -> Options:
    regions = (configuration.cache or {}).get("cache_regions", {})
    if region in regions:
        return regions[region]
    known = ", ".join(regions) or "none"
    raise CannotMaintain(
        f"There is no cache region {region!r}; cache.regions has: {known}."
    )


def _check_lists(region: str, options: Options) -> None:
    if clsmap[options["type"]] in _CLEARABLE:
        return
    setting = f"cache.{region}.type is {options['type']!r}"
    if clsmap[options["type"]] is MemcachedNamespaceManager:
        raise CannotMaintain(
            f"{setting}: memcached cannot list what it stores, and Beaker "
            "would empty the whole server, sessions included. Wait until "
            f"cache.{region}.expire is over, or give the region a memcached "
            "of its own, and restart that one."
        )
    raise CannotMaintain(
        f"{setting}, a store that cannot list what it keeps. "
        f"Wait until cache.{region}.expire is over."
    )


def _others(configuration: Configuration, region: str) -> dict[str, Options]:
    """Return the options of all other caches, by how their settings begin."""
    others = dict(configuration.cache or {})
    regions = others.pop("cache_regions")
    return {"cache": others} | {
        f"cache.{name}": options
        for name, options in regions.items()
        if name != region
    }


def _check_is_apart(
    region: str, options: Options, others: Mapping[str, Options]
) -> None:
    for name, other in others.items():
        if str(options) == str(other):
            raise CannotMaintain(
                f"cache.{region} and {name} have the same options, so that "
                "Beaker takes their values in memory for one cache. Give "
                f"cache.{region}.expire a value of its own."
            )


def _stores(
    caches: Mapping[str, Options], sessions: Sequence[Options]
) -> Iterator[tuple[str, Store]]:
    """Yield the stores of certain caches and sessions."""
    for name, options in caches.items():
        yield name, cache_store(options)
    for options in sessions:
        session = {**SESSION_DEFAULTS, **options}
        if session["type"] != "cookie":
            yield "session", StoredSessions(session).store


def _shared(region: str, options: Options, other: str) -> str:
    option = _CLEARABLE[clsmap[options["type"]]]
    value = redacted(option, options.get(option))
    return (
        f"cache.{region}.{option} is {value!r}, and {other}.{option} the "
        f"same: the values cannot be told apart. Give cache.{region}.{option} "
        "a value of its own."
    )


def _clear_loaded(region: str, options: Options) -> int:
    """Clear what this process has loaded for good; return how many caches.

    Beaker names a cache of a region by its name and the region's options.
    """
    ending = str(cache_regions.get(region, options))
    loaded = [
        cache
        for name, cache in list(cache_managers.items())
        if name == f"{cache.namespace_name}{ending}"
        and isinstance(cache.namespace, _LOADED)
    ]
    for cache in loaded:
        cache.clear()
    return len(loaded)
