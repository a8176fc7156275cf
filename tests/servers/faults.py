"""A TCP proxy between client and server that delays, cuts and silences their connections.

Crashes and hangs of the server itself (kill, restart, pause, resume) are methods of
`tests.servers.process.ServerProcess`.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from types import TracebackType

_LINGER_NOTHING = struct.pack("ii", 1, 0)  # close() sends RST


class TcpProxy:
    """Forwards a loopback port of its own to `upstream_port`; a context manager.

    `latency` (seconds) delays every chunk. `refuse()` closes the port. `reset()` cuts the open
    connections with RST. `silence()` is the half-open connection: it stays open, and nothing
    passes any more, on it or on new ones. `heal()` ends all of these.
    """

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.latency = 0.0
        self.connections = 0  # accepted so far
        self._silent = False
        self._closing = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = _listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._spawn(self._accept, self._listener)

    def refuse(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.reset()

    def reset(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for side in pair:
                _cut(side)

    def silence(self) -> None:
        self._silent = True

    def heal(self) -> None:
        self.latency = 0.0
        if self._silent:
            self._silent = False
            self.reset()  # what was swallowed cannot be given back
        if self._listener is None:
            self._listener = _listen(self.port)
            self._spawn(self._accept, self._listener)

    def close(self) -> None:
        self._closing = True
        self.refuse()
        for thread in self._threads:
            thread.join(2.0)

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="tcp-proxy")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream_port), timeout=2.0)
            except OSError:
                _cut(client)
                continue
            pair = (client, server)
            with self._lock:
                refused = self._listener is not listener  # meanwhile
                self._pairs.add(pair)
            if refused:
                self.reset()
            else:
                self._spawn(self._forward, pair)

    def _forward(self, pair: tuple[socket.socket, socket.socket]) -> None:
        other = {pair[0]: pair[1], pair[1]: pair[0]}
        try:
            while not self._closing:
                for side in select.select(pair, [], [], 0.1)[0]:
                    data = side.recv(65536)
                    if not data:
                        return
                    if self._silent:
                        continue
                    if self.latency:
                        time.sleep(self.latency)
                    other[side].sendall(data)
        except (OSError, ValueError):
            pass  # cut from either side
        finally:
            with self._lock:
                self._pairs.discard(pair)
            for side in pair:
                side.close()

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _cut(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
    side.close()
