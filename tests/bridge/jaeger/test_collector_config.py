"""The Collector's configuration: accepted and run by a real one (Jaeger v2 is one)."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.jaeger.agent import PORTS, Options
from bridge.jaeger.collector_config import Flavour, collector_config
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import Signal, read_settings
from tests.bridge.jaeger import packets
from tests.servers.jaeger import find_jaeger
from tests.servers.process import ServerProcess, free_port, free_ports, http_ok

STRATEGIES = {"default_strategy": {"type": "probabilistic", "param": 0.25}}


def options(
    endpoint: str = "http://127.0.0.1:4317", protocol: str = "grpc", **chosen: Any
) -> Options:
    headers = chosen.pop("headers", {})
    settings = read_settings(
        Signal.TRACES, endpoint=endpoint, protocol=protocol, headers=headers, environ={}
    )
    return Options(settings, **chosen)


def test_it_is_what_the_agent_would_do() -> None:
    found = yaml.safe_load(collector_config(options(batch_spans=7, batch_seconds=0.5)))
    protocols = found["receivers"]["jaeger"]["protocols"]
    assert {name: item["endpoint"] for name, item in protocols.items()} == {
        "thrift_compact": "127.0.0.1:6831",
        "thrift_binary": "127.0.0.1:6832",
        "thrift_http": "127.0.0.1:14268",
    }
    assert found["exporters"]["otlp"]["endpoint"] == "127.0.0.1:4317"
    assert found["processors"]["batch"]["send_batch_size"] == 7
    assert "extensions" not in found


def test_ports_that_are_off_are_left_out() -> None:
    found = yaml.safe_load(collector_config(options(ports={**dict.fromkeys(PORTS), "http": 1})))
    assert set(found["receivers"]["jaeger"]["protocols"]) == {"thrift_http"}


def test_header_values_stay_out() -> None:
    text = collector_config(options(headers={"x-api-key": "secret"}))
    assert "secret" not in text
    exporter = yaml.safe_load(text)["exporters"]["otlp"]
    assert exporter["headers"] == {"x-api-key": "${env:OTLP_HEADER_X_API_KEY}"}


def test_tls_and_http() -> None:
    found = yaml.safe_load(collector_config(options("https://user:pw@host:4318/base", "http")))
    assert found["exporters"]["otlphttp"]["traces_endpoint"] == "https://host:4318/base/v1/traces"
    found = yaml.safe_load(collector_config(options("https://host:4317")))
    assert "tls" not in found["exporters"]["otlp"]


@pytest.mark.parametrize("flavour", ["contrib", "jaeger"])
def test_strategies_need_an_extension(flavour: Flavour) -> None:
    chosen = options(strategies=Path("/etc/$strategies.json"))
    found = yaml.safe_load(collector_config(chosen, flavour))
    name = found["service"]["extensions"][-1]
    assert name == {"contrib": "jaegerremotesampling", "jaeger": "remote_sampling"}[flavour]
    assert "/etc/$$strategies.json" in json.dumps(found["extensions"][name])


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("flavour", ["contrib", "jaeger"])
def test_a_real_collector_accepts_it(tmp_path: Path, flavour: Flavour, protocol: str) -> None:
    path = tmp_path / "collector.yaml"
    chosen: dict[str, Any] = {"headers": {"x-api-key": "secret"}}
    if flavour == "jaeger":  # Jaeger's binary does not have contrib's sampling extension
        chosen["strategies"] = strategies_file(tmp_path)
    path.write_text(collector_config(options(protocol=protocol, **chosen), flavour))
    done = subprocess.run(
        [find_jaeger(), "validate", f"--config={path}"],
        capture_output=True,
        text=True,
        timeout=60,
        env={"OTLP_HEADER_X_API_KEY": "secret"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_real_collector_runs_it(tmp_path: Path, protocol: str) -> None:
    tcp = dict(zip(("http", "sampling", "admin"), free_ports(3), strict=True))
    udp = dict(zip(("compact", "binary"), free_ports(2, socket.SOCK_DGRAM), strict=True))
    with OtlpReceiver() as sink:
        chosen = options(
            sink.grpc_endpoint if protocol == "grpc" else sink.http_endpoint,
            protocol,
            ports={**udp, **tcp},
            strategies=strategies_file(tmp_path),
            batch_seconds=0.05,
        )
        # Its gRPC twin of the sampling port is a fixed one.
        text = collector_config(chosen, "jaeger").replace(":5779", f":{free_port()}")
        path = tmp_path / "collector.yaml"
        path.write_text(text)
        url = f"http://127.0.0.1:{tcp['sampling']}/sampling?service=x"
        command = [find_jaeger(), f"--config={path}"]
        with (
            ServerProcess("collector", command, lambda: http_ok(url)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            for way, port in udp.items():
                client.sendto(
                    packets.packet(packets.batch(packets.span()), way), ("127.0.0.1", port)
                )
            assert len(sink.wait_for_spans(2)) == 2
            with urllib.request.urlopen(url) as answer:
                assert json.load(answer)["probabilisticSampling"] == {"samplingRate": 0.25}


def strategies_file(folder: Path) -> Path:
    path = folder / "strategies.json"
    path.write_text(json.dumps(STRATEGIES))
    return path
