"""Sessions in memcached."""

import threading
import time
import zlib
from typing import Any

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from pymemcache.exceptions import MemcacheServerError
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from collective.beaker.interfaces import Record
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.stores.base import Store
from collective.beaker.stores.container import expand
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack


_LONGEST_TTL = 60 * 60 * 24 * 30
"""The longest lifetime in seconds; a larger number is a date to memcached."""

_PICKLED = 1
"""The flag for a pickle.

The client libraries that Beaker uses agree on the flags for pickles and
compressed content only, and not on one for text.
"""

_COMPRESSED = 8
"""The flag for compressed content."""


class MemcachedStore(Store):
    """Keeps records as Beaker's ext:memcached does.

    If there are several servers, the id selects one, as in python-memcached.
    If that server is gone, its sessions are not looked for elsewhere.
    """

    failures = (MemcacheError, OSError)

    def __init__(
        self,
        kind: str,
        url: str,
        socket_timeout: int,
        timeout: int | None = None,
    ):
        super().__init__(kind, url)
        self._timeout = timeout
        self._clients = _Clients(
            [server.strip() for server in url.split(";")],
            serde=_Flagged(),
            connect_timeout=socket_timeout,
            timeout=socket_timeout,
            no_delay=True,
            default_noreply=False,
        )

    def payload(self, record: Record) -> str | None:
        content, flags = record.raw
        if flags & _COMPRESSED:
            content = expand(content)
        if flags & _PICKLED:
            return unpack(content)
        text: str = content.decode("ascii")
        return text

    def _choose(self, clients: list[Client], key: str) -> Client:
        digest = (zlib.crc32(key.encode()) >> 16) & 0x7FFF
        return clients[(digest or 1) % len(clients)]

    def _load(self, id: str) -> Record | None:
        key = f"{id}_session"
        raw, version = self._run(key, "gets", key)
        return None if raw is None else Record(raw, version)

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        key = f"{id}_session"
        if new is None:
            # There is no delete that compares.  An empty record that expires
            # at once is swapped in instead.
            return old is None or bool(
                self._run(key, "cas", key, b"", old.version, expire=-1)
            )
        content, expire = pack(new), self._expiry()
        try:
            if old is None:
                stored = self._run(key, "add", key, content, expire=expire)
            else:
                stored = self._run(
                    key, "cas", key, content, old.version, expire=expire
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
        key = f"{id}_session"
        self._run(key, "delete", key)

    def _run(self, key: str, command: str, *args: Any, **options: Any) -> Any:
        """Send a command; replace a stale connection once."""
        clients = self._clients.of_thread
        client = (
            clients[0] if len(clients) == 1 else self._choose(clients, key)
        )
        try:
            return _send(client, command, *args, **options)
        except (ConnectionError, MemcacheUnexpectedCloseError):
            return _send(client, command, *args, **options)

    def _expiry(self) -> int:
        if self._timeout is None:
            return 0
        if self._timeout > _LONGEST_TTL:
            return int(time.time()) + self._timeout
        return self._timeout


def _send(client: Client, command: str, *args: Any, **options: Any) -> Any:
    try:
        return getattr(client, command)(*args, **options)
    except BaseException:
        # A late answer must not be taken for the next one.
        client.close()
        raise


class _Clients(threading.local):
    """A client for each server and thread, which is faster than a pool."""

    def __init__(self, servers: list[str], **options: Any):
        self.of_thread = [Client(server, **options) for server in servers]


class _Flagged:
    """Returns content as it is stored, with its flags."""

    def serialize(self, key: str, value: bytes) -> tuple[bytes, int]:
        return value, _PICKLED

    def deserialize(
        self, key: str, value: bytes, flags: int
    ) -> tuple[bytes, int]:
        return value, flags
