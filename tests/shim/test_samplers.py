"""The samplers as a plain OpenTelemetry program uses them; the server's bad days included."""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jaeger_client.sampler as legacy
import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import shim.sampling_client
from shim.propagation import UberTraceIdPropagator
from shim.samplers import (
    ConstSampler,
    GuaranteedThroughputSampler,
    JaegerRemoteSampler,
    JaegerSampler,
    PerOperationSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    sampler_for,
)
from shim.sampling_client import SamplingClient
from tests.servers.process import free_port, wait_until

ALWAYS = 0
NEVER = (1 << 64) - 1
"""Trace ids below and above every probability."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class SamplingServer(ThreadingHTTPServer):
    """A sampling endpoint that answers what a test tells it to, so that it can answer badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.answer: Callable[[], tuple[int, bytes]] = lambda: (200, b"{}")
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self, strategy: object) -> None:
        body = strategy if isinstance(strategy, bytes) else json.dumps(strategy).encode()
        self.answer = lambda: (200, body)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: SamplingServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        status, body = self.server.answer()
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[SamplingServer]:
    with SamplingServer() as server:
        yield server
        server.shutdown()


@pytest.fixture
def remote(server: SamplingServer) -> Iterator[JaegerRemoteSampler]:
    """A remote sampler that is polled by hand."""
    sampler = JaegerRemoteSampler("svc", endpoint=server.url, polling_seconds=3600)
    yield sampler
    sampler.shutdown()


def attributes_of(sampler: Sampler, name: str = "op", context: Context | None = None) -> Any:
    """The attributes of a root span, or None when it is not sampled."""
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("test")
    span = tracer.start_span(name, context or Context(), attributes={"own": 1})
    return dict(getattr(span, "attributes", None) or {}) if span.is_recording() else None


# --- const, probabilistic


def test_unsampled_roots_carry_nothing() -> None:
    assert attributes_of(ConstSampler(False)) is None


def test_sampled_roots_say_why_and_keep_their_own_attributes() -> None:
    assert attributes_of(ConstSampler(True)) == {
        "own": 1,
        "sampler.type": "const",
        "sampler.param": True,
    }


def test_children_do_not_say_why() -> None:
    parent = SpanContext(1, 2, True, TraceFlags(1))
    context = trace.set_span_in_context(NonRecordingSpan(parent), Context())
    assert attributes_of(ConstSampler(True), context=context) == {"own": 1}


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.3, 1.0])
def test_probability_decides_like_jaeger_client_and_opentelemetry(rate: float) -> None:
    ours, theirs = ProbabilisticSampler(rate), legacy.ProbabilisticSampler(rate)
    ratio = TraceIdRatioBased(rate)
    for low in (0, 1, int(rate * 2**64) - 1, int(rate * 2**64) + 1, 2**63, 2**64 - 1):
        trace_id = max(low, 0) | 1 << 100
        decision = ours.decide(trace_id, "op")
        assert decision == theirs.is_sampled(trace_id, "op")
        assert decision[0] == ratio.should_sample(None, trace_id, "op").decision.is_sampled()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        ProbabilisticSampler(rate)


# --- rate limiting


def spent(sampler: JaegerSampler, tries: int = 1000, name: str = "op") -> int:
    return sum(sampler.decide(NEVER, name)[0] for _ in range(tries))


def test_a_rate_of_zero_samples_nothing_after_its_first_credit() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(0, clock=clock)
    spent(sampler)
    clock.now += 1000
    assert spent(sampler) == 0


def test_rate_limit_over_time() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(4, clock=clock)
    assert spent(sampler) <= 4
    for _ in range(3):
        clock.now += 1
        assert spent(sampler) == 4
    clock.now += 0.5
    assert spent(sampler) == 2


def test_unused_seconds_save_up_one_seconds_worth() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(5, clock=clock)
    clock.now += 3600
    assert spent(sampler) == 5


def test_a_rate_below_one_still_samples_now_and_then() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(0.1, clock=clock)
    spent(sampler)
    clock.now += 10.01
    assert spent(sampler) == 1


def test_a_clock_that_runs_backwards_costs_nothing() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(5, clock=clock)
    spent(sampler)
    clock.now -= 100
    assert spent(sampler) == 0
    clock.now += 1
    assert spent(sampler) == 5


def test_a_new_rate_keeps_what_was_saved_in_proportion() -> None:
    clock = Clock()
    sampler = RateLimitingSampler(10, clock=clock)
    clock.now += 10
    sampler.update(4)
    assert spent(sampler) == 4
    assert sampler.decide(NEVER, "op")[1] == {"sampler.type": "ratelimiting", "sampler.param": 4}


def test_many_threads_spend_no_more_than_the_limit() -> None:
    sampler = RateLimitingSampler(50, clock=Clock())
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(spent(sampler, 2000))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) <= 50


@pytest.mark.parametrize("limit", [-1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        RateLimitingSampler(limit)


# --- guaranteed throughput, per operation


def test_chance_comes_before_the_lower_bound() -> None:
    sampler = GuaranteedThroughputSampler(100, 0.5)
    time.sleep(0.02)
    assert sampler.decide(ALWAYS, "op") == (
        True,
        {"sampler.type": "probabilistic", "sampler.param": 0.5},
    )
    assert sampler.decide(NEVER, "op")[1] == {"sampler.type": "lowerbound", "sampler.param": 0.5}


def test_the_lower_bound_counts_what_chance_sampled() -> None:
    sampler = GuaranteedThroughputSampler(1 / 600, 1.0)
    sampler.decide(ALWAYS, "op")
    sampler.update(1 / 600, 0.0)
    assert spent(sampler) == 0


def test_operations_have_their_own_rates() -> None:
    sampler = PerOperationSampler({"hot": 0.0, "cold": 1.0}, default_lower_bound=0)
    assert sampler.decide(1 << 63, "cold")[0]
    sampler.decide(1 << 63, "hot")
    assert not sampler.decide(1 << 63, "hot")[0]


def test_operations_beyond_the_limit_share_one_sampler() -> None:
    sampler = PerOperationSampler({}, default_rate=0.5, max_operations=2)
    for name in ("a", "b", "c"):
        sampler.decide(ALWAYS, name)
    assert "2 operations" in repr(sampler)
    assert sampler.decide(ALWAYS, "c") == (
        True,
        {"sampler.type": "probabilistic", "sampler.param": 0.5},
    )
    assert spent(sampler, name="c") == 0


def test_an_update_keeps_operations_and_changes_their_rates() -> None:
    sampler = PerOperationSampler({"a": 0.0}, default_rate=0.0, default_lower_bound=0)
    spent(sampler, name="a")
    sampler.update({"a": 1.0, "b": 0.0}, default_rate=1.0, default_lower_bound=0)
    assert sampler.decide(ALWAYS, "a")[0]
    assert sampler.decide(ALWAYS, "new")[1]["sampler.param"] == 1.0


# --- a server's answers


@pytest.mark.parametrize("kind", [0, "PROBABILISTIC"])
def test_probabilistic_by_number_and_name(kind: object) -> None:
    answer = {"strategyType": kind, "probabilisticSampling": {"samplingRate": 0.4}}
    sampler = sampler_for(answer, ConstSampler(True), 10)
    assert repr(sampler) == "ProbabilisticSampler(0.4)"
    assert sampler_for(answer, sampler, 10) is sampler


@pytest.mark.parametrize("kind", [1, "RATE_LIMITING"])
def test_rate_limiting_by_number_and_name(kind: object) -> None:
    def answer(limit: float) -> dict[str, Any]:
        return {"strategyType": kind, "rateLimitingSampling": {"maxTracesPerSecond": limit}}

    sampler = sampler_for(answer(3), ConstSampler(True), 10)
    assert repr(sampler) == "RateLimitingSampler(3)"
    assert sampler_for(answer(4), sampler, 10) is sampler
    assert repr(sampler) == "RateLimitingSampler(4)"


def test_what_protobuf_leaves_out_is_zero() -> None:
    assert repr(sampler_for({}, ConstSampler(True), 10)) == "ProbabilisticSampler(0.0)"
    empty = {"strategyType": 1, "rateLimitingSampling": {}}
    assert repr(sampler_for(empty, ConstSampler(True), 10)) == "RateLimitingSampler(0)"


def test_operations_win_over_the_service() -> None:
    answer = {
        "strategyType": 0,
        "probabilisticSampling": {"samplingRate": 1},
        "operationSampling": {
            "defaultSamplingProbability": 0.25,
            "defaultLowerBoundTracesPerSecond": 2,
            "perOperationStrategies": [
                {"operation": "a", "probabilisticSampling": {"samplingRate": 0.5}}
            ],
        },
    }
    sampler = sampler_for(answer, ConstSampler(True), 10)
    assert isinstance(sampler, PerOperationSampler)
    assert (sampler.default_rate, sampler.default_lower_bound) == (0.25, 2)
    assert sampler_for(answer, sampler, 10) is sampler


BAD_ANSWERS: list[object] = [
    {"strategyType": 7},
    {"strategyType": "SOMETIMES"},
    {"strategyType": 0, "probabilisticSampling": {"samplingRate": 2}},
    {"strategyType": 0, "probabilisticSampling": {"samplingRate": "high"}},
    {"strategyType": 1, "rateLimitingSampling": {"maxTracesPerSecond": -1}},
    {"operationSampling": [1]},
    {"operationSampling": {"perOperationStrategies": [7]}},
    {"operationSampling": {"defaultLowerBoundTracesPerSecond": -1}},
    [],
    b"not json",
    b"[" * 100_000,
    b"",
    b"\xff\xfe",
]


@pytest.mark.parametrize("answer", BAD_ANSWERS, ids=lambda answer: repr(answer)[:40])
def test_a_bad_answer_changes_nothing(
    server: SamplingServer, remote: JaegerRemoteSampler, answer: object
) -> None:
    server.says({"strategyType": 1, "rateLimitingSampling": {"maxTracesPerSecond": 3}})
    assert remote.poll()
    before = remote.sampler
    server.says(answer)
    assert not remote.poll()
    assert remote.sampler is before
    assert repr(before) == "RateLimitingSampler(3)"


# --- the remote sampler


def test_until_told_it_samples_one_in_a_thousand() -> None:
    sampler = JaegerRemoteSampler("svc", endpoint=f"http://127.0.0.1:{free_port()}")
    assert repr(sampler.sampler) == "ProbabilisticSampler(0.001)"
    sampler.shutdown()


def test_it_asks_for_its_service(server: SamplingServer, remote: JaegerRemoteSampler) -> None:
    server.paths.clear()
    remote.poll()
    assert server.paths == ["/sampling?service=svc"]


def test_service_names_are_escaped(server: SamplingServer) -> None:
    SamplingClient(server.url, "a b&c=d/ü").fetch()
    assert server.paths == ["/sampling?service=a+b%26c%3Dd%2F%C3%BC"]


def test_it_refreshes_by_itself(server: SamplingServer) -> None:
    server.says({"probabilisticSampling": {"samplingRate": 0.5}})
    sampler = JaegerRemoteSampler("svc", endpoint=server.url, polling_seconds=0.05)
    wait_until(lambda: repr(sampler.sampler) == "ProbabilisticSampler(0.5)")
    server.says({"probabilisticSampling": {"samplingRate": 0.7}})
    wait_until(lambda: repr(sampler.sampler) == "ProbabilisticSampler(0.7)")
    sampler.shutdown()
    assert not sampler._thread.is_alive()


def test_sampled_roots_say_which_strategy(
    server: SamplingServer, remote: JaegerRemoteSampler
) -> None:
    server.says({"probabilisticSampling": {"samplingRate": 1}})
    remote.poll()
    assert attributes_of(ParentBased(remote)) == {
        "own": 1,
        "sampler.type": "probabilistic",
        "sampler.param": 1,
    }


def test_a_server_that_is_down_is_logged_once_and_its_return_too(
    server: SamplingServer, remote: JaegerRemoteSampler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shim.samplers")
    server.answer = lambda: (503, b"no")
    for _ in range(3):
        assert not remote.poll()
    server.says({"probabilisticSampling": {"samplingRate": 1}})
    assert remote.poll()
    assert remote.poll()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "503" in caplog.text


def test_nobody_listening_is_no_error() -> None:
    sampler = JaegerRemoteSampler(
        "svc", endpoint=f"http://127.0.0.1:{free_port()}", polling_seconds=3600
    )
    assert not sampler.poll()
    sampler.shutdown()


def test_an_endless_answer_is_cut_off(
    server: SamplingServer, remote: JaegerRemoteSampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim.sampling_client, "MAX_BODY_BYTES", 1000)
    server.says(b" " * 100_000)
    assert not remote.poll()


def test_a_server_that_hangs_is_given_up(
    server: SamplingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shim.sampling_client, "TIMEOUT_SECONDS", 0.2)
    release = threading.Event()
    server.answer = lambda: (200, b"{}" if release.wait(10) else b"")
    sampler = JaegerRemoteSampler("svc", endpoint=server.url, polling_seconds=3600)
    begun = time.monotonic()
    assert not sampler.poll()
    assert time.monotonic() - begun < 5
    release.set()
    sampler.shutdown()


def test_decisions_do_not_wait_for_the_server(server: SamplingServer) -> None:
    release = threading.Event()
    server.answer = lambda: (200, b"{}" if release.wait(10) else b"")
    sampler = JaegerRemoteSampler("svc", endpoint=server.url, polling_seconds=0.01)
    wait_until(lambda: server.paths)
    begun = time.monotonic()
    assert sampler.decide(ALWAYS, "op")[0]
    sampler.shutdown()
    assert time.monotonic() - begun < 3
    release.set()


def test_what_happens_can_be_observed(server: SamplingServer) -> None:
    seen: list[tuple[str, bool]] = []
    sampler = JaegerRemoteSampler(
        "svc",
        endpoint=server.url,
        polling_seconds=3600,
        observe=lambda event, ok: seen.append((event, ok)),
    )
    sampler.poll()
    server.says({"strategyType": 9})
    sampler.poll()
    server.says(b"x")
    sampler.poll()
    sampler.shutdown()
    assert seen == [
        ("query", True),
        ("update", True),
        ("query", True),
        ("update", False),
        ("query", False),
    ]


def test_a_forgotten_sampler_ends_its_thread(server: SamplingServer) -> None:
    sampler = JaegerRemoteSampler("svc", endpoint=server.url, polling_seconds=0.01)
    thread = sampler._thread
    del sampler
    gc.collect()
    wait_until(lambda: not thread.is_alive())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is for POSIX")
def test_a_forked_child_polls_on_its_own(server: SamplingServer) -> None:
    script = f"""
import os, time
from shim.samplers import JaegerRemoteSampler
sampler = JaegerRemoteSampler("svc", endpoint={server.url!r}, polling_seconds=0.05)
pid = os.fork()
deadline = time.monotonic() + 10
while "0.5" not in repr(sampler.sampler) and time.monotonic() < deadline:
    time.sleep(0.01)
sampled = sampler.decide(0, "op")[0]
if pid:
    assert os.waitpid(pid, 0)[1] == 0, "child was not told"
print(repr(sampler.sampler), sampled, flush=True)
os._exit(0 if "0.5" in repr(sampler.sampler) else 1)
"""
    server.says({"probabilisticSampling": {"samplingRate": 0.5}})
    # Since 3.12 Python warns of every fork beside a thread.
    quiet = [sys.executable, "-W", "ignore::DeprecationWarning"]
    run = subprocess.run([*quiet, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "ProbabilisticSampler(0.5) True\n" * 2


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_polling_interval_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="polling_seconds"):
        JaegerRemoteSampler("svc", polling_seconds=seconds)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://agent:5778", "http://agent:5778/sampling"),
        ("http://agent:5778/", "http://agent:5778/sampling"),
        ("agent:5778", "http://agent:5778/sampling"),
        ("https://jaeger/custom", "https://jaeger/custom"),
        ("http://user:secret@agent:5778", "http://agent:5778/sampling"),
    ],
)
def test_endpoints(endpoint: str, url: str) -> None:
    assert SamplingClient(endpoint, "svc").url == url


@pytest.mark.parametrize("endpoint", ["", "ftp://agent", "http://", "http://agent:port"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError):
        SamplingClient(endpoint, "svc")


# --- debug requests


@pytest.mark.parametrize("sampler", [ConstSampler(False), ParentBased(ConstSampler(False))])
def test_a_debug_id_forces_the_root(sampler: Sampler) -> None:
    context = UberTraceIdPropagator().extract({"jaeger-debug-id": "ticket-7"}, Context())
    assert attributes_of(sampler, context=context) == {"own": 1, "jaeger-debug-id": "ticket-7"}


def test_a_debug_root_is_sent_on_as_debug() -> None:
    uber = UberTraceIdPropagator()
    context = uber.extract({"jaeger-debug-id": "ticket-7"}, Context())
    provider = TracerProvider(sampler=ParentBased(ConstSampler(False)), shutdown_on_exit=False)
    span = provider.get_tracer("test").start_span("root", context)
    headers: dict[str, str] = {}
    uber.inject(headers, trace.set_span_in_context(span, context))
    assert headers["uber-trace-id"].endswith(":3")
