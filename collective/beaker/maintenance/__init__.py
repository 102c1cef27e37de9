"""Looking after what is stored: count sessions, remove them, empty caches.

The command, the page and the sweep inside of Zope are made of these functions.
They work while Zope serves.  Options are those of ``ISessionConfig``; what
they leave out has the default.  All functions raise StoreUnavailable for a
store that cannot be used, and CannotMaintain.
"""

import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import Enum
from enum import auto
from itertools import islice
from typing import Any
from typing import NamedTuple
from typing import TypeVar

from beaker.cache import cache_managers
from beaker.cache import cache_regions
from beaker.cache import clsmap
from beaker.container import DBMNamespaceManager
from beaker.container import FileNamespaceManager
from beaker.container import MemoryNamespaceManager
from beaker.ext.database import DatabaseNamespaceManager
from beaker.ext.memcached import MemcachedNamespaceManager
from beaker.ext.mongodb import MongoNamespaceManager
from beaker.ext.redisclusternm import RedisClusterNamespaceManager
from beaker.ext.redisnm import RedisNamespaceManager
from beaker.ext.sqla import SqlaNamespaceManager

from collective.beaker.ids import is_id
from collective.beaker.session.content import has_expired
from collective.beaker.session.content import is_empty
from collective.beaker.session.stored import Session
from collective.beaker.settings.options import CACHE_OPTIONS
from collective.beaker.settings.options import FOLDER_OPTIONS
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import redacted
from collective.beaker.settings.section import Configuration
from collective.beaker.stores import Record
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.base import LEEWAY_SECONDS
from collective.beaker.stores.base import Leftover


SLICE = 100
"""So many records are looked at before a function yields."""

GRACE_SECONDS = LEEWAY_SECONDS
"""A request that began in time may still store a session that has expired."""

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

AGES = (_MINUTE, _HOUR, _DAY, 7 * _DAY, 30 * _DAY)
"""The seconds at which one bar of a chart of ages ends and another begins."""

SIZES = (1024, 10 * 1024, 100 * 1024, 1024 * 1024)
"""The same for sizes, in bytes."""

_MOST_WALKS = 10
"""So often sessions are looked for that change their ids meanwhile."""

_LONG_ID = 40
"""The digits of ids that are no longer made, and of the names of caches."""

_CLEARABLE = {
    FileNamespaceManager: "data_dir",
    DBMNamespaceManager: "data_dir",
    DatabaseNamespaceManager: "table_name",
    RedisNamespaceManager: "url",
    RedisClusterNamespaceManager: "urls",
    MongoNamespaceManager: "url",
}
"""Backends that can remove the values of a region, and the option that keeps
those of one region apart from all others."""

_LOADED = (MemoryNamespaceManager, SqlaNamespaceManager)
"""Backends that keep values in the process."""

Options = Mapping[str, Any]

_Item = TypeVar("_Item")


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


@dataclass
class Survey:
    """How many sessions are stored, how large and how old they are.

    Sizes are bytes as they are stored, and ages seconds.  A chart has one bar
    for each of ``AGES`` or ``SIZES``, and one for what is beyond the last.
    Sessions that have expired or cannot be read are counted among the others.
    """

    sessions: int = 0
    expired: int = 0
    unreadable: int = 0
    empty: int = 0
    """Records that hold no session, and count as none."""

    bytes: int = 0
    largest: int = 0
    oldest: float = 0
    """How long ago the first of them began."""

    idle: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of how long they have not been used."""

    age: list[int] = field(default_factory=lambda: [0] * (len(AGES) + 1))
    """The chart of how long ago they began."""

    size: list[int] = field(default_factory=lambda: [0] * (len(SIZES) + 1))


class _Verdict(Enum):
    """What a sweep thinks of a record."""

    ALIVE = auto()
    UNREADABLE = auto()
    EXPIRED = auto()
    EMPTY = auto()
    OVER = auto()
    """A lock that nobody holds."""

    FOREIGN = auto()
    """A lock that somebody holds, or a file of a cache."""


@dataclass
class Sweep:
    """What a sweep has removed, or with ``dry_run`` would remove, and kept."""

    expired: int = 0
    empty: int = 0
    locks: int = 0
    temporary_files: int = 0
    kept: int = 0
    """Sessions that go on; the unreadable ones are among them."""

    unreadable: int = 0
    used_meanwhile: int = 0
    """Sessions that had expired, but were stored anew before they were
    removed; they are among those that go on."""

    looked_at: int = 0
    """Records and files, of all kinds."""

    @property
    def removed(self) -> int:
        return self.expired + self.empty + self.locks + self.temporary_files


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
        self._timeout, self._absolute_timeout = (
            options[name] and options[name] + grace
            for name in ("timeout", "absolute_timeout")
        )
        if idle is not None:
            _check_idle(options, idle)
            self._timeout = min(idle, self._timeout or idle)
        options |= {"use_cookies": False, "secure": False}
        self._session = Session({}, **options)

    @property
    def ever_expire(self) -> bool:
        """Whether any session ends by itself."""
        return bool(self._timeout or self._absolute_timeout)

    def has_expired(self, data: dict[Any, Any]) -> bool:
        """Tell whether a session with such data has ended by itself."""
        return has_expired(data, self._timeout, self._absolute_timeout)

    @property
    def store(self) -> Store:
        return self._session.store

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
            data = self._session.data_of(record)
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


def within(
    seconds: float, results: Iterator[_Item]
) -> tuple[_Item | None, bool]:
    """Return the last result that came in time, and whether it was the last.

    One result, at least, is waited for.
    """
    deadline, result = time.monotonic() + seconds, None
    for result in results:
        if time.monotonic() >= deadline:
            return result, False
    return result, True


# Sessions


def _slices(iterator: Iterator[_Item]) -> Iterator[list[_Item]]:
    while some := list(islice(iterator, SLICE)):
        yield some


def survey(options: Options) -> Iterator[Survey]:
    """Count the stored sessions; yield the result so far, and at last all.

    It is always the same object.
    """
    sessions, found = StoredSessions(options), Survey()
    for findings in _slices(sessions.walk()):
        for each in findings:
            _count(found, each, sessions)
        yield found
    yield found


def _count(
    found: Survey, findings: Findings, sessions: StoredSessions
) -> None:
    data = findings.data
    if data is not None and is_empty(data):
        found.empty += 1
        return
    size = len(findings.record.raw)
    found.sessions += 1
    found.bytes += size
    found.largest = max(found.largest, size)
    found.size[bisect(SIZES, size)] += 1
    if data is None:
        found.unreadable += 1
        return
    now = time.time()
    began = data.get("_creation_time", now)
    used = data.get("_accessed_time", began)
    found.expired += sessions.has_expired(data)
    found.oldest = max(found.oldest, now - began)
    found.age[bisect(AGES, now - began)] += 1
    found.idle[bisect(AGES, now - used)] += 1


def sweep(
    options: Options, idle: int | None = None, dry_run: bool = False
) -> Iterator[Sweep]:
    """Remove what nobody needs; yield the result so far, and at last all.

    That is: sessions that have expired ``GRACE_SECONDS`` ago, or were not used
    for ``idle`` seconds (see StoredSessions), records that hold no session,
    locks that nobody holds, and what killed processes left.  A session that
    is used meanwhile stays, and so does one that cannot be read.  The result
    is always the same object.
    """
    sessions, swept = StoredSessions(options, idle, GRACE_SECONDS), Sweep()
    for records in _slices(sessions.walk_all()):
        swept.looked_at += len(records)
        _sweep_slice(sessions, records, swept, dry_run)
        yield swept
    for leftovers in _slices(sessions.store.clean_up(dry_run)):
        swept.looked_at += len(leftovers)
        swept.locks += leftovers.count(Leftover.LOCK)
        swept.temporary_files += leftovers.count(Leftover.TEMPORARY_FILE)
        yield swept
    yield swept


def _sweep_slice(
    sessions: StoredSessions,
    records: Sequence[tuple[str, Record]],
    swept: Sweep,
    dry_run: bool,
) -> None:
    judged: dict[_Verdict, list[tuple[str, Record]]] = defaultdict(list)
    for name, record in records:
        judged[_judge(sessions, name, record)].append((name, record))
    remove = len if dry_run else sessions.store.remove
    swept.locks += remove(judged[_Verdict.OVER])
    swept.empty += remove(judged[_Verdict.EMPTY])
    expired = judged[_Verdict.EXPIRED]
    removed = remove(expired)
    swept.expired += removed
    if removed < len(expired):
        there = sum(sessions.store.load(id) is not None for id, _ in expired)
        swept.used_meanwhile += there
        swept.kept += there
    swept.unreadable += len(judged[_Verdict.UNREADABLE])
    swept.kept += len(judged[_Verdict.UNREADABLE])
    swept.kept += len(judged[_Verdict.ALIVE])


def _judge(sessions: StoredSessions, name: str, record: Record) -> _Verdict:
    if not is_id(name):
        over = sessions.store.is_over(record)
        return _Verdict.OVER if over else _Verdict.FOREIGN
    found = sessions.look_into(name, record)
    if found is None:
        return _Verdict.FOREIGN
    if found.data is None:
        return _Verdict.UNREADABLE
    if is_empty(found.data):
        return _Verdict.EMPTY
    expired = sessions.has_expired(found.data)
    return _Verdict.EXPIRED if expired else _Verdict.ALIVE


def revoke(options: Options, id: str) -> bool:
    """End the session of an id at once; return whether there was one.

    Raises CannotMaintain for what has not the form of an id.
    """
    if not is_id(id):
        raise CannotMaintain("A session id has 32 hexadecimal digits.")
    sessions = StoredSessions(options)
    record = sessions.store.load(id)
    if record is not None and sessions.look_into(id, record) is None:
        return False
    # Also one that is stored at this moment: it must end.
    sessions.store.delete(id)
    return record is not None


def revoke_all(options: Options) -> Iterator[int]:
    """End all sessions; yield how many so far, and at last all.

    One that changes its id meanwhile does not escape.  Those that begin
    meanwhile may be ended, too, or stay.
    """
    sessions, start, number = StoredSessions(options), time.time(), 0
    for walk in range(_MOST_WALKS):
        before = number
        for findings in _slices(sessions.walk()):
            ended = [
                (found.id, found.record)
                for found in findings
                if not walk or _began(found) <= start
            ]
            _remove_all(sessions.store, ended)
            number += len(ended)
            yield number
        if number == before:
            break
    yield number


def _remove_all(store: Store, records: Sequence[tuple[str, Record]]) -> None:
    """Remove records, also those that were changed meanwhile."""
    if store.remove(records) < len(records):
        for id, _ in records:
            store.delete(id)


def _began(found: Findings) -> float:
    return (found.data or {}).get("_creation_time", 0)


# Caches


def cache_store(options: Options) -> Store:
    """Return where caches with certain options are stored.

    ``options`` are all those of a region, or of the caches without one.
    """
    kind = options["type"]
    of_store = {
        name: value
        for name, value in options.items()
        if name not in CACHE_OPTIONS or name in FOLDER_OPTIONS
    }
    timeout = SESSION_DEFAULTS["socket_timeout"]
    return find_store(kind, clsmap[kind], of_store, timeout)


def clear_region(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> int:
    """Remove all values of one cache region, and nothing else.

    ``in_force`` are options of sessions beside those of the configuration.

    Returns how many pieces were removed: keys or documents, files or rows.
    A region in memory is cleared in this process.

    Raises what ``check_can_clear`` does.
    """
    check_can_clear(configuration, region, in_force)
    options = _region(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        return _clear_loaded(region, options)
    number = cache_store(options).clear_caches()
    _clear_loaded(region, options)
    return number


def check_can_clear(
    configuration: Configuration,
    region: str,
    in_force: Sequence[Options] = (),
) -> None:
    """Raise CannotMaintain if a cache region cannot be cleared.

    That is where its store does not tell the region apart from other caches
    or from sessions.  See ``clear_region``.
    """
    options = _region(configuration, region)
    others = _others(configuration, region)
    if clsmap[options["type"]] is MemoryNamespaceManager:
        _check_is_apart(region, options, others)
        return
    _check_lists(region, options)
    store = cache_store(options)
    sessions = [configuration.session or {}, *in_force]
    for name, other in _stores(others, sessions):
        if type(store) is type(other) and store.place == other.place:
            raise CannotMaintain(_shared(region, options, name))


def _region(configuration: Configuration, region: str) -> Options:
    regions = (configuration.cache or {}).get("cache_regions", {})
    if region in regions:
        return regions[region]
    known = ", ".join(regions) or "none"
    raise CannotMaintain(
        f"There is no cache region {region!r}; cache.regions has: {known}."
    )


def _check_lists(region: str, options: Options) -> None:
    if clsmap[options["type"]] in _CLEARABLE:
        return
    setting = f"cache.{region}.type is {options['type']!r}"
    if clsmap[options["type"]] is MemcachedNamespaceManager:
        raise CannotMaintain(
            f"{setting}: memcached cannot list what it stores, and Beaker "
            "would empty the whole server, sessions included. Wait until "
            f"cache.{region}.expire is over, or give the region a memcached "
            "of its own, and restart that one."
        )
    raise CannotMaintain(
        f"{setting}, a store that cannot list what it keeps. "
        f"Wait until cache.{region}.expire is over."
    )


def _others(configuration: Configuration, region: str) -> dict[str, Options]:
    """Return the options of all other caches, by how their settings begin."""
    others = dict(configuration.cache or {})
    regions = others.pop("cache_regions")
    return {"cache": others} | {
        f"cache.{name}": options
        for name, options in regions.items()
        if name != region
    }


def _check_is_apart(
    region: str, options: Options, others: Mapping[str, Options]
) -> None:
    for name, other in others.items():
        if str(options) == str(other):
            raise CannotMaintain(
                f"cache.{region} and {name} have the same options, so that "
                "Beaker takes their values in memory for one cache. Give "
                f"cache.{region}.expire a value of its own."
            )


def _stores(
    caches: Mapping[str, Options], sessions: Sequence[Options]
) -> Iterator[tuple[str, Store]]:
    """Yield the stores of certain caches and sessions."""
    for name, options in caches.items():
        yield name, cache_store(options)
    for options in sessions:
        session = {**SESSION_DEFAULTS, **options}
        if session["type"] != "cookie":
            yield "session", StoredSessions(session).store


def _shared(region: str, options: Options, other: str) -> str:
    option = _CLEARABLE[clsmap[options["type"]]]
    value = redacted(option, options.get(option))
    return (
        f"cache.{region}.{option} is {value!r}, and {other}.{option} the "
        f"same: the values cannot be told apart. Give cache.{region}.{option} "
        "a value of its own."
    )


def _clear_loaded(region: str, options: Options) -> int:
    """Clear what this process has loaded for good; return how many caches.

    Beaker names a cache of a region by its name and the region's options.
    """
    ending = str(cache_regions.get(region, options))
    loaded = [
        cache
        for name, cache in list(cache_managers.items())
        if name == f"{cache.namespace_name}{ending}"
        and isinstance(cache.namespace, _LOADED)
    ]
    for cache in loaded:
        cache.clear()
    return len(loaded)
