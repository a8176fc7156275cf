"""Small things jaeger_client's modules share, and a future for everyone who waits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import socket
import struct
import time
from collections.abc import Generator
from typing import Any


class Future(concurrent.futures.Future[Any]):
    """Can be waited on in a thread (`result()`), in tornado (`yield`) and in asyncio (`await`)."""

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()


def done(result: Any = True) -> Future:
    """A future that has its result already."""
    future = Future()
    future.set_result(result)
    return future


class ErrorReporter:
    """Logs errors, at most one each `log_interval_minutes`; `metrics` is not used any more."""

    def __init__(
        self,
        metrics: Any,
        logger: logging.Logger | None = None,
        log_interval_minutes: float = 15,
    ) -> None:
        self.logger = logger
        self.log_interval_minutes = log_interval_minutes
        self._last_error_reported_at = time.time()

    def error(self, *args: Any) -> None:
        now = time.time()
        if self.logger is None or now <= (
            self._last_error_reported_at + self.log_interval_minutes * 60
        ):
            return
        self.logger.error(*args)
        self._last_error_reported_at = now


def get_boolean(string: Any, default: Any) -> Any:
    """True for 1 and true, False for 0, false and none, in any case; else the default."""
    return {"false": False, "0": False, "none": False, "true": True, "1": True}.get(
        str(string).lower(), default
    )


def local_ip() -> str | None:
    """This machine's address, as jaeger-client chose it: by name, by interface, by route."""
    try:
        address: str | None = socket.gethostbyname(socket.gethostname())
    except OSError:
        try:
            address = socket.gethostbyname("localhost")
        except OSError:
            address = None
    if address is None or address.startswith("127."):
        address = get_local_ip_by_interfaces() or get_local_ip_by_socket()
    return address


def get_local_ip_by_socket() -> str | None:
    """The address a packet to elsewhere would leave from. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
            return str(probe.getsockname()[0])
        except OSError:
            return None


def get_local_ip_by_interfaces() -> str | None:
    """The first address among eth0..2, en0..2, wlan0..2."""
    for name in (f"{kind}{number}" for kind in ("eth", "en", "wlan") for number in range(3)):
        try:
            return interface_ip(name.encode())
        except (OSError, ImportError):
            continue
    return None


def interface_ip(interface: bytes) -> str:
    """The IPv4 address of a network interface (Unix). Raises OSError when it has none."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        siocgifaddr = 0x8915
        answer = fcntl.ioctl(probe.fileno(), siocgifaddr, struct.pack("256s", interface[:15]))
    return socket.inet_ntoa(answer[20:24])
