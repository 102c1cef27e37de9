"""One stored record, in each of the places where Beaker stores sessions.

``find_store`` returns the store of a configuration; IStore says what it
does.  The stored format is Beaker's own, so that Beaker reads what we write
and the reverse.
"""

import os
from collections.abc import Callable
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store


__all__ = ["Record", "Store", "find_store"]


def find_store(
    options: Mapping[str, Any], timeout: int | None = None
) -> Store:
    """Return the store of certain options, always the same for the same.

    ``options`` are all those of sessions, with defaults, or of a cache
    region; the store gets those that its entry in the table of backends
    names.  It may forget a record that nobody uses for ``timeout`` seconds.

    Raises LookupError if the options name no store.
    """
    kind = kind_of(options)
    try:
        backend = backend_of(options)
    except LookupError as error:
        raise LookupError(f"The type is {kind!r}: {error}.") from None
    if not backend.store:
        raise LookupError(f"The type is {kind!r}, which has no store.")
    wait = options.get("socket_timeout") or SESSION_DEFAULTS["socket_timeout"]
    arguments = backend.store_arguments(
        {**options, "socket_timeout": wait, "timeout": timeout}
    )
    return _make_store(kind, backend.store, _frozen(arguments))


_Arguments = frozenset[tuple[str, Any]]


class _Value:
    """The value of an option, with a hash."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self.value == other.value


def _frozen(arguments: Mapping[str, Any]) -> _Arguments:
    try:
        return frozenset(arguments.items())
    except TypeError:
        # There is an option that has no hash.
        return frozenset(
            (name, _Value(value)) for name, value in arguments.items()
        )


@cache
def _make_store(kind: str, factory: str, arguments: _Arguments) -> Store:
    keywords = {
        name: value.value if isinstance(value, _Value) else value
        for name, value in arguments
    }
    return _imported(factory)(kind, **keywords)


# A process that was forked must not use its parent's connections.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_make_store.cache_clear)


def _imported(name: str) -> Callable[..., Store]:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
