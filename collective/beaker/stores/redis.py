"""Sessions in Redis and in Redis Cluster."""

import threading
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from hashlib import sha1
from itertools import islice
from typing import Any

from redis import Redis
from redis import RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import SSLConnection
from redis.connection import parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError
from redis.exceptions import RedisClusterException
from redis.exceptions import RedisError
from redis.retry import Retry

from collective.beaker.ids import is_id
from collective.beaker.ids import is_lease
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.settings.options import redacted
from collective.beaker.stores.base import Record
from collective.beaker.stores.base import Store
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack


# Compares and sets in one step and one round trip.  The old record is sent
# whole: to make a digest of it takes longer.
_SWAP = """\
local exists, old, new, timeout = unpack(ARGV)
if redis.call("GET", KEYS[1]) ~= (exists == "1" and old) then
    return 0
end
if new == "" then
    redis.call("DEL", KEYS[1])
elseif timeout == "" then
    redis.call("SET", KEYS[1], new)
else
    redis.call("SET", KEYS[1], new, "EX", timeout)
end
return 1
"""

_SWAP_DIGEST = sha1(_SWAP.encode(), usedforsecurity=False).hexdigest()

_FAILURES = (RedisError, RedisClusterException, OSError)

_PREFIX = "beaker_cache:"
_SUFFIX = ":session"

_BATCH = 200
"""So many keys are looked for, or read, at once."""


class RedisStore(Store):
    """Keeps records as Beaker's ext:redis and ext:rediscluster do."""

    failures = _FAILURES

    def __init__(
        self,
        kind: str,
        client: Any,
        address: str,
        timeout: int | None,
        ask: Callable[..., Any] | None = None,
    ):
        super().__init__(kind, address)
        self._client = client
        self._timeout = "" if timeout is None else timeout
        # One that somebody else has made may find its server by itself.
        self._ask = ask or client.execute_command

    def payload(self, record: Record) -> str | None:
        return unpack(record.raw)

    def _load(self, id: str) -> Record | None:
        raw = self._ask("GET", _key(id))
        return None if raw is None else Record(raw)

    def _swap(self, id: str, old: Record | None, new: str | None) -> bool:
        before = (0, b"") if old is None else (1, old.raw)
        after = b"" if new is None else pack(new)
        arguments = (1, _key(id), *before, after, self._timeout)
        try:
            return bool(self._ask("EVALSHA", _SWAP_DIGEST, *arguments))
        except NoScriptError:
            return bool(self._ask("EVAL", _SWAP, *arguments))

    def _delete(self, id: str) -> None:
        self._ask("DEL", _key(id))

    @property
    def place(self) -> Hashable:
        if isinstance(self._client, RedisCluster):
            nodes = self._client.get_nodes()
            return frozenset((node.host, node.port) for node in nodes)
        where = self._client.get_connection_kwargs()
        host = where.get("host", "localhost").replace("localhost", "127.0.0.1")
        server = where.get("path") or (host, where.get("port", 6379))
        return server, where.get("db") or 0

    def _walk(self) -> Iterator[tuple[str, Record]]:
        for keys in self._scan(f"{_PREFIX}*{_SUFFIX}"):
            # Redis may name a key twice.
            names = [name for key in {*keys} if (name := _name(key))]
            found = self._of_each("get", map(_key, names))
            for name, raw in zip(names, found, strict=True):
                if raw is not None:
                    yield name, Record(raw)

    def _estimate(self) -> int:
        return self._client.dbsize()

    def _clear_caches(self) -> int:
        number = 0
        for keys in self._scan(f"{_PREFIX}*"):
            of_caches = [key for key in keys if not _name(key)]
            number += sum(self._of_each("delete", of_caches))
        return number

    def _scan(self, pattern: str) -> Iterator[list[bytes]]:
        """Yield the keys of a pattern, not too many at once."""
        keys = self._client.scan_iter(pattern, count=_BATCH)
        while batch := list(islice(keys, _BATCH)):
            yield batch

    def _of_each(self, command: str, keys: Iterable[Any]) -> list[Any]:
        """Send a command for each key, all of them in one round trip."""
        with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                getattr(pipeline, command)(key)
            return pipeline.execute()


def _name(key: bytes) -> str | None:
    """Return the name of a session or of its lock; None for other keys."""
    text = key.decode("ascii", "replace")
    name = text.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    known = is_id(name) or is_lease(name)
    return name if known and text == _key(name) else None


class _Connection(threading.local):
    """A connection to Redis for each thread, which sends its commands."""

    def __init__(self, client: Redis):
        pool = client.connection_pool
        self._connection = pool.connection_class(**pool.connection_kwargs)

    def __call__(self, *command: Any) -> Any:
        try:
            return self._send(command)
        except RedisConnectionError:
            # It may have gone stale.  It is replaced once.
            return self._send(command)

    def _send(self, command: tuple[Any, ...]) -> Any:
        try:
            self._connection.send_command(*command)
            return self._connection.read_response()
        except BaseException:
            # An answer that comes late must not be taken for the next one.
            self._connection.disconnect()
            raise


def _key(id: str) -> str:
    return f"{_PREFIX}{id}{_SUFFIX}"


def _connection_options(socket_timeout: int) -> dict[str, Any]:
    return {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": socket_timeout,
        # A connection that has gone stale is replaced once.  Visitors would
        # have to wait for more attempts.
        "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
    }


def redis_store(
    kind: str,
    url: Any,
    socket_timeout: int,
    timeout: int | None = None,
) -> RedisStore:
    """Return the store of ext:redis; ``url`` may be a client, too."""
    if not isinstance(url, str):
        return RedisStore(kind, url, "a client of its own", timeout)
    client = Redis.from_url(url, **_connection_options(socket_timeout))
    # The client would ask its pool for a connection at each command.
    return RedisStore(kind, client, url, timeout, _Connection(client))


def redis_cluster_store(
    kind: str,
    urls: Any,
    socket_timeout: int,
    timeout: int | None = None,
    **options: Any,
) -> RedisStore:
    """Return the store of ext:rediscluster; ``urls`` may be a client, too."""
    if not isinstance(urls, str):
        return RedisStore(kind, urls, "a client of its own", timeout)
    parsed = [parse_url(url.strip()) for url in urls.split(",")]
    nodes = [
        ClusterNode(url.pop("host"), url.pop("port", 6379)) for url in parsed
    ]
    if parsed[0].pop("connection_class", None) is SSLConnection:
        parsed[0]["ssl"] = True
    try:
        client = RedisCluster(
            startup_nodes=nodes,
            **_connection_options(socket_timeout) | parsed[0] | options,
        )
    except _FAILURES as error:
        # It asks the nodes at once how the keys are distributed, and has
        # the reason only in what its error was raised from.
        reason = type(error.__cause__ or error).__name__
        raise StoreUnavailable(kind, redacted("urls", urls), reason) from None
    return RedisStore(kind, client, urls, timeout)
