"""The cache manager that zope.conf configures."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any

from beaker.cache import Cache
from beaker.cache import CacheManager
from beaker.container import Value
from zope.interface import implementer

from collective.beaker.forks import in_forked_child
from collective.beaker.interfaces import ICacheManager
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.options import OWN_CACHE_DEFAULTS


_MOST_CACHES = 1000
"""How many caches are kept that ``get_cache`` has made."""

_lock = Lock()
"""For the caches that managers keep."""


@implementer(ICacheManager)
class RegionCacheManager(CacheManager):
    """Beaker's manager, whose values are kept by this package.

    It takes the options of the caches, and those of the regions as
    ``cache_regions``.  A backend of another package stays what it is.
    """

    def __init__(self, **options: Any):
        regions = options.pop("cache_regions", {})
        configured = {
            name: arguments(name, of_region)
            for name, of_region in regions.items()
        }
        super().__init__(**options, cache_regions=configured)
        self._caches: OrderedDict[str, RegionCache] = OrderedDict()

    def get_cache(self, name: str, **options: Any) -> Cache:
        # Code that says expires means expire.
        if "expires" in options:
            options.setdefault("expire", options.pop("expires"))
        return self._cache(name, arguments("", {**self.kwargs, **options}))

    def get_cache_region(self, name: str, region: str) -> Cache:
        if region not in self.regions:
            return super().get_cache_region(name, region)
        return self._cache(name, self.regions[region])

    def _cache(self, name: str, options: Mapping[str, Any]) -> "RegionCache":
        """Return the cache with this name and these options.

        Those that were not used for the longest time are forgotten.  Their
        values are not.
        """
        key = f"{name}{options}"
        with _lock:
            cache = self._caches.pop(key, None) or RegionCache(name, **options)
            self._caches[key] = cache
            if len(self._caches) > _MOST_CACHES:
                self._caches.popitem(last=False)
        return cache


class RegionCache(Cache):
    """Beaker's cache, in which no two texts are the same key."""

    def _get_value(self, key: Any, **options: Any) -> Value:
        if isinstance(key, str) and "\\" in key:
            # Beaker would write other texts in the same way.
            key = b"\0" + key.encode("utf-8", "surrogatepass")
        return super()._get_value(key, **options)


def arguments(region: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of Beaker's caches for the options of a region.

    ``region`` is "" for the caches without one.  The type becomes the name
    under which Beaker finds our caches.  What only they know is left out for
    a backend of another package.
    """
    try:
        cache_type = backend_of(options).cache_type
    except LookupError:
        # Beaker says what is wrong when the cache is used.
        cache_type = ""
    if cache_type:
        return {
            **options,
            "type": cache_type,
            "region": region,
            "region_expire": options.get("expire"),
        }
    return {
        option: value
        for option, value in options.items()
        if option not in OWN_CACHE_DEFAULTS
    }


@in_forked_child
def _begin_anew() -> None:
    """Wait for no thread of a parent process, which is not here."""
    global _lock
    _lock = Lock()
