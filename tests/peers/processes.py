"""The peers as running processes: started on first use, one of each, stopped at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.peers.build import ToolMissingError, build
from tests.servers.process import ServerProcess, free_port, http_ok

PYTHON = Path(__file__).parent / "python"
LEGACY = [sys.executable, str(PYTHON / "legacy.py")]
# The legacy service as it is, on the shim.
SHIM = [
    sys.executable,
    "-c",
    f"import shim.auto, sys, runpy; sys.path.insert(0, {str(PYTHON)!r}); "
    f"runpy.run_path({LEGACY[1]!r}, run_name='__main__')",
]
NATIVE = [
    str(Path(sys.executable).with_name("opentelemetry-instrument")),
    sys.executable,
    str(PYTHON / "native.py"),
]

_PYTHON = {"native": NATIVE, "w3c": NATIVE, "python": LEGACY, "shim": SHIM}

_PROPAGATORS = {"native": "uber_trace_id", "w3c": "tracecontext,baggage"}
# A sampler of ours that lets everything through and knows debug requests.
_NATIVE_ENV = {
    "OTEL_TRACES_SAMPLER": "rate_limiting",
    "OTEL_TRACES_SAMPLER_ARG": "1000000",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}


class Peers:
    """Starts peers by name: `native`, `shim`, `python`, `go`, `node`, `java`, and `w3c`, a native
    one that knows W3C headers only.

    `env` goes to all of them: where their spans go.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._running: dict[str, tuple[ServerProcess, int]] = {}

    def url(self, name: str) -> str:
        """Where the peer answers. Without its toolchain the test skips; in CI it fails."""
        if name not in self._running:
            port = free_port()
            env = {
                **_UNSET,
                **self._env,
                **_NATIVE_ENV,
                "OTEL_PROPAGATORS": _PROPAGATORS.get(name, "tracecontext,baggage"),
                "PEER_PORT": str(port),
                "PEER_NAME": name,
                "OTEL_SERVICE_NAME": f"peer-{name}",
            }
            ready = f"http://127.0.0.1:{port}/call?propagation=uber&bits=64"
            process = ServerProcess(f"peer-{name}", _command(name), lambda: http_ok(ready), env=env)
            process.start()
            self._running[name] = (process, port)
        return f"http://127.0.0.1:{self._running[name][1]}/call"

    def stop(self) -> None:
        for process, _ in self._running.values():
            process.__exit__(None, None, None)
        self._running.clear()


_UNSET = dict.fromkeys(("PEER_AGENT", "PEER_AGENT_BINARY"), "")


def _command(name: str) -> list[str]:
    if name in _PYTHON:
        return _PYTHON[name]
    try:
        return build(name)
    except ToolMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
