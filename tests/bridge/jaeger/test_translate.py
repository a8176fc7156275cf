"""What each part of a Jaeger batch becomes in OTLP."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status, TracesData

from bridge.jaeger import thrift
from bridge.jaeger.thrift import CHILD_OF, FOLLOWS_FROM, Malformed, decode_batch
from bridge.jaeger.translate import resource_spans, translate
from tests.bridge.jaeger import packets


def translated(batch: thrift.Batch) -> ResourceSpans:
    return resource_spans(decode_batch(packets.body(batch)))


def span_of(values: packets.Values = (), **fields: Any) -> Span:
    (scope,) = translated(packets.batch(packets.span(values, **fields))).scope_spans
    return scope.spans[0]


def plain(attributes: Any) -> dict[str, Any]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def test_ids_times_name_and_flags() -> None:
    span = span_of(
        trace_id=0xF000_0000_0000_0001_8000_0000_0000_0002,
        span_id=packets.signed(0xF000_0000_0000_0003),
        parent_span_id=5,
        operation_name="größe".encode(),
        start_time=7,
        duration=3,
    )
    assert span.trace_id.hex() == "f0000000000000018000000000000002"
    assert span.span_id.hex() == "f000000000000003"
    assert span.parent_span_id.hex() == "0000000000000005"
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (7_000, 10_000)
    assert span.name == "größe"
    assert span.flags == 1


@pytest.mark.parametrize(("flags", "expected"), [(0, 0), (1, 1), (3, 1), (2, 0), (9, 1)])
def test_only_the_sampled_flag_is_kept(flags: int, expected: int) -> None:
    assert span_of(flags=flags).flags == expected


def test_a_64_bit_trace_id_is_padded() -> None:
    assert span_of(trace_id=0xABC).trace_id.hex() == "00000000000000000000000000000abc"


def test_negative_times_wrap_as_in_golden() -> None:
    assert span_of(start_time=-1, duration=0).start_time_unix_nano == 2**64 - 1000


def test_tags_keep_type_and_order() -> None:
    values = {"s": "x", "b": False, "i": -1, "big": 2**63 - 1, "f": -0.5, "x": b"\x00\xff"}
    attributes = span_of(values).attributes
    assert plain(attributes) == values
    assert [item.key for item in attributes] == list(values)


@pytest.mark.parametrize("size", [0, 1, 121, 122, 127, 128, 1000, 1024, 20_000])
def test_strings_of_every_size(size: int) -> None:
    name, text, key = "n" * size, "v" * size, "k" * size
    span = span_of({key: text}, operation_name=name.encode(), logs=[packets.log({"event": text})])
    assert span.name == name
    assert plain(span.attributes) == {key: text}
    assert span.events[0].name == text


@pytest.mark.parametrize("number", [0, 1, 127, 128, 1023, 1024, 2**31, -1, -(2**63)])
def test_integers_of_every_size(number: int) -> None:
    assert plain(span_of({"n": number}).attributes) == {"n": number}


def test_a_key_twice_keeps_the_first_place_and_the_last_value() -> None:
    attributes = span_of([("a", 1), ("b", 2), ("a", "3")]).attributes
    assert [(item.key, item.value) for item in attributes] == [
        ("a", AnyValue(string_value="3")),
        ("b", AnyValue(int_value=2)),
    ]


def test_a_tag_without_its_value_is_the_zero_value() -> None:
    tags = [packets.tag(name, value) for name, value in (("s", ""), ("l", 0), ("f", 0.0))]
    for tag in tags:
        tag.string = tag.long = tag.double = None
    assert plain(span_of(tags=tags).attributes) == {"s": "", "l": 0, "f": 0.0}


def test_an_unknown_tag_type_says_so() -> None:
    tag = packets.tag("k", "v")
    tag.kind = 9
    assert plain(span_of(tags=[tag]).attributes) == {"k": '<Unknown Jaeger TagType "<UNSET>">'}


def test_text_that_is_no_utf8_becomes_bytes() -> None:
    tag = packets.tag("k", "")
    tag.string = b"caf\xe9"
    span = span_of(tags=[tag, packets.tag(b"\xff", 1)], operation_name=b"\xe9!")
    assert plain(span.attributes) == {"k": b"caf\xe9", "\ufffd": 1}
    assert span.name == "\ufffd!"


KIND = Span.SpanKind


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("internal", KIND.SPAN_KIND_INTERNAL),
        ("server", KIND.SPAN_KIND_SERVER),
        ("client", KIND.SPAN_KIND_CLIENT),
        ("producer", KIND.SPAN_KIND_PRODUCER),
        ("consumer", KIND.SPAN_KIND_CONSUMER),
        ("Server", KIND.SPAN_KIND_UNSPECIFIED),
        (3, KIND.SPAN_KIND_UNSPECIFIED),
    ],
)
def test_span_kind_is_taken_from_its_tag(value: object, expected: int) -> None:
    span = span_of([("span.kind", "x"), ("span.kind", value)])
    assert span.kind == expected
    assert not span.attributes


UNSET, OK, ERROR = Status.STATUS_CODE_UNSET, Status.STATUS_CODE_OK, Status.STATUS_CODE_ERROR


@pytest.mark.parametrize(
    ("tags", "code", "message", "left"),
    [
        ({}, UNSET, "", set()),
        ({"error": True}, ERROR, "", set()),
        ({"error": False}, UNSET, "", {"error"}),
        ({"error": "true"}, UNSET, "", {"error"}),
        ({"error": True, "http.status_code": 200}, ERROR, "", {"http.status_code"}),
        ({"error": True, "http.status_message": "no"}, ERROR, "no", {"http.status_message"}),
        ({"error": True, "otel.status_description": "why"}, ERROR, "why", set()),
        ({"error": True, "otel.status_code": "OK"}, ERROR, "", set()),
        ({"otel.status_code": "ok"}, OK, "", set()),
        ({"otel.status_code": "ERROR", "otel.status_description": "d"}, ERROR, "d", set()),
        ({"otel.status_code": "odd"}, UNSET, "", set()),
        ({"otel.status_code": "OK", "http.status_code": 500}, OK, "", {"http.status_code"}),
        ({"error": False, "http.status_code": 500}, ERROR, "", {"error", "http.status_code"}),
    ],
    ids=repr,
)
def test_status(tags: dict[str, Any], code: int, message: str, left: set[str]) -> None:
    span = span_of(tags)
    assert (span.status.code, span.status.message) == (code, message)
    assert set(plain(span.attributes)) == left


@pytest.mark.parametrize(
    ("kind", "status", "failed"),
    [
        ("server", 200, False),
        ("server", 404, False),
        ("server", 500, True),
        ("client", 399, True),
        ("client", 398, False),
        ("client", 404, True),
        (None, 404, True),
        (None, "404", True),
        (None, "+503", True),
        (None, "404 ", False),
        (None, "4_04", False),
        (None, 99, True),
        (None, 404.0, False),
        (None, "9" * 30, False),
    ],
)
def test_status_from_the_http_code(kind: str | None, status: object, failed: bool) -> None:
    tags = {"http.status_code": status, **({"span.kind": kind} if kind else {})}
    span = span_of(tags)
    assert span.status.code == (ERROR if failed else UNSET)
    assert plain(span.attributes) == {"http.status_code": status}


def test_the_parent_id_counts_before_references() -> None:
    span = span_of(parent_span_id=1, references=[packets.reference(CHILD_OF, 0xABC, 2)])
    assert span.parent_span_id.hex() == "0000000000000001"
    assert [link.span_id.hex() for link in span.links] == ["0000000000000002"]


@pytest.mark.parametrize(
    ("references", "parent", "links"),
    [
        ([(CHILD_OF, 0xABC, 2)], 2, []),
        ([(FOLLOWS_FROM, 0xABC, 2)], 2, [(2, "follows_from")]),
        ([(FOLLOWS_FROM, 0xABC, 2), (CHILD_OF, 0xABC, 3)], 3, [(2, "follows_from")]),
        ([(CHILD_OF, 0xABC, 2), (CHILD_OF, 0xABC, 3)], 2, [(3, "child_of")]),
        ([(CHILD_OF, 0x999, 2)], 0, [(2, "child_of")]),
    ],
)
def test_references(
    references: list[tuple[int, int, int]], parent: int, links: list[tuple[int, str]]
) -> None:
    span = span_of(references=[packets.reference(*reference) for reference in references])
    assert int(span.parent_span_id.hex() or "0", 16) == parent
    assert [
        (int(link.span_id.hex(), 16), plain(link.attributes)["opentracing.ref_type"])
        for link in span.links
    ] == links


def test_logs_become_events() -> None:
    span = span_of(logs=[packets.log({"event": "miss", "key": "u1"}, 5), packets.log({}, 6)])
    assert [(event.time_unix_nano, event.name) for event in span.events] == [
        (5000, "miss"),
        (6000, ""),
    ]
    assert plain(span.events[0].attributes) == {"key": "u1"}


def test_a_log_without_a_textual_event_has_no_name() -> None:
    span = span_of(logs=[packets.log({"message": "m"}), packets.log({"event": 7})])
    assert [event.name for event in span.events] == ["", ""]


def test_process_tags_become_the_resource() -> None:
    process = packets.process("shop", {"hostname": "h1", "jaeger.version": "Go-2.30", "pid": 7})
    resource = translated(packets.batch(packets.span(), of=process)).resource
    assert plain(resource.attributes) == {
        "service.name": "shop",
        "pid": 7,
        "host.name": "h1",
        "opencensus.exporterversion": "Jaeger-Go-2.30",
    }


def test_resource_names_that_are_there_already_stay() -> None:
    values = {"hostname": "a", "host.name": "b"}
    values |= {"jaeger.version": "1", "opencensus.exporterversion": "2"}
    resource = translated(packets.batch(packets.span(), of=packets.process("s", values))).resource
    assert plain(resource.attributes) == {"service.name": "s", **values}


def test_an_empty_service_name_is_none() -> None:
    resource = translated(packets.batch(packets.span(), of=packets.process(""))).resource
    assert not resource.attributes


def test_the_trace_state_comes_from_its_tag() -> None:
    span = span_of({"w3c.tracestate": "a=1"})
    assert span.trace_state == "a=1"
    assert not span.attributes


def test_scopes_come_from_their_tags() -> None:
    named = packets.span({"otel.scope.name": "lib", "otel.scope.version": "1"})
    spans = translated(packets.batch(packets.span(), named, packets.span()))
    assert [(s.scope.name, s.scope.version, len(s.spans)) for s in spans.scope_spans] == [
        ("", "", 2),
        ("lib", "1", 1),
    ]


def test_sampler_tags_stay_attributes() -> None:
    values = {"sampler.type": "const", "sampler.param": True}
    assert plain(span_of(values).attributes) == values


def test_spans_with_an_id_of_zero_are_left_out_and_counted() -> None:
    spans = [packets.span(trace_id=0), packets.span(span_id=0), packets.span()]
    result = translate(packets.batch(*spans))
    assert (result.spans, result.invalid) == (1, 2)
    (found,) = TracesData.FromString(result.data).resource_spans[0].scope_spans
    assert len(found.spans) == 1


def test_joined_results_are_one_request() -> None:
    one = translate(packets.batch(packets.span(), of=packets.process("a"))).data
    two = translate(packets.batch(packets.span(), of=packets.process("b"))).data
    names = [r.resource.attributes for r in TracesData.FromString(one + two).resource_spans]
    assert [plain(name) for name in names] == [{"service.name": "a"}, {"service.name": "b"}]


@pytest.mark.parametrize(
    "field", ["operation_name", "flags", "start_time", "duration", "parent_span_id"]
)
def test_a_span_without_a_required_field_refuses_the_batch(field: str) -> None:
    with pytest.raises(Malformed, match="missing-field"):
        translated(packets.batch(packets.span(**{field: None})))


def test_a_batch_without_process_or_a_tag_without_key_is_refused() -> None:
    no_process, no_key, no_type = packets.batch(), packets.tag("k", 1), packets.tag("k", 1)
    no_process.process = None  # type: ignore[assignment]
    no_key.key = no_type.kind = None  # type: ignore[assignment]
    for batch in (
        no_process,
        packets.batch(packets.span(tags=[no_key])),
        packets.batch(packets.span(tags=[no_type])),
        packets.batch(packets.span(logs=[packets.log([("", no_key)])])),
    ):
        with pytest.raises(Malformed, match="missing-field"):
            translated(batch)


def test_hundreds_of_tags_keep_their_order() -> None:
    names = [item.key for item in span_of([(f"k{i}", i) for i in range(300)]).attributes]
    assert names == [f"k{i}" for i in range(300)]
