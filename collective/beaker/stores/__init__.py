"""Stores, which keep one record for each session.

``find_store`` returns the store that options name, and IStore says what it
does.  The stored format is Beaker's own: Beaker reads what this package
writes, and the reverse.
"""

from collections.abc import Mapping
from typing import Any

from collective.beaker.interfaces import Record
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.stores.base import Store
from collective.beaker.stores.factory import make_once
from collective.beaker.stores.factory import named_backend


__all__ = ["Record", "Store", "find_store"]


def find_store(
    options: Mapping[str, Any], timeout: int | None = None
) -> Store:
    """Return the store that options name, the same one for equal options.

    ``options`` are all options of sessions, with defaults, or of a cache
    region.  The store receives those that its entry in the table of backends
    names.  It may forget a record that is not used for ``timeout`` seconds.

    Raises LookupError if the options name no store.  No server is needed yet.
    """
    kind, backend = named_backend(options)
    if not backend.store:
        raise LookupError(f"The type is {kind!r}, which has no store.")
    wait = options.get("socket_timeout") or SESSION_DEFAULTS["socket_timeout"]
    arguments = backend.store_arguments(
        {**options, "socket_timeout": wait, "timeout": timeout}
    )
    store: Store = make_once(backend.store, kind, arguments)
    return store
