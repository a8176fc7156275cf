"""The UDP ports: one thread that empties the sockets first and decodes second.

The kernel's buffer holds few packets. So whenever there is something to read, it is read into a
bounded backlog, and only a few packets are decoded before the sockets are looked at again.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge.jaeger.intake import Full, Intake
from bridge.jaeger.thrift import Batch, Malformed, Protocol, decode_packet

logger = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
BACKLOG_BYTES = 64 * 1024 * 1024
PACKET_BYTES = 65_535
READ_AT_ONCE = 256
DECODE_AT_ONCE = 16
PACKET_OVERHEAD_BYTES = 300
# Linux's SO_RCVBUFFORCE, which the socket module does not name.
SO_RCVBUFFORCE = (33,) if sys.platform == "linux" else ()


class Port(NamedTuple):
    """A bound socket and how its packets are read. `way` names it in metrics."""

    way: str
    socket: socket.socket
    decode: Callable[[bytes], Batch]
    number: int
    buffer_bytes: int  # what the kernel granted, its own bookkeeping not counted


def open_port(way: str, host: str, number: int, protocol: Protocol) -> Port:
    """Binds a UDP port with as large a receive buffer as the kernel grants. Raises OSError."""
    address = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(address[0], socket.SOCK_DGRAM)
    try:
        _size_buffer(opened)
        opened.setblocking(False)
        opened.bind(address[4])
    except OSError:
        opened.close()
        raise
    size = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    granted = size // 2 if sys.platform == "linux" else size
    decode = partial(decode_packet, protocol=protocol)
    return Port(way, opened, decode, int(opened.getsockname()[1]), granted)


def _size_buffer(opened: socket.socket) -> None:
    """Beyond net.core.rmem_max where we may, else up to it."""
    for option in (socket.SO_RCVBUF, *SO_RCVBUFFORCE):
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER_BYTES)


def kernel_drops() -> dict[int, int]:
    """Packets the kernel threw away for want of room, by local port; empty beside Linux."""
    found: dict[int, int] = {}
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()  # sl, local address as HEX:PORT, ..., drops
            port = int(columns[1].rpartition(":")[2], 16)
            found[port] = found.get(port, 0) + int(columns[-1])
    return found


class UdpListener:
    """Reads all UDP ports until `close`."""

    def __init__(self, ports: list[Port], intake: Intake) -> None:
        self.ports = ports
        self.overflowed = 0  # packets that the backlog had no room for
        self._intake = intake
        self._backlog: deque[tuple[Port, bytes, str]] = deque()
        self._backlog_bytes = 0
        self._selector = selectors.DefaultSelector()
        self._closing = False
        self._waker, self._wake = socket.socketpair()
        self._selector.register(self._waker, selectors.EVENT_READ)
        for port in ports:
            self._selector.register(port.socket, selectors.EVENT_READ, port)
        self._thread = threading.Thread(target=self._run, name="jaeger-udp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Takes what has arrived by now, then stops reading and frees the ports."""
        self._closing = True
        self._wake.send(b"x")
        self._thread.join()
        for port in self.ports:
            port.socket.close()
        self._selector.close()
        self._waker.close()
        self._wake.close()

    def drops(self) -> dict[str, int]:
        """Packets lost before they could be read, by way in."""
        found = kernel_drops()
        return {port.way: found[port.number] for port in self.ports if port.number in found}

    def _run(self) -> None:
        while True:
            closing = self._closing
            for key, _ in self._selector.select(0 if self._backlog or closing else None):
                if key.data:
                    self._read(key.data)
            for _ in range(min(len(self._backlog), DECODE_AT_ONCE)):
                self._decode()
            if closing and not self._backlog:
                return

    def _read(self, port: Port) -> None:
        receive = port.socket.recvfrom
        for _ in range(READ_AT_ONCE):
            try:
                data, peer = receive(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:  # an ICMP answer to somebody else's packet, say
                logger.debug("UDP %s: %s", port.way, error)
                return
            size = len(data) + PACKET_OVERHEAD_BYTES
            if self._backlog_bytes + size > BACKLOG_BYTES:
                self.overflowed += 1
                continue
            self._backlog.append((port, data, peer[0]))
            self._backlog_bytes += size

    def _decode(self) -> None:
        port, data, peer = self._backlog.popleft()
        self._backlog_bytes -= len(data) + PACKET_OVERHEAD_BYTES
        with contextlib.suppress(Malformed, Full):  # counted; there is nobody to answer
            self._intake.take(data, port.decode, port.way, peer)
