"""A proxy before a server, which lets go of clients without a word."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress


_BUFFER = 65536
"""How many bytes are passed on at once."""


class Line:
    """The connection of a client, and that to the server for it."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self._ends = client, server
        self._threads = [
            threading.Thread(target=self._pass_on, args=ends)
            for ends in ((client, server), (server, client))
        ]
        self.is_dead = False
        for thread in self._threads:
            thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_BUFFER):
                if not self.is_dead:
                    target.sendall(data)
        if not self.is_dead:
            self.end()

    def end(self) -> None:
        for end in self._ends:
            # The other side may have ended it.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()


class Proxy:
    """Passes on what clients and a server send each other."""

    def __init__(self, port: int):
        self._server = "127.0.0.1", port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lines: list[Line] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many connections there have been so far."""
        return len(self._lines)

    def lose_connections(self) -> None:
        """Answer nothing on any connection that there is.

        As if the server had lost its power and come back: none of its clients
        is told.  Connections that are made later are good.
        """
        for line in self._lines:
            line.is_dead = True

    def _accept(self) -> None:
        # It raises an error once it listens no more.
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._lines.append(Line(client, server))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for line in self._lines:
            line.close()


@contextmanager
def proxy_to(port: int) -> Iterator[Proxy]:
    """Run a proxy before the server on a port, until the end of the block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
