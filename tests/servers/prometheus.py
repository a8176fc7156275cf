"""A real Prometheus, which scrapes and takes OTLP, and what it stored."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

from tests.servers.process import ServerProcess, find_program, free_port, http_ok

INSTALL = "make servers (Debian's package), or a release of prometheus.io on PATH"


class Prometheus(ServerProcess):
    """Scrapes `targets` (host:port) every second; exemplars, OTLP and native histograms are on."""

    def __init__(self, targets: Sequence[str] = (), path: str = "/metrics") -> None:
        program = find_program("prometheus", install=INSTALL)
        self.port = free_port()
        super().__init__("prometheus", [], lambda: http_ok(f"{self.url}/-/ready"))
        config = self.folder / "prometheus.yml"
        config.write_text(_config(targets, path), "utf-8")
        self.command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--enable-feature=exemplar-storage,native-histograms",
            "--log.level=warn",
        ]
        if takes_otlp(program):
            self.command.append("--web.enable-otlp-receiver")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def otlp_endpoint(self) -> str:
        """The base URL for OTLP over HTTP."""
        return f"{self.url}/api/v1/otlp"

    def get(self, path: str, **query: Any) -> Any:
        """The `data` of an API answer."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """What an instant query gives, by its sorted labels (without those Prometheus adds)."""
        return {
            tuple(sorted((k, v) for k, v in item["metric"].items() if k not in _ADDED)): float(
                item["value"][1]
            )
            for item in self.get("query", query=query)["result"]
        }

    def value(self, query: str) -> float | None:
        """The only value of a query, or None."""
        found = list(self.values(query).values())
        assert len(found) < 2, found
        return found[0] if found else None

    def exemplars(self, query: str) -> list[dict[str, Any]]:
        now = time.time()
        found = self.get("query_exemplars", query=query, start=now - 300, end=now + 60)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def target_is_up(self) -> bool:
        found = self.get("targets")["activeTargets"]
        return bool(found) and all(target["health"] == "up" for target in found)


_ADDED = {"job", "instance"}


def takes_otlp(program: str) -> bool:
    """Debian's Prometheus is built without the receiver."""
    answer = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=30)
    return "enable-otlp-receiver" in answer.stdout + answer.stderr


def promtool() -> str:
    return find_program("promtool", install=INSTALL)


def _config(targets: Sequence[str], path: str) -> str:
    return json.dumps(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {
                    "job_name": "test",
                    "metrics_path": path,
                    "static_configs": [{"targets": list(targets)}],
                }
            ]
            if targets
            else [],
        }
    )
