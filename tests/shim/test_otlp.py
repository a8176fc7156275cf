"""The fast OTLP encoder says what protobuf says: for any span, ours or native."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as standard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentracing import child_of, follows_from

from shim import otlp
from shim.jaeger_client import ConstSampler, SpanContext, Tracer
from shim.jaeger_client.reporter import InMemoryReporter
from shim.readable import SdkSpan

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "150"))

texts = st.text(max_size=200)
keys = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["error", "span.kind", "http.status_code", "otel.status_code", "http.status_message"]
)
numbers = st.integers() | st.floats() | st.booleans()
values = texts | numbers | st.none() | st.binary(max_size=30) | st.lists(texts, max_size=3)
kinds = st.sampled_from(["client", "server", "producer", "consumer", "internal", "nonsense"])
tag_sets = st.dictionaries(keys, values | kinds, max_size=8)
logs = st.lists(st.dictionaries(keys | st.just("event"), values, max_size=4), max_size=4)
contexts = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.none(),
    st.just(1),
)
resources = st.sampled_from([Resource({"service.name": "a"}), Resource({"n": 1, "l": ("x", "y")})])


@st.composite
def legacy_spans(draw):
    tracer = Tracer("property", InMemoryReporter(), ConstSampler(True))
    references = [
        draw(st.sampled_from([child_of, follows_from]))(context)
        for context in draw(st.lists(contexts, max_size=3))
    ]
    span = tracer.start_span(draw(texts), references=references, tags=draw(tag_sets))
    for fields in draw(logs):
        span.log_kv(fields, draw(st.none() | st.floats(0, 4e9)))
    if draw(st.booleans()):
        span.add_link(draw(contexts).to_otel(), {"why": draw(texts)})
    assume(span.is_sampled())  # a tag may have been `sampling.priority: 0`
    span.finish()
    return SdkSpan(span, draw(resources))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(legacy_spans(), max_size=4))
def test_legacy_spans_equal_protobuf(spans):
    ours = ExportTraceServiceRequest.FromString(otlp.encode_spans(spans))
    expected = standard(spans)
    unspecified = {s.span.span_id for s in spans if s.meaning.kind == 0}
    for resource in expected.resource_spans:
        for span in resource.scope_spans[0].spans:
            if int.from_bytes(span.span_id, "big") in unspecified:
                span.kind = 0  # the one thing protobuf's encoder cannot say
    # NaN is not equal to itself: compare the bytes
    assert ours.SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=texts,
    attributes=st.dictionaries(
        keys, texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(), max_size=6
    ),
    sequence=st.lists(texts, max_size=3) | st.lists(st.booleans(), max_size=3),
    kind=st.sampled_from(list(trace.SpanKind)),
    state=st.sampled_from([None, trace.TraceState([("a", "1"), ("b", "2")])]),
    error=st.booleans(),
)
def test_native_spans_equal_protobuf(name, attributes, sequence, kind, state, error):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "native"}))
    provider.add_span_processor(_Into(exporter))
    remote = trace.SpanContext(1 << 100, 5, True, trace.TraceFlags(1), state)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    tracer = provider.get_tracer("scope", "1.0", "https://schema", {"k": "v"})
    span = tracer.start_span(name, parent, kind, attributes, [trace.Link(remote, {"n": 1})])
    span.set_attribute("sequence", sequence)
    span.add_event("event", {"x": name})
    if error:
        span.set_status(trace.StatusCode.ERROR, name)
    span.end()
    spans = exporter.get_finished_spans()
    ours = ExportTraceServiceRequest.FromString(otlp.encode_spans(spans))
    assert ours.SerializeToString(deterministic=True) == standard(spans).SerializeToString(
        deterministic=True
    )


class _Into(SpanProcessor):
    def __init__(self, exporter):
        self.exporter = exporter

    def on_end(self, span):
        self.exporter.export([span])


def test_an_empty_batch():
    assert otlp.encode_spans([]) == b""


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 128, 16383, 16384])
def test_lengths_around_the_steps_of_a_varint(length):
    tracer = Tracer("l", InMemoryReporter(), ConstSampler(True), max_tag_value_length=99999)
    span = tracer.start_span("x" * length)
    span.set_tag("k" * max(length, 1), "v" * length).set_tag("b", True).set_tag("n", -length)
    span.finish()
    view = SdkSpan(span, Resource({}))
    request = ExportTraceServiceRequest.FromString(otlp.encode_spans([view]))
    (encoded,) = request.resource_spans[0].scope_spans[0].spans
    assert encoded.name == "x" * length
    found = {a.key: a.value for a in encoded.attributes}
    assert found["k" * max(length, 1)].string_value == "v" * length
    assert found["n"].int_value == -length
