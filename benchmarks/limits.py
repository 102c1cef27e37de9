"""What requests may cost, beside what else a Zope could use.

These are the goals of issue 10 for release 2.0, for sessions of one key and
in CPU time.  Whoever makes the package slower than that should know why.
Nothing fails where one is missed: a machine that does something else at the
same time would make it fail, too.
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
