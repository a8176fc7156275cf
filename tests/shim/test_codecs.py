"""The legacy wire formats: what is written, what is read, what is refused."""

from __future__ import annotations

import contextlib
import os

import jaeger_client.codecs as legacy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaeger_client import SpanContext

from shim.codecs import (
    MAX_BAGGAGE_BYTES,
    MAX_BAGGAGE_ITEMS,
    Ids,
    TextFormat,
    WireError,
    b3_headers,
    b3_single,
    format_trace,
    format_trace_padded,
    pack_binary,
    parse_b3_headers,
    parse_b3_single,
    parse_trace,
    unpack_binary,
    zipkin_fields,
)

EXAMPLES = int(os.environ.get("JAEGER2OTLP_EXAMPLES", "100"))

trace_ids = st.integers(1, 2**128 - 1) | st.integers(1, 2**64 - 1)
span_ids = st.integers(1, 2**64 - 1)
parent_ids = st.none() | span_ids
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
keys = st.from_regex(r"[a-z0-9\-]{1,12}", fullmatch=True)


# --- uber-trace-id


def test_python_writes_no_leading_zeros() -> None:
    assert format_trace(0x0ABC, 0x0DEF, None, 1) == "abc:def:0:1"
    assert format_trace(1 << 127, 1, 0x10, 0) == "8" + "0" * 31 + ":1:10:0"


def test_padded_ids_have_16_or_32_digits() -> None:
    assert format_trace_padded(0xABC, 0xDEF, None, 1) == "0000000000000abc:0000000000000def:0:1"
    assert format_trace_padded(0xABC << 64, 1, 2, 3) == (
        "0000000000000abc0000000000000000:0000000000000001:0000000000000002:3"
    )


def test_flags_are_one_digit_that_go_reads_as_decimal() -> None:
    written = [format_trace(1, 1, None, flags)[6:] for flags in range(16)]
    assert written == list("0123456789238967")


def test_unknown_flag_bits_are_not_sent_on() -> None:
    assert format_trace(1, 1, None, 0xF1) == "1:1:0:1"


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("abc:def:0:1", (0xABC, 0xDEF, 0, 1)),
        ("0000000000000abc:0000000000000def:0000000000000001:01", (0xABC, 0xDEF, 1, 1)),
        ("ABC:DEF:0:1", (0xABC, 0xDEF, 0, 1)),
        ("abc%3Adef%3a0%3A1", (0xABC, 0xDEF, 0, 1)),
        ("f" * 32 + ":" + "f" * 16 + ":0:0", (2**128 - 1, 2**64 - 1, 0, 0)),
        ("1:1:0:ff", (1, 1, 0, 0xFF)),
    ],
)
def test_reads_every_clients_spelling(value: str, ids: Ids) -> None:
    assert parse_trace(value) == ids


@pytest.mark.parametrize(
    "value",
    [
        "",
        "abc",
        "1:2:3",
        "1:2:3:1:5",
        "0:2:0:1",
        "1:0:0:1",
        ":2:0:1",
        "1::0:1",
        "x:2:0:1",
        "0x1:2:0:1",
        "1_0:2:0:1",
        "+1:2:0:1",
        " 1:2:0:1",
        "1:2:0:1\n",
        "-1:2:0:1",
        "1:2::1",
        "1:2:0:",
        "١:2:0:1",
        "1%253A2%253A0%253A1",
        "0" + "1" * 32 + ":2:0:1",
        "1:" + "1" * 17 + ":0:1",
        "1:2:" + "1" * 17 + ":1",
        "1:2:0:001",
        "1:2:x:1",
        "1:2:0:+1",
        "1" * 100_000,
    ],
)
def test_refuses_what_is_no_trace_context(value: str) -> None:
    with pytest.raises(WireError):
        parse_trace(value)


@pytest.mark.parametrize("value", [None, 7, b"1:2:0:1", ["1:2:0:1"]])
def test_refuses_what_is_no_text(value: object) -> None:
    with pytest.raises(WireError):
        parse_trace(value)  # type: ignore[arg-type]


def test_error_text_is_bounded() -> None:
    with pytest.raises(WireError) as caught:
        parse_trace("z" * 100_000)
    assert len(str(caught.value)) < 300


@settings(max_examples=EXAMPLES)
@given(trace_ids, span_ids, parent_ids, st.integers(0, 3))
def test_jaeger_client_and_we_read_each_other(
    trace_id: int, span_id: int, parent_id: int | None, flags: int
) -> None:
    theirs = legacy.span_context_to_string(trace_id, span_id, parent_id, flags)
    assert format_trace(trace_id, span_id, parent_id, flags) == theirs
    assert parse_trace(theirs) == (trace_id, span_id, parent_id or 0, flags)
    padded = format_trace_padded(trace_id, span_id, parent_id, flags)
    assert legacy.span_context_from_string(padded) == (trace_id, span_id, parent_id, flags)


# --- text carriers: baggage, debug id


def baggage_in(
    headers: list[tuple[str, str]],
    text: TextFormat = TextFormat(),  # noqa: B008
) -> dict[str, str]:
    _, baggage, _ = text.read(headers)
    return baggage


def test_no_legacy_header_reads_as_nothing() -> None:
    assert TextFormat().read([("accept", "*/*"), ("traceparent", "00-1-2-01")]) == (None, {}, None)


def test_header_names_are_found_in_any_case() -> None:
    fields = TextFormat().read(
        [("Uber-Trace-Id", "1:2:0:1"), ("Uberctx-User", "ann"), ("JAEGER-DEBUG-ID", "x")]
    )
    assert fields == ("1:2:0:1", {"user": "ann"}, "x")


def test_custom_header_names_are_normalised() -> None:
    text = TextFormat(trace_id_header="Trace_ID", baggage_header_prefix="Trace-Attr-")
    assert text.trace_header == "trace-id"
    assert baggage_in([("TRACE-ID", "1:2:0:1"), ("trace-attr-K", "v")], text) == {"k": "v"}


def test_http_values_are_percent_encoded_whole() -> None:
    headers = dict(TextFormat().baggage_headers({"k": "a b+c%/ü"}))
    assert headers == {"uberctx-k": "a%20b%2Bc%25%2F%C3%BC"}


def test_text_map_values_travel_as_they_are() -> None:
    text = TextFormat(url_encoded=False)
    assert text.baggage_headers({"k y": "a b%20"}) == [("uberctx-k y", "a b%20")]
    assert baggage_in([("uberctx-k y", "a b%20")], text) == {"k y": "a b%20"}


def test_a_bare_plus_is_the_blank_of_go_and_java() -> None:
    assert baggage_in([("uberctx-k", "a+b%2Bc")]) == {"k": "a b+c"}
    assert baggage_in([("uberctx-k", "a+b")], TextFormat(url_encoded=False)) == {"k": "a+b"}


def test_keys_that_no_header_can_hold_are_left_out() -> None:
    items = {"a b": "1", "c\r\nd": "2", "": "3", "ü": "4", "ok": "5"}
    assert TextFormat().baggage_headers(items) == [("uberctx-ok", "5")]


def test_odd_values_become_text() -> None:
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    items = {"int": 7, "bytes": b"b", "lone": "\ud800", "rude": Rude()}
    assert dict(TextFormat().baggage_headers(items)) == {
        "uberctx-int": "7",
        "uberctx-bytes": "b",
        "uberctx-lone": "%3F",
        "uberctx-rude": "Rude",
    }


def test_jaeger_baggage_lists_pairs_and_passes_over_the_rest() -> None:
    pairs = baggage_in([("jaeger-baggage", "k1=v1, k2 = v2,oops,a=b=c")])
    assert pairs == {"k1": "v1", "k2": "v2"}


def test_an_empty_debug_id_is_none() -> None:
    assert TextFormat().read([("jaeger-debug-id", "")]) == (None, {}, None)


def test_baggage_from_a_stranger_is_bounded() -> None:
    many = baggage_in([(f"uberctx-{n}", "v") for n in range(10_000)])
    assert len(many) == MAX_BAGGAGE_ITEMS
    large = baggage_in([(f"uberctx-{n}", "v" * 60_000) for n in range(3)])
    assert sum(map(len, large.values())) <= MAX_BAGGAGE_BYTES
    listed = baggage_in([("jaeger-baggage", ",".join(f"k{n}=v" for n in range(99_999)))])
    assert len(listed) <= MAX_BAGGAGE_ITEMS


@settings(max_examples=EXAMPLES)
@given(st.dictionaries(keys, texts, max_size=5), st.booleans())
def test_baggage_crosses_to_jaeger_client_and_back(baggage: dict[str, str], http: bool) -> None:
    ours, theirs = TextFormat(url_encoded=http), legacy.TextCodec(url_encoding=http)
    carrier = dict(ours.baggage_headers(baggage))
    carrier["uber-trace-id"] = "1:2:0:1"
    assert theirs.extract(carrier).baggage == baggage
    sent: dict[str, str] = {}
    theirs.inject(SpanContext(1, 2, None, 1, baggage), sent)
    assert ours.read(sent.items())[1] == baggage


# --- binary


def test_binary_layout_is_jaeger_clients() -> None:
    theirs = bytearray()
    context = SpanContext(1 << 100 | 5, 6, 7, 3, {"k": "vü"})
    legacy.BinaryCodec().inject(context, theirs)
    assert pack_binary(1 << 100 | 5, 6, 7, 3, {"k": "vü"}) == bytes(theirs)
    assert unpack_binary(theirs) == ((1 << 100 | 5, 6, 7, 3), {"k": "vü"})


@settings(max_examples=EXAMPLES)
@given(trace_ids, span_ids, parent_ids, st.dictionaries(texts, texts, max_size=4))
def test_binary_reads_what_it_wrote(
    trace_id: int, span_id: int, parent_id: int | None, baggage: dict[str, str]
) -> None:
    data = pack_binary(trace_id, span_id, parent_id, 1, baggage)
    assert unpack_binary(data) == ((trace_id, span_id, parent_id or 0, 1), baggage)


@pytest.mark.parametrize("cut", [0, 36, 38, 41, 42, 45])
def test_binary_cut_short_is_refused(cut: int) -> None:
    data = pack_binary(1, 2, 3, 1, {"k": "v"})
    assert len(data) == 47
    with pytest.raises(WireError):
        unpack_binary(data[:cut])


def test_binary_that_promises_too_much_is_refused() -> None:
    data = bytearray(pack_binary(1, 2, 3, 1, {}))
    data[33:37] = b"\xff\xff\xff\xff"
    with pytest.raises(WireError):
        unpack_binary(data)


@settings(max_examples=EXAMPLES)
@given(st.binary(max_size=80))
def test_binary_noise_raises_nothing_else(data: bytes) -> None:
    with contextlib.suppress(WireError):
        unpack_binary(data)


# --- Zipkin fields, B3


def test_zipkin_fields_are_jaeger_clients() -> None:
    theirs: dict[str, object] = {}
    legacy.ZipkinCodec().inject(SpanContext(1, 2, None, 3), theirs)
    assert zipkin_fields(1, 2, None, 3) == theirs


def test_b3_debug_says_sampled_too() -> None:
    assert b3_headers(0xABC, 1, 2, 3) == {
        "x-b3-traceid": "0000000000000abc",
        "x-b3-spanid": "0000000000000001",
        "x-b3-parentspanid": "0000000000000002",
        "x-b3-sampled": "1",
        "x-b3-flags": "1",
    }


def test_b3_without_a_trace_is_nothing() -> None:
    assert parse_b3_headers({}) is None
    assert parse_b3_headers({"x-b3-sampled": "1"}) is None
    assert parse_b3_single("0") is None


def test_b3_unpadded_ids_are_read() -> None:
    assert parse_b3_headers({"x-b3-traceid": "abc", "x-b3-spanid": "1", "x-b3-sampled": "1"}) == (
        (0xABC, 1, 0, 1)
    )


def test_b3_flags_alone_are_debug_and_sampled() -> None:
    assert parse_b3_headers({"x-b3-traceid": "a", "x-b3-spanid": "1", "x-b3-flags": "1"}) == (
        (0xA, 1, 0, 3)
    )


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("0000000000000abc-0000000000000001-1", (0xABC, 1, 0, 1)),
        ("0000000000000abc-0000000000000001-0", (0xABC, 1, 0, 0)),
        ("0000000000000abc-0000000000000001-d", (0xABC, 1, 0, 3)),
        ("0000000000000abc-0000000000000001", (0xABC, 1, 0, 1)),
        ("0000000000000abc-0000000000000001-1-0000000000000002", (0xABC, 1, 2, 1)),
    ],
)
def test_b3_single_header(value: str, ids: tuple[int, ...]) -> None:
    assert parse_b3_single(value) == ids


@pytest.mark.parametrize("value", ["", "x", "1-", "-1", "a-1-2", "a-1-1-2-3", "g-1-1", "0-1-1"])
def test_b3_single_refuses_noise(value: str) -> None:
    with pytest.raises(WireError):
        parse_b3_single(value)


@pytest.mark.parametrize("field", ["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid"])
@pytest.mark.parametrize("value", ["0", "xyz", "1" * 33, "1_0"])
def test_b3_headers_refuse_noise(field: str, value: str) -> None:
    with pytest.raises(WireError):
        parse_b3_headers({"x-b3-traceid": "a", "x-b3-spanid": "b", field: value})


@settings(max_examples=EXAMPLES)
@given(trace_ids, span_ids, parent_ids, st.sampled_from([0, 1, 3]))
def test_b3_reads_what_it_wrote(
    trace_id: int, span_id: int, parent_id: int | None, flags: int
) -> None:
    expected = (trace_id, span_id, parent_id or 0, flags)
    assert parse_b3_headers(b3_headers(trace_id, span_id, parent_id, flags)) == expected
    assert parse_b3_single(b3_single(trace_id, span_id, parent_id, flags)) == expected
