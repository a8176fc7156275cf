"""Proof of the translation: two real Jaegers, one fed with thrift and one with our OTLP.

Whatever a legacy client sends, Jaeger's query API must answer the same from both. The number of
generated batches is `GOLDEN_EXAMPLES` (200).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.jaeger.thrift import (
    CHILD_OF,
    FOLLOWS_FROM,
    Batch,
    Protocol,
    decode_batch,
    decode_packet,
)
from bridge.jaeger.translate import translate
from bridge.otlp.sender import OtlpSender
from bridge.otlp.settings import Signal, read_settings
from tests.bridge.jaeger import packets
from tests.legacy import needs_jaeger_client
from tests.servers.jaeger import Jaeger, readable
from tests.servers.process import wait_until

EXAMPLES = int(os.environ.get("GOLDEN_EXAMPLES", "200"))
WAYS = ("compact", "binary", "http")
TRACE = itertools.count(1)


class Pair:
    """A Jaeger that gets thrift, and one that gets what we make of it."""

    def __init__(self, thrift: Jaeger, otlp: Jaeger) -> None:
        self.thrift, self.otlp = thrift, otlp
        settings = read_settings(Signal.TRACES, endpoint=otlp.otlp_grpc_endpoint, environ={})
        self.sender = OtlpSender(settings)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, data: bytes, way: str) -> Batch:
        """Thrift to the one, our translation to the other; the batch as we decode it."""
        if way == "http":
            post(self.thrift.thrift_http_endpoint, data)
            batch = decode_batch(data)
        else:
            self.udp.sendto(data, ("127.0.0.1", self.thrift.ports[way.upper()]))
            batch = decode_packet(data, Protocol(way))
        result = translate(batch)
        assert (result.spans, result.invalid) == (len(batch.spans), 0)
        answer = self.sender.send(result.data)
        assert answer.accepted, answer
        return batch

    def answers(self, trace_id: str, spans: int) -> tuple[Any, Any]:
        def arrived() -> bool:
            trace = self.thrift.trace(trace_id)
            return trace is not None and len(trace["spans"]) >= spans

        wait_until(arrived, 10, f"trace {trace_id}")
        return readable(self.thrift.trace(trace_id)), readable(self.otlp.trace(trace_id))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Jaeger() as thrift, Jaeger() as otlp:
        pair = Pair(thrift, otlp)
        yield pair
        pair.sender.close()
        pair.udp.close()


def post(url: str, data: bytes) -> None:
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/vnd.apache.thrift.binary"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202


def compare_traces(pair: Pair, batch: Batch) -> None:
    """The answers for every trace that has spans in the batch."""
    traces: dict[str, int] = {}
    for span in batch.spans:
        name = f"{span.trace_id_high % 2**64:016x}{span.trace_id_low % 2**64:016x}"
        traces[name] = traces.get(name, 0) + 1
    for trace_id, count in traces.items():
        thrift, otlp = pair.answers(trace_id, count)
        assert thrift == otlp


def check(pair: Pair, batch: Batch, way: str = "compact") -> None:
    """Gives the batch's traces ids of their own, sends it both ways and compares the answers."""
    renamed: dict[tuple[int, int], int] = {}
    for span in batch.spans:
        for item in (span, *(span.references or ())):
            old = (item.trace_id_high, item.trace_id_low)
            item.trace_id_low = renamed.setdefault(old, next(TRACE))
    data = packets.body(batch) if way == "http" else packets.packet(batch, way)
    compare_traces(pair, pair.send(data, way))


# Every field by hand

VALUES = {"s": "text", "ü": "größe", "b": True, "i": -5, "big": 2**62, "f": 2.5, "x": b"\x00\xff"}
SAMPLER = {"sampler.type": "probabilistic", "sampler.param": 0.5}
NO_UTF8 = packets.tag("k", "")
NO_UTF8.string = b"caf\xe9"
REFERENCES = {
    "child of the trace": [(CHILD_OF, 0xABC, 2)],
    "follows from alone": [(FOLLOWS_FROM, 0xABC, 2)],
    "two parents": [(CHILD_OF, 0xABC, 2), (CHILD_OF, 0xABC, 3)],
    "both kinds": [(FOLLOWS_FROM, 0xABC, 2), (CHILD_OF, 0xABC, 3)],
    "child of another trace": [(CHILD_OF, 0x999, 2)],
    "follows from another trace": [(FOLLOWS_FROM, 0x999, 2), (CHILD_OF, 0xABC, 3)],
}
BY_HAND: dict[str, Batch] = {
    "bare": packets.batch(packets.span()),
    "128 bits": packets.batch(packets.span(trace_id=0xFFFF_0000_0000_0001_0000_0000_0000_0001)),
    "tags of every type": packets.batch(packets.span(VALUES)),
    "a tag twice": packets.batch(packets.span([("a", 1), ("b", 2), ("a", "3")])),
    "process tags": packets.batch(
        packets.span(), of=packets.process("shop", {**VALUES, "hostname": "h"})
    ),
    "client version": packets.batch(
        packets.span(), of=packets.process("shop", {"jaeger.version": "Python-4.8.0", "ip": "::1"})
    ),
    "both host names": packets.batch(
        packets.span(), of=packets.process("s", {"host.name": "a", "hostname": "b"})
    ),
    "both versions": packets.batch(
        packets.span(),
        of=packets.process("s", {"jaeger.version": "a", "opencensus.exporterversion": "b"}),
    ),
    "version that is no text": packets.batch(
        packets.span(), of=packets.process("s", {"jaeger.version": 4})
    ),
    "no service name": packets.batch(packets.span(), of=packets.process("")),
    "no operation name": packets.batch(packets.span(operation_name=b"")),
    "no duration": packets.batch(packets.span(duration=0)),
    "negative duration": packets.batch(packets.span(duration=-5)),
    "debug": packets.batch(packets.span(flags=3)),
    "not sampled": packets.batch(packets.span(flags=0)),
    "sampler": packets.batch(packets.span(SAMPLER)),
    "trace state": packets.batch(packets.span({"w3c.tracestate": "a=1,b=2"})),
    "scope": packets.batch(packets.span({"otel.scope.name": "lib", "otel.scope.version": "2"})),
    "logs": packets.batch(
        packets.span(
            logs=[
                packets.log({"event": "error", "message": "m", "stack": "s" * 4096}),
                packets.log(VALUES),
                packets.log({"event": 5, "k": "v"}),
                packets.log({}),
            ]
        )
    ),
    "no UTF-8": packets.batch(packets.span(tags=[NO_UTF8])),
    "large": packets.batch(*(packets.span(VALUES, span_id=i) for i in range(1, 150))),
    **{f"kind {kind}": packets.batch(packets.span({"span.kind": kind}))
       for kind in ("client", "server", "producer", "consumer", "internal", "Odd", 5)},
    **{f"error {error!r}": packets.batch(packets.span({"error": error}))
       for error in (True, False, "true", 1)},
    **{f"http {code!r} {kind}": packets.batch(
        packets.span({"http.status_code": code, "span.kind": kind, "http.status_message": "m"}))
       for code in (200, 399, 404, 500, "404", "x", 4.5) for kind in ("client", "server", "")},
    "error and status": packets.batch(
        packets.span({"error": True, "otel.status_code": "OK", "otel.status_description": "d"})
    ),
    **{f"status {code}": packets.batch(
        packets.span({"otel.status_code": code, "otel.status_description": "d"}))
       for code in ("OK", "ERROR", "error", "UNSET", 2)},
    **{name: packets.batch(
        packets.span(references=[packets.reference(*reference) for reference in references]))
       for name, references in REFERENCES.items()},
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(pair: Pair, name: str, way: str) -> None:
    check(pair, BY_HAND[name], way)


# Generated

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
i64 = st.integers(-(2**63), 2**63 - 1)
any_value = (
    text | st.booleans() | i64 | st.floats(allow_nan=False, allow_infinity=False) | st.binary()
)
known = st.sampled_from(
    [
        ("error", True),
        ("error", False),
        ("error", "true"),
        ("span.kind", "client"),
        ("span.kind", "server"),
        ("http.status_code", 404),
        ("http.status_code", "503"),
        ("http.status_code", 200),
        ("http.status_message", "message"),
        ("otel.status_code", "ERROR"),
        ("otel.status_code", "OK"),
        ("otel.status_description", "description"),
        ("w3c.tracestate", "vendor=1"),
        ("otel.scope.name", "scope"),
        ("event", "named"),
        ("event", 1),
        ("hostname", "host"),
        ("host.name", "other"),
        ("jaeger.version", "Go-2.30"),
        ("jaeger.version", 4),
        ("sampler.type", "const"),
    ]
)
key = text.filter(lambda name: not name.startswith("@jaeger"))
tag_list = st.lists(known | st.tuples(key, any_value), max_size=6).map(packets.tags)
moment = st.integers(0, 2**50)
log_entry = st.builds(packets.log, tag_list.map(lambda tags: [("", tag) for tag in tags]), moment)
span_id = st.integers(1, 2**63 - 1)
trace_id = st.sampled_from([1, 2, (7 << 64) + 1])
span_reference = st.builds(
    packets.reference, st.sampled_from([CHILD_OF, FOLLOWS_FROM]), trace_id, span_id
)
one_span = st.builds(
    packets.span,
    trace_id=trace_id,
    span_id=span_id,
    parent_span_id=st.just(0) | span_id,
    operation_name=text.map(str.encode),
    references=st.none() | st.lists(span_reference, max_size=3),
    flags=st.integers(0, 15),
    start_time=moment,
    duration=st.integers(-10, 2**40),
    tags=st.none() | tag_list,
    logs=st.none() | st.lists(log_entry, max_size=3),
)
one_batch = st.builds(
    lambda name, tags, spans: packets.batch(
        *spans, of=packets.process(name, [("", tag) for tag in tags])
    ),
    text,
    tag_list,
    st.lists(one_span, min_size=1, max_size=4, unique_by=lambda span: span.span_id),
)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(batch=one_batch, way=st.sampled_from(WAYS))
def test_generated(pair: Pair, batch: Batch, way: str) -> None:
    check(pair, batch, way)


# What clients of other languages and the removed exporter send, recorded

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.bin"), key=lambda path: path.name)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded(pair: Pair, path: Path) -> None:
    way = path.stem.rpartition("-")[2]
    compare_traces(pair, pair.send(path.read_bytes(), way))


# What jaeger-client for Python really sends

SAMPLES = Path(__file__).parents[3] / "samples"
NAMES = sorted(
    path.parents[1].name
    for path in SAMPLES.glob("*/before/main.py")
    if any(b"jaeger_client" in module.read_bytes() for module in path.parent.glob("*.py"))
)


@pytest.fixture(scope="module")
def samples() -> Iterator[dict[str, Sample]]:
    """All of them at once: each waits seconds for its reporter."""
    running = {name: Sample(SAMPLES / name / "before" / "main.py") for name in NAMES}
    yield running
    for sample in running.values():
        sample.close()


class Sample:
    """A legacy program, and the socket of the agent it sends to."""

    def __init__(self, program: Path) -> None:
        self.agent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.agent.bind(("127.0.0.1", 0))
        self.agent.setblocking(False)
        port = str(self.agent.getsockname()[1])
        self.process = subprocess.Popen(
            [sys.executable, program.name],
            cwd=program.parent,
            env={**os.environ, "JAEGER_AGENT_HOST": "127.0.0.1", "JAEGER_AGENT_PORT": port},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def packets(self) -> Iterator[bytes]:
        """What it has sent when it ends."""
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self.agent.recv(65_536)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.agent.close()


@needs_jaeger_client
@pytest.mark.parametrize("name", NAMES)
def test_sample(pair: Pair, samples: dict[str, Sample], name: str) -> None:
    everything = packets.batch()
    for data in samples[name].packets():
        everything.spans.extend(pair.send(data, "compact").spans)
    assert everything.spans, "the program sent nothing"
    compare_traces(pair, everything)
