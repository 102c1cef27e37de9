"""Where caches keep values, each as one record.

``find_value_store`` returns the store that options name, and IValueStore says
what it does.
"""

from collections.abc import Mapping
from typing import Any

from collective.beaker.stores.factory import make_once
from collective.beaker.stores.factory import named_backend
from collective.beaker.stores.values.base import ValueStore


__all__ = ["ValueStore", "find_value_store"]

_SOCKET_TIMEOUT = 1
"""For how many seconds a page waits for the server of a cache by default."""


def find_value_store(options: Mapping[str, Any], region: str) -> ValueStore:
    """Return the store of a cache region, the same one for equal arguments.

    ``options`` are all options of the region.  The store receives those that
    its entry in the table of backends names.  Regions share a store, unless
    it is in memory.

    Raises LookupError if the options name no store of values.  No server is
    needed yet.
    """
    kind, backend = named_backend(options)
    if not backend.values:
        raise LookupError(f"The type is {kind!r}, which keeps no values.")
    wait = options.get("socket_timeout") or _SOCKET_TIMEOUT
    arguments = backend.value_arguments(
        {**options, "socket_timeout": wait, "region": region}
    )
    store: ValueStore = make_once(backend.values, kind, arguments)
    return store
