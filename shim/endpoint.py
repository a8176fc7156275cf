"""Where spans go: OTLP settings if given, otherwise the host that had the Jaeger agent."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import NamedTuple

logger = logging.getLogger("jaeger_tracing")

_ENDPOINT = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOL = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PORTS = {"grpc": 4317, "http/protobuf": 4318}
DEFAULT_PROTOCOL = "http/protobuf"


class Endpoint(NamedTuple):
    """`url` is None where the exporter reads it from the environment itself."""

    protocol: str
    url: str | None


def endpoint(
    agent_host: str | None, environ: Mapping[str, str] = os.environ, *, protocol: str | None = None
) -> Endpoint:
    """The rule. The agent's port says nothing about OTLP: it becomes 4317 (gRPC) or 4318 (HTTP).

    A `protocol` that the code names goes before the environment's. `http/protobuf` is the
    specification's default, and the one that survives forks.
    """
    protocol = protocol or _first(environ, _PROTOCOL) or DEFAULT_PROTOCOL
    if protocol not in _PORTS:
        logger.warning(
            "OTLP protocol %r is not known (%s); using %s",
            protocol,
            " or ".join(_PORTS),
            DEFAULT_PROTOCOL,
        )
        protocol = DEFAULT_PROTOCOL
    if _first(environ, _ENDPOINT):
        return Endpoint(protocol, None)
    host = agent_host or environ.get("JAEGER_AGENT_HOST") or "localhost"
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    path = "" if protocol == "grpc" else "/v1/traces"
    return Endpoint(protocol, f"http://{host}:{_PORTS[protocol]}{path}")


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
