"""What stores of sessions and of values share: how they deal with failures."""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import TypeVar
from weakref import WeakSet

from collective.beaker.forks import in_forked_child
from collective.beaker.interfaces import StoreFull
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.settings.options import redacted
from collective.beaker.stores.circuit import PAUSE_SECONDS
from collective.beaker.stores.circuit import Circuit
from collective.beaker.stores.failures import causes
from collective.beaker.stores.failures import is_full
from collective.beaker.stores.failures import lacks_host
from collective.beaker.stores.failures import reason_of


_Result = TypeVar("_Result")

_NO_MORE: Any = object()
"""What stands for an item after the last one."""


_all: "WeakSet[Guarded]" = WeakSet()
"""All stores of this process."""


@in_forked_child
def _after_fork() -> None:
    # A session or a region may have kept its store.
    for store in list(_all):
        store.after_fork()


class Guarded:
    """Raises StoreUnavailable for whatever means that a store fails.

    In ``failures`` a subclass names the exceptions that its operations raise
    if the store cannot be used, and in ``time_outs`` those which, as they are
    or as a cause, mean that somebody waited in vain.
    """

    failures: tuple[type[Exception], ...] = ()
    time_outs: tuple[type[Exception], ...] = (TimeoutError,)

    def __init__(self, kind: str, address: Any = ""):
        self.kind = kind
        self.address = redacted("url", address)
        self._circuit = Circuit()
        _all.add(self)

    def after_fork(self) -> None:
        """Share nothing with the process that was forked."""
        self._circuit = Circuit()
        self._drop_connections()

    def _drop_connections(self) -> None:
        """Have no thread use a connection any more that it has now.

        It may lead to a server that has been replaced, or belong to the
        process that was forked.  Where a client library sees to that, there
        is nothing to do.
        """

    def _guarded(
        self, operation: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        """Return the result of an operation on the store.

        Raises StoreUnavailable if it fails, and at once if the store did not
        answer a moment ago.
        """
        if self._circuit.is_open:
            return self._try(operation, arguments)
        return self._run_guarded(operation, arguments)

    def _try(
        self, operation: Callable[..., _Result], arguments: tuple[Any, ...]
    ) -> _Result:
        """Find out for all others whether the store answers again."""
        with self._circuit.trial() as may_try:
            if may_try:
                result = self._run_guarded(operation, arguments)
                self._circuit.close()
                return result
        reason = "it did not answer, and is left alone for"
        reason = f"{reason} {PAUSE_SECONDS} seconds"
        raise StoreUnavailable(self.kind, self.address, reason)

    def _run_guarded(
        self, operation: Callable[..., _Result], arguments: tuple[Any, ...]
    ) -> _Result:
        openings = self._circuit.openings
        try:
            return operation(*arguments)
        except StoreUnavailable:
            raise
        except self.failures as error:
            unavailable = self._failed(error, openings)
        # This is raised outside of the except clause, because the error may
        # hold an id, data or a password, and would be attached.
        raise unavailable

    def _failed(self, error: Exception, openings: int) -> StoreUnavailable:
        """Note how the store failed; return what to raise.

        ``openings`` is how often the circuit had been opened when the
        operation began.
        """
        if not self._waited_in_vain(error):
            self._circuit.close()
        elif openings == self._circuit.openings:
            # Whoever began before has no news of the server.  Connections of
            # other threads may lead nowhere, too, and each of them would find
            # that out by a time-out of its own.
            self._drop_connections()
            self._circuit.open()
        failure = StoreFull if is_full(error) else StoreUnavailable
        return failure(self.kind, self.address, self._reason(error))

    def _waited_in_vain(self, error: Exception) -> bool:
        return lacks_host(error) or any(
            isinstance(cause, self.time_outs) for cause in causes(error)
        )

    def _guarded_items(self, items: Iterator[_Result]) -> Iterator[_Result]:
        """Yield what an iterator yields.

        Raises StoreUnavailable if it fails.
        """
        while (item := self._guarded(next, items, _NO_MORE)) is not _NO_MORE:
            yield item

    def _reason(self, error: BaseException) -> str:
        """Return why the store fails, without what an error quotes."""
        return reason_of(error)
