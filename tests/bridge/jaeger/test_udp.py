"""UDP ports when packets come faster than they can be taken."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable

import pytest

from bridge.jaeger import udp
from bridge.jaeger.intake import Intake
from bridge.jaeger.inventory import Inventory
from bridge.jaeger.queue import PieceQueue
from bridge.jaeger.thrift import Batch, Protocol
from bridge.jaeger.udp import UdpListener, kernel_drops, open_port
from tests.bridge.jaeger import packets
from tests.servers.process import wait_until

PACKET = packets.packet(packets.batch(packets.span()))


def send(number: int, count: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(count):
            client.sendto(PACKET, ("127.0.0.1", number))


def slow_intake(seconds: float) -> Intake:
    class Slow(Intake):
        def take(self, data: bytes, decode: Callable[[bytes], Batch], way: str, peer: str) -> None:
            time.sleep(seconds)
            super().take(data, decode, way, peer)

    return Slow(PieceQueue(10_000_000), Inventory())


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is read from /proc")
def test_what_the_kernel_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "RECEIVE_BUFFER_BYTES", 4096)
    port = open_port("compact", "127.0.0.1", 0, Protocol.COMPACT)
    assert port.buffer_bytes < 20_000
    send(port.number, 200)  # nobody reads
    dropped = kernel_drops()[port.number]
    assert dropped > 0
    listener = UdpListener([port], slow_intake(0))
    assert listener.drops() == {"compact": dropped}
    listener.close()


def test_the_buffer_is_larger_than_the_usual() -> None:
    port = open_port("compact", "127.0.0.1", 0, Protocol.COMPACT)
    with port.socket, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as usual:
        default = usual.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert port.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= default


def test_a_burst_is_read_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding at 1 ms a packet would overflow this small buffer; the backlog takes it."""
    monkeypatch.setattr(udp, "RECEIVE_BUFFER_BYTES", 200_000)
    intake = slow_intake(0.001)
    port = open_port("compact", "127.0.0.1", 0, Protocol.COMPACT)
    listener = UdpListener([port], intake)
    for _ in range(20):
        send(port.number, 40)
        time.sleep(0.02)
    listener.close()
    assert intake.counts.batches["compact"] == 800
    assert listener.overflowed == 0


def test_the_backlog_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "BACKLOG_BYTES", 5 * (len(PACKET) + udp.PACKET_OVERHEAD_BYTES))
    intake = slow_intake(0.01)
    port = open_port("compact", "127.0.0.1", 0, Protocol.COMPACT)
    listener = UdpListener([port], intake)
    send(port.number, 100)
    wait_until(lambda: listener.overflowed > 0)
    listener.close()
    assert intake.counts.batches["compact"] + listener.overflowed == 100


def test_an_error_of_ours_does_not_end_the_reading(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    intake = slow_intake(0)
    port = open_port("compact", "127.0.0.1", 0, Protocol.COMPACT)
    with monkeypatch.context() as broken:
        broken.setattr("bridge.jaeger.intake.translate", lambda batch: 1 / 0)
        listener = UdpListener([port], intake)
        send(port.number, 1)
        wait_until(lambda: intake.counts.refused_batches["compact", "error"])
    send(port.number, 1)
    wait_until(lambda: intake.counts.batches["compact"])
    listener.close()
    assert "ZeroDivisionError" in caplog.text
