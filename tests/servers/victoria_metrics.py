"""A real VictoriaMetrics, the second opinion on our OTLP: another reader of the same bytes."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.servers.process import ServerProcess, find_program, free_port, http_ok


class VictoriaMetrics(ServerProcess):
    def __init__(self) -> None:
        program = find_program("victoria-metrics", install="make servers")
        self.port = free_port()
        super().__init__("victoria-metrics", [], lambda: http_ok(f"{self.url}/health"))
        self.command = [
            program,
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-search.latencyOffset=0s",
            "-opentelemetry.usePrometheusNaming",
            "-loggerLevel=WARN",
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def otlp_endpoint(self) -> str:
        """The base URL for OTLP over HTTP."""
        return f"{self.url}/opentelemetry"

    def series(self) -> list[dict[str, Any]]:
        """Every stored series with its values, flushed first."""
        urllib.request.urlopen(f"{self.url}/internal/force_flush", timeout=10).close()
        query = f"{self.url}/api/v1/export?match[]=%7B__name__!%3D%22%22%7D"
        with urllib.request.urlopen(query, timeout=10) as answer:
            return [json.loads(line) for line in answer]
