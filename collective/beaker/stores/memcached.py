"""Sessions in memcached."""

import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import suppress
from functools import partial
from random import sample
from typing import Any

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from pymemcache.exceptions import MemcacheServerError
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from collective.beaker.ids import new_id
from collective.beaker.interfaces import Record
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.stores.base import Store
from collective.beaker.stores.container import expand
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack
from collective.beaker.stores.failures import NETWORK_FAILURES
from collective.beaker.stores.failures import reason_of


_LONGEST_TTL = 60 * 60 * 24 * 30
"""The longest lifetime in seconds; a larger number is a date to memcached."""

_LAST_DATE = 2**31 - 1
"""The last date that memcached knows.  A later one is in the past to it, so
that it would drop the item at once."""

_NO_VERSION = b"0"
"""The version of everything in a memcached that was started with -C."""

_PICKLED = 1
"""The flag for a pickle.

The client libraries that Beaker uses agree on the flags for pickles and
compressed content only, and not on one for text.
"""

_COMPRESSED = 8
"""The flag for compressed content."""


_key = "{}_session".format
"""Returns the key of a session's id."""


class MemcachedStore(Store):
    """Keeps records on one server, as Beaker's ext:memcached does."""

    failures = (MemcacheError, *NETWORK_FAILURES)

    def __init__(
        self,
        kind: str,
        server: str,
        socket_timeout: int,
        timeout: int | None = None,
    ):
        super().__init__(kind, server)
        self._timeout = timeout
        self._connect = partial(_Connection, server, socket_timeout)
        self._connection = self._connect()

    def _drop_connections(self) -> None:
        self._connection = self._connect()

    def _reason(self, error: BaseException) -> str:
        return memcached_reason_of(error)

    def payload(self, record: Record) -> str | None:
        content, flags = record.raw
        if flags & _COMPRESSED:
            content = expand(content)
        if flags & _PICKLED:
            return unpack(content)
        text: str = content.decode("ascii")
        return text

    def _load(self, id: str) -> Record | None:
        key = _key(id)
        raw, version = self._run("gets", key)
        return None if raw is None else Record(raw, version)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        key = _key(id)
        if new is None:
            # There is no delete that compares.  An empty record that expires
            # at once is swapped in instead.
            return old is None or bool(
                self._run("cas", key, b"", old.version, expire=-1)
            )
        content, expire = pack(new), _expiry(seconds or self._timeout)
        try:
            if old is None:
                stored = self._run("add", key, content, expire=expire)
            else:
                stored = self._run(
                    "cas", key, content, old.version, expire=expire
                )
        except MemcacheServerError as error:
            if "too large" not in str(error):
                raise
        else:
            return bool(stored)
        raise RecordTooLarge(
            f"A session has {len(content)} bytes, more than memcached allows "
            "for one item. Store less in sessions, or start memcached with a "
            "larger -I."
        )

    def _delete(self, id: str) -> None:
        key = _key(id)
        self._run("delete", key)

    def _run(self, command: str, *args: Any, **options: Any) -> Any:
        """Send a command; replace a stale connection once."""
        client = self._connection.client
        try:
            return _send(client, command, *args, **options)
        except (ConnectionError, MemcacheUnexpectedCloseError):
            return _send(client, command, *args, **options)


def _expiry(seconds: int | None) -> int:
    return 0 if seconds is None else expiry(seconds)


def expiry(seconds: int) -> int:
    """Return what tells memcached how long to keep an item."""
    if seconds <= _LONGEST_TTL:
        return seconds
    return min(int(time.time()) + seconds, _LAST_DATE)


def _send(client: Client, command: str, *args: Any, **options: Any) -> Any:
    try:
        return getattr(client, command)(*args, **options)
    except BaseException:
        # A late answer must not be taken for the next one.
        client.close()
        raise


def client_options(socket_timeout: float) -> dict[str, Any]:
    """Return the options of all clients."""
    return {
        "connect_timeout": socket_timeout,
        "timeout": socket_timeout,
        "no_delay": True,
        "default_noreply": False,
    }


class CannotCompare(MemcacheError):
    """memcached has nothing to compare."""


class ComparingClient(Client):
    """Says so if memcached cannot compare: nobody would ever succeed."""

    def cas(
        self, key: str, value: bytes, cas: bytes, *args: Any, **options: Any
    ) -> Any:
        if cas == _NO_VERSION:
            raise CannotCompare
        return super().cas(key, value, cas, *args, **options)


def memcached_reason_of(error: BaseException) -> str:
    """Return why memcached fails."""
    if isinstance(error, CannotCompare):
        return "memcached has been started with -C; start it without"
    if isinstance(error, MemcacheServerError) and "too large" in str(error):
        return (
            "a value is larger than memcached allows for one item; start it "
            "with a larger -I"
        )
    return reason_of(error)


class _Connection(threading.local):
    """A client for each thread, which is faster than a pool."""

    def __init__(self, server: str, socket_timeout: int):
        options = client_options(socket_timeout)
        self.client = ComparingClient(server, serde=_Flagged(), **options)


class _Flagged:
    """Returns content as it is stored, with its flags."""

    def serialize(self, key: str, value: bytes) -> tuple[bytes, int]:
        return value, _PICKLED

    def deserialize(
        self, key: str, value: bytes, flags: int
    ) -> tuple[bytes, int]:
        return value, flags


class MemcachedServers(Store):
    """Keeps records on several servers; the id selects one.

    It selects the one that python-memcached selects.  If that server is gone,
    its sessions are not looked for elsewhere.
    """

    def __init__(self, kind: str, url: str, servers: Sequence[MemcachedStore]):
        super().__init__(kind, url)
        self._servers = servers

    def payload(self, record: Record) -> str | None:
        return self._servers[0].payload(record)

    def _lock(
        self, id: str, payload: str = ""
    ) -> AbstractContextManager[None]:
        # Where the session is.
        return self._server_of(id)._lock(id, payload)

    def reachable_id(self, id: str) -> str:
        for server in self._in_turn(self._server_of(id)):
            with suppress(StoreUnavailable):
                server.load(id)
                return self._id_on(server, id)
        return id

    def _load(self, id: str) -> Record | None:
        return self._server_of(id).load(id)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        return self._server_of(id).swap(id, old, new, seconds)

    def _delete(self, id: str) -> None:
        self._server_of(id).delete(id)

    def _server_of(self, id: str) -> MemcachedStore:
        digest = (zlib.crc32(_key(id).encode()) >> 16) & 0x7FFF
        return self._servers[(digest or 1) % len(self._servers)]

    def _in_turn(self, first: MemcachedStore) -> list[MemcachedStore]:
        """Return all servers: the first one, then the others, shuffled."""
        others = [server for server in self._servers if server is not first]
        return [first, *sample(others, len(others))]

    def _id_on(self, server: MemcachedStore, id: str) -> str:
        """Return an id, or a new one if it does not select a server."""
        while self._server_of(id) is not server:
            id = new_id()
        return id


def memcached_store(
    kind: str, url: str, socket_timeout: int, timeout: int | None = None
) -> Store:
    """Return the store of ext:memcached: of one server, or of several."""
    servers = [
        MemcachedStore(kind, server.strip(), socket_timeout, timeout)
        for server in url.split(";")
    ]
    only, *others = servers
    return MemcachedServers(kind, url, servers) if others else only
