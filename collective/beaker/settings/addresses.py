"""The addresses of stores: what is wrong with one, and where it leads.

A function whose name ends with ``_error`` returns what is wrong with an
address, or None.  One that ends with ``_places`` returns where options keep
records, as far as they tell.

The client libraries that read them are imported when they are needed.
"""

import re
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from inspect import signature
from typing import Any
from urllib.parse import urlsplit

from collective.beaker.settings.redis_urls import parse_redis_url
from collective.beaker.settings.sentinels import FORM as SENTINEL_FORM
from collective.beaker.settings.sentinels import SentinelAddress
from collective.beaker.settings.sentinels import client_of_master
from collective.beaker.settings.sentinels import names_sentinels
from collective.beaker.settings.sentinels import read_sentinel_url


_MEMCACHED = re.compile(r"(unix:)?/.*|(\[[^]\s]+\]|[^][\s:,/]+)(:[0-9]{1,5})?")
"""The address of one memcached: a host, a host and a port, or a socket."""

_DECODE = "decode_responses"
"""The parameter that has Redis return texts, which no record is."""

_NOT_DECODED = f"with {_DECODE}, nothing can be read. Remove that"

_WRONG_PARAMETERS = (
    "the client library does not accept the parameters behind the question "
    "mark. Correct or remove them"
)


def database_error(address: str) -> str | None:
    """Read a URL as SQLAlchemy does, and look for the driver it names."""
    from sqlalchemy import create_engine
    from sqlalchemy import exc
    from sqlalchemy.engine import make_url

    try:
        url = make_url(address)
        engine = create_engine(url)
        # Its own URL is without what SQLAlchemy itself takes.
        arguments, parameters = engine.dialect.create_connect_args(engine.url)
    except exc.NoSuchModuleError:
        return f"SQLAlchemy has no dialect {url.drivername!r}"
    except (exc.ArgumentError, ValueError):
        return "it must look like postgresql+psycopg://user@host/database"
    except ImportError as error:
        return f"install the database driver {error.name}"
    return _driver_error(engine.dialect.loaded_dbapi, arguments, parameters)


def _driver_error(
    driver: Any, arguments: Sequence[Any], parameters: Mapping[str, Any]
) -> str | None:
    try:
        connect = signature(driver.connect)
    except ValueError:
        # A function in C may not tell what it takes.
        return None
    try:
        connect.bind_partial(*arguments, **parameters)
    except TypeError:
        return _WRONG_PARAMETERS
    return None


def memcached_error(servers: str) -> str | None:
    """Look at the addresses of one or several memcached."""
    if all(_MEMCACHED.fullmatch(each.strip()) for each in servers.split(";")):
        return None
    return "it must look like host:port;host:port"


def mongodb_error(address: str) -> str | None:
    """Read a URL as the client library does."""
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    if not re.fullmatch(r"mongodb(\+srv)?://[^/]+/[^?].*", address):
        return "it must look like mongodb://host/database"
    if address.startswith("mongodb+srv:"):
        # The library would ask a name server.
        return None
    try:
        parse_uri(address)
    except OSError:
        return (
            "a file that it names cannot be read. Correct its path, or let "
            "Zope's user read it"
        )
    except (PyMongoError, ValueError):
        return "the client library does not understand it. Correct it"
    return None


def sqlite_file(address: Any) -> str | None:
    """Return the file of a URL of SQLAlchemy; None if it names none."""
    from sqlalchemy.engine import make_url

    if not address:
        return None
    url = make_url(address)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    special = url.database == ":memory:" or url.database.startswith("file:")
    return None if special else url.database


def database_places(options: Mapping[str, Any]) -> frozenset[Hashable]:
    """Return the table that options name."""
    from sqlalchemy import exc
    from sqlalchemy.engine import make_url

    try:
        url = make_url(options.get("url") or "")
    except (exc.ArgumentError, ValueError):
        # There is an error about it where it is used.
        return frozenset()
    table = options.get("table_name") or "beaker_cache"
    schema = options.get("schema_name")
    server = (_canonical_host(url.host), url.port, url.database)
    return frozenset([(*server, schema, table)])


def memcached_places(options: Mapping[str, Any]) -> frozenset[Hashable]:
    """Return the servers that options name."""
    url = options.get("url")
    servers = url.split(";") if isinstance(url, str) else ()
    return frozenset(
        (_canonical_host(host), port or "11211")
        for host, _, port in (
            server.strip().partition(":") for server in servers
        )
    )


def redis_places(options: Mapping[str, Any]) -> frozenset[Hashable]:
    """Return the database that options name, once for each sentinel."""
    url = options.get("url")
    if isinstance(url, str) and names_sentinels(url):
        return _sentinel_places(url)
    parts = _redis_options(url) if isinstance(url, str) else None
    if parts is None:
        return frozenset()
    server = parts.get("path") or (
        _canonical_host(parts.get("host")),
        parts.get("port", 6379),
    )
    return frozenset([(server, parts.get("db") or 0)])


def _sentinel_places(url: str) -> frozenset[Hashable]:
    """Return a place for each sentinel, as another address may name fewer."""
    try:
        address = read_sentinel_url(url)
    except ValueError:
        return frozenset()
    database = address.service, address.options.get("db") or 0
    return frozenset(
        (_canonical_host(host), port, *database)
        for host, port in address.sentinels
    )


def _canonical_host(name: str | None) -> str:
    """Return one name for what is this machine, and others as they are."""
    name = (name or "localhost").lower()
    return "localhost" if name in ("127.0.0.1", "::1") else name


def redis_error(url: str) -> str | None:
    """Read a URL of a Redis, or of the sentinels that name its master."""
    form = "redis://host:port/number"
    if names_sentinels(url):
        form = SENTINEL_FORM
        with suppress(ValueError):
            return _sentinel_parameter_error(read_sentinel_url(url))
    elif (options := _redis_options(url)) is not None:
        return _redis_parameter_error(url, options)
    percent = ", with user and password percent-encoded" if "@" in url else ""
    return f"it must look like {form}{percent}"


def _sentinel_parameter_error(address: SentinelAddress) -> str | None:
    from redis.sentinel import Sentinel

    def make_clients() -> Iterable[Any]:
        master = client_of_master(address, Sentinel, {})
        return master, *master.connection_pool.sentinel_manager.sentinels

    options = address.options | address.sentinel_options
    return _parameter_error(options, make_clients)


def _redis_parameter_error(url: str, options: Mapping[str, Any]) -> str | None:
    from redis import Redis

    return _parameter_error(options, lambda: [Redis.from_url(url)])


def _parameter_error(
    options: Mapping[str, Any], make_clients: Callable[[], Iterable[Any]]
) -> str | None:
    """Return what is wrong with the parameters in the URL of a Redis.

    Connections are made of them, but not opened.
    """
    from redis import RedisError

    if _DECODE in options:
        return _NOT_DECODED
    try:
        for client in make_clients():
            client.connection_pool.make_connection()
    except (RedisError, TypeError, ValueError):
        return _WRONG_PARAMETERS
    return None


def redis_cluster_error(urls: str) -> str | None:
    """Read the URLs of the nodes of a Redis Cluster."""
    for url in urls.split(","):
        node = _redis_options(url) or {}
        if "path" in node:
            return "a Redis Cluster has no unix socket"
        if "db" in node:
            return "a Redis Cluster has no database numbers"
        if _DECODE in node:
            return _NOT_DECODED
        if not node.keys() >= {"host", "port"}:
            return "it must look like redis://host:port,redis://host:port"
    return None


def _redis_options(url: str) -> dict[str, Any] | None:
    """Read a URL as the client library does; return None if it is wrong.

    The library itself ignores a database that is not a number.
    """
    try:
        options = parse_redis_url(url)
    except ValueError:
        return None
    parts = urlsplit(url)
    if parts.scheme == "unix":
        is_valid = "path" in options
    else:
        is_valid = parts.path.strip("/").isdecimal() or parts.path in ("", "/")
    return options if is_valid and url.split() == [url] else None
