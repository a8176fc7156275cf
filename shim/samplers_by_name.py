"""The samplers by name: what OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG make of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler

from shim.samplers import (
    DEFAULT_TRACES_PER_SECOND,
    JaegerRemoteSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
)
from shim.sampling_client import SamplingClient

_logger = logging.getLogger(__name__)


def jaeger_remote(argument: str | None = None) -> Sampler:
    """The entry point `jaeger_remote`: a remote sampler under a parent's decision.

    `argument` is OTEL_TRACES_SAMPLER_ARG as OpenTelemetry specifies it, `endpoint=...,
    pollingIntervalMs=...,initialSamplingRate=...`, each optional, plus `service=...` (else the
    resource's `service.name`). What cannot be used is logged and left at its default: raising
    here would make the SDK sample everything.
    """
    options = _remote_options(argument or "")
    service = options.pop("service_name", None) or Resource.create().attributes[SERVICE_NAME]
    return ParentBased(JaegerRemoteSampler(str(service), **options))


def rate_limiting(argument: str | None = None) -> Sampler:
    """The entry point `rate_limiting`: at most `argument` new traces a second (10 without one)."""
    try:
        limit = float(argument) if argument else DEFAULT_TRACES_PER_SECOND
        return ParentBased(RateLimitingSampler(limit))
    except ValueError as error:
        default = DEFAULT_TRACES_PER_SECOND
        _logger.warning("OTEL_TRACES_SAMPLER_ARG: %s; using %s", error, default)
        return ParentBased(RateLimitingSampler(default))


def _remote_options(argument: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, argument.split(","))):
        key, _, value = pair.partition("=")
        try:
            name, convert = _REMOTE_OPTIONS[key.strip()]
            options[name] = convert(value.strip())
        except KeyError:
            known = ", ".join(_REMOTE_OPTIONS)
            _logger.warning("OTEL_TRACES_SAMPLER_ARG: unknown %r; known are %s", key, known)
        except ValueError as error:
            _logger.warning("OTEL_TRACES_SAMPLER_ARG: %s: %s; using the default", key, error)
    return options


def _polling_seconds(milliseconds: str) -> float:
    seconds = float(milliseconds) / 1000
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"must be above 0, not {milliseconds}")
    return seconds


def _endpoint(url: str) -> str:
    SamplingClient(url, "")
    return url


_REMOTE_OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "endpoint": ("endpoint", _endpoint),
    "pollingIntervalMs": ("polling_seconds", _polling_seconds),
    "initialSamplingRate": ("initial", lambda rate: ProbabilisticSampler(float(rate))),
    "service": ("service_name", str),
}
