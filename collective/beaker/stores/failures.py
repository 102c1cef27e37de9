"""Why a store fails, in words that a log may hold, and how to go on."""

import errno
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import contextmanager
from socket import EAI_AGAIN
from socket import gaierror


NETWORK_FAILURES = (OSError, UnicodeError)
"""What is raised where a server cannot be reached: UnicodeError for the name
of a host with an empty or too long part, which no name server can have."""

_NO_HOST = frozenset([errno.EHOSTDOWN, errno.EHOSTUNREACH])

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


def lacks_host(error: BaseException) -> bool:
    """Tell whether no host was found, neither by its name nor its address.

    That no name server answers, or nobody at an address, takes seconds to
    find out, for which the limits of clients do not hold.
    """
    return any(
        cause.errno == EAI_AGAIN
        if isinstance(cause, gaierror)
        else isinstance(cause, OSError) and cause.errno in _NO_HOST
        for cause in causes(error)
    )


@contextmanager
def failing_late(
    kind: type[Exception],
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Have work that consists of many steps go on past one that fails.

    Yields what each step runs in.  An error of this kind ends that step only;
    the last one is raised at the end.
    """
    failure: Exception | None = None

    @contextmanager
    def step() -> Iterator[None]:
        nonlocal failure
        try:
            yield
        except kind as error:
            failure = error

    yield step
    if failure is not None:
        raise failure


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what has caused it, from the last to the first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
