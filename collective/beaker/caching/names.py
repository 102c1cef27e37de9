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


def _digest(text: str, size: int) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=size).hexdigest()
