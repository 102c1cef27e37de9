"""The caches that are compared: functions that keep the results of others."""

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

from beaker.cache import Cache
from beaker.cache import cache_region
from beaker.cache import cache_regions
from pymemcache.client.base import Client
from redis import Redis

from collective.beaker.caching import cached
from collective.beaker.ids import new_id
from collective.beaker.tests.helpers.regions import make_region


SECONDS = 3600
"""How long the values live."""

MEMORY = "memory"
FILE = "file"
REDIS = "Redis"
MEMCACHED = "memcached"

REGION = "cache_region"
CACHED = "cached"
TAGGED = "cached, 2 tags"
SIGNED = "cached, signed"
BEAKER = "Beaker"
DOGPILE = "dogpile.cache"
MEMOIZE = "plone.memoize"
CACHELIB = "cachelib"
DISKCACHE = "diskcache"
RAW = "raw client"

Function = Callable[[int], Any]
"""Returns the value with this number."""

Decorator = Callable[[Function], Function]


@dataclass(frozen=True)
class Place:
    """A kind of store, the address of its server, and a place for files."""

    store: str
    files: Path
    address: str = ""

    def folder(self) -> str:
        """Return a new folder for one cache."""
        return str(self.files / new_id())

    def options(self) -> dict[str, Any]:
        """Return the options of a region of Beaker."""
        options: dict[str, Any] = {"expire": SECONDS}
        if self.store == MEMORY:
            return options | {"type": "memory"}
        if self.store == FILE:
            return options | {"type": "file", "data_dir": self.folder()}
        return options | {
            "type": f"ext:{self.store.lower()}",
            "url": self.address,
        }


# This package


def _region(place: Place) -> Decorator:
    return cache_region(make_region(**place.options()).name)


def _cached(place: Place, **more: Any) -> Decorator:
    region = make_region(**place.options(), **more).name
    return cached(region, name=new_id())


def _tagged(place: Place) -> Decorator:
    region = make_region(**place.options()).name
    return cached(region, name=new_id(), tags=_tags)


def _tags(number: int) -> tuple[str, str]:
    return ("all", f"number {number}")


def _signed(place: Place) -> Decorator | None:
    if place.store == MEMORY:
        return None
    return _cached(place, secret="for benchmarks and nothing else")


# Others


def _beaker(place: Place) -> Decorator:
    name = new_id()
    cache_regions[name] = place.options() | {"lock_dir": place.folder()}
    return cache_region(name)


def _dogpile(place: Place) -> Decorator | None:
    from dogpile.cache import make_region

    backends: dict[str, tuple[str, dict[str, Any]]] = {
        MEMORY: ("memory", {}),
        REDIS: (
            "redis",
            {"url": place.address, "redis_expiration_time": SECONDS},
        ),
        MEMCACHED: (
            "pymemcache",
            {"url": place.address, "memcached_expire_time": SECONDS},
        ),
    }
    if place.store not in backends:
        return None
    backend, arguments = backends[place.store]
    region = make_region().configure(
        f"dogpile.cache.{backend}",
        expiration_time=SECONDS,
        arguments=arguments,
    )
    return region.cache_on_arguments(namespace=new_id())


def _memoize(place: Place) -> Decorator | None:
    from plone.memoize import ram
    from plone.memoize import volatile

    def key(function: Function, number: int) -> str:
        return f"{number}"

    if place.store == MEMORY:
        return ram.cache(key)
    if place.store != MEMCACHED:
        return None
    of_thread = _OfThread(place.address)
    name = new_id()
    return volatile.cache(
        key,
        get_cache=lambda *args: ram.MemcacheAdapter(of_thread.client, name),
    )


def _cachelib(place: Place) -> Decorator:
    import cachelib

    cache: Any
    if place.store == MEMORY:
        cache = cachelib.SimpleCache(100_000, SECONDS)
    elif place.store == FILE:
        cache = cachelib.FileSystemCache(place.folder(), 0, SECONDS)
    elif place.store == REDIS:
        client = Redis.from_url(place.address)
        cache = cachelib.RedisCache(client, default_timeout=SECONDS)
    else:
        cache = cachelib.MemcachedCache([place.address], SECONDS)
    return _keep_by(cache.get, cache.set)


def _diskcache(place: Place) -> Decorator | None:
    import diskcache

    if place.store != FILE:
        return None
    cache = diskcache.Cache(place.folder())
    return cache.memoize(name=new_id(), expire=SECONDS)


def _raw(place: Place) -> Decorator | None:
    if place.store == REDIS:
        redis = Redis.from_url(place.address)
        return _keep_by(
            lambda key: _loads(redis.get(key)),
            lambda key, value: redis.set(key, pickle.dumps(value), ex=SECONDS),
        )
    if place.store != MEMCACHED:
        return None
    of_thread = _OfThread(place.address)
    return _keep_by(
        lambda key: _loads(of_thread.client.get(key)),
        lambda key, value: of_thread.client.set(
            key, pickle.dumps(value), SECONDS
        ),
    )


class _OfThread(local):
    """A connection to memcached for each thread."""

    def __init__(self, address: str):
        self.client = Client(address, no_delay=True)


def _loads(data: Any) -> Any:
    return None if data is None else pickle.loads(data)


def _keep_by(
    get: Callable[[str], Any], put: Callable[[str, Any], Any]
) -> Decorator:
    """Return a decorator that does what is needed, and nothing more."""

    def decorate(compute: Function) -> Function:
        prefix = new_id()

        def function(number: int) -> Any:
            key = f"{prefix}{number}"
            value = get(key)
            if value is None:
                value = compute(number)
                put(key, value)
            return value

        return function

    return decorate


PEERS: dict[str, Callable[[Place], Decorator | None]] = {
    REGION: _region,
    CACHED: _cached,
    TAGGED: _tagged,
    SIGNED: _signed,
    BEAKER: _beaker,
    DOGPILE: _dogpile,
    MEMOIZE: _memoize,
    CACHELIB: _cachelib,
    DISKCACHE: _diskcache,
    RAW: _raw,
}
"""What decorates a function; None where a peer has no such store.

They raise ImportError if the package is not installed.
"""


def make_function(
    peer: str, place: Place, size: int, note: Callable[[int], None]
) -> Function | None:
    """Return a function whose values of this size are kept by a peer.

    ``note`` is called with the number of each value that is computed.
    """
    decorate = PEERS[peer](place)
    if decorate is None:
        return None
    value = "x" * size

    def compute(number: int) -> str:
        note(number)
        return value

    # Some make the names of what they keep from it.
    compute.__name__ = f"f{new_id()}"
    return decorate(compute)


def fill(function: Any, keys: int) -> None:
    """Have a peer keep so many values."""
    options = cache_regions.get(getattr(function, "_arg_region", None), {})
    if options.get("type") != "file":
        for key in range(keys):
            function(key)
        return
    # Beaker would write the whole file anew for each value.
    function(0)
    namespace = Cache._get_cache(function._arg_namespace, options).namespace
    namespace.acquire_write_lock()
    record = namespace[b"0"]
    for key in range(keys):
        namespace[b"%d" % key] = record
    namespace.release_write_lock()
