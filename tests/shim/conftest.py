"""What the shim's tests share."""

from __future__ import annotations

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach

from bridge.otlp.receiver import OtlpReceiver
from shim.jaeger_client import Config


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """No test sees the settings, the global tracer or the provider of another."""
    for variable in ("OTEL_PROPAGATORS", "OTEL_TRACES_EXPORTER", "JAEGER_AGENT_HOST"):
        monkeypatch.delenv(variable, raising=False)
    provider = trace._TRACER_PROVIDER
    once = trace._TRACER_PROVIDER_SET_ONCE._done
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE._done = None, False
    token = attach(Context())
    yield
    detach(token)
    trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE._done = provider, once
    Config._initialized = False
    opentracing._reset_global_tracer()


@pytest.fixture
def receiver(monkeypatch):
    """A real OTLP receiver that the OTLP settings point to (HTTP)."""
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
        yield receiver
