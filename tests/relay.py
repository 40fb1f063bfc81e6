"""A relay in front of a server that a test can cut off and bring back: what a database that is gone for a while looks like."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class Relay:
    """Bytes from a port of its own to a server and back. `cut` ends all connections and takes no new ones until `mend`."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listening(0)
        self.port = int(self._listener.getsockname()[1])

    def cut(self) -> None:
        """From now on nothing answers on the port."""
        with self._lock:
            _end(self._listener)
            ended, self._open = self._open, set()
        for one in ended:
            _end(one)

    def mend(self) -> None:
        """The same port answers again."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._listener = self._listening(self.port)
                return
            time.sleep(0.05)
        raise OSError(f"port {self.port} is not free again")

    def _listening(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return  # it was cut
            try:
                far = socket.create_connection(self._server)
            except OSError:
                _end(near)
                continue
            with self._lock:
                lives = listener.fileno() >= 0
                if lives:
                    self._open |= {near, far}
            if not lives:  # cut meanwhile
                _end(near)
                _end(far)
                continue
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for each in (one, other):
            _end(each)
            with self._lock:
                self._open.discard(each)


def _end(one: socket.socket) -> None:
    """Close at once: a thread that waits in `accept` or `recv` would keep it open after `close` alone."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextlib.contextmanager
def relay(host: str, port: int) -> Iterator[Relay]:
    """A relay for as long as the block lasts."""
    found = Relay(host, port)
    try:
        yield found
    finally:
        found.cut()
