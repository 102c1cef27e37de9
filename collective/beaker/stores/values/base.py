"""What all stores of values share: errors, and the tokens of claims."""

import os
import secrets
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any
from typing import TypeVar
from weakref import WeakSet

from zope.interface import implementer

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import IValueStore
from collective.beaker.interfaces import Size
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.settings.options import redacted
from collective.beaker.stores.failures import reason_of


NOTHING: Mapping[str, Any] = MappingProxyType({})
"""No records to keep with a value."""

LONGEST_SECONDS = 30 * 24 * 60 * 60
"""How long a server that forgets by itself keeps what has no end."""

_Result = TypeVar("_Result")

_NO_MORE: Any = object()
"""What stands for an item after the last one."""


_stores: "WeakSet[ValueStore]" = WeakSet()
"""All stores of values of this process."""


def _after_fork() -> None:
    # A region may have kept its store.
    for store in list(_stores):
        store.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@implementer(IValueStore)
class ValueStore(ABC):
    """The base class of all stores of values.  See IValueStore.

    A subclass implements the methods that begin with an underscore.  In
    ``failures`` it names the exceptions that they raise if the store cannot
    be used.
    """

    failures: tuple[type[Exception], ...] = ()
    keeps_objects = False

    def __init__(self, kind: str, address: Any = ""):
        self.kind = kind
        self.address = redacted("url", address)
        _stores.add(self)

    @abstractmethod
    def after_fork(self) -> None:
        """Share nothing with the process that was forked."""

    @property
    def place(self) -> Hashable:
        return self.kind, self.address

    def get(self, names: Sequence[str]) -> dict[str, Any]:
        # What _guarded does, without one more call for each hit.
        try:
            return self._get(names)
        except self.failures as error:
            reason = self._reason(error)
        raise StoreUnavailable(self.kind, self.address, reason)

    def claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        return self._guarded(self._claim, name, names, seconds)

    def renew(self, claim: Claim, seconds: float) -> bool:
        return self._guarded(self._renew, claim, seconds)

    def settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = NOTHING,
    ) -> bool:
        return self._guarded(self._settle, claim, record, seconds, keep)

    def give_up(self, claim: Claim) -> None:
        self._guarded(self._give_up, claim)

    def put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any] = NOTHING,
    ) -> None:
        self._guarded(self._put, name, record, seconds, keep)

    def delete(self, names: Sequence[str]) -> None:
        self._guarded(self._delete, names)

    def raise_number(
        self, name: str, number: int, seconds: float | None
    ) -> None:
        self._guarded(self._raise_number, name, digits(number), seconds)

    def walk(self, prefix: str = "") -> Iterator[str]:
        yield from self._guarded_items(self._walk(prefix))

    def clear(self, prefix: str = "") -> int:
        return self._guarded(self._clear, prefix)

    def sweep(self, dry_run: bool = False) -> Iterator[int]:
        yield from self._guarded_items(self._sweep(dry_run))

    def size(self, prefix: str = "") -> Size | None:
        return self._guarded(self._size, prefix)

    def _guarded(
        self, operation: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        """Return the result of an operation on the store.

        Raises StoreUnavailable if it fails.
        """
        try:
            return operation(*arguments)
        except self.failures as error:
            reason = self._reason(error)
        # This is raised outside of the except clause, because the error may
        # hold names, data or a password, and would be attached.
        raise StoreUnavailable(self.kind, self.address, reason)

    def _guarded_items(self, items: Iterator[_Result]) -> Iterator[_Result]:
        while (item := self._guarded(next, items, _NO_MORE)) is not _NO_MORE:
            yield item

    def _reason(self, error: BaseException) -> str:
        return reason_of(error)

    @abstractmethod
    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        """See IValueStore.get."""

    @abstractmethod
    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        """See IValueStore.claim."""

    @abstractmethod
    def _renew(self, claim: Claim, seconds: float) -> bool:
        """See IValueStore.renew."""

    @abstractmethod
    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        """See IValueStore.settle."""

    @abstractmethod
    def _give_up(self, claim: Claim) -> None:
        """See IValueStore.give_up."""

    @abstractmethod
    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        """See IValueStore.put."""

    @abstractmethod
    def _delete(self, names: Sequence[str]) -> None:
        """See IValueStore.delete."""

    @abstractmethod
    def _raise_number(
        self, name: str, number: bytes, seconds: float | None
    ) -> None:
        """See IValueStore.raise_number; the number is the whole record."""

    def _walk(self, prefix: str) -> Iterator[str]:
        """See IValueStore.walk."""
        raise NotImplementedError

    def _clear(self, prefix: str) -> int:
        """See IValueStore.clear."""
        raise NotImplementedError

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        """See IValueStore.sweep."""
        return iter(())

    def _size(self, prefix: str) -> Size | None:
        """See IValueStore.size."""
        return None


def new_token() -> str:
    """Return a token that no other claim has."""
    return secrets.token_hex(16)


def digits(number: int) -> bytes:
    """Return a number as a record: texts of it sort as numbers do."""
    return b"%016x" % number
