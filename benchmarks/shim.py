"""What the shim costs beside jaeger-client, the raw OpenTelemetry SDK and the official shim.

CPU per operation, measured in alternating rounds of one run; the ratio is the median of the
rounds' ratios to jaeger-client, so a busy machine moves both sides.
"""

from __future__ import annotations

import gc
import importlib.metadata
import logging
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import jaeger_client
import jaeger_client.reporter
from jaeger_client import thrift as jaeger_thrift
from jaeger_client.local_agent_net import LocalAgentSender
from jaeger_client.thrift_gen.agent import Agent
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as sdk_encode
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.shim.opentracing_shim import create_tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentracing import Format
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.transport.TTransport import TMemoryBuffer

import shim.jaeger_client as ours
from shim.jaeger_client.reporter import Reporter
from shim.otlp import encode_spans
from shim.propagation import UberTraceIdPropagator

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "15"))
OPERATIONS = 1000
ENCODED = 500
BURST = 20_000

Operation = Callable[[], Any]


class Keep(SpanProcessor):
    """Where the SDK's spans end in the measurements of the API alone."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self.spans.append(span)


class JaegerKeep(jaeger_client.reporter.NullReporter):
    def __init__(self) -> None:
        self.spans: list[Any] = []

    def report_span(self, span: Any) -> None:
        self.spans.append(span)


def tracers(sampled: bool) -> dict[str, tuple[Any, list[Any]]]:
    """One tracer of each kind and the list its finished spans end in."""
    kept = JaegerKeep()
    jaeger = jaeger_client.Tracer("bench", kept, jaeger_client.ConstSampler(sampled))
    sinks = {name: Keep() for name in ("shim", "sdk", "official shim")}
    reporter = Reporter(channel=None)
    mine = ours.Tracer("bench", reporter, ours.ConstSampler(sampled))
    queue, sink = reporter._queue, sinks["shim"]
    provider = reporter.provider
    assert provider is not None
    provider._active_span_processor._span_processors = (sink,)
    queue.shutdown()
    providers = {}
    for name in ("sdk", "official shim"):
        providers[name] = TracerProvider(sampler=ParentBased(ALWAYS_ON if sampled else ALWAYS_OFF))
        providers[name].add_span_processor(sinks[name])
    return {
        "jaeger-client": (jaeger, kept.spans),
        "shim": (mine, sinks["shim"].spans),
        "sdk": (providers["sdk"].get_tracer("bench"), sinks["sdk"].spans),
        "official shim": (create_tracer(providers["official shim"]), sinks["official shim"].spans),
    }


def active_span(tracer: Any) -> Operation:
    """An active span with 3 tags and 1 log."""
    if isinstance(tracer, trace.Tracer):

        def native() -> None:
            with tracer.start_as_current_span("operation") as span:
                span.set_attribute("http.method", "GET")
                span.set_attribute("http.url", "http://example.com/some/path?x=1")
                span.set_attribute("retries", 3)
                span.add_event("cache", {"hit": True, "key": "some key"})

        return native

    def legacy() -> None:
        with tracer.start_active_span("operation") as scope:
            span = scope.span
            span.set_tag("http.method", "GET")
            span.set_tag("http.url", "http://example.com/some/path?x=1")
            span.set_tag("retries", 3)
            span.log_kv({"event": "cache", "hit": True, "key": "some key"})

    return legacy


def bare_child(tracer: Any) -> Operation:
    """A child span, started and finished."""
    if isinstance(tracer, trace.Tracer):
        context = trace.set_span_in_context(tracer.start_span("parent"))
        return lambda: tracer.start_span("child", context).end()
    parent = tracer.start_span("parent")
    return lambda: tracer.start_span("child", child_of=parent).finish()


def inject_extract(tracer: Any) -> Operation:
    """Into HTTP headers and out again. Ours writes and reads traceparent as well."""
    if isinstance(tracer, trace.Tracer):
        propagator = CompositePropagator([TraceContextTextMapPropagator(), UberTraceIdPropagator()])
        context = trace.set_span_in_context(tracer.start_span("parent"))

        def native() -> None:
            carrier: dict[str, str] = {}
            propagator.inject(carrier, context)
            propagator.extract(carrier)

        return native
    span = tracer.start_span("parent")

    def legacy() -> None:
        carrier: dict[str, str] = {}
        tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
        tracer.extract(Format.HTTP_HEADERS, carrier)

    return legacy


def cpu(operation: Operation, count: int) -> float:
    """CPU microseconds for one operation."""
    gc.collect()
    gc.disable()
    start = time.process_time()
    for _ in range(count):
        operation()
    used = time.process_time() - start
    gc.enable()
    return used / count * 1e6


def api(make: Callable[[Any], Operation], sampled: bool) -> dict[str, list[float]]:
    """Microseconds of each round for each peer."""
    operations = {}
    for name, (tracer, spans) in tracers(sampled).items():
        operations[name] = (make(tracer), spans)
    found: dict[str, list[float]] = {name: [] for name in operations}
    for turn in range(ROUNDS + 1):
        for name in _rotated(list(operations), turn):
            operation, spans = operations[name]
            used = cpu(operation, OPERATIONS)
            spans.clear()
            if turn:  # the first round warms up
                found[name].append(used)
    return found


def to_the_wire() -> dict[str, list[float]]:
    """The API and the bytes: an active span with 3 tags and 1 log, encoded by its client."""
    peers = tracers(sampled=True)
    encoders: dict[str, Callable[[list[Any]], Any]] = {
        "jaeger-client": _jaeger_bytes(peers["jaeger-client"][0]),
        "shim": encode_spans,
        "sdk": lambda spans: sdk_encode(spans).SerializeToString(),
        "official shim": lambda spans: sdk_encode(spans).SerializeToString(),
    }
    found: dict[str, list[float]] = {name: [] for name in peers}
    for turn in range(ROUNDS + 1):
        for name in _rotated(list(peers), turn):
            tracer, _ = peers[name]
            operation = active_span(tracer)

            def batch(operation: Operation = operation, name: str = name) -> None:
                for _ in range(ENCODED):
                    operation()
                encoders[name](peers[name][1])
                peers[name][1].clear()

            used = cpu(batch, 2) / ENCODED
            if turn:
                found[name].append(used)
    return found


def legacy_headers_only() -> dict[str, list[float]]:
    """As jaeger-client: OTEL_PROPAGATORS names no W3C format."""
    os.environ["OTEL_PROPAGATORS"] = "uber_trace_id"
    try:
        return api(inject_extract, sampled=True)
    finally:
        del os.environ["OTEL_PROPAGATORS"]


def _jaeger_bytes(tracer: Any) -> Callable[[list[Any]], bytes]:
    process = jaeger_thrift.make_process("bench", tracer.tags, 1024)

    def encode(spans: list[Any]) -> bytes:
        batch = jaeger_thrift.make_jaeger_batch(spans=spans, process=process)
        transport = TMemoryBuffer()
        Agent.emitBatch_args(batch).write(TCompactProtocol(transport))
        return bytes(transport.getvalue())

    return encode


def throughput() -> dict[str, tuple[float, float, float]]:
    """Spans per second, CPU microseconds a span, and the share delivered, to a local receiver."""
    return {"jaeger-client": _jaeger_throughput(), "shim": _shim_throughput()}


def _jaeger_throughput() -> tuple[float, float, float]:
    context = get_context("spawn")
    ready, count = context.Pipe(), context.Pipe()
    sink = context.Process(target=udp_sink, args=(ready[1], count[1]), daemon=True)
    sink.start()
    port = ready[0].recv()
    reporter = jaeger_client.reporter.Reporter(
        channel=LocalAgentSender("127.0.0.1", 5778, port),
        queue_capacity=1_000_000,
        batch_size=100,
        flush_interval=1,
    )
    tracer = jaeger_client.Tracer("bench", reporter, jaeger_client.ConstSampler(True))
    rate = _burst(tracer, lambda: _until_done(reporter.close()))
    time.sleep(0.5)
    count[0].send("how many?")
    delivered = count[0].recv()
    sink.terminate()
    return (*rate, delivered / BURST)


def _shim_throughput() -> tuple[float, float, float]:
    context = get_context("spawn")
    ready, count = context.Pipe(), context.Pipe()
    sink = context.Process(target=http_sink, args=(ready[1], count[1]), daemon=True)
    sink.start()
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{ready[0].recv()}"
    reporter = Reporter(channel=None, queue_capacity=1_000_000)
    tracer = ours.Tracer("bench", reporter, ours.ConstSampler(True))
    rate = _burst(tracer, lambda: reporter.close().result())
    count[0].send("how many?")
    delivered = count[0].recv()
    sink.terminate()
    return (*rate, delivered / BURST)


def _burst(tracer: Any, flush: Operation) -> tuple[float, float]:
    operation = active_span(tracer)
    start, cpu_start = time.perf_counter(), time.process_time()
    for _ in range(BURST):
        operation()
    flush()
    seconds, used = time.perf_counter() - start, time.process_time() - cpu_start
    return BURST / seconds, used / BURST * 1e6


def _until_done(future: Any) -> None:
    while not future.done():
        time.sleep(0.001)


def udp_sink(ready: Any, count: Any) -> None:
    """Counts the spans of compact thrift datagrams."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 25)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(0.2)
    ready.send(sock.getsockname()[1])
    datagrams: list[bytes] = []
    while not count.poll():
        try:
            datagrams.append(sock.recv(65535))
        except TimeoutError:
            continue
    count.send(sum(data.count(b"http.method") for data in datagrams))


def http_sink(ready: Any, count: Any) -> None:
    """Counts the spans of OTLP requests."""
    from bridge.otlp.receiver import OtlpReceiver

    with OtlpReceiver() as receiver:
        ready.send(receiver.http_port)
        count.recv()
        count.send(len(receiver.spans))


def _rotated(names: list[str], turn: int) -> list[str]:
    first = turn % len(names)
    return names[first:] + names[:first]


def show(title: str, goal: float, found: dict[str, list[float]]) -> bool:
    """Prints one line for each peer; whether the goal is met and no peer is quicker."""
    jaeger = found["jaeger-client"]
    ratios = {
        name: statistics.median(a / b for a, b in zip(times, jaeger, strict=True))
        for name, times in found.items()
    }
    met = ratios["shim"] <= goal and ratios["shim"] <= ratios["official shim"]
    print(f"\n{title}: goal {goal:.2f}, {'met' if met else 'MISSED'}")
    for name, times in found.items():
        print(f"  {name:<14} {statistics.median(times):7.2f} us   ratio {ratios[name]:.2f}")
    return met


def main() -> int:
    logging.disable(logging.WARNING)
    versions = ("jaeger-client", "opentelemetry-sdk", "opentelemetry-opentracing-shim")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in versions))
    results = [
        show("active span, 3 tags, 1 log", 0.6, api(active_span, sampled=True)),
        show("bare child", 0.6, api(bare_child, sampled=True)),
        show("active span, unsampled", 0.6, api(active_span, sampled=False)),
        show("bare child, unsampled", 0.6, api(bare_child, sampled=False)),
        show("inject and extract", 1.0, api(inject_extract, sampled=True)),
        show("inject and extract, legacy headers only", 1.0, legacy_headers_only()),
        show("active span to wire bytes", 0.25, to_the_wire()),
    ]
    rates = throughput()
    ratio = rates["shim"][0] / rates["jaeger-client"][0]
    results.append(ratio >= 2.0 and rates["shim"][2] == 1.0)
    print(f"\nthroughput: goal 2.00, {'met' if results[-1] else 'MISSED'} ({ratio:.2f})")
    for name, (rate, used, delivered) in rates.items():
        print(f"  {name:<14} {rate:7.0f} spans/s   {used:6.1f} us CPU   {delivered:.0%} delivered")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
