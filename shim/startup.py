"""Starts the shim in a process: by call, by environment, or as a plain OpenTelemetry provider."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from shim.jaeger_client import Tracer

logger = logging.getLogger("jaeger_tracing")


def install(
    service_name: str | None = None,
    config: Mapping[str, Any] | None = None,
    *,
    scope_manager: Any = None,
    metrics_factory: Any = None,
) -> Tracer:
    """Makes a tracer, sets it as `opentracing.tracer`, and lets `jaeger_client` mean the shim.

    `config` is a Config dict of jaeger_client. Without one the environment decides
    (`config_from_environment`), and every trace is sampled unless that says otherwise. A second
    call makes a second tracer with its own spans and replaces the first as the global one.
    """
    import opentracing

    from shim import standin
    from shim.pipeline import share_provider

    standin.install()
    tracer = _tracer(service_name, config, scope_manager, metrics_factory)
    opentracing.set_global_tracer(tracer)
    share_provider(tracer)
    return tracer


def auto() -> None:
    """What `import shim.auto` does: `jaeger_client` means the shim, and code that uses
    `opentracing.tracer` without any setup of its own gets a tracer by environment.

    An application that does set a tracer replaces this one; until then it does not count as
    registered, so that code which asks still does its setup.
    """
    import opentracing

    from shim import standin

    standin.install()
    if not opentracing.is_global_tracer_registered() and type(opentracing.tracer) is (
        opentracing.Tracer
    ):
        opentracing.tracer = _tracer(None, None, None, None)


def configure(
    config: Mapping[str, Any],
    service_name: str | None = None,
    *,
    set_global: bool = True,
    protocol: Literal["grpc", "http/protobuf"] | None = None,
) -> TracerProvider:
    """An OpenTelemetry TracerProvider for a jaeger_client Config dict that is made at run time.

    For migrated code: plain OpenTelemetry comes out, no legacy API. Sampler, limits, process
    tags, reporter settings and the endpoint are taken over as docs/shim.md tells; propagators
    (`uber-trace-id` or B3, and W3C) are set too, unless OTEL_PROPAGATORS is. With `set_global`
    both become the process's own. `protocol` is how OTLP is spoken, as it is by the exporters that
    the code names itself; without it OTEL_EXPORTER_OTLP_PROTOCOL decides. Raises ValueError as
    Config does: no service name, an unknown sampler type.
    """
    from shim.translated import propagator_of, provider_of

    provider = provider_of(dict(config), service_name, protocol)
    if set_global:
        from opentelemetry import propagate, trace

        trace.set_tracer_provider(provider)
        if not os.environ.get("OTEL_PROPAGATORS"):
            propagate.set_global_textmap(propagator_of(dict(config)))
    return provider


def config_from_environment(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """A Config dict out of the JAEGER_* variables of all languages' clients.

    jaeger_client for Python read only JAEGER_AGENT_HOST, JAEGER_AGENT_PORT, JAEGER_TAGS and
    JAEGER_TRACEID_128BIT (which Config still does itself).
    """
    config: dict[str, Any] = {
        key: convert(environ[name])
        for name, (key, convert) in _VARIABLES.items()
        if environ.get(name)
    }
    kind = environ.get("JAEGER_SAMPLER_TYPE")
    if kind and kind != "remote":
        config["sampler"] = {"type": kind, "param": environ.get("JAEGER_SAMPLER_PARAM", "1")}
    elif not kind:
        config["sampler"] = {"type": "const", "param": 1}
    host, _, port = environ.get("JAEGER_SAMPLER_MANAGER_HOST_PORT", "").rpartition(":")
    if host:
        config["local_agent"] = {"sampling_port": port}
    return config


def service_name_from(environ: Mapping[str, str] = os.environ) -> str:
    """OTEL_SERVICE_NAME, else OTEL_RESOURCE_ATTRIBUTES, JAEGER_SERVICE_NAME, else unknown."""
    from opentelemetry.sdk.resources import OTELResourceDetector

    detected = OTELResourceDetector().detect().attributes.get("service.name")
    return str(detected or environ.get("JAEGER_SERVICE_NAME") or "unknown_service:python")


def _tracer(
    service_name: str | None,
    config: Mapping[str, Any] | None,
    scope_manager: Any,
    metrics_factory: Any,
) -> Tracer:
    from shim.jaeger_client import Config

    settings = config_from_environment() if config is None else dict(config)
    if not service_name and not settings.get("service_name"):
        service_name = service_name_from()
    return Config(
        settings,
        service_name=service_name,
        scope_manager=scope_manager,
        metrics_factory=metrics_factory,
    ).new_tracer()


def _truth(value: str) -> bool:
    return value.strip().lower() in ("true", "1")


def _milliseconds(value: str) -> float:
    try:
        return float(value) / 1000
    except ValueError:
        logger.warning("JAEGER_REPORTER_FLUSH_INTERVAL: %r is no number of milliseconds", value)
        return 1.0


_VARIABLES: dict[str, tuple[str, Any]] = {
    "JAEGER_PROPAGATION": ("propagation", str.lower),
    "JAEGER_REPORTER_FLUSH_INTERVAL": ("reporter_flush_interval", _milliseconds),
    "JAEGER_REPORTER_LOG_SPANS": ("logging", _truth),
    "JAEGER_REPORTER_MAX_QUEUE_SIZE": ("reporter_queue_size", str),
}
