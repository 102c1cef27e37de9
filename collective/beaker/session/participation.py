"""The session as a part of the request's transaction."""

from typing import Any
from typing import Protocol

import transaction
from transaction.interfaces import IDataManagerSavepoint
from transaction.interfaces import ISavepointDataManager
from transaction.interfaces import ITransaction
from transaction.interfaces import TransactionFailedError
from zope.interface import implementer


class Participant(Protocol):
    """What a session must do to take part in a transaction."""

    def prepare(self) -> None:
        """Make sure that ``finish`` will succeed, or raise."""

    def finish(self) -> None:
        """Store what was prepared."""

    def roll_back(self) -> None:
        """Forget everything, including what was prepared."""

    def snapshot(self) -> Any:
        """Return what ``restore`` needs to bring back this state."""

    def restore(self, snapshot: Any) -> None:
        """Bring back an earlier state."""


def join(session: Participant) -> bool:
    """Have a session take part in the current transaction.

    One that has failed takes no part any more, but is aborted later.  Returns
    False if it is too late, as the transaction is being committed.
    """
    current = transaction.get()
    try:
        current.join(SessionDataManager(session))
    except TransactionFailedError:
        current.addBeforeAbortHook(session.roll_back)
    except ValueError:
        return False
    return True


@implementer(ISavepointDataManager)
class SessionDataManager:
    """Stores a session if, and only if, the transaction commits."""

    transaction_manager = transaction.manager

    _is_finished = False

    def __init__(self, session: Participant):
        self._session = session

    def abort(self, transaction: ITransaction) -> None:
        # After the hooks that follow a commit, each manager has to abort.
        if not self._is_finished:
            self._session.roll_back()

    def tpc_begin(self, transaction: ITransaction) -> None:
        """Nothing is done before all others have committed."""

    def commit(self, transaction: ITransaction) -> None:
        """See tpc_begin."""

    def tpc_vote(self, transaction: ITransaction) -> None:
        self._session.prepare()

    def tpc_finish(self, transaction: ITransaction) -> None:
        self._session.finish()
        self._is_finished = True

    def tpc_abort(self, transaction: ITransaction) -> None:
        self._session.roll_back()

    def sortKey(self) -> str:
        # It votes last: others that voted after it would prolong its lock.
        return "~~collective.beaker"

    def savepoint(self) -> "SessionSavepoint":
        return SessionSavepoint(self._session)


@implementer(IDataManagerSavepoint)
class SessionSavepoint:
    """The state of a session at some time."""

    def __init__(self, session: Participant):
        self._session = session
        self._snapshot = session.snapshot()

    def rollback(self) -> None:
        self._session.restore(self._snapshot)
