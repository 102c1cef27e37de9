"""Sessions in Redis, also behind sentinels, and in Redis Cluster."""

import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from functools import partial
from hashlib import sha1
from typing import Any

from redis import Redis
from redis import RedisCluster
from redis.exceptions import NoScriptError
from redis.exceptions import ResponseError

from collective.beaker.interfaces import Record
from collective.beaker.stores.base import Store
from collective.beaker.stores.base import is_record_name
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack
from collective.beaker.stores.redis_client import FAILURES
from collective.beaker.stores.redis_client import LateClient
from collective.beaker.stores.redis_client import cluster_connector
from collective.beaker.stores.redis_client import connect_anew
from collective.beaker.stores.redis_client import place_of
from collective.beaker.stores.redis_client import raw_or_raise
from collective.beaker.stores.redis_client import redis_client
from collective.beaker.stores.redis_client import redis_reason_of
from collective.beaker.stores.redis_client import scan
from collective.beaker.stores.redis_client import send_each


_SWAP = """\
local exists, old, new, timeout = unpack(ARGV)
local found = redis.pcall("GET", KEYS[1])
if type(found) == "table" then
    if string.sub(found.err, 1, 9) ~= "WRONGTYPE" then
        return found
    end
    found = ""
end
if found ~= (exists == "1" and old) then
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
"""Compares and sets in one step and one round trip.

The whole old record is sent, since computing a digest of it takes longer.  A
value of another type, such as a list, counts as an empty record.
"""

_NOTE = """\
local id, now, lifetime = unpack(ARGV)
redis.call("ZADD", KEYS[1], now, id)
if lifetime ~= "" then
    redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - lifetime)
    redis.call("EXPIRE", KEYS[1], lifetime)
else
    redis.call("PERSIST", KEYS[1])
end
"""
"""Notes a session in the set of its user, in one round trip.

Those that were noted so long ago that they have expired are forgotten.  Where
sessions no longer expire, nor does the set, which may have a former lifetime.
"""

_SWAP_DIGEST = sha1(_SWAP.encode(), usedforsecurity=False).hexdigest()

_PREFIX = "beaker_cache:"
_SUFFIX = ":session"

_key = f"{_PREFIX}{{}}{_SUFFIX}".format
"""Returns the key of a session's id."""

_index_key = "beaker_user:{}".format
"""Returns the key of the sessions with a mark."""


class RedisStore(Store):
    """Keeps records as Beaker's ext:redis and ext:rediscluster do.

    The index has a sorted set for each mark: ids, and when they were noted.
    """

    failures = FAILURES
    has_index = True

    def __init__(
        self,
        kind: str,
        client: Redis | RedisCluster | Callable[[], RedisCluster],
        address: str,
        timeout: int | None,
        connect: Callable[[], Callable[..., Any]] | None = None,
    ):
        super().__init__(kind, address)
        self._late = LateClient(client)
        self._timeout = "" if timeout is None else timeout
        self._connect = connect or (lambda: self._ask_client)
        self._ask = self._connect()

    def _drop_connections(self) -> None:
        self._ask = self._connect()

    def _ask_client(self, *command: Any) -> Any:
        # A client that code has created may find its server in its own way.
        client: Any = self._client
        return client.execute_command(*command)

    @property
    def _client(self) -> Redis | RedisCluster:
        return self._late()

    def _reason(self, error: BaseException) -> str:
        return redis_reason_of(error)

    def payload(self, record: Record) -> str | None:
        return unpack(record.raw)

    def _load(self, id: str) -> Record | None:
        try:
            raw = self._ask("GET", _key(id))
        except ResponseError as error:
            raw = raw_or_raise(error)
        return None if raw is None else Record(raw)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        before = (0, b"") if old is None else (1, old.raw)
        after = b"" if new is None else pack(new)
        timeout = seconds or self._timeout
        arguments = (1, _key(id), *before, after, timeout)
        try:
            return bool(self._ask("EVALSHA", _SWAP_DIGEST, *arguments))
        except NoScriptError:
            return bool(self._ask("EVAL", _SWAP, *arguments))

    def _delete(self, id: str) -> None:
        self._ask("DEL", _key(id))

    def _add_to_index(self, mark: str, id: str) -> None:
        arguments = (_index_key(mark), id, int(time.time()), self._timeout)
        self._ask("EVAL", _NOTE, 1, *arguments)

    def _find_in_index(self, mark: str) -> Sequence[str] | None:
        try:
            ids = self._ask("ZRANGE", _index_key(mark), 0, -1)
        except ResponseError as error:
            raw_or_raise(error)
            return None
        return [id.decode("ascii", "replace") for id in ids]

    def _remove_from_index(self, mark: str, ids: Sequence[str]) -> None:
        self._ask("ZREM", _index_key(mark), *ids)

    def _walk_index(self) -> Iterator[tuple[str, Sequence[str]]]:
        if self._timeout == "":
            for keys in scan(self._client, _index_key("*")):
                for key in keys:
                    mark = key.decode("ascii", "replace").rpartition(":")[2]
                    yield mark, self._find_in_index(mark) or ()

    @property
    def place(self) -> Hashable:
        return place_of(self._late.made_by(self._guarded))

    def _walk(self) -> Iterator[tuple[str, Record]]:
        for keys in scan(self._client, f"{_PREFIX}*{_SUFFIX}"):
            names = [name for key in {*keys} if (name := _record_name(key))]
            values = send_each(self._client, "get", map(_key, names))
            for name, raw in zip(names, values, strict=True):
                if raw is not None:
                    yield name, Record(raw)

    def _estimate(self) -> int:
        number: int = self._client.dbsize()
        return number


def _record_name(key: bytes) -> str | None:
    """Return the name of the record of a key; None for a key of a cache."""
    text = key.decode("ascii", "replace")
    name = text.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    return name if is_record_name(name) and text == _key(name) else None


def redis_store(
    kind: str,
    url: str | Redis,
    socket_timeout: int,
    timeout: int | None = None,
) -> RedisStore:
    """Return the store of ext:redis; ``url`` may also be a client."""
    if not isinstance(url, str):
        return RedisStore(kind, url, "a client of its own", timeout)
    client = redis_client(url, socket_timeout)
    # The client would ask its pool for a connection for each command.
    connect = partial(connect_anew, client)
    return RedisStore(kind, client, url, timeout, connect)


def redis_cluster_store(
    kind: str,
    urls: str | RedisCluster,
    socket_timeout: int,
    timeout: int | None = None,
    **options: Any,
) -> RedisStore:
    """Return the store of ext:rediscluster; ``urls`` may also be a client."""
    if not isinstance(urls, str):
        return RedisStore(kind, urls, "a client of its own", timeout)
    connect = cluster_connector(urls, socket_timeout, **options)
    return RedisStore(kind, connect, urls, timeout)
