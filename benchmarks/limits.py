"""What requests may cost, beside what else a Zope could use.

They are the goals for release 2.0, for sessions with one key and in CPU time.
Anyone who makes the package slower than that should know why.  Missing a goal
fails nothing, as it may only mean that the machine was busy.
"""

from dataclasses import dataclass

from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE


@dataclass(frozen=True)
class Limit:
    """The most that a request may take, as a multiple of a peer's.

    Both are what is taken more than by Zope alone.
    """

    view: str
    store: str
    most: float
    peer: str = MIDDLEWARE


LIMITS = (
    Limit("read", "memory", 0.5),
    Limit("read", "file", 0.16),
    Limit("read", "Redis", 0.42),
    Limit("read", "memcached", 0.6),
    Limit("read", "memcached", 1.0, MCDUTILS),
    Limit("read", "PostgreSQL", 0.3),
    Limit("read", "cookie", 1.0),
    Limit("write", "memory", 0.85),
    Limit("write", "file", 1.0),
    Limit("write", "Redis", 0.65),
    Limit("write", "memcached", 0.85),
    Limit("write", "cookie", 1.1),
)

UNUSED = 1.05
"""The most that a request without a session may take, as a multiple of that
of Zope alone."""
