"""How stores are made: once for the same arguments."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from collective.beaker.settings.backends import Backend
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import redacted


def named_backend(options: Mapping[str, Any]) -> tuple[str, Backend]:
    """Return the type that options name, and its entry in the table.

    Raises LookupError with the type and the reason.
    """
    kind = kind_of(options)
    try:
        return kind, backend_of(options)
    except LookupError as error:
        # Somebody may have written the address here.
        shown = redacted("type", kind)
        raise LookupError(f"The type is {shown!r}: {error}.") from None


def make_once(factory: str, kind: str, arguments: Mapping[str, Any]) -> Any:
    """Return what a factory makes of a kind of store and its arguments.

    The factory is named as ``module:attribute``, and imported now.  Whoever
    asks for the same gets the same object.
    """
    key = (factory, kind, _frozen(arguments))
    if key in _made:
        return _made[key]
    # Of two threads that make one at the same time, both get the first.
    return _made.setdefault(key, _make(factory, kind, arguments))


_made: dict[tuple[str, str, frozenset[tuple[str, Any]]], Any] = {}


class _Value:
    """The value of an option, with a hash."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and self.value == other.value


def _frozen(arguments: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    try:
        return frozenset(arguments.items())
    except TypeError:
        # An option has no hash.
        return frozenset(
            (name, _Value(value)) for name, value in arguments.items()
        )


def _make(factory: str, kind: str, arguments: Mapping[str, Any]) -> Any:
    module, _, attribute = factory.partition(":")
    return getattr(import_module(module), attribute)(kind, **arguments)
