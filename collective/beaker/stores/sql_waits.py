"""A limit to how long anyone waits for a database that hangs.

The drivers of PostgreSQL have none: they wait for as long as the connection
exists.  So it is ended from outside, which wakes them with an error.
"""

import os
from contextlib import suppress
from errno import ETIMEDOUT
from socket import SHUT_RDWR
from socket import socket
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy import event

from collective.beaker.stores.alarm import Alarm


class _Line:
    """The socket of a connection, to be shut down by another thread.

    It has a descriptor of its own: that of the driver may be another file's
    at the moment when it is needed.
    """

    was_cut = False

    def __init__(self, descriptor: int):
        self._socket = socket(fileno=os.dup(descriptor))

    def cut(self) -> None:
        self.was_cut = True
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


def limit_waits(engine: Engine, seconds: float) -> None:
    """Let nobody use a connection for more than some seconds at a time.

    The error of the one who does is caused by a TimeoutError.
    """
    lines: WeakKeyDictionary[Any, _Line] = WeakKeyDictionary()

    def cut(connection: Any) -> None:
        if line := lines.get(connection):
            line.cut()

    def begin(connection: Any, record: Any) -> None:
        lines[connection] = _Line(connection.fileno())
        # SQLAlchemy itself uses a connection before it gives it to anyone.
        alarm.set(connection)

    def fail(connection: Any, record: Any, error: Any) -> None:
        line = lines.get(connection)
        if line and line.was_cut and error is not None:
            error.__cause__ = TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))

    def end(connection: Any, record: Any) -> None:
        alarm.clear(connection)
        if line := lines.pop(connection, None):
            line.close()

    alarm = Alarm(seconds, cut)
    event.listen(engine, "connect", begin, insert=True)
    event.listen(engine, "checkout", alarm.set)
    event.listen(engine, "checkin", alarm.clear)
    event.listen(engine, "invalidate", fail)
    event.listen(engine, "close", end)
