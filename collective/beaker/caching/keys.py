"""What a key is made of: the arguments of a call, as exact bytes.

Two calls have one key only if their arguments are equal in value and in type:
``1``, ``1.0``, ``True`` and ``"1"`` are four keys.  Bytes of one value never
continue in those of the next, as each says how long it is.
"""

import struct
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from datetime import tzinfo
from decimal import Decimal
from enum import Enum
from enum import Flag
from hashlib import blake2b
from inspect import Parameter
from inspect import signature
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo


SAFE_TYPES = (
    "None, bool, int, float, complex, str, bytes, dates and times, Decimal, "
    "UUID, members of an enumeration, and tuples, lists, sets and "
    "dictionaries of these"
)

OBJECTS = frozenset({"context", "request", "view"})
"""Names of parameters whose objects ``vary`` speaks for."""

Encoder = Callable[[Any], bytes]


def encode(value: Any) -> bytes:
    """Return bytes that no other value has, nor one of another type.

    Raises TypeError for a value that has no safe key.
    """
    try:
        return _encoder_of(value)(value)
    except RecursionError:
        raise TypeError("contains itself, or too many levels") from None


LONGEST = 1000
"""The number of bytes of the longest key that is remembered as it is."""


def digest_of(key: bytes) -> bytes:
    """Return what takes the place of a long key; no other key begins so."""
    return b"#" + blake2b(key).digest()


def _encoder_of(value: Any) -> Encoder:
    # Not for subclasses: they may hold more than what is encoded.
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder
    if isinstance(value, Enum):
        return _encode_member
    kind = type(value)
    raise TypeError(f"is of type {kind.__module__}.{kind.__qualname__}")


def _framed(mark: bytes, content: bytes) -> bytes:
    return b"%b%d:%b" % (mark, len(content), content)


def _encode_none(value: None) -> bytes:
    return b"n"


def _encode_bool(value: bool) -> bytes:
    return b"t" if value else b"f"


def _encode_int(value: int) -> bytes:
    # In hexadecimal: long numbers have no limit there, and take no time.
    return b"i%x;" % value


def _encode_float(value: float) -> bytes:
    return struct.pack(">cd", b"r", value)


def _encode_complex(value: complex) -> bytes:
    return struct.pack(">cdd", b"c", value.real, value.imag)


def _encode_text(value: str) -> bytes:
    content = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(content), content)


def _encode_bytes(value: bytes) -> bytes:
    return _framed(b"b", value)


def _encode_uuid(value: UUID) -> bytes:
    return b"u" + value.bytes


def _encode_decimal(value: Decimal) -> bytes:
    return _framed(b"m", str(value).encode())


def _encode_date(value: date) -> bytes:
    return _framed(b"y", value.isoformat().encode())


def _encode_timedelta(value: timedelta) -> bytes:
    return b"p%d,%d,%d;" % (value.days, value.seconds, value.microseconds)


def _encode_datetime(value: datetime) -> bytes:
    return _framed(b"z", _moment(value))


def _encode_time(value: time) -> bytes:
    return _framed(b"h", _moment(value))


def _moment(value: datetime | time) -> bytes:
    shown = value.replace(tzinfo=None).isoformat().encode()
    return b"%b %d %b" % (shown, value.fold, _zone(value))


def _zone(value: datetime | time) -> bytes:
    """Return the rules of a time zone, and what holds at this moment.

    Two moments may be equal and be shown differently.
    """
    zone = value.tzinfo
    if zone is None:
        return b"n"
    return encode((_name_of(zone), value.utcoffset(), value.tzname()))


def _name_of(zone: tzinfo) -> str:
    if type(zone) is timezone:
        return ""
    # ZoneInfo has its name in ``key``, pytz in ``zone``.
    attribute = "key" if isinstance(zone, ZoneInfo) else "zone"
    name = getattr(zone, attribute, None)
    if not isinstance(name, str):
        raise TypeError("has a time zone without a name")
    return f"{attribute} {name}"


def _encode_member(value: Enum) -> bytes:
    kind = type(value)
    # A combination of flags may have no name.
    name = value.value if isinstance(value, Flag) else value.name
    return _framed(b"e", encode((kind.__module__, kind.__qualname__, name)))


def _encode_each(mark: bytes, values: Iterable[Any]) -> bytes:
    parts = [_encoder_of(value)(value) for value in values]
    return b"%b%d:%b" % (mark, len(parts), b"".join(parts))


def _encode_tuple(value: tuple[Any, ...]) -> bytes:
    return _encode_each(b"T", value)


def _encode_list(value: list[Any]) -> bytes:
    return _encode_each(b"L", value)


def _sorted(mark: bytes, parts: Collection[bytes]) -> bytes:
    return b"%b%d:%b" % (mark, len(parts), b"".join(sorted(parts)))


def _encode_set(value: set[Any]) -> bytes:
    return _sorted(b"S", [_encoder_of(member)(member) for member in value])


def _encode_frozenset(value: frozenset[Any]) -> bytes:
    return _sorted(b"F", [_encoder_of(member)(member) for member in value])


def _encode_dict(value: dict[Any, Any]) -> bytes:
    return _sorted(
        b"D",
        [
            _encoder_of(key)(key) + _encoder_of(item)(item)
            for key, item in value.items()
        ],
    )


_ENCODERS: dict[type, Encoder] = {
    type(None): _encode_none,
    bool: _encode_bool,
    int: _encode_int,
    float: _encode_float,
    complex: _encode_complex,
    str: _encode_text,
    bytes: _encode_bytes,
    UUID: _encode_uuid,
    Decimal: _encode_decimal,
    date: _encode_date,
    datetime: _encode_datetime,
    time: _encode_time,
    timedelta: _encode_timedelta,
    tuple: _encode_tuple,
    list: _encode_list,
    set: _encode_set,
    frozenset: _encode_frozenset,
    dict: _encode_dict,
}


class Arguments:
    """The arguments of one function, as its signature binds them.

    ``self`` and ``cls`` are left out, as are objects that the parameters
    in ``objects`` name: somebody else says what matters about them.
    """

    def __init__(
        self, function: Callable[..., Any], objects: Collection[str] = ()
    ):
        self._signature = signature(function)
        self._function = function.__qualname__
        parameters = list(self._signature.parameters.values())
        self.is_method = _is_method(parameters)
        self.owner = parameters[0].name if self.is_method else ""
        self._first = int(self.is_method)
        self._parameters = parameters[self._first :]
        self.names = [parameter.name for parameter in self._parameters]
        self._objects = frozenset(self.names) & frozenset(objects)
        # Most calls name no argument: they need no binding.
        self._is_plain = all(map(_is_plain, parameters))
        self._number = len(parameters)
        self._defaults = [parameter.default for parameter in parameters]
        self._required = self._defaults.count(Parameter.empty)
        is_simple = self._is_plain and not self.is_method
        self._number_of_most = self._number if is_simple else -1

    def positions_of(self, *names: str) -> dict[str, int]:
        """Return where parameters are that need not be given by name."""
        positional = [
            name
            for name, parameter in self._signature.parameters.items()
            if _is_plain(parameter)
        ]
        return {
            name: positional.index(name)
            for name in names
            if name in positional
        }

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return the key of a call.

        Raises TypeError if the call does not fit the signature, or if an
        argument has no safe key.
        """
        if kwargs or len(args) != self._number_of_most:
            values = self._bind(args, kwargs)
        else:
            values = args
        try:
            if len(values) == 1:
                return _ENCODERS[type(values[0])](values[0])
            return b"".join([_ENCODERS[type(v)](v) for v in values])
        except (KeyError, TypeError, RecursionError):
            return self._key_of_uncommon(values)

    def _bind(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Return the values of all parameters but ``self``, in their order."""
        given = len(args)
        if kwargs or not self._is_plain:
            return self._bind_uncommon(args, kwargs)
        if given == self._number:
            return args[1:] if self._first else args
        if self._required <= given < self._number:
            return (*args[self._first :], *self._defaults[given:])
        return self._bind_uncommon(args, kwargs)

    def _bind_uncommon(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, ...]:
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._function}(): {error}") from None
        bound.apply_defaults()
        return tuple(bound.arguments.values())[self._first :]

    def _key_of_uncommon(self, values: tuple[Any, ...]) -> bytes:
        parts = []
        for name, value in zip(self.names, values, strict=True):
            try:
                parts.append(encode(value))
            except TypeError as error:
                if name not in self._objects:
                    raise TypeError(self._refusal(name, error)) from None
                parts.append(b"o")
        return b"".join(parts)

    def _refusal(self, name: str, reason: TypeError) -> str:
        return (
            f"The argument {name!r} of {self._function}() {reason}. "
            "It has no safe key. Pass what the result depends on instead, "
            f"such as an id or a path (safe are {SAFE_TYPES}), or name the "
            "parameter 'context', 'request' or 'view' and say in vary= what "
            "matters about it."
        )


def _is_method(parameters: list[Parameter]) -> bool:
    return bool(parameters) and parameters[0].name in ("self", "cls")


def _is_plain(parameter: Parameter) -> bool:
    return parameter.kind in (
        Parameter.POSITIONAL_ONLY,
        Parameter.POSITIONAL_OR_KEYWORD,
    )
