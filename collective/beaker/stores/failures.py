"""Why a store fails, in words that a log may hold."""

import errno
from collections.abc import Iterator


_NO_ROOM = frozenset([errno.ENOSPC, errno.EDQUOT])


def reason_of(error: BaseException) -> str:
    """Return why something failed, without anything that an error quotes.

    Messages of the operating system quote nothing, but a client library may
    wrap them.
    """
    name = type(error).__name__
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return f"{name}: {cause.strerror}"
    return name


def is_full(error: BaseException) -> bool:
    """Tell whether something failed because a disk takes nothing more."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what has caused it, from the last to the first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
