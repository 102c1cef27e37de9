"""Words and numbers for what was counted and done.

The command and the page tell it in the same words.
"""

from collections.abc import Callable
from collections.abc import Sequence

from collective.beaker.maintenance import Sweep


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""How long units of time are."""

_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}


def number(count: int, thing: str) -> str:
    """Return a number of things, such as 2 sessions."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def size(bytes: float) -> str:
    """Return a size in bytes, kB or MB."""
    if bytes < 1024:
        return number(round(bytes), "byte")
    if bytes < 1024**2:
        return f"{bytes / 1024:,.1f} kB"
    return f"{bytes / 1024**2:,.1f} MB"


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has one."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= SECONDS[unit]:
            break
    return number(int(seconds // SECONDS[unit]), _UNITS[unit])


def limits(limits: Sequence[float], show: Callable[[float], str]) -> list[str]:
    """Return what the bars of a chart stand for."""
    return [f"up to {show(limit)}" for limit in limits] + ["more"]


def removed(swept: Sweep, verb: str = "Removed") -> str:
    """Return what a sweep has removed."""
    return (
        f"{verb} {number(swept.expired, 'expired session')}, "
        f"{number(swept.empty, 'empty record')}, "
        f"{number(swept.locks, 'lock')} and "
        f"{number(swept.temporary_files, 'temporary file')}."
    )


def kept(swept: Sweep, verb: str = "Kept") -> str:
    """Return what a sweep has kept."""
    return (
        f"{verb} {number(swept.kept, 'session')}; "
        f"{swept.used_meanwhile:,} of them used meanwhile, "
        f"{swept.unreadable:,} unreadable."
    )
