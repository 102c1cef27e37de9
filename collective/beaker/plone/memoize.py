"""``cache.memoize``: what plone.memoize keeps in RAM is kept in a region.

So all Zopes share the results of functions with ``@ram.cache``, and the pages
that plone.app.caching keeps in RAM.  What cannot be shared stays there.
"""

import logging
import pickle
import re
from io import BytesIO
from typing import Any

from plone.memoize.interfaces import ICacheChooser
from plone.memoize.ram import AbstractDict
from plone.memoize.ram import choose_cache
from zope.interface import implementer
from zope.interface.interfaces import IComponents

from collective.beaker.caching.factory import find_region
from collective.beaker.caching.keys import encode
from collective.beaker.caching.snapshots import Snapshot
from collective.beaker.caching.snapshots import connection_in_use
from collective.beaker.caching.snapshots import name_of_database
from collective.beaker.caching.tags import is_pending
from collective.beaker.caching.tags import names_of_tags
from collective.beaker.caching.vary import by_site


logger = logging.getLogger("collective.beaker")

TAG = "plone.memoize"
"""The tag of all values, which empties the cache."""

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+>")
"""What tells an object in a key by its address in the memory."""


def share_memoized_values(region: str, utilities: IComponents) -> None:
    """Have plone.memoize keep what it can in a region, from now on."""
    utilities.registerUtility(SharedCacheChooser(region), ICacheChooser)


@implementer(ICacheChooser)
class SharedCacheChooser:
    """Chooses a cache for each function, by its dotted name."""

    def __init__(self, region: str):
        self.region = region
        self._in_ram: set[str] = set()

    def __call__(self, fun_name: str) -> AbstractDict:
        if fun_name in self._in_ram:
            return choose_cache(fun_name)
        return SharedCache(fun_name, self)

    def keep_in_ram(self, function: str, reason: str) -> AbstractDict:
        """Return the cache that Plone has for a function, from now on."""
        if function not in self._in_ram:
            self._in_ram.add(function)
            logger.info(
                "plone.memoize keeps what %s returns in the memory of each "
                "process, and not in the cache region %s: %s",
                function,
                self.region,
                reason,
            )
        return choose_cache(function)


class SharedCache(AbstractDict):
    """The values of one function, as plone.memoize asks for them.

    It makes one of these before it looks for a value, which it computes if
    there is none.
    """

    def __init__(self, function: str, chooser: SharedCacheChooser):
        self._function = function
        self._chooser = chooser
        self._in_ram: Any = None
        self._region = find_region(chooser.region)
        connection = connection_in_use()
        self._seen = Snapshot(connection)
        self._snapshot = self._seen.tid, self._seen.time
        names = names_of_tags((TAG,), name_of_database(connection))
        self._tags = {"tags": names.by_commit, "time_tags": names.by_time}

    def __getitem__(self, key: str) -> Any:
        if self._stays_in_ram(key):
            return self._in_ram[key]
        if is_pending((TAG,), None):
            raise KeyError(key)
        found = self._region.get(self._function, _key(key), **self._tags)
        if found is None:
            raise KeyError(key)
        try:
            return pickle.loads(found.value)
        except MemoryError:
            raise
        except Exception as error:
            # Only the type: the message may hold data.
            reason = f"reading a value raises {type(error).__name__}."
        return self._keep_in_ram(reason)[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if self._stays_in_ram(key):
            self._in_ram[key] = value
            return
        try:
            pickled = _pickled(value)
        except NotShared as error:
            self._keep_in_ram(str(error))[key] = value
            return
        if not self._region.enabled:
            return
        if is_pending((TAG,), None) or not self._seen.is_still_clean():
            # Nobody else may see yet what it was made from.
            return
        self._region.put(
            self._function,
            _key(key),
            pickled,
            self._region.expire,
            snapshot=self._snapshot,
            latest=self._seen.latest,
            **self._tags,
        )

    def _stays_in_ram(self, key: str) -> bool:
        if self._in_ram is None and _ADDRESS.search(str(key)):
            self._keep_in_ram("a key holds an address in memory.")
        return self._in_ram is not None

    def _keep_in_ram(self, reason: str) -> Any:
        self._in_ram = self._chooser.keep_in_ram(self._function, reason)
        return self._in_ram


class NotShared(Exception):
    """A value that is another one, or none, in another process."""


def _key(key: str) -> bytes:
    # A Message, too, is no more than its text in RAM.
    text = str(key) if isinstance(key, str) else key
    return encode((*by_site(), text))


def _pickled(value: Any) -> bytes:
    """Return a value as bytes; raise NotShared if it would become another."""
    stream = BytesIO()
    try:
        _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(value)
    except (MemoryError, NotShared):
        raise
    except Exception as error:
        # Only the types: the message may hold data.
        raise NotShared(
            f"a value of the type {type(value).__name__} cannot be pickled "
            f"({type(error).__name__})."
        ) from None
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """Refuses what can be pickled, and would come back as something else."""

    def reducer_override(self, item: Any) -> Any:
        kind = type(item)
        if kind is object:
            raise NotShared("a value holds an object() that marks something.")
        if hasattr(kind, "_p_jar") or hasattr(kind, "__of__"):
            raise NotShared(
                f"a value holds an object of the type {kind.__name__}, which "
                "belongs to a database or to its container."
            )
        return NotImplemented
