"""How regions are made: once for the same options."""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from beaker.cache import cache_regions
from beaker.exceptions import BeakerException

from collective.beaker.caching.region import Region
from collective.beaker.forks import in_forked_child
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of


_ARGUMENTS = ("region", "region_expire")
"""What Beaker hands over to a cache in addition to the options: the name of
the region, and its ``expire``."""

_all: WeakSet[Region] = WeakSet()
"""The regions of this process."""

_known: dict[str, tuple[Mapping[str, Any], Region]] = {}
"""The regions in force, with the options from which they were made."""


def find_region(name: str) -> Region:
    """Return the region with this name, with the options in force.

    They are those of zope.conf, or of ``beaker.cache.cache_regions``, where
    code may change them.  Raises BeakerException if there is no such region.
    """
    options = cache_regions.get(name)
    if options is None:
        raise BeakerException(
            f"Cache region not configured: {name}. Add it to cache.regions "
            "in the beaker section of zope.conf, and include the package "
            "collective.beaker in ZCML."
        )
    known = _known.get(name)
    if known is None or known[0] != options:
        copied = dict(options)
        region = region_with(name, copied)
        known = _known[name] = copied, region
    return known[1]


def region_with(name: str, options: Mapping[str, Any]) -> Region:
    """Return a region with these options, the same one for the same."""
    options = {
        option: value
        for option, value in options.items()
        if option not in _ARGUMENTS
    }
    options["type"] = kind_of(options)
    for region in list(_all):
        if region.name == name and region.given == options:
            return region
    region = Region(name, options)
    _all.add(region)
    return region


def regions_in_force() -> Iterator[Region]:
    """Yield the regions that are configured, if we keep their values."""
    for name in list(cache_regions):
        region = find_region(name)
        if _keeps_values(region.options):
            yield region


def clear_memory() -> None:
    """Make all values invalid that are in the memory of this process.

    Those of caches without a region are among them.
    """
    for region in list(_all):
        if kind_of(region.options) == "memory":
            region.clear()


def _keeps_values(options: Mapping[str, Any]) -> bool:
    try:
        return bool(backend_of(options).values)
    except LookupError:
        return False


@in_forked_child
def _begin_anew() -> None:
    for region in list(_all):
        region.begin_anew()
