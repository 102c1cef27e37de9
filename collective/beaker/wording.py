"""Texts for counts, sizes, times and results.

The command and the page share them, so that both use the same words.
"""

import time
from collections.abc import Callable
from collections.abc import Sequence
from itertools import pairwise

from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.users import UserSession


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""The lengths of the units of time."""

_UNITS = {"w": "week", "d": "day", "h": "hour", "m": "minute", "s": "second"}
"""The names of the units of time."""


NO_SESSION = "There is no session with this ID."

NOT_FOUND_HERE = (
    f"{NO_SESSION} Those of sites with options of their own are found by "
    "collective-beaker revoke --zope."
)
"""The same where these sites are not looked at."""

NO_SESSION_OF_USER = (
    "The user has no session. If you expected one, check the path: whether "
    "there is such a user is not known here."
)


def number(count: int, thing: str) -> str:
    """Return a number with its noun, such as 2 sessions."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def size(bytes: float) -> str:
    """Return a size in bytes, kB or MB."""
    if bytes < 1024:
        return number(round(bytes), "byte")
    if bytes < 1024**2:
        return f"{_decimal(bytes / 1024)} kB"
    return f"{_decimal(bytes / 1024**2)} MB"


def _decimal(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


def duration(seconds: float) -> str:
    """Return a time in its largest whole unit, such as 2 hours."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= SECONDS[unit]:
            break
    return number(int(seconds // SECONDS[unit]), _UNITS[unit])


def ranges(limits: Sequence[float], show: Callable[[float], str]) -> list[str]:
    """Return the labels of a chart's bars, such as 1 kB to 10 kB."""
    shown = [show(limit) for limit in limits]
    between = [f"{low} to {high}" for low, high in pairwise(shown)]
    return [f"up to {shown[0]}", *between, f"over {shown[-1]}"]


def value(value: object) -> str:
    """Return the value of a setting, as it might be in zope.conf."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def facts(found: Survey) -> list[tuple[str, str]]:
    """Return the numbers of a survey, besides its charts, and their names."""
    average = found.bytes / found.sessions if found.sessions else 0
    expired = f"{found.expired:,}"
    if found.expired:
        expired += f" ({found.removable:,} due for a sweep)"
    return [
        ("Sessions", f"{found.sessions:,}"),
        ("Expired", expired),
        ("Unreadable", f"{found.unreadable:,}"),
        ("Empty records", f"{found.empty:,}"),
        ("Total size", size(found.bytes)),
        ("Average size", size(average)),
        ("Largest", size(found.largest)),
        ("Oldest", duration(found.oldest) if found.sessions else "none"),
    ]


def milliseconds(seconds: float) -> str:
    """Return how long a round trip took."""
    return f"{seconds * 1000:.2f} ms"


def removed(swept: Sweep, verb: str = "Removed") -> str:
    """Return a sentence about what a sweep has removed."""
    return (
        f"{verb} {number(swept.expired, 'expired session')}, "
        f"{number(swept.empty, 'empty record')}, "
        f"{number(swept.locks, 'lock')} and "
        f"{number(swept.temporary_files, 'temporary file')}."
    )


def emptied(region: str, removed: int | None) -> str:
    """Return a sentence about a cache region that was emptied."""
    if removed is None:
        return f"Emptied {region}."
    return f"Emptied {region}: {number(removed, 'value')} removed."


def user_sessions(sessions: Sequence[UserSession], most: int) -> str:
    """Return a sentence about the sessions of a user, and the first ones."""
    if not sessions:
        return NO_SESSION_OF_USER
    shown = [user_session(each) for each in sessions[:most]]
    if len(sessions) > most:
        shown.append("…")
    told = number(len(sessions), "session")
    return f"The user has {told}: {'; '.join(shown)}."


def user_session(session: UserSession) -> str:
    """Return a line about a session of a user."""
    now = time.time()
    used = duration(max(0, now - session.last_used))
    begun = duration(max(0, now - session.created))
    client = session.client or "unknown client"
    return f"{client}, last used {used} ago, begun {begun} ago"


def kept(swept: Sweep, verb: str = "Kept") -> str:
    """Return a sentence about what a sweep has kept."""
    return (
        f"{verb} {number(swept.kept, 'session')}; "
        f"{swept.used_meanwhile:,} used in the meantime, "
        f"{swept.unreadable:,} unreadable."
    )


def ended_of_user(count: int) -> str:
    """Return how many sessions of a user have ended."""
    return (
        f"Ended {number(count, 'session')}." if count else NO_SESSION_OF_USER
    )
