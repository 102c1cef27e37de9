"""Empty one cache region and nothing else; sweep what has expired in caches.

Options are those of a Configuration, with defaults.
"""

from collections.abc import Iterator

from collective.beaker.caching.factory import region_with
from collective.beaker.caching.names import prefix_of
from collective.beaker.caching.region import Region
from collective.beaker.interfaces import Size
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.section import Configuration
from collective.beaker.stores.failures import failing_late
from collective.beaker.stores.values import ValueStore


def clear_region(configuration: Configuration, region: str) -> int | None:
    """Drop all values of one cache region and nothing else.

    They are no longer valid in any process, and removed from the store if it
    can list them.  A region in memory is cleared in this process only.

    Returns how many were removed, or None if the store cannot list them.
    Raises CannotMaintain as ``check_can_clear`` does.
    """
    check_can_clear(configuration, region)
    return region_with(region, configuration.regions[region]).remove_all()


def check_can_clear(configuration: Configuration, region: str) -> None:
    """Raise CannotMaintain if a cache region cannot be cleared.

    It can unless another package keeps its values.
    """
    if region not in configuration.regions:
        known = ", ".join(configuration.regions) or "none"
        raise CannotMaintain(
            f"There is no cache region {region!r}; cache.regions has: {known}."
        )
    options = configuration.regions[region]
    backend = backend_of(options)
    if not backend.values:
        raise CannotMaintain(
            f"cache.{region}.type is {options['type']!r}, a backend of "
            f"another package. {backend.region_remedy.format(region=region)}"
        )


def cache_store(name: str, options: Options) -> ValueStore:
    """Return the store of a region, or of the caches without one, named ""."""
    return region_with(name, options).store


def cache_size(name: str, options: Options, seconds: float) -> Size | None:
    """Return how much a region holds.

    None if its store cannot tell, or not within so many seconds.  Raises
    StoreUnavailable.
    """
    return region_with(name, options).store.size(prefix_of(name), seconds)


def regions_to_sweep(configuration: Configuration) -> Iterator[Region]:
    """Yield one region for each store that does not forget by itself."""
    places = set()
    for prefix, options in configuration.caches.items():
        if not backend_of(options).values_are_swept:
            continue
        region = region_with(prefix.removeprefix("cache").strip("."), options)
        place = type(region.store), region.store.place
        if place not in places:
            places.add(place)
            yield region


def sweep_values(
    configuration: Configuration, dry_run: bool = False
) -> Iterator[int]:
    """Remove the values of caches that have expired, and claims that ended.

    Yields how many were removed so far, or would be with ``dry_run``,
    finally all.  If one store fails, the others are swept, and then
    StoreUnavailable is raised.
    """
    removed = 0
    with failing_late(StoreUnavailable) as step:
        for region in regions_to_sweep(configuration):
            with step():
                for number in region.store.sweep(dry_run):
                    removed += number
                    yield removed
        yield removed
