"""A jaeger_client Config dict as plain OpenTelemetry parts."""

from __future__ import annotations

from typing import Any

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.sdk.trace.sampling import Sampler as OtelSampler
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shim.jaeger_client.config import Config
from shim.jaeger_client.sampler import (
    ConstSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    Sampler,
)
from shim.jaeger_client.tracer import process_tags
from shim.pipeline import make_exporter, new_provider, resource_of, span_queue
from shim.propagation import B3MultiPropagator, UberTraceIdPropagator
from shim.samplers import ConstSampler as OtelConst
from shim.samplers import JaegerRemoteSampler, JaegerSampler
from shim.samplers import ProbabilisticSampler as OtelProbabilistic
from shim.samplers import RateLimitingSampler as OtelRateLimiting


def provider_of(
    config: dict[str, Any], service_name: str | None, protocol: str | None = None
) -> TracerProvider:
    """The provider: sampler, resource, limits and pipeline. Raises ValueError as Config does."""
    legacy = Config(config, service_name=service_name)
    queue = span_queue(
        lambda: make_exporter(legacy.local_agent_reporting_host, protocol),
        capacity=_whole(config.get("reporter_queue_size")),
        wake_at=_whole(config.get("reporter_batch_size")),
        flush_interval=float(legacy.reporter_flush_interval) or None,
    )
    return new_provider(
        resource_of(legacy.service_name, process_tags(legacy.tags)),
        queue,
        ParentBased(sampler_of(legacy)),
        SpanLimits(max_attribute_length=int(legacy.max_tag_value_length)),
        protocol,
    )


def propagator_of(config: dict[str, Any]) -> TextMapPropagator:
    """The legacy format that the dict names, and W3C: both are read, both are written."""
    legacy: TextMapPropagator
    if config.get("propagation") == "b3":
        legacy = B3MultiPropagator()
    else:
        names = ("trace_id_header", "baggage_header_prefix", "debug_id_header")
        legacy = UberTraceIdPropagator(**{key: config[key] for key in names if key in config})
    return CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator(), legacy])


def sampler_of(legacy: Config) -> OtelSampler:
    """The Config's sampler for OpenTelemetry; without one it is the remote sampler, as it was."""
    chosen = legacy.sampler
    if chosen is None:
        return JaegerRemoteSampler(
            legacy.service_name,
            endpoint=(
                f"http://{legacy.local_agent_reporting_host}:{legacy.local_agent_sampling_port}"
                "/sampling"
            ),
            polling_seconds=float(legacy.sampling_refresh_interval),
            max_operations=legacy.max_operations or 2000,
        )
    if type(chosen) is ConstSampler:
        return OtelConst(chosen.decision)
    if type(chosen) is ProbabilisticSampler:
        return OtelProbabilistic(chosen.rate)
    if type(chosen) is RateLimitingSampler:
        return OtelRateLimiting(chosen.traces_per_second)
    return _Custom(chosen)


class _Custom(JaegerSampler):
    """A sampler of the application's own, by jaeger_client's API."""

    def __init__(self, chosen: Sampler) -> None:
        self._chosen = chosen

    def decide(self, trace_id: int, operation: str) -> tuple[bool, dict[str, Any]]:
        sampled, tags = self._chosen.is_sampled(trace_id, operation)
        return bool(sampled), tags

    def __repr__(self) -> str:
        return str(self._chosen)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
