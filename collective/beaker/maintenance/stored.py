"""The stored sessions of a configuration, as maintenance sees them.

Options are those of ``ISessionConfig``; an option that is missing has its
default.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from collective.beaker.ids import LONGEST_ID
from collective.beaker.ids import is_id
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.moves import end_session
from collective.beaker.session.moves import follow
from collective.beaker.session.policy import make_policy
from collective.beaker.session.times import Timeouts
from collective.beaker.settings.backends import Backend
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import with_defaults
from collective.beaker.stores import Record
from collective.beaker.stores import Store
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.failures import failing_late


Options = Mapping[str, Any]
"""Option names, without their prefix, and values of various types."""


_MOST_PROBLEMS = 10
"""How many records that cannot be read are named."""

_SHOWN_DIGITS = 8
"""How many digits of an id name a record.  What is left is still a secret."""


class CannotMaintain(Exception):
    """A store or a configuration does not allow the operation.

    The message names the setting and the remedy.
    """


class InspectedRecord(NamedTuple):
    """A record of a session, and its data."""

    id: str
    record: Record
    data: dict[Any, Any] | None
    """The data of the session, or None if it cannot be read."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class SessionInspector:
    """Reads the stored sessions of a configuration.

    With ``idle``, a session expires after that many seconds without use, even
    if ``timeout`` is longer or not set.  ``grace`` adds that many seconds to
    ``timeout`` and ``absolute_timeout``.

    Raises CannotMaintain if the sessions are not in a store, or if the time of
    their last use is not stored precisely enough for ``idle``.
    """

    def __init__(
        self, options: Options, idle: int | None = None, grace: int = 0
    ):
        options = with_defaults(options)
        self._backend = _stored_backend(options)
        timeout, absolute_timeout = (
            options[name] and options[name] + grace
            for name in ("timeout", "absolute_timeout")
        )
        if idle is not None:
            _check_idle(options, idle)
            timeout = min(idle, timeout or idle)
        self._timeouts = Timeouts(timeout, absolute_timeout)
        self.problems: list[str] = []
        """The first records that could not be read, and why not."""

        self._policy = make_policy(options)

    @property
    def any_can_expire(self) -> bool:
        """Whether sessions expire at all."""
        return bool(self._timeouts.idle or self._timeouts.absolute)

    def has_expired(self, data: dict[Any, Any]) -> bool:
        """Tell whether a session with this data has expired."""
        return self._timeouts.have_ended(data)

    def marks_of_user(self, user: str) -> list[str]:
        """Return what the sessions of a user may hold of the user.

        Raises CannotMaintain if sessions know no users.
        """
        owners = self._policy.owners
        if not owners.matter:
            raise CannotMaintain(
                f"session.login_policy is {owners.login_policy!r}, so that "
                "sessions do not know their users. Set it to bind or rotate; "
                "until then, only all sessions can be ended."
            )
        return owners.marks(user)

    def tokens(self, id: str) -> list[str]:
        """Return what names a session to its user: the current token first."""
        return self._policy.owners.tokens(id)

    @property
    def store(self) -> Store:
        """The store of the sessions."""
        return self._policy.store

    def end(self, ids: Iterable[str]) -> int:
        """End sessions, wherever they move; return how many there were.

        If one cannot be ended, the others are, and then StoreUnavailable is
        raised.
        """
        number = 0
        with failing_late(StoreUnavailable) as step:
            for id in ids:
                with step():
                    number += end_session(self._policy, id)
        return number

    def follow(self, id: str) -> Iterator[InspectedRecord]:
        """Yield the session that is, or was, under an id, where it is now."""
        if not is_id(id):
            return
        for place, record in follow(self._policy, id):
            if inspected := self.inspect(place, record):
                yield inspected

    def estimate(self) -> int:
        """Return roughly how many records there are; 0 if unknown."""
        return self.store.estimate() or 0

    def walk_all(self) -> Iterator[tuple[str, Record]]:
        """Yield names and records, as the store does.

        Raises CannotMaintain if the store cannot list its records.
        """
        try:
            yield from self.store.walk_all()
        except NotImplementedError:
            raise CannotMaintain(
                f"session.type is {self.store.kind!r}, a store that cannot "
                f"list its sessions. {self._backend.session_remedy}"
            ) from None

    def load(self, id: str) -> InspectedRecord | None:
        """Return the record of a session, with its data, if there is one."""
        record = self.store.load(id) if is_id(id) else None
        return None if record is None else self.inspect(id, record)

    def inspect(self, id: str, record: Record) -> InspectedRecord | None:
        """Return a record with its data; None if it is not a session's.

        A cache in the same folder may have a file with the name of a long id.
        """
        reason = ""
        try:
            text = self.store.payload(record)
            data = {} if text is None else self._policy.codec.decode(text)
            self.has_expired(data)
        except Exception as error:
            # Of any type: a former key, a missing class, damaged data.
            data, reason = None, type(error).__name__
        if not data and len(id) == LONGEST_ID:
            return None
        if data is None and len(self.problems) < _MOST_PROBLEMS:
            reason = "no record" if record == UNREADABLE else reason
            self.problems.append(f"{id[:_SHOWN_DIGITS]}... ({reason})")
        return InspectedRecord(id, record, data)

    def inspect_all(self) -> Iterator[InspectedRecord]:
        """Yield the records of all sessions, with their data.

        Raises CannotMaintain if the store cannot list its records.
        """
        for name, record in self.walk_all():
            if is_id(name) and (inspected := self.inspect(name, record)):
                yield inspected


def _stored_backend(options: Options) -> Backend:
    """Return the backend; raise CannotMaintain if it has no store."""
    setting = f"session.type is {kind_of(options)!r}"
    try:
        backend = backend_of(options)
    except LookupError as error:
        raise CannotMaintain(f"{setting}: {error}.") from None
    if backend.in_browser:
        raise CannotMaintain(
            f"{setting}: the sessions are in the visitors' browsers. "
            f"{backend.session_remedy}"
        )
    return backend


def _check_idle(options: Options, idle: int) -> None:
    if not options["save_accessed_time"]:
        raise CannotMaintain(
            "session.save_accessed_time is off, so the time of a session's "
            "last use is not stored. Remove that setting, or do not give "
            "--idle."
        )
    resolution = options["resolution_seconds"]
    if idle <= resolution:
        raise CannotMaintain(
            f"The idle time is {idle} seconds, but the time of last use is "
            f"stored only every {resolution} seconds "
            "(session.resolution_seconds). Give --idle a longer time."
        )
