"""Clients of Redis, of Redis behind sentinels, and of Redis Cluster."""

import errno
import threading
import time
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import Any

from redis import Redis
from redis import RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import RedisClusterException
from redis.exceptions import RedisError
from redis.exceptions import ResponseError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError
from redis.sentinel import Sentinel
from redis.sentinel import SentinelConnectionPool

from collective.beaker.settings.redis_urls import parse_redis_url
from collective.beaker.settings.sentinels import client_of_master
from collective.beaker.settings.sentinels import names_sentinels
from collective.beaker.settings.sentinels import read_sentinel_url
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.failures import NETWORK_FAILURES
from collective.beaker.stores.failures import lacks_host
from collective.beaker.stores.failures import reason_of


_WRONG_TYPE = "WRONGTYPE"
"""What the error begins with if a value is of another type than a record."""

_REFUSALS = ("-READONLY", "NOREPLICAS")
"""What says in an error that a server has become a replica, which a script's
error quotes before Redis 7, or that its replicas have left it."""

FAILURES = (RedisError, RedisClusterException, *NETWORK_FAILURES)

Command = tuple[Any, ...]
"""The name of a command, and its arguments."""

_BATCH = 200
"""How many keys are listed or read at once."""


class LateClient:
    """A client that may need its servers to be made."""

    def __init__(
        self, given: Redis | RedisCluster | Callable[[], RedisCluster]
    ):
        self._given = given

    def __call__(self) -> Redis | RedisCluster:
        if callable(self._given):
            self._given = self._given()
        return self._given

    def made_by(
        self, guarded: Callable[..., Redis | RedisCluster]
    ) -> Redis | RedisCluster:
        """Return the client, which asks its servers only if it must be made.

        So ``guarded`` learns nothing of the servers from one that is there.
        """
        return guarded(self) if callable(self._given) else self._given


def redis_reason_of(error: BaseException) -> str:
    """Return why Redis fails."""
    cause = error.__cause__
    if isinstance(error, RedisClusterException) and cause:
        # It says no more than that a client cannot be made.
        return reason_of(cause)
    return reason_of(error)


def place_of(client: Redis | RedisCluster) -> Hashable:
    """Return what is the same for all clients of the same database."""
    if isinstance(client, RedisCluster):
        nodes = client.get_nodes()  # type: ignore[no-untyped-call]
        return frozenset((node.host, node.port) for node in nodes)
    where = client.get_connection_kwargs()
    return _server_of(client), where.get("db") or 0


def _server_of(client: Redis) -> Hashable:
    """Return what is the same for all clients of the same server.

    Where sentinels name the server, that is not the server of the moment.
    """
    pool = client.connection_pool
    if isinstance(pool, SentinelConnectionPool):
        sentinels = pool.sentinel_manager.sentinels
        return pool.service_name, frozenset(map(_server_of, sentinels))
    where = client.get_connection_kwargs()
    host = where.get("host", "localhost").replace("localhost", "127.0.0.1")
    return where.get("path") or (host, where.get("port", 6379))


def scan(client: Redis | RedisCluster, pattern: str) -> Iterator[list[bytes]]:
    """Yield the keys that match a pattern, in batches, which may be empty.

    Redis may list a key twice.
    """
    if isinstance(client, RedisCluster):
        keys = client.scan_iter(pattern, count=_BATCH)
        while batch := list(islice(keys, _BATCH)):
            yield batch
        return
    # Those that do not match take time, too, and somebody may look at it.
    cursor = None
    while cursor != 0:
        found: Any = client.scan(cursor or 0, pattern, _BATCH)
        cursor, batch = found
        yield batch


def send_each(
    client: Redis | RedisCluster, command: str, keys: Iterable[str | bytes]
) -> list[Any]:
    """Send a command for each key, all of them in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            getattr(pipeline, command)(key)
        answers: list[Any] = pipeline.execute(raise_on_error=False)
    return list(map(raw_or_raise, answers))


def raw_or_raise(answer: Any) -> Any:
    """Return what a server has answered.

    A value of another type than a record is an empty record; any other error
    is raised.
    """
    if not isinstance(answer, Exception):
        return answer
    if str(answer).startswith(_WRONG_TYPE):
        return UNREADABLE.raw
    raise answer


class Connection(threading.local):
    """A connection to Redis for each thread, to send its commands."""

    _is_open = False

    def __init__(self, client: Redis):
        pool = client.connection_pool
        # Whatever is tried again is tried again here.
        options = pool.connection_kwargs | {"retry": Retry(NoBackoff(), 0)}
        self._connection = pool.connection_class(**options)

    def __call__(self, *command: Any, is_again: bool = False) -> Any:
        try:
            if not self._is_open:
                self._open()
            self._connection.send_command(*command)
            return self._connection.read_response()
        except BaseException as error:
            # A late answer must not be taken for the next one.
            self._close()
            if is_again or not _may_be_stale(error):
                raise
        # The connection may have been stale.  It is replaced once.
        return self(*command, is_again=True)

    def all(
        self, commands: Sequence[Command], is_again: bool = False
    ) -> list[Any]:
        """Send several commands in one round trip; return their answers.

        The answer to a command that failed is an exception.
        """
        connection = self._connection
        try:
            if not self._is_open:
                self._open()
            packed = connection.pack_commands(commands)
            connection.send_packed_command([b"".join(packed)])
            return [_answer(connection) for _ in commands]
        except BaseException as error:
            self._close()
            if is_again or not _may_be_stale(error):
                raise
        return self.all(commands, is_again=True)

    def _open(self) -> None:
        """Connect to the server, or to the one that sentinels name now.

        Without this, the library would connect to the one they named before.
        """
        self._connection.connect()
        self._is_open = True

    def _close(self) -> None:
        self._is_open = False
        self._connection.disconnect()


def connect_anew(client: Redis) -> Connection:
    """Return new connections, one for each thread; end those of the pool.

    Whatever lists keys or counts them takes a connection from the pool.
    """
    client.connection_pool.disconnect(inuse_connections=False)
    return Connection(client)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        if _may_be_stale(error):
            raise
        return error


def _may_be_stale(error: BaseException) -> bool:
    """Tell whether the same may succeed on a new connection.

    That also holds if another server may be the master by now.
    """
    if isinstance(error, ResponseError):
        return isinstance(error, ReadOnlyError) or any(
            refusal in str(error) for refusal in _REFUSALS
        )
    # Who waited for a host in vain would wait again.
    return isinstance(error, RedisConnectionError) and not lacks_host(error)


class _Sentinels(Sentinel):
    """The servers that know which Redis is the master.

    All threads first ask the one that was the last to know it.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the address of the master.

        Each sentinel is given its time.  If none knows the master, the
        library does not say that one of them did not answer.
        """
        # The library moves the sentinel that knows it to the front of a list.
        # Two threads that did so at once could lose another one.
        asked = copy(self)
        asked.sentinels = list(self.sentinels)
        began = time.monotonic()
        try:
            found: tuple[str, int]
            found = Sentinel.discover_master(asked, service_name)  # type: ignore[no-untyped-call]
        except MasterNotFoundError as error:
            if time.monotonic() - began < self._patience:
                raise
            reason = "No sentinel that answers knows a master"
            raise TimeoutError(errno.ETIMEDOUT, reason) from error
        self.sentinels = asked.sentinels
        return found

    @property
    def _patience(self) -> float:
        """How many seconds a sentinel has to answer."""
        patience: float = self.sentinel_kwargs["socket_timeout"]
        return patience


def _connection_options(socket_timeout: int) -> dict[str, Any]:
    return {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": socket_timeout,
        # A stale connection is replaced once.  Visitors would have to wait
        # for more attempts.
        "retry": Retry(NoBackoff(), 1, (RedisConnectionError,)),
    }


def redis_client(url: str, socket_timeout: int) -> Redis:
    options = _connection_options(socket_timeout)
    if names_sentinels(url):
        address = read_sentinel_url(url)
        master: Redis = client_of_master(address, _Sentinels, options)
        return master
    return Redis.from_url(url, **options)


def cluster_connector(
    urls: str, socket_timeout: int, **options: Any
) -> Callable[[], RedisCluster]:
    """Return what makes a client of ext:rediscluster."""
    parsed = [parse_redis_url(url.strip()) for url in urls.split(",")]
    nodes = [
        ClusterNode(  # type: ignore[no-untyped-call]
            url.pop("host"), url.pop("port", 6379)
        )
        for url in parsed
    ]
    if parsed[0].pop("connection_class", None) is SSLConnection:
        parsed[0]["ssl"] = True
    # The client asks the nodes at once how the keys are distributed.
    return partial(
        RedisCluster,
        startup_nodes=nodes,
        **_connection_options(socket_timeout) | parsed[0] | options,
    )
