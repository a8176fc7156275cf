"""`jaeger2otlp agent` as a person runs it: a process, its output, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.jaeger.agent import PORTS, Agent, Options
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import Signal, read_settings
from migrator.commands.agent import _watch, agent, inventory_table
from tests.bridge.jaeger import packets
from tests.servers.process import free_port, wait_until

FREE = [f"--{name}-port=0" for name in PORTS]
ONE = packets.packet(
    packets.batch(packets.span(), of=packets.process("shop", {"jaeger.version": "Go-2.30.0"}))
)


@contextmanager
def running(*arguments: str, env: dict[str, str] | None = None) -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-m", "migrator", "agent", *FREE, "--batch-seconds=0.05", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ports_of(process: Any) -> dict[str, int]:
    return {name: int(port) for name, port in re.findall(r"(\w+) (\d+)", process.stderr.readline())}


def send(ports: dict[str, int], count: int = 1) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(count):
            client.sendto(ONE, ("127.0.0.1", ports["compact"]))


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(agent, arguments)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_stop_and_sends_what_is_queued(how: signal.Signals) -> None:
    with OtlpReceiver() as sink, running(f"--otlp-endpoint={sink.grpc_endpoint}") as process:
        send(ports_of(process), 50)
        time.sleep(0.1)
        process.send_signal(how)
        _, errors = process.communicate(timeout=15)
        assert process.returncode == 0
        assert "50 spans sent, 0 lost" in errors
        assert len(sink.spans) == 50


def test_the_environment_names_the_endpoint_too() -> None:
    with OtlpReceiver() as sink:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        with running(env=env) as process:
            send(ports_of(process))
            assert sink.wait_for_spans(1)


def test_spans_left_at_the_end_are_said() -> None:
    arguments = (f"--otlp-endpoint=http://127.0.0.1:{free_port()}", "--drain-seconds=0.5")
    with running(*arguments) as process:
        send(ports_of(process))
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
        assert "0 spans sent, 1 lost" in errors
        assert process.returncode == 1


@pytest.mark.parametrize(
    ("host", "warned"), [("0.0.0.0", True), ("::1", False), ("localhost", False)]
)
def test_listening_beyond_loopback_is_said(host: str, warned: bool) -> None:
    with running(f"--host={host}") as process:
        ports = ports_of(process)
        process.stderr.readline()
        if warned:
            assert "beyond loopback" in process.stderr.readline()
        to = socket.getaddrinfo(host, ports["compact"], type=socket.SOCK_DGRAM)[0]
        with socket.socket(to[0], socket.SOCK_DGRAM) as client:
            client.sendto(ONE, to[4])
        wait_until(
            lambda: invoke(
                f"--host={host}", "--inventory", f"--admin-port={ports['admin']}"
            ).output.startswith("service")
        )


def test_a_second_signal_ends_it_at_once() -> None:
    endpoint = f"--otlp-endpoint=http://127.0.0.1:{free_port()}"
    with running(endpoint, "--drain-seconds=60") as process:
        send(ports_of(process))
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        while "stopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == -signal.SIGINT


def test_a_taken_port_is_an_error_that_helps() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = invoke(*FREE, f"--http-port={port}")
    assert result.exit_code == 2
    assert f"127.0.0.1:{port} (http)" in result.output
    assert "--NAME-port" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--http-port=99999"], "a port, 0 for a free one, or off"),
        (["--otlp-endpoint=http://x:99999999"], "OTLP endpoint"),
        (["--strategies=/nowhere.json"], "/nowhere.json: No such file"),
        (["--default-sampling=2"], "2.0 is not in the range"),
        (["--inventory", "--admin-port=1"], "no agent answers at http://127.0.0.1:1/inventory"),
    ],
)
def test_wrong_arguments_say_what_is_wanted(arguments: list[str], message: str) -> None:
    result = invoke(*FREE, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_the_collector_configuration_is_printed() -> None:
    result = invoke("--print-collector-config")
    assert result.exit_code == 0
    assert "thrift_compact" in result.output


def test_the_inventory_of_a_running_agent_is_a_table() -> None:
    with OtlpReceiver() as sink, running(f"--otlp-endpoint={sink.grpc_endpoint}") as process:
        ports = ports_of(process)
        send(ports, 3)
        sink.wait_for_spans(3)
        result = invoke("--inventory", f"--admin-port={ports['admin']}")
    assert result.exit_code == 0
    heading, row, _, summary = result.output.splitlines()
    assert heading.split()[:4] == ["service", "client", "host", "via"]
    assert row.split()[:6] == ["shop", "jaeger", "Go-2.30.0", "127.0.0.1", "compact", "3"]
    assert summary == "Services that still send legacy spans: 1."


def test_an_empty_inventory_says_so() -> None:
    assert inventory_table([]) == "No legacy spans have come since the agent started."


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count is read from /proc")
def test_packets_lost_at_the_socket_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.jaeger.udp.RECEIVE_BUFFER_BYTES", 2304)
    monkeypatch.setattr("migrator.commands.agent.WATCH_SECONDS", 0.05)
    options = Options(read_settings(Signal.TRACES, environ={}), ports=dict.fromkeys(PORTS, 0))
    with_agent, stop = Agent(options), threading.Event()
    threading.Timer(0.5, stop.set).start()
    flood(with_agent.ports, 2000)
    _watch(with_agent, stop)
    with_agent.close(0)
    assert "packets lost at the socket: raise net.core.rmem_max" in caplog.text


def test_memory_is_flat_while_the_sink_is_down(tmp_path: Path) -> None:
    arguments = (
        f"--otlp-endpoint=http://127.0.0.1:{free_port()}",
        "--queue-mib=4",
        "--drain-seconds=0",
    )
    with running(*arguments) as process:
        ports = ports_of(process)
        admin = f"http://127.0.0.1:{ports['admin']}/health"
        flood(ports, 15_000)
        wait_until(lambda: queued(admin) > 5000)
        before = memory(process.pid)
        flood(ports, 30_000)
        assert memory(process.pid) - before < 8 * 1024
        assert process.poll() is None


def flood(ports: dict[str, int], packets_: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(packets_):
            client.sendto(ONE, ("127.0.0.1", ports["compact"]))
            if number % 100 == 0:
                time.sleep(0.01)


def queued(url: str) -> int:
    import urllib.request

    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(json.load(answer)["queue_spans"])


def memory(pid: int) -> int:
    """Resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]
