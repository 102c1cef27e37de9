"""The names under which stores keep what belongs to a cache.

A name consists of ``a-z``, ``0-9`` and ``:`` only.  It is made of digests of
exact bytes, so that no store confuses two names, whatever it thinks of upper
case, blanks, NUL or the length.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple


class Names(NamedTuple):
    """The names of one cache in one region."""

    prefix: str
    """What the names of its values begin with."""

    generations: tuple[str, str]
    """The records that say which values are of today: that of the region, and
    that of the cache."""

    def of_value(self, key: bytes) -> str:
        """Return the name of the value with this key."""
        return f"{self.prefix}{blake2b(key, digest_size=16).hexdigest()}"


@lru_cache(maxsize=10_000)
def names_of(region: str, cache: str) -> Names:
    """Return the names of a cache in a region.

    Cache and region are any text: a region without a name is "".
    """
    whole = generation_of(region)
    below = f"{_digest(region, 4)}:{_digest(cache, 8)}"
    return Names(f"v:{below}:", (whole, f"g:{below}"))


def generation_of(region: str) -> str:
    """Return the name of the generation of a region."""
    return f"g:{_digest(region, 4)}"


def prefix_of(region: str) -> str:
    """Return what the names of all values of a region begin with."""
    return f"v:{_digest(region, 4)}:"


@lru_cache(maxsize=10_000)
def name_of_tag(tag: str) -> str:
    """Return the name of the record of a tag, in all regions."""
    return f"t:{_digest(tag, 16)}"


class Wanted(NamedTuple):
    """A value that is asked for."""

    name: str
    """Its name in the store."""

    names: tuple[str, ...]
    """The same, and those of the records that tell whether it is valid."""

    generations: tuple[str, ...]
    """Which of these hold generations."""

    tags: tuple[str, ...] = ()
    """Which of these hold tags that commits have dropped."""

    time_tags: tuple[str, ...] = ()
    """Which of these hold tags that were dropped by time."""

    snapshot: tuple[bytes, bytes] | None = None
    """The transaction id of what it is computed from, and the time of that, as
    hexadecimal digits, once they matter."""


def make_wanted(
    name: str,
    generations: tuple[str, ...],
    tags: tuple[str, ...] = (),
    time_tags: tuple[str, ...] = (),
) -> Wanted:
    names = (name, *generations, *tags, *time_tags)
    return Wanted(name, names, generations, tags, time_tags)


def _digest(text: str, size: int) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=size).hexdigest()
