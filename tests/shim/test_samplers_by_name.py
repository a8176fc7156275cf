"""What OTEL_TRACES_SAMPLER_ARG makes of the samplers; real programs: test_samplers_in_jaeger."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.sampling import Sampler

from shim.samplers import JaegerRemoteSampler, JaegerSampler, RateLimitingSampler
from shim.samplers_by_name import jaeger_remote, rate_limiting


def delegate(sampler: Sampler) -> JaegerSampler:
    root = getattr(sampler, "_root", None)
    assert isinstance(root, JaegerSampler)
    return root


def test_the_specified_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "by-env")
    sampler = delegate(
        jaeger_remote("endpoint=http://127.0.0.1:9, pollingIntervalMs=5000,initialSamplingRate=.25")
    )
    assert isinstance(sampler, JaegerRemoteSampler)
    assert sampler.polling_seconds == 5
    assert repr(sampler) == (
        "JaegerRemoteSampler(http://127.0.0.1:9/sampling, ProbabilisticSampler(0.25))"
    )
    sampler.shutdown()


def test_a_useless_argument_is_logged_and_does_not_sample_everything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sampler = delegate(
        jaeger_remote("endpoint=ftp://x,pollingIntervalMs=-1,initialSamplingRate=lots,colour=red,x")
    )
    assert isinstance(sampler, JaegerRemoteSampler)
    sampler.shutdown()
    assert sampler.endpoint == "http://localhost:5778/sampling"
    assert repr(sampler.sampler) == "ProbabilisticSampler(0.001)"
    assert len(caplog.records) == 5


@pytest.mark.parametrize(("argument", "limit"), [(None, 10.0), ("2.5", 2.5), ("many", 10.0)])
def test_rate_limiting_argument(argument: str | None, limit: float) -> None:
    sampler = delegate(rate_limiting(argument))
    assert isinstance(sampler, RateLimitingSampler)
    assert sampler.traces_per_second == limit
