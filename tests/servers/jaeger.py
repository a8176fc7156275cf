"""A real Jaeger v2 on free ports: thrift and OTLP in, the query API out, memory as its storage."""

from __future__ import annotations

import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.process import (
    ServerProcess,
    find_program,
    free_port,
    free_ports,
    http_ok,
    wait_until,
)

INSTALL = (
    "curl -sSL https://github.com/jaegertracing/jaeger/releases/download/v1.76.0/"
    "jaeger-2.13.0-linux-amd64.tar.gz | tar xz --strip-components=1 -C ~/.local/bin"
)
CONFIGURATION = """\
service:
  extensions: [jaeger_storage, jaeger_query, remote_sampling]
  pipelines:
    traces: {receivers: [otlp, jaeger], exporters: [jaeger_storage_exporter]}
  telemetry:
    metrics: {level: none}
    logs: {level: warn}
extensions:
  jaeger_query:
    storage: {traces: memory}
    http: {endpoint: "127.0.0.1:${env:QUERY}"}
    grpc: {endpoint: "127.0.0.1:${env:QUERY_GRPC}"}
  jaeger_storage:
    backends:
      memory: {memory: {max_traces: 100000}}
  remote_sampling:
    file: {path: "${env:STRATEGIES:-}", default_sampling_probability: 1}
    http: {endpoint: "127.0.0.1:${env:SAMPLING}"}
    grpc: {endpoint: "127.0.0.1:${env:SAMPLING_GRPC}"}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "127.0.0.1:${env:OTLP_GRPC}"}
      http: {endpoint: "127.0.0.1:${env:OTLP_HTTP}"}
  jaeger:
    protocols:
      thrift_compact: {endpoint: "127.0.0.1:${env:COMPACT}"}
      thrift_binary: {endpoint: "127.0.0.1:${env:BINARY}"}
      thrift_http: {endpoint: "127.0.0.1:${env:THRIFT_HTTP}"}
      grpc: {endpoint: "127.0.0.1:${env:PROTO_GRPC}"}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
"""
TCP_PORTS = (
    "QUERY",
    "QUERY_GRPC",
    "SAMPLING",
    "SAMPLING_GRPC",
    "OTLP_GRPC",
    "OTLP_HTTP",
    "THRIFT_HTTP",
    "PROTO_GRPC",
)
UDP_PORTS = ("COMPACT", "BINARY")


def find_jaeger() -> str:
    """The program's path; without it the test skips (or fails, in CI)."""
    return find_program("jaeger", install=INSTALL)


class Jaeger(ServerProcess):
    """A context manager. `ports` has a port for each of `TCP_PORTS` and `UDP_PORTS`."""

    def __init__(self, strategies: Path | None = None) -> None:
        program = find_jaeger()
        self.ports: dict[str, int] = {
            **dict(zip(TCP_PORTS, free_ports(len(TCP_PORTS)), strict=True)),
            **dict(zip(UDP_PORTS, free_ports(len(UDP_PORTS), socket.SOCK_DGRAM), strict=True)),
        }
        env = {name: str(port) for name, port in self.ports.items()}
        env["OTEL_TRACES_SAMPLER"] = "always_off"  # else it traces its own query API
        if strategies:
            env["STRATEGIES"] = str(strategies)
        super().__init__("jaeger", [program, "--config=jaeger.yaml"], self._answers, env=env)
        (self.folder / "jaeger.yaml").write_text(CONFIGURATION)

    def __enter__(self) -> Jaeger:
        super().__enter__()
        return self

    @property
    def otlp_grpc_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['OTLP_GRPC']}"

    @property
    def otlp_http_endpoint(self) -> str:
        """The base URL, without /v1/traces."""
        return f"http://127.0.0.1:{self.ports['OTLP_HTTP']}"

    @property
    def thrift_http_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['THRIFT_HTTP']}/api/traces"

    @property
    def sampling_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports['SAMPLING']}/sampling"

    def services(self) -> list[str]:
        return sorted(self._query("services") or [])

    def traces(self, service: str, *, limit: int = 10_000, **query: str) -> list[dict[str, Any]]:
        """The traces of a service as /api/traces has them: traceID, spans, processes."""
        answer = self._query("traces", {"service": service, "limit": str(limit), **query})
        return list(answer or [])

    def trace(self, trace_id: str) -> dict[str, Any] | None:
        """One trace by its id in hex, None when it is not there."""
        try:
            found = self._query(f"traces/{trace_id}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise
        return found[0] if found else None

    def spans(self, service: str) -> list[dict[str, Any]]:
        """The spans of a service, over all traces."""
        return [
            span
            for trace in self.traces(service)
            for span in trace["spans"]
            if trace["processes"][span["processID"]]["serviceName"] == service
        ]

    def wait_for_spans(
        self, service: str, count: int, seconds: float = 10.0
    ) -> list[dict[str, Any]]:
        """The spans of a service once there are `count`; raises TimeoutError."""
        wait_until(lambda: len(self.spans(service)) >= count, seconds, f"{count} of {service}")
        return self.spans(service)

    def _answers(self) -> bool:
        return http_ok(f"http://127.0.0.1:{self.ports['QUERY']}/api/services") and http_ok(
            f"{self.sampling_endpoint}?service=ready"
        )

    def _query(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        url = f"http://127.0.0.1:{self.ports['QUERY']}/api/{path}{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]


class AdaptiveJaeger(Jaeger):
    """Calculates sampling rates from the root spans it gets, every second, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.ports["METRICS"] = free_port()
        self.env["METRICS"] = str(self.ports["METRICS"])
        configuration = CONFIGURATION
        for old, new in _ADAPTIVE:
            configuration, count = re.subn(old, new, configuration, flags=re.MULTILINE)
            assert count == 1, old
        (self.folder / "jaeger.yaml").write_text(configuration)

    def __enter__(self) -> AdaptiveJaeger:
        super().__enter__()
        return self

    @property
    def counted_operations(self) -> int:
        """The operations of root spans that the calculation knows."""
        return self._metric("sampling_operations_total")

    def wait_for_rounds(self, count: int) -> None:
        """Until so many calculations have begun and ended; raises TimeoutError."""
        rounds = "adaptive_sampling_processor_calculate_probabilities_seconds_count"
        last = self._metric(rounds) + count
        wait_until(lambda: self._metric(rounds) >= last, 10, f"{count} calculations")

    def _metric(self, name: str) -> int:
        url = f"http://127.0.0.1:{self.ports['METRICS']}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = re.search(rf"^{name}(?:{{.*}})? (\d+)$", answer.read().decode(), re.MULTILINE)
        return int(found[1]) if found else 0


_ADAPTIVE = (
    (
        r"file: \{path.*",
        "adaptive: {sampling_store: memory, initial_sampling_probability: 1, "
        "calculation_interval: 1s, calculation_delay: 1s}",
    ),
    (
        r"metrics: \{level: none\}",
        "metrics: {level: detailed, readers: "
        "[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: '${env:METRICS}'}}}}]}",
    ),
    (r"receivers: \[otlp, jaeger\],", r"\g<0> processors: [adaptive_sampling],"),
    (r"^receivers:", "processors: {adaptive_sampling: }\nreceivers:"),
)


def readable(trace: Any) -> Any:
    """A trace with its processes inside its spans and without an order that means nothing."""
    for span in trace["spans"]:
        span["process"] = trace["processes"][span.pop("processID")]
        for fields in (span, span["process"], *span["logs"]):
            name = "fields" if "fields" in fields else "tags"
            fields[name] = sorted(fields.get(name) or [], key=json.dumps)
        span["references"] = sorted(span.get("references") or [], key=json.dumps)
    return sorted(trace["spans"], key=json.dumps)
