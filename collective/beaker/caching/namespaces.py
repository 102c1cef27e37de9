"""Beaker's API on our caches: what it calls for each of them.

Beaker's ``Cache`` works on a namespace manager, and finds the classes below
by their entry points.  ``Value.get_value`` in ``beaker/container.py`` shows in
which order it calls them.
"""

import sys
import threading
from collections import OrderedDict
from typing import Any
from weakref import WeakSet

from beaker.container import NamespaceManager

from collective.beaker.caching.computing import Computation
from collective.beaker.caching.factory import region_with
from collective.beaker.caching.keys import LONGEST
from collective.beaker.caching.keys import digest_of
from collective.beaker.caching.names import Wanted
from collective.beaker.caching.values import CachedValue
from collective.beaker.forks import in_forked_child
from collective.beaker.stores.values.memory import MemoryValues


Beakers = tuple[float, float | None, Any]
"""A value as Beaker has it: when it was stored, its expire and itself."""

_MOST_NAMES = 2000
"""How many names of values each cache in memory remembers."""

_AS_BEAKERS = CachedValue._fields.index("as_beakers")
"""Where a value in memory has itself as Beaker takes it."""

_TOOK = CachedValue._fields.index("took")
"""Where it has for how long it was computed."""

_OLD = CachedValue(None, 0.0, None, 0.0, (), None)
"""What stands for an expired value that Beaker has got already."""


class RegionNamespace(NamespaceManager):
    """The values of one cache, in a region.

    To ask whether there is a value would be a round trip of its own.  So
    ``in`` is always true, and ``[]`` raises KeyError if there is none, for
    which Beaker is prepared.
    """

    kind = ""

    def __init__(
        self,
        namespace: str,
        region: str = "",
        region_expire: float | None = None,
        **options: Any,
    ):
        super().__init__(namespace)
        self.cache = lasting_name(namespace)
        options["type"] = self.kind
        if region:
            options["expire"] = region_expire
        self.region = region_with(region, options)
        self._is_computed_each_time = region_expire == 0
        self._of_thread = threading.local()
        self._counters = self.region.counters

    def __contains__(self, key: object) -> bool:
        return True

    def has_key(self, key: Any) -> bool:
        return self.region.look(self.wanted(key)) is not None

    def __getitem__(self, key: Any) -> Beakers:
        """Return a value that is there, even if it has expired.

        It is one that may be returned while another is computed.
        """
        prepared = vars(self._of_thread).pop("prepared", None)
        if prepared is not None and prepared[0] == key:
            found = prepared[1]
        elif self._is_computed_each_time:
            found = None
        else:
            found = self.region.look(self.wanted(key))
        if found is None:
            raise KeyError(key)
        self._of_thread.took = found.took
        self._counters.hits += 1
        self._counters.saved_seconds += found.took
        return found.stored, found.expire, found.value

    def take_back(self, key: Any) -> None:
        """Have a hit not counted, since Beaker found that it has expired."""
        self._counters.hits -= 1
        self._counters.saved_seconds -= self.took(key)

    def count_stale(self, key: Any) -> None:
        """Count an expired value that Beaker returns."""
        self._counters.stale += 1
        self._counters.saved_seconds += self.took(key)

    def took(self, key: Any) -> float:
        """Return how long the value took that ``[]`` has just returned."""
        took: float = vars(self._of_thread).get("took", 0.0)
        return took

    def __setitem__(self, key: Any, value: Beakers) -> None:
        self.set_value(key, value, value[1])

    def set_value(
        self, key: Any, value: Beakers, expiretime: float | None = None
    ) -> None:
        """Store what was computed, or what code puts into the cache."""
        if expiretime is not None:
            # What Beaker adds to the time is added faster then.
            expiretime = float(expiretime)
        computations = self.computations.get(key)
        if not computations:
            name = bytes_of(key)
            if not self.region.put(self.cache, name, value[2], expiretime):
                # Nobody shall get what was to be replaced, either.
                self.region.invalidate(self.cache, name)
        elif expiretime == 0:
            computations[-1].finish_without_storing()
        else:
            computations[-1].finish(value[2], expiretime)

    def __delitem__(self, key: Any) -> None:
        self.region.invalidate(self.cache, bytes_of(key))

    def do_remove(self) -> None:
        self.region.clear_cache(self.cache)

    def get_creation_lock(self, key: Any) -> "CreationLock | NoLock":
        if self._is_computed_each_time:
            return NoLock()
        return CreationLock(self, key)

    # For the lock

    def wanted(self, key: Any) -> Wanted:
        return self.region.wanted(self.cache, bytes_of(key))

    def may_return_old(self, key: Any) -> bool:
        """Tell whether an expired value that ``[]`` has returned may be used
        while another is computed."""
        return True

    def prepare(self, key: Any, found: CachedValue | None) -> None:
        """Have ``[]`` return this, so that the store is not asked again."""
        self._of_thread.prepared = key, found

    def forget_prepared(self) -> None:
        """Have nobody get later what ``[]`` has not returned."""
        vars(self._of_thread).pop("prepared", None)

    @property
    def computations(self) -> dict[Any, list[Computation]]:
        """What this thread computes, by key, the innermost last."""
        computations: dict[Any, list[Computation]]
        computations = vars(self._of_thread).setdefault("computations", {})
        return computations


class CreationLock:
    """What Beaker acquires before it has a value computed."""

    def __init__(self, namespace: RegionNamespace, key: Any):
        self._namespace = namespace
        self._key = key
        self._computation = Computation(
            namespace.region, namespace.wanted(key)
        )

    def acquire(self, wait: bool = True) -> bool:
        """Return once the caller may compute, or there is a new value.

        Without ``wait``, Beaker has an old value: False says that this is to
        be returned.
        """
        if not wait:
            self._namespace.take_back(self._key)
        may_return_old = not wait and self._namespace.may_return_old(self._key)
        try:
            found = self._computation.begin(_OLD if may_return_old else None)
        except BaseException:
            self._computation.end()
            raise
        if found is _OLD:
            self._computation.end()
            self._namespace.count_stale(self._key)
            return False
        self._namespace.prepare(self._key, found)
        computations = self._namespace.computations
        computations.setdefault(self._key, []).append(self._computation)
        return True

    def release(self) -> None:
        computations = self._namespace.computations
        computations[self._key].pop()
        if not computations[self._key]:
            del computations[self._key]
        self._namespace.forget_prepared()
        self._computation.end()


class NoLock:
    """For what each caller computes."""

    def acquire(self, wait: bool = True) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""


def bytes_of(key: Any) -> bytes:
    """Return the key of a value; what Python tells apart stays apart.

    Beaker makes bytes of a text before it gets here.
    """
    if isinstance(key, bytes):
        found = b"b" + key
    else:
        text = f"{type(key).__module__}.{type(key).__qualname__} {key!r}"
        found = b"o" + text.encode("utf-8", "surrogatepass")
    return found if len(found) <= LONGEST else digest_of(found)


def lasting_name(namespace: str) -> str:
    """Return the name of a cache that is the same in another folder.

    Beaker names the cache of a function by the path of its source, and by
    the function.  The name of the module takes the place of the path.
    """
    path, bar, function = namespace.rpartition("|")
    if not bar:
        return namespace
    for module in list(sys.modules.values()):
        of_module = getattr(module, "__dict__", {})
        if of_module.get("__file__") == path:
            spec = of_module.get("__spec__")
            return f"{spec.name if spec else module.__name__}|{function}"
    return namespace


class MemoryNamespace(RegionNamespace):
    """In memory, it counts what each hit takes.

    So ``[]`` goes straight to the entries of the store.  It does not look at
    the time, since Beaker does so afterwards.
    """

    kind = "memory"

    def __init__(self, namespace: str, **options: Any):
        super().__init__(namespace, **options)
        self._names: dict[Any, str] = {}
        self.begin_anew()
        _in_memory.add(self)

    def begin_anew(self) -> None:
        """Forget the entries of a parent process, after a fork."""
        self._entries: OrderedDict[str, tuple[Any, float]] = OrderedDict()

    def __getitem__(self, key: Any) -> Beakers:
        try:
            name = self._names[key]
            entries = self._entries
            found = entries[name][0]
            beakers: Beakers = found[_AS_BEAKERS]
            entries.move_to_end(name)
        except LookupError:
            return self._look(key)
        counters = self._counters
        counters.hits += 1
        counters.saved_seconds += found[_TOOK]
        return beakers

    def took(self, key: Any) -> float:
        entry = self._entries.get(self._names.get(key, ""))
        return entry[0].took if entry else super().took(key)

    def _look(self, key: Any) -> Beakers:
        """Do as ``[]``, and remember where to look next time."""
        beakers = super().__getitem__(key)
        store = self.region.store
        if isinstance(store, MemoryValues):
            self._entries = store.entries
        # 1, 1.0 and True would be one key of a dictionary.
        if isinstance(key, bytes):
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            self._names[key] = self.wanted(key).name
        return beakers

    def prepare(self, key: Any, found: CachedValue | None) -> None:
        """Have ``[]`` find nothing, if the value is to be computed.

        Otherwise nothing is won by that.
        """
        if found is None:
            super().prepare(key, found)
            self._names.pop(key, None)

    def may_return_old(self, key: Any) -> bool:
        return self.region.look(self.wanted(key)) is not None


class FileNamespace(RegionNamespace):
    kind = "file"


class DbmNamespace(RegionNamespace):
    kind = "dbm"


class DatabaseNamespace(RegionNamespace):
    kind = "ext:database"


class MemcachedNamespace(RegionNamespace):
    kind = "ext:memcached"


class MongoNamespace(RegionNamespace):
    kind = "ext:mongodb"


class RedisNamespace(RegionNamespace):
    kind = "ext:redis"


class RedisClusterNamespace(RegionNamespace):
    kind = "ext:rediscluster"


_in_memory: WeakSet[MemoryNamespace] = WeakSet()
"""The caches in the memory of this process."""


@in_forked_child
def _begin_anew() -> None:
    for namespace in list(_in_memory):
        namespace.begin_anew()
