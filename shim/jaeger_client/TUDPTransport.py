"""jaeger_client's UDP transport, for code that sends datagrams of its own with it."""

from __future__ import annotations

import socket
from typing import Any


class TUDPTransport:
    """A datagram socket of the host's address family."""

    DEFAULT_SOCKET_FAMILY = socket.AF_INET

    def __init__(self, host: str, port: int, blocking: bool = False) -> None:
        self.transport_host = host
        self.transport_port = port
        self.transport_sock: Any = self._create_socket()
        self.transport_sock.setblocking(blocking)

    def _create_socket(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(
                self.transport_host, self.transport_port, type=socket.SOCK_DGRAM
            )
        except socket.gaierror:
            found = []
        family, kind, protocol = (
            found[0][:3]
            if found
            else (self.DEFAULT_SOCKET_FAMILY, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
        )
        return socket.socket(family, kind, protocol)

    def write(self, buf: bytes) -> int:
        address = (self.transport_host, self.transport_port)
        return self.transport_sock.sendto(buf, address)  # type: ignore[no-any-return]

    def flush(self) -> None:
        pass

    def isOpen(self) -> bool:  # noqa: N802
        return self.transport_sock is not None

    def close(self) -> None:
        self.transport_sock.close()
        self.transport_sock = None
