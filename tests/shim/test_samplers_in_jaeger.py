"""The samplers against a real Jaeger v2, in programs that know OpenTelemetry only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from bridge.otlp.receiver import OtlpReceiver
from shim.samplers import JaegerRemoteSampler, PerOperationSampler
from tests.servers.jaeger import AdaptiveJaeger, Jaeger
from tests.servers.process import wait_until

STRATEGIES = {
    "default_strategy": {"type": "probabilistic", "param": 0.25},
    "service_strategies": [
        {"service": "all", "type": "probabilistic", "param": 1},
        {"service": "none", "type": "probabilistic", "param": 0},
        {"service": "limited", "type": "ratelimiting", "param": 2},
        {
            "service": "mixed",
            "type": "probabilistic",
            "param": 0.5,
            "operation_strategies": [
                {"operation": "hot", "type": "probabilistic", "param": 0},
                {"operation": "cold", "type": "probabilistic", "param": 1},
            ],
        },
    ],
}


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    strategies = tmp_path_factory.mktemp("jaeger") / "strategies.json"
    strategies.write_text(json.dumps(STRATEGIES))
    with Jaeger(strategies) as server:
        yield server


@pytest.mark.parametrize(
    ("service", "sampler"),
    [
        ("all", "ProbabilisticSampler(1)"),
        ("none", "ProbabilisticSampler(0)"),
        ("limited", "RateLimitingSampler(2)"),
        ("unheard of", "ProbabilisticSampler(0.25)"),
        ("mixed", "PerOperationSampler(2 operations, 0.5)"),
    ],
)
def test_every_kind_of_strategy(jaeger: Jaeger, service: str, sampler: str) -> None:
    remote = JaegerRemoteSampler(service, endpoint=jaeger.sampling_endpoint, polling_seconds=3600)
    assert remote.poll()
    remote.shutdown()
    assert repr(remote.sampler) == sampler


def test_operations_are_sampled_as_told(jaeger: Jaeger) -> None:
    remote = JaegerRemoteSampler("mixed", endpoint=jaeger.sampling_endpoint, polling_seconds=3600)
    assert remote.poll()
    remote.shutdown()
    assert isinstance(remote.sampler, PerOperationSampler)
    assert remote.decide((1 << 64) - 2, "cold")[0]
    remote.decide((1 << 64) - 2, "hot")
    assert not remote.decide((1 << 64) - 2, "hot")[0]


PROGRAM = """
import time
from opentelemetry import trace
tracer = trace.get_tracer("program")
sampler = trace.get_tracer_provider().sampler
deadline = time.monotonic() + 10
while "0.001" in sampler.get_description() and time.monotonic() < deadline:
    time.sleep(0.01)
for _ in range(20):
    with tracer.start_as_current_span("root"):
        with tracer.start_as_current_span("child"):
            pass
print(sampler.get_description())
"""


def run_instrumented(receiver: OtlpReceiver, env: Mapping[str, str]) -> str:
    """What PROGRAM prints, run by `opentelemetry-instrument` and sending to the receiver."""
    command = Path(sys.executable).with_name("opentelemetry-instrument")
    environment = {
        **os.environ,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **env,
    }
    run = subprocess.run(
        [command, sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def remote_env(jaeger: Jaeger, service: str) -> dict[str, str]:
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_TRACES_SAMPLER": "jaeger_remote",
        "OTEL_TRACES_SAMPLER_ARG": f"endpoint={jaeger.sampling_endpoint},pollingIntervalMs=100",
    }


def test_a_program_named_by_environment_is_told_to_sample_nothing(jaeger: Jaeger) -> None:
    with OtlpReceiver() as receiver:
        said = run_instrumented(receiver, remote_env(jaeger, "none"))
        assert receiver.spans == []
    assert "ProbabilisticSampler(0)" in said


def test_a_program_named_by_environment_is_told_to_sample_all(jaeger: Jaeger) -> None:
    with OtlpReceiver() as receiver:
        run_instrumented(receiver, remote_env(jaeger, "all"))
        spans = receiver.wait_for_spans(40)
    attributes = {span.name: {a.key: a.value for a in span.attributes} for span in spans}
    assert attributes["root"]["sampler.type"].string_value == "probabilistic"
    assert attributes["root"]["sampler.param"].int_value == 1
    assert "sampler.type" not in attributes["child"]


def test_a_program_named_by_environment_is_rate_limited() -> None:
    env = {"OTEL_TRACES_SAMPLER": "rate_limiting", "OTEL_TRACES_SAMPLER_ARG": "3"}
    with OtlpReceiver() as receiver:
        run_instrumented(receiver, env)
        roots = [span for span in receiver.spans if span.name == "root"]
        assert len(receiver.spans) == 2 * len(roots)
    assert len(roots) <= 4


def send_roots(jaeger: Jaeger, sampler: Sampler) -> None:
    resource = Resource({"service.name": "adaptive"})
    provider = TracerProvider(
        sampler=ParentBased(sampler), resource=resource, shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(jaeger.otlp_grpc_endpoint, insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for _ in range(5):
        provider.get_tracer("test").start_span("root").end()
    provider.shutdown()


def test_adaptive_sampling_counts_our_roots_and_not_those_without_tags() -> None:
    with AdaptiveJaeger() as jaeger:
        remote = JaegerRemoteSampler(
            "adaptive", endpoint=jaeger.sampling_endpoint, polling_seconds=3600
        )
        assert remote.poll()
        remote.shutdown()
        assert isinstance(remote.sampler, PerOperationSampler)

        send_roots(jaeger, ALWAYS_ON)
        jaeger.wait_for_rounds(2)
        assert jaeger.counted_operations == 0

        send_roots(jaeger, remote)
        wait_until(lambda: jaeger.counted_operations > 0, 10)
