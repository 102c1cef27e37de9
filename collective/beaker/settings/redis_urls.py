"""How the URL of a Redis is read."""

from typing import Any


def parse_redis_url(url: str) -> dict[str, Any]:
    """Return what a URL says, as options of the client library.

    The library must be installed.  Raises ValueError for what is no URL of a
    Redis, but not for all that is wrong in one.
    """
    from redis.connection import parse_url

    # The library declares no types for it.
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return options
