"""Strategies files: what they mean, what is refused, and what real clients make of the answers."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.jaeger import sampling
from bridge.jaeger.sampling import Strategies, StrategiesError, numbered
from tests.servers.jaeger import Jaeger


def strategies(folder: Path, document: Any, default: float = 0.001) -> Strategies:
    path = folder / "strategies.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return Strategies(path, default)


def probabilistic(rate: float) -> dict[str, Any]:
    return {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": rate}}


def test_no_file_means_jaegers_default() -> None:
    assert Strategies(None).of("any") == probabilistic(0.001)


def test_an_empty_file_means_the_default(tmp_path: Path) -> None:
    assert strategies(tmp_path, {}, default=0.5).of("any") == probabilistic(0.5)


def test_services_and_the_default(tmp_path: Path) -> None:
    found = strategies(
        tmp_path,
        {
            "default_strategy": {"type": "probabilistic", "param": 0.2},
            "service_strategies": [
                {"service": "a", "type": "probabilistic", "param": 0.8},
                {"service": "b", "type": "ratelimiting", "param": 5.9},
            ],
        },
    )
    assert found.of("a") == probabilistic(0.8)
    assert found.of("b") == {
        "strategyType": "RATE_LIMITING",
        "rateLimitingSampling": {"maxTracesPerSecond": 5},
    }
    assert found.of("other") == probabilistic(0.2)


def test_operations(tmp_path: Path) -> None:
    found = strategies(
        tmp_path,
        {
            "service_strategies": [
                {
                    "service": "a",
                    "type": "probabilistic",
                    "param": 0.8,
                    "operation_strategies": [
                        {"operation": "op1", "type": "probabilistic", "param": 0.2},
                        {"operation": "op2", "type": "ratelimiting", "param": 2},
                    ],
                }
            ]
        },
    )
    assert found.of("a")["operationSampling"] == {
        "defaultSamplingProbability": 0.8,
        "defaultLowerBoundTracesPerSecond": 0,
        "perOperationStrategies": [
            {"operation": "op1", "probabilisticSampling": {"samplingRate": 0.2}}
        ],
        "defaultUpperBoundTracesPerSecond": 0,
    }


def test_numbers_for_clients_that_want_them() -> None:
    assert numbered(probabilistic(1))["strategyType"] == 0


def test_an_unknown_type_samples_by_default(tmp_path: Path) -> None:
    document = {"service_strategies": [{"service": "a", "type": "adaptive", "param": 1}]}
    assert strategies(tmp_path, document).of("a") == probabilistic(0.001)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "the file: an object is wanted"),
        ({"default_strategy": 1}, "default_strategy: an object"),
        ({"service_strategies": {}}, ""),
        ({"service_strategies": 5}, "service_strategies: a list"),
        ({"service_strategies": [1]}, r"service_strategies\[0\]: an object"),
        ({"service_strategies": [{"service": 1}]}, r"service_strategies\[0\].service: a string"),
        (
            {"service_strategies": [{"service": "a", "type": "probabilistic", "param": "1"}]},
            r"service_strategies\[0\].param: a number",
        ),
        (
            {"default_strategy": {"operation_strategies": [{"operation": 3}]}},
            r"default_strategy.operation_strategies\[0\].operation: a string",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_file_says_where(tmp_path: Path, document: Any, message: str) -> None:
    if not message:
        assert strategies(tmp_path, document)
        return
    with pytest.raises(StrategiesError, match=message):
        strategies(tmp_path, document)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StrategiesError, match="No such file"):
        Strategies(tmp_path / "none.json")


def test_a_change_is_read_and_a_bad_change_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "CHECK_SECONDS", 0)
    found = strategies(tmp_path, {"default_strategy": {"type": "probabilistic", "param": 0.1}})
    path = tmp_path / "strategies.json"
    path.write_text('{"default_strategy": {"type": "probabilistic", "param": 0.25}}')
    assert found.of("x") == probabilistic(0.25)
    path.write_text("oops")
    assert found.of("x") == probabilistic(0.25)
    assert found.reload_failures == 1
    path.unlink()
    assert found.of("x") == probabilistic(0.25)
    path.write_text('{"default_strategy": {"type": "probabilistic", "param": 0.75}}')
    assert found.of("x") == probabilistic(0.75)


# Against a real Jaeger

NAMES = ("a", "b", "c")
kind = st.sampled_from(["probabilistic", "ratelimiting", "unknown"])
param = st.sampled_from([0, 0.25, 0.5, 1, 2, 100])
operation = st.fixed_dictionaries(
    {"operation": st.sampled_from("xyz"), "type": kind, "param": param}
)
service = st.fixed_dictionaries(
    {"service": st.sampled_from(NAMES), "type": kind, "param": param},
    optional={"operation_strategies": st.lists(operation, max_size=3)},
)
document = st.fixed_dictionaries(
    {}, optional={"default_strategy": service, "service_strategies": st.lists(service, max_size=3)}
)


@settings(
    max_examples=int(os.environ.get("SAMPLING_EXAMPLES", "20")),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(document=document)
def test_jaeger_answers_the_same(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    folder = tmp_path_factory.mktemp("strategies")
    ours = strategies(folder, document, default=1)
    with Jaeger(strategies=folder / "strategies.json") as jaeger:
        for name in (*NAMES, "other"):
            with urllib.request.urlopen(f"{jaeger.sampling_endpoint}?service={name}") as answer:
                assert numbered(ours.of(name)) == json.load(answer)


@pytest.mark.usefixtures("current_loop")
def test_jaeger_client_takes_the_answer(tmp_path: Path) -> None:
    """A real client without a configured sampler: 0.1 % until the agent tells it otherwise."""
    from jaeger_client import Config

    from bridge.jaeger.agent import PORTS, Agent, Options
    from bridge.otlp.settings import Signal, read_settings

    path = tmp_path / "strategies.json"
    path.write_text('{"default_strategy": {"type": "probabilistic", "param": 1}}')
    ports: dict[str, int | None] = dict.fromkeys(PORTS, 0)
    agent = Agent(Options(read_settings(Signal.TRACES, environ={}), ports=ports, strategies=path))
    config = Config(
        {
            "local_agent": {
                "reporting_port": agent.ports["compact"],
                "sampling_port": agent.ports["sampling"],
            },
            "sampling_refresh_interval": 0.1,
        },
        service_name="remote",
    )
    tracer = config.new_tracer()
    try:
        deadline = time.monotonic() + 10
        while not tracer.start_span("s").is_sampled() and time.monotonic() < deadline:
            time.sleep(0.05)
        spans = [tracer.start_span("s") for _ in range(50)]
        assert all(span.is_sampled() for span in spans)
    finally:
        tracer.close()
        agent.close(0)
