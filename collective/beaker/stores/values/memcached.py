"""Values in memcached.

memcached has no scripts and no transactions.  What makes a claim good is the
version of the value itself, which is compared when the claim is settled.  So
that a value which is not there has a version, too, a note that it is being
computed takes its place.  A second record, the lease, keeps others from
computing.

Commands that need no answer are sent ahead of one that does, so that they take
one round trip together.
"""

import socket
import threading
import zlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from typing import Any
from typing import TypeVar

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from pymemcache.exceptions import MemcacheServerError
from pymemcache.exceptions import MemcacheUnexpectedCloseError

from collective.beaker.interfaces import Claim
from collective.beaker.stores.failures import NETWORK_FAILURES
from collective.beaker.stores.memcached import ComparingClient
from collective.beaker.stores.memcached import client_options
from collective.beaker.stores.memcached import expiry
from collective.beaker.stores.memcached import memcached_reason_of
from collective.beaker.stores.values.base import LONGEST_SECONDS
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import new_token


_PREFIX = b"beaker_value:"

_lease = "{}#claim".format
"""Returns the key of the lease of who computes a value."""

_COMPUTED = 1
"""The flag of a note that a value is being computed."""

_NOTE_SECONDS = 24 * 60 * 60
"""How long such a note is kept; no value takes so long to compute."""

_AT_ONCE = -1
"""What tells memcached that an item has ended."""

_LINE_END = b"\r\n"

_BUFFER = 65536
"""How many bytes of an answer are read at once."""

_Result = TypeVar("_Result")


class MemcachedValues(ValueStore):
    """Keeps records as items of memcached, each with an end.

    If there are several servers, the name selects one.
    """

    failures = (MemcacheError, *NETWORK_FAILURES)

    def __init__(self, kind: str, url: str, socket_timeout: int):
        super().__init__(kind, url)
        servers = [server.strip() for server in url.split(";")]
        self._connect = partial(_Clients, servers, socket_timeout)
        self._clients = self._connect()

    def _drop_connections(self) -> None:
        self._clients = self._connect()

    def _reason(self, error: BaseException) -> str:
        return memcached_reason_of(error)

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for client, some in self._clients.shares(names):
            found |= _ask(client, client.get_many, some)
        if None in found.values():
            _remove_notes(found)
        return found

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        token, lease = new_token(), _lease(name)
        found: dict[str, Any] = {}
        version = owner = None
        for client, some in self._clients.shares(names):
            if name not in some:
                found |= _ask(client, client.get_many, some)
                continue
            items = _ask(client, _claim_on, client, name, token, seconds, some)
            owner, _ = items.pop(lease, (None, None))
            _, version = items.get(name, (None, None))
            found |= {key: record for key, (record, _) in items.items()}
        _remove_notes(found)
        is_ours = owner == token.encode()
        return Claim(name, token, version) if is_ours else None, found

    def _renew(self, claim: Claim, seconds: float) -> bool:
        return self._change_lease(
            claim, claim.token.encode(), _expiry(seconds)
        )

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        if claim.version is None:
            return False
        self._keep(keep, seconds)
        client = self._clients.of(claim.name)
        expire = _expiry(seconds)
        if _ask(client, _settle_on, client, claim, record, expire):
            return True
        self._give_up(claim)
        return False

    def _give_up(self, claim: Claim) -> None:
        self._change_lease(claim, b"", _AT_ONCE)

    def _change_lease(self, claim: Claim, content: bytes, expire: int) -> bool:
        """Replace a lease if the claim is still good; tell whether it was."""
        client, lease = self._clients.of(claim.name), _lease(claim.name)
        owner, version = _ask(client, client.gets, lease)
        if owner != claim.token.encode():
            return False
        return bool(_ask(client, client.cas, lease, content, version, expire))

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        self._keep(keep, seconds)
        client = self._clients.of(name)
        _ask(client, _put_on, client, name, record, _expiry(seconds))

    def _keep(self, keep: Mapping[str, Any], seconds: float | None) -> None:
        # What is kept lives longer than it must, since memcached does not
        # tell when it would have ended.
        expire = _expiry(seconds, at_least=LONGEST_SECONDS)
        for client, names in self._clients.shares(list(keep)):
            _ask(client, _keep_on, client, names, keep, expire)

    def _delete(self, names: Sequence[str]) -> None:
        for client, some in self._clients.shares(names):
            _ask(client, _delete_on, client, some)

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        expire = _expiry(seconds, at_least=LONGEST_SECONDS)
        for name in names:
            client = self._clients.of(name)
            while not _ask(client, _is_raised, client, name, number, expire):
                # Somebody else has changed it at this moment.
                continue


def _remove_notes(found: dict[str, Any]) -> None:
    """Remove what stands for values that are being computed."""
    for name in [name for name, record in found.items() if record is None]:
        del found[name]


def _claim_on(
    client: Client,
    name: str,
    token: str,
    seconds: float,
    names: Sequence[str],
) -> dict[str, tuple[Any, Any]]:
    """Add a lease, if there is none, and read it and others with versions."""
    lease, expire = _lease(name), _expiry(seconds)
    items: dict[str, tuple[Any, Any]] = {}
    # If they were not stored, memcached is asked why, and raises an error if
    # it is full.  They may also have been deleted at this moment.
    for noreply in (True, False):
        client.add(lease, token.encode(), expire, noreply)
        client.add(name, b"", _NOTE_SECONDS, noreply, _COMPUTED)
        items = client.gets_many([lease, *names])
        if lease in items and name in items:
            break
    return items


def _settle_on(client: Client, claim: Claim, record: Any, expire: int) -> bool:
    if not client.cas(claim.name, record, claim.version, expire):
        return False
    client.delete(_lease(claim.name), noreply=True)
    return True


def _keep_on(
    client: Client, names: Sequence[str], keep: Mapping[str, Any], expire: int
) -> None:
    for name in names:
        client.add(name, keep[name], expire, noreply=True)
        client.touch(name, expire, noreply=True)


def _put_on(client: Client, name: str, record: Any, expire: int) -> None:
    client.delete(_lease(name), noreply=True)
    client.set(name, record, expire)


def _delete_on(client: Client, names: Sequence[str]) -> None:
    *others, last = (key for name in names for key in (_lease(name), name))
    for key in others:
        client.delete(key, noreply=True)
    client.delete(last)


def _is_raised(client: Client, name: str, number: bytes, expire: int) -> bool:
    """Store a number unless a larger one is there.

    Returns False if somebody else has changed it at the same time.
    """
    present, version = client.gets(name)
    if version is None:
        return bool(client.add(name, number, expire))
    if present is not None and present > number:
        return bool(client.touch(name, expire))
    return bool(client.cas(name, number, version, expire))


def _expiry(seconds: float | None, at_least: float = 0) -> int:
    """Return what tells memcached how long to keep an item.

    Its clock has whole seconds, so that an item may end up to one second
    sooner.
    """
    if seconds is None:
        seconds = LONGEST_SECONDS
    return expiry(int(max(seconds, at_least)) + 1)


def _ask(
    client: Client, action: Callable[..., _Result], *args: Any
) -> _Result:
    """Return what an action does; replace a stale connection once."""
    try:
        return action(*args)
    except (ConnectionError, MemcacheUnexpectedCloseError):
        client.close()
    except BaseException:
        # A late answer must not be taken for the next one.
        client.close()
        raise
    try:
        return action(*args)
    except BaseException:
        client.close()
        raise


class _Clients(threading.local):
    """A client for each server and thread, which is faster than a pool."""

    def __init__(self, servers: Sequence[str], socket_timeout: int):
        self._all = [
            _Client(
                server,
                serde=_Bytes(),
                key_prefix=_PREFIX,
                **client_options(socket_timeout),
            )
            for server in servers
        ]

    def of(self, name: str) -> Client:
        """Return the client of the server that keeps a record."""
        if len(self._all) == 1:
            return self._all[0]
        return self._all[zlib.crc32(name.encode()) % len(self._all)]

    def shares(
        self, names: Sequence[str]
    ) -> Iterable[tuple[Client, Sequence[str]]]:
        """Return the clients of these names, and the names of each."""
        if len(self._all) == 1:
            return [(self._all[0], names)]
        shares: dict[Client, list[str]] = {}
        for name in names:
            shares.setdefault(self.of(name), []).append(name)
        return shares.items()


class _Client(ComparingClient):
    """Knows that names need no checks, which take time for each of them."""

    def check_key(self, key: str, key_prefix: bytes) -> bytes:
        return key_prefix + key.encode("ascii")

    def get_many(self, names: Sequence[str]) -> dict[str, Any]:
        """Return records by name, and None for a note.

        Each hit asks for a value and its generations.  The general method
        would take twice as long for them.
        """
        if self.sock is None or not names:
            # It connects.
            found: dict[str, Any] = super().get_many(names)
            return found
        keys = [_PREFIX + name.encode("ascii") for name in names]
        self.sock.sendall(b"get %b\r\n" % b" ".join(keys))
        return _read_records(self.sock)


def _read_records(connection: socket.socket) -> dict[str, Any]:
    """Read what memcached answers to ``get``."""
    found: dict[str, Any] = {}
    answer = _longer(b"", connection)
    start = 0
    while True:
        end = answer.find(_LINE_END, start)
        if end < 0:
            answer = _longer(answer, connection)
            continue
        # VALUE, the key, its flags and how many bytes follow.
        kind, *fields = answer[start:end].split()
        if kind == b"END":
            return found
        if kind != b"VALUE":
            raise MemcacheServerError(answer[start:end])
        key, flags, size = fields
        start = end + len(_LINE_END)
        end = start + int(size)
        while len(answer) < end:
            answer = _longer(answer, connection)
        name = key[len(_PREFIX) :].decode("ascii")
        found[name] = None if int(flags) & _COMPUTED else answer[start:end]
        start = end + len(_LINE_END)


def _longer(answer: bytes, connection: socket.socket) -> bytes:
    """Return an answer with more of it; raise an error if it has ended."""
    more = connection.recv(_BUFFER)
    if not more:
        raise MemcacheUnexpectedCloseError
    return answer + more


class _Bytes:
    """Stores bytes as they are.  A note has none, whatever is in it."""

    def serialize(self, key: str, value: bytes) -> tuple[bytes, int]:
        return value, 0

    def deserialize(self, key: str, value: bytes, flags: int) -> bytes | None:
        return None if flags & _COMPUTED else value
