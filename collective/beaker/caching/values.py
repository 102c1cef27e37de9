"""What a store keeps for one value of a cache."""

import hmac
import pickle
from collections.abc import AsyncIterator
from collections.abc import Awaitable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import islice
from typing import Any
from typing import NamedTuple

from Acquisition import aq_base
from zope.publisher.interfaces import IRequest
from ZPublisher.BaseResponse import BaseResponse
from ZTUtils.Lazy import Lazy

from collective.beaker.blobs import refuse_blobs
from collective.beaker.interfaces import ISession
from collective.beaker.stores.base import CLOCK_LEEWAY


class CachedValue(NamedTuple):
    """A value, and what tells whether it may still be used."""

    value: Any

    stored: float
    """When it was stored: seconds since 1970."""

    expire: float | None
    """After how many seconds it expires; None if never."""

    took: float
    """For how many seconds it was computed."""

    generations: tuple[bytes, ...]
    """The generations of its region and its cache when it was computed.  It
    is dropped as soon as one of them is another."""

    snapshot: tuple[bytes, bytes] | None
    """The transaction id of what it was computed from, and the time of that,
    if they are known, as hexadecimal digits.  It is dropped as soon as one of
    its tags, or of those that are dropped by time, has a larger number."""

    as_beakers: tuple[float, float | None, Any] | None = None
    """In memory only: when it was stored, its expire and the value, in the
    form in which Beaker takes them, so that no hit has to make one."""

    def has_expired(self, now: float, stale: float = 0) -> bool:
        """Tell whether it expired more than ``stale`` seconds ago.

        So has one that was stored in the future: nobody knows when it ends,
        nor whether it is older than what was dropped since.
        """
        if self.is_of_future(now):
            return True
        return self.expire is not None and (
            now - self.stored >= self.expire + stale
        )

    def is_of_future(self, now: float) -> bool:
        """Tell whether it was stored by a clock that was far ahead."""
        return self.stored > now + CLOCK_LEEWAY


class Mark(NamedTuple):
    """What stands in the place of a value that was invalidated.

    No value that was computed from an older snapshot is stored there.
    """

    number: int
    """The transaction id of the commit that invalidated the value."""


class NotSigned(ValueError):
    """A record is not signed with our key."""


class NotShared(TypeError):
    """A value belongs to one request."""


class Codec:
    """Between values and the records that a store keeps.

    With keys, records are signed with the first of them, and accepted if they
    are signed with any.  The signature covers the name of the record, so that
    nobody can put one in the place of another.
    """

    def __init__(self, keys: Sequence[bytes] = ()):
        self._keys = keys
        self._header = _SIGNED if keys else _UNSIGNED

    def encode(self, name: str, cached: CachedValue) -> bytes:
        """Return the record of a value; raise any exception if it has none."""
        # As a plain tuple: a record does not name this class.
        data = pickle.dumps(cached[:_FIELDS], pickle.HIGHEST_PROTOCOL)
        refuse_blobs(cached.value, data)
        return self._header + self._sign(name, data) + data

    def decode(self, name: str, record: bytes) -> CachedValue | Mark:
        """Return what a record holds.

        Nothing in it is executed unless it is signed with one of the keys, or
        there are none.  Raises NotSigned, and any exception if it cannot be
        read.
        """
        if len(record) == _DIGITS:
            return _mark_of(record)
        start = len(self._header)
        if record[:start] != self._header:
            raise NotSigned("The record has another form.")
        if self._keys:
            start += _SIGNATURE
            self._check(
                name, record[start - _SIGNATURE : start], record[start:]
            )
        return CachedValue(*pickle.loads(memoryview(record)[start:]))

    def _sign(self, name: str, data: bytes) -> bytes:
        return _signature(self._keys[0], name, data) if self._keys else b""

    def _check(self, name: str, signature: bytes, data: bytes) -> None:
        for key in self._keys:
            expected = _signature(key, name, data)
            if hmac.compare_digest(expected, signature):
                return
        raise NotSigned("The record has the signature of another key.")


class ObjectCodec(Codec):
    """For a store that keeps the objects themselves."""

    def encode(self, name: str, cached: CachedValue) -> Any:
        if any(map(_is_for_one_caller, _value_and_members(cached.value))):
            raise NotShared
        as_beakers = cached.stored, cached.expire, cached.value
        return cached._replace(as_beakers=as_beakers)

    def decode(self, name: str, record: Any) -> CachedValue | Mark:
        if isinstance(record, bytes):
            return _mark_of(record)
        found: CachedValue = record
        return found


def _mark_of(record: bytes) -> Mark:
    return Mark(int(record, 16))


def _is_for_one_caller(value: Any) -> bool:
    """Tell whether an object is of no use, or even harmful, to others.

    It is a request, its response or its session, an object of the ZODB, or
    wrapped in a request, as brains are; or the result of a search, which makes
    brains; or an iterator or a coroutine, which can be used only once.
    """
    return (
        isinstance(value, _FOR_ONE_CALLER)
        or aq_base(value) is not value
        or getattr(value, "_p_jar", None) is not None
        or IRequest.providedBy(value)
        or ISession.providedBy(value)
    )


def _value_and_members(value: Any) -> Iterable[Any]:
    """Yield a value, its members and theirs, as in a list of dictionaries.

    Not all of them, but the first ones in each: the others are alike.
    """
    found = [value]
    for each in found:
        yield each
        if len(found) < _MOST:
            found.extend(_some_members(each))


def _some_members(value: Any) -> Iterable[Any]:
    """Return the first members of a collection."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return ()
    return islice(value, _SOME)


_FOR_ONE_CALLER = (AsyncIterator, Awaitable, BaseResponse, Iterator, Lazy)

_SOME = 10
"""How many members of a collection are looked at."""

_MOST = 100
"""Once so many objects are found, no more collections are looked into."""

_UNSIGNED = b"\0cache1\0"
_SIGNED = b"\0cache1s"
"""What records begin with.  The number is that of their form."""

_FIELDS = 6
"""How many fields of a value are stored: all but the last."""

_SIGNATURE = 32
"""The number of bytes of a signature."""

_DIGITS = 16
"""The number of bytes of a mark, which are hexadecimal digits."""

_PURPOSE = b"collective.beaker: values of caches"
"""What makes the key from a secret, which may have other purposes, too."""


def make_codec(secrets: Sequence[str]) -> Codec:
    """Return a codec that signs with the first of these secrets."""
    return Codec([_key(secret) for secret in secrets])


def _key(secret: str) -> bytes:
    return hmac.digest(
        secret.encode("utf-8", "surrogatepass"), _PURPOSE, "sha256"
    )


def _signature(key: bytes, name: str, data: bytes) -> bytes:
    # No name contains a NUL.
    return hmac.digest(key, b"%b\0%b" % (name.encode("ascii"), data), "sha256")
