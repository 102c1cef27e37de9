"""The stored sessions of a configuration, as maintenance sees them.

Options are those of ``ISessionConfig``; what they leave out has the default.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from collective.beaker.ids import is_id
from collective.beaker.session.policy import make_policy
from collective.beaker.session.times import Timeouts
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.stores import Record
from collective.beaker.stores import Store


_LONG_ID = 40
"""The digits of ids that are no longer made, and of the names of caches."""

Options = Mapping[str, Any]


class CannotMaintain(Exception):
    """A store or a configuration does not allow what was asked for.

    The message names the setting and the remedy.
    """


class Findings(NamedTuple):
    """What is found out about one record."""

    id: str
    record: Record
    data: dict[Any, Any] | None
    """What it holds, or None if it cannot be read."""


class StoredSessions:
    """The stored sessions of a configuration.

    With ``idle`` a session expires after so many seconds without use, also
    where ``timeout`` gives it more time, or any.  The timeouts themselves are
    longer by ``grace`` seconds.

    Raises CannotMaintain if sessions are not in a store, or the time of their
    use is not known well enough for ``idle``.
    """

    def __init__(
        self, options: Options, idle: int | None = None, grace: int = 0
    ):
        options = {**SESSION_DEFAULTS, **options}
        if options["type"] == "cookie":
            raise CannotMaintain(
                "session.type is 'cookie': the sessions are in the visitors' "
                "browsers. Change session.validate_key to end them all."
            )
        timeout, absolute_timeout = (
            options[name] and options[name] + grace
            for name in ("timeout", "absolute_timeout")
        )
        if idle is not None:
            _check_idle(options, idle)
            timeout = min(idle, timeout or idle)
        self._timeouts = Timeouts(timeout, absolute_timeout)
        self._policy = make_policy(options)

    @property
    def ever_expire(self) -> bool:
        """Whether any session ends by itself."""
        return bool(self._timeouts.idle or self._timeouts.absolute)

    def has_expired(self, data: dict[Any, Any]) -> bool:
        """Tell whether a session with such data has ended by itself."""
        return self._timeouts.have_ended(data)

    @property
    def store(self) -> Store:
        return self._policy.store

    def estimate(self) -> int:
        """Return about how much there is to look at; 0 if nobody knows."""
        return self.store.estimate() or 0

    def walk_all(self) -> Iterator[tuple[str, Record]]:
        """Yield names and records as the store does.

        Raises CannotMaintain where it cannot list them.
        """
        try:
            yield from self.store.walk_all()
        except NotImplementedError:
            raise CannotMaintain(
                f"session.type is {self.store.kind!r}, a store that cannot "
                f"list its sessions. {_remedy(self.store.kind)}"
            ) from None

    def look_into(self, id: str, record: Record) -> Findings | None:
        """Return what is known of a record; None if it is none of ours.

        A file of a cache may be in the same folder, under such a name.
        """
        try:
            text = self.store.payload(record)
            data = {} if text is None else self._policy.codec.decode(text)
            self.has_expired(data)
        except Exception:
            # Whatever it is: a former key, a class that is gone, garbage.
            data = None
        foreign = not data and len(id) == _LONG_ID
        return None if foreign else Findings(id, record, data)

    def walk(self) -> Iterator[Findings]:
        """Yield what is known of each record that is not a lock."""
        for name, record in self.walk_all():
            if is_id(name) and (found := self.look_into(name, record)):
                yield found


def _check_idle(options: Options, idle: int) -> None:
    if not options["save_accessed_time"]:
        raise CannotMaintain(
            "session.save_accessed_time is off, so that nobody knows when a "
            "session was used. Remove that setting, or give no idle time."
        )
    resolution = options["resolution_seconds"]
    if idle <= resolution:
        raise CannotMaintain(
            f"The idle time is {idle} seconds, and the time of use is stored "
            f"every {resolution} seconds only (session.resolution_seconds). "
            "Give a longer one."
        )


def _remedy(kind: str) -> str:
    if kind == "ext:memcached":
        return (
            "memcached removes by itself what has expired, if session.timeout "
            "is set. To end all sessions change session.secret."
        )
    return "Ask its documentation what removes them."
