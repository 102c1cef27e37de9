"""Empty one cache region and nothing else."""

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
from collective.beaker.maintenance.stored import SessionInspector
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
    """Return the store of caches.

    ``options`` are all options of a region, or of the caches without one.
    """
    kind = options["type"]
    store_options = {
        name: value
        for name, value in options.items()
        if name not in CACHE_OPTIONS or name in FOLDER_OPTIONS
    }
    timeout = SESSION_DEFAULTS["socket_timeout"]
    return find_store(kind, clsmap[kind], store_options, timeout)


def clear_region(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> int:
    """Remove all values of one cache region and nothing else.

    ``in_force`` are session options in addition to those of the
    configuration.  A region in memory is cleared in this process only.

    Returns how many pieces were removed: keys, documents, files or rows.
    Raises CannotMaintain as ``check_can_clear`` does.
    """
    check_can_clear(configuration, region, in_force)
    options = _region_options(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        return _clear_in_process(region, options)
    number = cache_store(options).clear_caches()
    _clear_in_process(region, options)
    return number


def check_can_clear(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> None:
    """Raise CannotMaintain if a cache region cannot be cleared.

    A region can be cleared only if its store keeps it apart from other caches
    and from sessions.  The arguments are those of ``clear_region``.
    """
    options = _region_options(configuration, region)
    others = _other_caches(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        _check_options_differ(region, options, others)
        return
    _check_can_list(region, options)
    store = cache_store(options)
    sessions = [configuration.session or {}, *in_force]
    for name, other in _stores_of(others, sessions):
        if type(store) is type(other) and store.place == other.place:
            raise CannotMaintain(_shared_place_message(region, options, name))


def _region_options(configuration: Configuration, region: str) -> Options:
    regions = (configuration.cache or {}).get("cache_regions", {})
    if region in regions:
        return regions[region]
    known = ", ".join(regions) or "none"
    raise CannotMaintain(
        f"There is no cache region {region!r}; cache.regions has: {known}."
    )


def _check_can_list(region: str, options: Options) -> None:
    if clsmap[options["type"]] in _CLEARABLE:
        return
    setting = f"cache.{region}.type is {options['type']!r}"
    if clsmap[options["type"]] is MemcachedNamespaceManager:
        raise CannotMaintain(
            f"{setting}: memcached cannot list what it stores, and Beaker "
            "would empty the whole server, including sessions. Wait until "
            f"the values expire (cache.{region}.expire), or give the region "
            "a memcached of its own and restart that."
        )
    raise CannotMaintain(
        f"{setting}, a store that cannot list what it keeps. "
        f"Wait until the values expire (cache.{region}.expire)."
    )


def _other_caches(
    configuration: Configuration, region: str
) -> dict[str, Options]:
    """Return the options of all other caches, by the settings' prefix."""
    others = dict(configuration.cache or {})
    regions = others.pop("cache_regions")
    return {"cache": others} | {
        f"cache.{name}": options
        for name, options in regions.items()
        if name != region
    }


def _check_options_differ(
    region: str, options: Options, others: Mapping[str, Options]
) -> None:
    for name, other in others.items():
        if str(options) == str(other):
            raise CannotMaintain(
                f"cache.{region} and {name} have the same options, so Beaker "
                "keeps their values in memory in one cache. Give "
                f"cache.{region}.expire a value of its own."
            )


def _stores_of(
    caches: Mapping[str, Options], sessions: Sequence[Options]
) -> Iterator[tuple[str, Store]]:
    """Yield the stores of these caches and sessions, with their prefix."""
    for name, options in caches.items():
        yield name, cache_store(options)
    for options in sessions:
        session = {**SESSION_DEFAULTS, **options}
        if session["type"] != "cookie":
            yield "session", SessionInspector(session).store


def _shared_place_message(region: str, options: Options, other: str) -> str:
    option = _CLEARABLE[clsmap[options["type"]]]
    value = redacted(option, options.get(option))
    return (
        f"cache.{region}.{option} is {value!r}, and {other}.{option} is the "
        f"same: the values cannot be told apart. Give cache.{region}.{option} "
        "a value of its own."
    )


def _clear_in_process(region: str, options: Options) -> int:
    """Clear caches that this process keeps; return how many there are.

    Beaker registers a cache of a region under the cache's name followed by
    the region's options.
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
