"""The address of a Redis whose master sentinels name, and its client."""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from urllib.parse import urlsplit

from collective.beaker.settings.redis_urls import parse_redis_url


FORM = "redis+sentinel://host:port,host:port/service/number"
"""What such an address looks like."""

_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
"""The scheme of a master's URL, by the scheme of an address."""

_PORT = 26379
"""Where a sentinel listens, if an address has no port."""

_OF_SENTINELS = "sentinel_"
"""What options begin with that hold for the sentinels only."""

_OF_ALL = ("ssl", "socket_timeout", "socket_connect_timeout")
"""What options begin with that hold for the sentinels, too."""


@dataclass(frozen=True, repr=False)
class SentinelAddress:
    """What an address says, for the client library."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any]
    """The options of connections to the master."""
    sentinel_options: dict[str, Any]
    """The options of connections to the sentinels."""


def names_sentinels(url: str) -> bool:
    return url.partition("://")[0].lower() in _SCHEMES


def read_sentinel_url(url: str) -> SentinelAddress:
    """Read an address.  Raises ValueError if it is of another form."""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    service, _, number = parts.path.removeprefix("/").partition("/")
    is_whole = service and (number or "0").isdecimal() and "@" not in account
    if not is_whole or url.split() != [url]:
        raise ValueError(f"it must look like {FORM}")
    # The rest means what it means in the URL of a Redis.
    scheme = _SCHEMES[parts.scheme]
    master = f"{scheme}://{account}{at}master/{number}?{parts.query}"
    given = parse_redis_url(master)
    del given["host"]
    if given.pop("connection_class", None):
        given["ssl"] = True
    options = {
        name: value
        for name, value in given.items()
        if not name.startswith(_OF_SENTINELS)
    }
    own = {
        name.removeprefix(_OF_SENTINELS): value
        for name, value in given.items()
        if name.startswith(_OF_SENTINELS)
    }
    common = {
        name: value
        for name, value in options.items()
        if name.startswith(_OF_ALL)
    }
    return SentinelAddress(
        tuple(map(_read_host, hosts.split(","))),
        unquote(service),
        options,
        common | own,
    )


def client_of_master(
    address: SentinelAddress,
    make_sentinels: Callable[..., Any],
    options: Mapping[str, Any],
) -> Any:
    """Return a client that asks sentinels for its server when it connects.

    ``make_sentinels`` is the client library's class of sentinels, or one
    derived from it; ``options`` hold for all connections, unless the address
    says otherwise.
    """
    sentinels = make_sentinels(
        address.sentinels,
        sentinel_kwargs={**options, **address.sentinel_options},
    )
    return sentinels.master_for(
        address.service, **{**options, **address.options}
    )


def _read_host(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    if not parts.hostname:
        raise ValueError(f"it must look like {FORM}")
    return parts.hostname, parts.port or _PORT
