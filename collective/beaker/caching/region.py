"""Cache regions: values that are kept with the same options.

Nothing that goes wrong in a store reaches whoever asks a region for a value:
the value is computed.
"""

import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from secrets import token_hex
from typing import Any
from typing import Protocol

from collective.beaker.caching import debts
from collective.beaker.caching.computing import Computation
from collective.beaker.caching.computing import Flights
from collective.beaker.caching.counters import counters_of
from collective.beaker.caching.errors import log_error
from collective.beaker.caching.names import Wanted
from collective.beaker.caching.names import generation_of
from collective.beaker.caching.names import make_wanted
from collective.beaker.caching.names import name_of_tag
from collective.beaker.caching.names import names_of
from collective.beaker.caching.names import prefix_of
from collective.beaker.caching.snapshots import number_of_time
from collective.beaker.caching.values import CachedValue
from collective.beaker.caching.values import Codec
from collective.beaker.caching.values import Mark
from collective.beaker.caching.values import NotShared
from collective.beaker.caching.values import NotSigned
from collective.beaker.caching.values import ObjectCodec
from collective.beaker.caching.values import make_codec
from collective.beaker.interfaces import StoreFull
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import OWN_CACHE_DEFAULTS
from collective.beaker.settings.readers import former_keys
from collective.beaker.stores.base import CLOCK_LEEWAY
from collective.beaker.stores.values import ValueStore
from collective.beaker.stores.values import find_value_store
from collective.beaker.stores.values.base import digits


LONGEST_STALE = 3600
"""For how many seconds an expired value may be used unless ``stale`` is
set."""

_MOST_NAMES = 2000
"""How many names of values each region remembers."""

MARK_SECONDS = 86400
"""For how long a store knows of a drop, unless a value needs that for longer:
far longer than any transaction takes."""


class Snapshot(Protocol):
    """The state of the database that a transaction sees."""

    @property
    def tid(self) -> int:
        """The id of the last transaction that it includes."""

    @property
    def latest(self) -> int:
        """The id of the last transaction that is known of."""

    @property
    def time(self) -> int:
        """A time when it was there already, in the form of an id."""

    def is_still_clean(self) -> bool:
        """Tell whether what was computed since may be stored."""

    @property
    def is_clean(self) -> bool:
        """Whether it shows only what is committed."""


class Region:
    """The values that are kept with the same options, and how they are got.

    The options are those of zope.conf, without the prefix.  ``name`` is ""
    for the caches without a region.
    """

    def __init__(self, name: str, options: Mapping[str, Any]):
        self.name = name
        self.given = options
        self.options = {**OWN_CACHE_DEFAULTS, **options}
        self.enabled: bool = self.options.get("enabled", True)
        self.expire: float | None = self.options.get("expire")
        self.lock_timeout: float = self.options["lock_timeout"]
        self._stale: float | None = self.options["stale"]
        self._generations: dict[str, bytes] = {}
        self.counters = counters_of(name)
        """What happens is counted without a call, which would be a good part
        of what a hit in memory takes."""

        # What is asked for often needs no digest each time.
        self.wanted = lru_cache(_MOST_NAMES)(self._make_wanted)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what belongs to a parent process, after a fork."""
        self.flights = Flights()
        self._store: ValueStore | None = None
        self._codec: Codec | None = None
        self.wanted.cache_clear()

    # What code asks for

    def value(
        self,
        cache: str,
        key: bytes,
        compute: Callable[[], Any],
        *,
        expire: float | None = None,
        tags: tuple[str, ...] = (),
        time_tags: tuple[str, ...] = (),
        snapshot: Callable[[], Snapshot] | None = None,
    ) -> Any:
        """Return the value with this key, computed if there is none.

        ``cache`` tells the values of one function from those of others.
        ``expire`` is in seconds; None is the region's own.  With 0, and in a
        region that is not enabled, the value is computed each time.

        A value that is there is one round trip to the store.  If it is not,
        one thread of one process computes it, and the others wait for at most
        ``lock_timeout`` seconds.  If it has expired less than ``stale``
        seconds ago, they get the old one.

        ``tags`` and ``time_tags`` are names of what the value is made from,
        and need a ``snapshot``: a function that is called before the value is
        computed.  A value is used as long as its snapshot is not older than
        any of its tags, and the time of that not earlier than any of its time
        tags.  A value that was computed from a snapshot which is not clean, or
        was not until the end, is returned and not stored.

        Raises what ``compute`` raises, and nothing because of the store: what
        cannot be read is computed, and what cannot be stored is returned all
        the same.
        """
        if expire is None:
            expire = self.expire
        if not self.enabled or expire == 0:
            return compute()
        asked = self.wanted(cache, key, tags, time_tags)
        found = self.look(asked)
        # As has_expired() does, without one more call for each hit.
        if found is not None and (
            found.expire is None or time.time() < found.stored + found.expire
        ):
            counters = self.counters
            counters.hits += 1
            counters.saved_seconds += found.took
            return found.value
        seen = None if snapshot is None else snapshot()
        if seen is not None:
            if not seen.is_clean:
                return self._computed_for_itself(compute)
            numbers = digits(seen.tid), digits(seen.time)
            asked = asked._replace(snapshot=numbers)
        computation = Computation(self, asked)
        try:
            old, found = found, computation.begin(found)
            if found is not None:
                self.count("stale" if found is old else "hits")
                self.counters.saved_seconds += found.took
                return found.value
            value = compute()
            if seen is None:
                computation.finish(value, expire)
            elif seen.is_still_clean():
                latest = digits(seen.latest) if tags else b""
                computation.finish(value, expire, latest)
            else:
                computation.finish_without_storing()
            return value
        finally:
            computation.end()

    def invalidate(
        self, cache: str, key: bytes, number: int | None = None
    ) -> bool:
        """Remove the value with this key, and tell whether that is done.

        Nothing that is being computed at this moment is stored.  ``number``
        is the transaction id of the commit that makes the value invalid:
        after that, no value is stored that was computed from an older
        snapshot.

        Nothing is raised.  If the store fails, that is logged, and the store
        is told as soon as it is back.
        """
        name = names_of(self.name, cache).of_value(key)
        try:
            if number is None:
                self.store.delete([name])
            else:
                self.store.raise_numbers([name], number, MARK_SECONDS)
        except StoreUnavailable as error:
            self.failed("keeps a value that was invalidated", str(error))
            debts.owe_number(self, [name], number or 0, MARK_SECONDS)
            if isinstance(error, StoreFull):
                # There is no room for a number, but others get no old value.
                with suppress(StoreUnavailable):
                    self.store.delete([name])
            return False
        return True

    def invalidate_unless_newer(
        self, cache: str, key: bytes, number: int | None
    ) -> bool:
        """Do as ``invalidate`` for a caller who sees no later commit.

        If the value was computed from a later one, nothing older takes its
        place: not what the caller is going to compute, either.
        """
        if number is not None:
            name = names_of(self.name, cache).of_value(key)
            number = max(number, self._commit_of(name))
        return self.invalidate(cache, key, number)

    def get(
        self,
        cache: str,
        key: bytes,
        *,
        tags: tuple[str, ...] = (),
        time_tags: tuple[str, ...] = (),
    ) -> CachedValue | None:
        """Return a value that is there and has not expired, or else None.

        Nothing is raised because of the store, as in ``value``.
        """
        found = None
        if self.enabled:
            found = self.look(self.wanted(cache, key, tags, time_tags))
        if found is None or found.has_expired(time.time()):
            self.count("misses")
            return None
        self.count("hits")
        return found

    def put(
        self,
        cache: str,
        key: bytes,
        value: Any,
        expire: float | None,
        *,
        tags: tuple[str, ...] = (),
        time_tags: tuple[str, ...] = (),
        snapshot: tuple[int, int] | None = None,
        latest: int = 0,
    ) -> bool:
        """Store a value that the caller has, whoever computes it now.

        Returns False if the store failed, which may still have the former
        value.

        With tags, ``snapshot`` is the transaction id of what the value was
        computed from, and the time of that, and ``latest`` the id of the last
        transaction that is known of now.

        Nothing is raised because of the store, as in ``value``.
        """
        if expire == 0:
            return self.invalidate(cache, key)
        asked = self.wanted(cache, key, tags, time_tags)
        if snapshot is not None:
            tid, moment = map(digits, snapshot)
            asked = asked._replace(snapshot=(tid, moment))
        try:
            records = self._read_generations(asked)
            generations = self.generations(asked, records)
            made = CachedValue(
                value, time.time(), expire, 0.0, generations, asked.snapshot
            )
            record = self.encoded(asked.name, made)
            if record is None:
                # The former value is no longer the right one.
                self.store.delete([asked.name])
                return True
            self.store.put(
                asked.name,
                record,
                self.seconds_to_keep(expire),
                self.to_keep(asked, generations, digits(latest)),
            )
            self.have_stored(asked)
        except StoreUnavailable as error:
            self.failed("fails", str(error))
            return False
        return True

    def clear_cache(self, cache: str) -> None:
        """Make all values of one cache invalid, in one step.

        Values that are being computed at this moment are invalid, too.
        Nothing is raised.  If the store fails, that is logged, and the store
        is told as soon as it is back.
        """
        names = names_of(self.name, cache)
        generation = names.generations[1]
        try:
            if self._has_generations():
                self._replace(generation)
            else:
                self.store.clear(names.prefix)
        except StoreUnavailable as error:
            self.failed("keeps values that were invalidated", str(error))
            debts.owe_record(self, generation, _new_generation())

    def clear(self) -> None:
        """Make all values of the region invalid, in one step.

        Values that are being computed at this moment are invalid, too.  The
        store forgets the former ones when they expire; ``remove_all`` removes
        them now.

        Raises StoreUnavailable.
        """
        if self._has_generations():
            self._replace(generation_of(self.name))
        else:
            self.store.clear(prefix_of(self.name))

    def remove_all(self) -> int | None:
        """Do as ``clear``, and remove the values from the store.

        Returns how many there were, or None if the store cannot list them.
        Raises StoreUnavailable.
        """
        failure, removed = None, None
        if self._has_generations():
            try:
                self.clear()
            except StoreUnavailable as error:
                failure = error
        with suppress(NotImplementedError):
            removed = self.store.clear(prefix_of(self.name))
        if failure is not None:
            # A store that was full has room now.
            self.clear()
        return removed

    def count(self, event: str) -> None:
        """Add one to the counter with this name."""
        counters = self.counters
        setattr(counters, event, getattr(counters, event) + 1)

    def count_computation(self, seconds: float) -> None:
        """Count a value that took so many seconds to be computed."""
        self.count("computations")
        self.counters.computation_seconds += seconds

    # What a computation needs

    @property
    def store(self) -> ValueStore:
        """The store; raises StoreUnavailable if it cannot be had now."""
        if self._store is None:
            try:
                self._store = find_value_store(self.options, self.name)
            except LookupError as error:
                kind, reason = kind_of(self.options), str(error)
                raise StoreUnavailable(kind, "", reason) from None
        return self._store

    def _make_wanted(
        self,
        cache: str,
        key: bytes,
        tags: tuple[str, ...] = (),
        time_tags: tuple[str, ...] = (),
    ) -> Wanted:
        names = names_of(self.name, cache)
        return make_wanted(
            names.of_value(key),
            names.generations if self._has_generations() else (),
            tuple(map(name_of_tag, tags)),
            tuple(map(name_of_tag, time_tags)),
        )

    def look(self, asked: Wanted) -> CachedValue | None:
        """Return a value that is valid, or was until some seconds ago."""
        try:
            store = self._store or self.store
            return self.usable(asked, store.get(asked.names))
        except StoreUnavailable as error:
            self.failed("fails", str(error))
            return None

    def usable(
        self, asked: Wanted, records: Mapping[str, Any]
    ) -> CachedValue | None:
        """Return the value among these records if it may be used.

        It may have expired, but was not dropped.
        """
        found = records.get(asked.name)
        if found is None:
            return None
        # In the memory of this process it is the value already.
        if type(found) is not CachedValue:
            found = self._decoded(asked.name, found)
        if not isinstance(found, CachedValue):
            return None
        # Almost always no: then it is not one more call for each hit.
        if id(self._store) in debts.ledger.names and self._owes(asked):
            return None
        if asked.generations and found.generations != tuple(
            map(records.get, asked.generations)
        ):
            return None
        if asked.tags or asked.time_tags:
            tid, moment = found.snapshot or (b"", b"")
            if not (
                _are_older(asked.tags, records, tid)
                and _are_older(asked.time_tags, records, moment)
            ):
                return None
        now, expire = time.time(), found.expire
        age = now - found.stored
        # As has_expired() does, without one more call for each hit.
        if age >= -CLOCK_LEEWAY and (expire is None or age < expire):
            return found
        has_ended = found.has_expired(now, self._stale_seconds(expire))
        return None if has_ended else found

    def is_marked(self, asked: Wanted, records: Mapping[str, Any]) -> bool:
        """Tell whether the value is invalid, as something was dropped later.

        So it is until the store has been told what it has to drop.
        """
        if self._owes(asked):
            return True
        if asked.snapshot is None:
            return False
        tid, moment = asked.snapshot
        if any(records.get(tag, b"") > moment for tag in asked.time_tags):
            return True
        record = records.get(asked.name)
        if record is None:
            return False
        found = self._decoded(asked.name, record)
        if isinstance(found, Mark):
            return found.number > int(tid, 16)
        # A value that has expired may be there in the place of a mark.
        return (
            found is not None
            and found.snapshot is not None
            and found.snapshot[0] > tid
            and not found.is_of_future(time.time())
        )

    def correct_times(self, asked: Wanted, records: Mapping[str, Any]) -> None:
        """Have tags dropped now that a clock far ahead has dropped.

        Otherwise no value with such a tag is valid until that time comes.
        """
        now = time.time()
        future = digits(number_of_time(now + CLOCK_LEEWAY))
        ahead = [
            tag for tag in asked.time_tags if records.get(tag, b"") > future
        ]
        seconds = self.seconds_to_keep(self.expire)
        try:
            for tag in ahead:
                self.store.put(tag, digits(number_of_time(now)), seconds)
        except StoreUnavailable as error:
            self.failed("fails", str(error))

    def generations(
        self, asked: Wanted, records: Mapping[str, Any]
    ) -> tuple[bytes, ...]:
        """Return the generations of today: those in the store, or new ones.

        All threads propose the same new one, until it is stored.
        """
        return tuple(
            records.get(name)
            or self._generations.setdefault(name, _new_generation())
            for name in asked.generations
        )

    def have_stored(self, asked: Wanted) -> None:
        """Take note that the generations of this value are in the store."""
        for name in asked.generations:
            self._generations.pop(name, None)

    def encoded(self, name: str, made: CachedValue) -> Any | None:
        """Return the record of a value, or None if it cannot be stored."""
        try:
            return self.codec.encode(name, made)
        except MemoryError:
            raise
        except NotShared:
            reason = (
                f"A value of the type {type(made.value).__name__} is of use "
                "only once, or in one request: cache plain data, and no "
                "iterators or objects of the ZODB."
            )
        except Exception as error:
            # Only the types: the message may hold data.
            reason = (
                f"A value of the type {type(made.value).__name__} cannot be "
                f"pickled ({type(error).__name__})."
            )
        self.failed("cannot store a value", reason)
        return None

    def seconds_to_keep(self, expire: float | None) -> float | None:
        """Return for how long the store keeps a value."""
        return None if expire is None else expire + self._stale_seconds(expire)

    def to_keep(
        self, asked: Wanted, generations: tuple[bytes, ...], latest: bytes
    ) -> dict[str, bytes]:
        """Return the records without which a value is not valid.

        Where a tag is missing, the store has forgotten it, perhaps one that a
        later transaction has dropped.  So values from before the latest one
        are dropped: the latest by now, and not when the value was asked for.
        """
        kept = dict(zip(asked.generations, generations, strict=True))
        if asked.snapshot is not None:
            tid, moment = asked.snapshot
            kept |= dict.fromkeys(asked.tags, max(tid, latest))
            kept |= dict.fromkeys(asked.time_tags, moment)
        return kept

    def failed(self, kind: str, reason: str) -> None:
        """Count and log an error, which the caller does not see."""
        log_error(self.name, kind, reason)

    @property
    def codec(self) -> Codec:
        if self._codec is None:
            if self.store.keeps_objects:
                self._codec = ObjectCodec()
            else:
                self._codec = make_codec(_secrets(self.options))
        return self._codec

    # How that is done

    def _computed_for_itself(self, compute: Callable[[], Any]) -> Any:
        """Return a value that nobody else gets."""
        self.count("misses")
        started = time.monotonic()
        value = compute()
        self.count_computation(time.monotonic() - started)
        return value

    def _has_generations(self) -> bool:
        """Tell whether values are dropped by a change of their generation.

        In the memory of this process they are just removed.
        """
        try:
            return not self.store.keeps_objects
        except StoreUnavailable:
            return True

    def _stale_seconds(self, expire: float | None) -> float:
        if self._stale is not None:
            return self._stale
        return min(expire or 0, LONGEST_STALE)

    def _commit_of(self, name: str) -> int:
        """Return the id of the commit that a value was computed from.

        If none is there, it is that of the commit that made it invalid, or 0.
        """
        try:
            record = self.store.get([name]).get(name)
        except StoreUnavailable:
            # Whoever writes there next will find that out, too.
            return 0
        found = None if record is None else self._decoded(name, record)
        if isinstance(found, Mark):
            return found.number
        if found is None or found.snapshot is None:
            return 0
        return int(found.snapshot[0], 16)

    def _owes(self, asked: Wanted) -> bool:
        """Tell whether the store has still to be told about a value."""
        return debts.owes(self.store, asked.names)

    def _decoded(self, name: str, record: Any) -> CachedValue | Mark | None:
        """Return what a record holds, or None if it cannot be read."""
        try:
            return self.codec.decode(name, record)
        except MemoryError:
            raise
        except NotSigned:
            kind = "holds a value that is not signed with cache.secret"
            reason = (
                "After a change of cache.secret, or of session.secret in its "
                "place, this is as it must be, and ends by itself."
            )
        except Exception as error:
            # Only the type: the message may hold data.
            kind = "holds a value that cannot be read"
            reason = f"Reading it raises {type(error).__name__}."
        self.failed(kind, reason)
        return None

    def _read_generations(self, asked: Wanted) -> Mapping[str, Any]:
        return self.store.get(asked.generations) if asked.generations else {}

    def _replace(self, generation: str) -> None:
        self.store.put(generation, _new_generation(), None)
        self._generations.pop(generation, None)


def _secrets(options: Mapping[str, Any]) -> list[str]:
    if not options["secret"]:
        return []
    return [options["secret"], *former_keys(options["secret_fallbacks"])]


def _new_generation() -> bytes:
    return token_hex(8).encode("ascii")


def _are_older(
    tags: Iterable[str], records: Mapping[str, Any], number: bytes
) -> bool:
    """Tell whether tags were last dropped before a snapshot or a time.

    Nobody knows of one that is not there, so it does not count as older.
    """
    for tag in tags:
        dropped = records.get(tag)
        if dropped is None or dropped > number:
            return False
    return True
