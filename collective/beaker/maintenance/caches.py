"""Empty one cache region and nothing else."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from beaker.cache import cache_managers
from beaker.cache import cache_regions

from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.settings.backends import are_stored
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.options import redacted
from collective.beaker.settings.section import Configuration
from collective.beaker.stores import Store
from collective.beaker.stores import find_store


def cache_store(options: Options) -> Store:
    """Return the store of caches.

    ``options`` are all options of a region, or of the caches without one.
    """
    return find_store(options, options.get("timeout"))


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
    if backend_of(options).per_process:
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
    if backend_of(options).per_process:
        _check_options_differ(region, options, others)
        return
    _check_can_list(region, options)
    store = cache_store(options)
    sessions = [configuration.session or {}, *in_force]
    for name, other in _stores_of(others, sessions):
        if type(store) is type(other) and store.place == other.place:
            raise CannotMaintain(_shared_place_message(region, options, name))


def _region_options(configuration: Configuration, region: str) -> Options:
    if region in configuration.regions:
        return configuration.regions[region]
    known = ", ".join(configuration.regions) or "none"
    raise CannotMaintain(
        f"There is no cache region {region!r}; cache.regions has: {known}."
    )


def _check_can_list(region: str, options: Options) -> None:
    backend = backend_of(options)
    if not backend.region_option:
        raise CannotMaintain(
            f"cache.{region}.type is {options['type']!r}, a store that cannot "
            "list what it keeps. "
            f"{backend.region_remedy.format(region=region)}"
        )


def _other_caches(
    configuration: Configuration, region: str
) -> dict[str, Options]:
    """Return the options of all other caches, by the settings' prefix."""
    return {
        name: options
        for name, options in configuration.caches.items()
        if name != f"cache.{region}"
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
        if are_stored(options):
            yield "session", SessionInspector(options).store


def _shared_place_message(region: str, options: Options, other: str) -> str:
    option = backend_of(options).region_option
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
    if not backend_of(options).keeps_loaded:
        return 0
    ending = str(cache_regions.get(region, options))
    loaded = [
        cache
        for name, cache in list(cache_managers.items())
        if name == f"{cache.namespace_name}{ending}"
    ]
    for cache in loaded:
        cache.clear()
    return len(loaded)
