"""Values in Redis and in Redis Cluster.

The key of a value and that of its claim have the same hash tag, so that both
are on one node of a cluster, and a script may use both.  The records of
different names are spread over the nodes.
"""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from hashlib import sha1
from typing import Any
from typing import Protocol

from redis import Redis
from redis import RedisCluster
from redis.exceptions import NoScriptError

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import Size
from collective.beaker.stores.redis_client import FAILURES
from collective.beaker.stores.redis_client import Command
from collective.beaker.stores.redis_client import LateClient
from collective.beaker.stores.redis_client import cluster_connector
from collective.beaker.stores.redis_client import connect_anew
from collective.beaker.stores.redis_client import place_of
from collective.beaker.stores.redis_client import redis_client
from collective.beaker.stores.redis_client import redis_reason_of
from collective.beaker.stores.redis_client import scan
from collective.beaker.stores.redis_client import send_each
from collective.beaker.stores.values.base import LONGEST_SECONDS
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import new_token


_PREFIX = "beaker_value:"

_key = f"{_PREFIX}{{{{{{}}}}}}".format
"""Returns the key of a value: its name in braces, which are a hash tag."""

_claim_key = f"{_PREFIX}{{{{{{}}}}}}:claim".format
"""Returns the key of the claim on a value."""


class _Script:
    """A script, which Redis knows by its digest once it has run."""

    def __init__(self, text: str):
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()

    def command(self, *arguments: Any) -> Command:
        """Return the command that runs it; the number of keys comes first."""
        return ("EVALSHA", self._digest, *arguments)

    def is_run_by(self, command: Command) -> bool:
        return command[:2] == ("EVALSHA", self._digest)

    def whole(self, command: Command) -> Command:
        """Return a command that Redis understands without knowing it."""
        return ("EVAL", self._text, *command[2:])


_RENEW = _Script("""\
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
return redis.call("PEXPIRE", KEYS[1], ARGV[2])
""")

_SETTLE = _Script("""\
if redis.call("GET", KEYS[2]) ~= ARGV[1] then
    return 0
end
redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
redis.call("DEL", KEYS[2])
return 1
""")

_GIVE_UP = _Script("""\
if redis.call("GET", KEYS[1]) == ARGV[1] then
    redis.call("DEL", KEYS[1])
end
return 1
""")

_PUT = _Script("""\
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
redis.call("DEL", KEYS[2])
return 1
""")

_KEEP = _Script("""\
for number, key in ipairs(KEYS) do
    local left = redis.call("PTTL", key)
    if left == -2 then
        redis.call("SET", key, ARGV[number + 1], "PX", ARGV[1])
    elseif left < tonumber(ARGV[1]) then
        redis.call("PEXPIRE", key, ARGV[1])
    end
end
return 1
""")

_RAISE_NUMBER = _Script("""\
local present = redis.call("GET", KEYS[1])
local left = math.max(redis.call("PTTL", KEYS[1]), tonumber(ARGV[2]))
if present and present > ARGV[1] then
    redis.call("PEXPIRE", KEYS[1], left)
else
    local done = redis.pcall("SET", KEYS[1], ARGV[1], "PX", left)
    if done.err then
        -- It may be full: what is not there is not valid, either.
        redis.call("DEL", KEYS[1], KEYS[2])
        return done
    end
end
redis.call("DEL", KEYS[2])
return 1
""")

_MOST_COMMANDS = 1000
"""How many commands there are in one round trip, each of which must be done
within the socket_timeout."""

_SCRIPTS = (_RENEW, _SETTLE, _GIVE_UP, _PUT, _KEEP, _RAISE_NUMBER)


class _Sender(Protocol):
    """What sends commands to Redis, as ``Connection`` does."""

    def __call__(self, *command: Any) -> Any: ...

    def all(self, commands: Sequence[Command]) -> list[Any]: ...


class _Pipelines:
    """Sends commands by a client that finds its server in its own way."""

    def __init__(self, client: LateClient):
        self._client = client

    def __call__(self, *command: Any) -> Any:
        execute: Callable[..., Any] = self._client().execute_command
        return execute(*command)

    def all(self, commands: Sequence[Command]) -> list[Any]:
        with self._client().pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


class RedisValues(ValueStore):
    """Keeps records as texts of Redis, each with an end."""

    failures = FAILURES

    def __init__(
        self,
        kind: str,
        client: Redis | RedisCluster | Callable[[], RedisCluster],
        address: str,
        connect: Callable[[], _Sender] | None = None,
    ):
        super().__init__(kind, address)
        self._late = late = LateClient(client)
        self._connect = connect or (lambda: _Pipelines(late))
        self._ask = self._connect()

    def _drop_connections(self) -> None:
        # A client that code has created looks after its own connections.
        self._ask = self._connect()

    @property
    def _client(self) -> Redis | RedisCluster:
        return self._late()

    def _reason(self, error: BaseException) -> str:
        return redis_reason_of(error)

    @property
    def place(self) -> Hashable:
        return place_of(self._late.made_by(self._guarded))

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        answers = self._ask("MGET", *map(_key, names))
        return _found(names, answers)

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        claim = Claim(name, new_token())
        key, token = _claim_key(name), claim.token
        # If a stale connection is replaced, the first attempt may have
        # succeeded.  So the claim is what Redis has now.
        _, owner, *records = self._ask_all(
            ("SET", key, token, "NX", "PX", _milliseconds(seconds)),
            ("GET", key),
            *self._reading(names),
        )
        found = _found(names, self._answers(records))
        return claim if owner == token.encode() else None, found

    def _renew(self, claim: Claim, seconds: float) -> bool:
        key = _claim_key(claim.name)
        milliseconds = _milliseconds(seconds)
        return bool(self._run(_RENEW, 1, key, claim.token, milliseconds))

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        milliseconds = _milliseconds(seconds)
        keys = _key(claim.name), _claim_key(claim.name)
        arguments = claim.token, record, milliseconds
        *_, settled = self._ask_all(
            *self._keeping(keep, milliseconds),
            _SETTLE.command(2, *keys, *arguments),
        )
        return bool(settled)

    def _give_up(self, claim: Claim) -> None:
        self._run(_GIVE_UP, 1, _claim_key(claim.name), claim.token)

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        milliseconds = _milliseconds(seconds)
        keys = _key(name), _claim_key(name)
        self._ask_all(
            *self._keeping(keep, milliseconds),
            _PUT.command(2, *keys, record, milliseconds),
        )

    def _delete(self, names: Sequence[str]) -> None:
        self._ask_all(
            *(("DEL", _key(name), _claim_key(name)) for name in names)
        )

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        milliseconds = _milliseconds(seconds)
        for first in range(0, len(names), _MOST_COMMANDS):
            self._ask_all(
                *(
                    _RAISE_NUMBER.command(
                        2, _key(name), _claim_key(name), number, milliseconds
                    )
                    for name in names[first : first + _MOST_COMMANDS]
                )
            )

    def _walk(self, prefix: str) -> Iterator[str]:
        for keys in scan(self._client, f"{_PREFIX}{{{prefix}*}}"):
            for key in keys:
                yield key.decode("ascii")[len(_PREFIX) + 1 : -1]

    def _clear(self, prefix: str) -> int:
        number = 0
        # The claims are among them.
        for keys in scan(self._client, f"{_PREFIX}{{{prefix}*"):
            removed = send_each(self._client, "unlink", keys)
            number += sum(
                one
                for key, one in zip(keys, removed, strict=True)
                if key.endswith(b"}")
            )
        return number

    def _sizes(self, prefix: str) -> Iterator[Size]:
        for keys in scan(self._client, f"{_PREFIX}{{{prefix}*}}"):
            yield Size(len(keys), sum(send_each(self._client, "strlen", keys)))

    def _reading(self, names: Sequence[str]) -> list[Command]:
        """Return the commands that read records."""
        return [("MGET", *map(_key, names))]

    def _answers(self, records: list[Any]) -> list[Any]:
        """Return the records in the answers to these commands."""
        (answers,) = records
        found: list[Any] = answers
        return found

    def _keeping(
        self, keep: Mapping[str, Any], milliseconds: int
    ) -> list[Command]:
        """Return the commands that keep records with a value."""
        if not keep:
            return []
        keys, records = map(_key, keep), keep.values()
        return [_KEEP.command(len(keep), *keys, milliseconds, *records)]

    def _run(self, script: _Script, *arguments: Any) -> Any:
        (answer,) = self._ask_all(script.command(*arguments))
        return answer

    def _ask_all(self, *commands: Command) -> list[Any]:
        """Send commands in one round trip, and return their answers.

        A script that Redis does not know is sent.  Raises the first error.
        """
        answers = self._ask.all(commands)
        for number, answer in enumerate(answers):
            if isinstance(answer, NoScriptError):
                answers[number] = self._ask(*_whole(commands[number]))
            elif isinstance(answer, Exception):
                raise answer
        return answers


class RedisClusterValues(RedisValues):
    """The same, where the nodes of a cluster share the keys.

    Each record is read and kept by a command of its own, since those of one
    command would have to be on one node.
    """

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        return _found(names, self._ask_all(*self._reading(names)))

    def _reading(self, names: Sequence[str]) -> list[Command]:
        return [("GET", _key(name)) for name in names]

    def _answers(self, records: list[Any]) -> list[Any]:
        return records

    def _keeping(
        self, keep: Mapping[str, Any], milliseconds: int
    ) -> list[Command]:
        return [
            command
            for name, record in keep.items()
            for command in RedisValues._keeping(
                self, {name: record}, milliseconds
            )
        ]


def _found(names: Sequence[str], answers: Sequence[Any]) -> dict[str, Any]:
    return {
        name: record
        for name, record in zip(names, answers, strict=True)
        if record is not None
    }


def _whole(command: Command) -> Command:
    (script,) = (script for script in _SCRIPTS if script.is_run_by(command))
    return script.whole(command)


def _milliseconds(seconds: float | None) -> int:
    """Return how long Redis keeps a record, which has an end in any case."""
    if seconds is None:
        seconds = LONGEST_SECONDS
    return max(1, round(seconds * 1000))


def redis_values(
    kind: str, url: str | Redis, socket_timeout: int
) -> RedisValues:
    """Return the store of ext:redis; ``url`` may also be a client."""
    if not isinstance(url, str):
        return RedisValues(kind, url, "a client of its own")
    client = redis_client(url, socket_timeout)
    # The client would ask its pool for a connection for each command.
    return RedisValues(kind, client, url, partial(connect_anew, client))


def redis_cluster_values(
    kind: str, urls: str | RedisCluster, socket_timeout: int, **options: Any
) -> RedisClusterValues:
    """Return the store of ext:rediscluster; ``urls`` may also be a client."""
    if not isinstance(urls, str):
        return RedisClusterValues(kind, urls, "a client of its own")
    connect = cluster_connector(urls, socket_timeout, **options)
    return RedisClusterValues(kind, connect, urls)
