"""What every program here begins with: a tracer as a service on jaeger_client made it."""

from __future__ import annotations

from typing import Any

from jaeger_client import Config

CALLER = {"uber-trace-id": "abc:def:0:1", "uberctx-user": "ann"}
"""The headers of a caller whose trace a server span continues."""


def legacy_tracer(service_name: str, **settings: Any) -> Any:
    return Config(
        {"sampler": {"type": "const", "param": 1}}, service_name=service_name, **settings
    ).initialize_tracer()
