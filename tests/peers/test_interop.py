"""One trace across processes: ours between services on the dead clients of four languages.

Every call goes ours -> peer -> ours, so both directions are on the wire. Each hop tells what it
made of the headers: ids, flags, baggage.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest

from shim.jaeger_client import SpanContext
from shim.jaeger_client.codecs import BinaryCodec
from tests.peers.processes import Peers
from tests.peers.python.web import get

# The first test of a run may have to build a peer.
pytestmark = pytest.mark.timeout(900)

OURS = ("native", "shim")
THEIRS = ("python", "go", "node", "java")
ALL = (*THEIRS, *OURS)

BAGGAGE = {
    "plain": "ann",
    "blank": "two words",
    "encoded": "50% a+b/c?d=e&f,g;h",
    "unicode": "grüße 😀",
    "empty": "",
}

Hop = dict[str, Any]


@pytest.fixture(scope="session")
def peers() -> Iterator[Peers]:
    running = Peers({"OTEL_TRACES_EXPORTER": "none"})
    yield running
    running.stop()


def chain(
    peers: Peers,
    names: Sequence[str],
    headers: Mapping[str, str],
    *,
    propagation: str = "uber",
    bits: int = 128,
    baggage: Mapping[str, str] | None = None,
    debug: bool = False,
) -> list[Hop]:
    """Calls the peers one through the other; what each of them said. The first sets baggage."""
    url = ""
    for position, name in reversed(list(enumerate(names))):
        query: dict[str, Any] = {"propagation": propagation, "bits": bits}
        if position == 0:
            query["baggage"] = [f"{key}={value}" for key, value in (baggage or {}).items()]
            if debug:
                query["debug"] = 1
        if url:
            query["to"] = url
        url = f"{peers.url(name)}?{urlencode(query, doseq=True)}"
    hops = [get(url, headers)]
    while "next" in hops[-1]:
        hops.append(hops[-1]["next"])
    assert [hop["peer"] for hop in hops] == list(names)
    return hops


def assert_one_trace(hops: Sequence[Hop]) -> None:
    """Every server span is the child of the client span before it, all in one trace.

    OpenTelemetry's unsampled spans know no parent: theirs is None.
    """
    assert len({span["trace_id"] for hop in hops for span in spans_of(hop)}) == 1
    for before, after in pairwise(hops):
        assert before["client"]["parent_id"] in (before["server"]["span_id"], None)
        assert after["server"]["parent_id"] in (before["client"]["span_id"], None)


def spans_of(hop: Hop) -> list[dict[str, Any]]:
    return [hop[kind] for kind in ("server", "client") if kind in hop]


def assert_flags(hops: Sequence[Hop], *, sampled: bool, debug: bool) -> None:
    for hop in hops:
        for span in spans_of(hop):
            assert span["sampled"] is sampled, hop["peer"]
            assert span["debug"] in (debug, None), hop["peer"]


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_a_trace_that_we_begin(peers: Peers, ours: str, theirs: str, bits: int) -> None:
    hops = chain(peers, [ours, theirs, ours], {}, bits=bits)
    assert_one_trace(hops)
    assert_flags(hops, sampled=True, debug=False)


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_a_trace_that_they_begin(peers: Peers, ours: str, theirs: str, bits: int) -> None:
    hops = chain(peers, [theirs, ours, theirs], {}, bits=bits)
    assert_one_trace(hops)
    assert_flags(hops, sampled=True, debug=False)


@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_baggage_arrives_as_sent_whoever_sets_it(peers: Peers, ours: str, theirs: str) -> None:
    for names in ([ours, theirs, ours], [theirs, ours, theirs]):
        hops = chain(peers, names, {}, baggage=BAGGAGE)
        # In Go an item set to nothing is an item removed.
        sent = {key: value for key, value in BAGGAGE.items() if value or names[0] != "go"}
        assert [hop["server"]["baggage"] for hop in hops] == [sent] * 3


IDS = {
    "short": "abc:def:0:{flags}",
    "padded": "0000000000000abc:0000000000000def:0:{flags}",
    "padded to 128": "00000000000000000000000000000abc:0000000000000def:0:{flags}",
    "128 bit with a leading zero": "0123456789abcdef0123456789abcdef:0def:0:{flags}",
    "128 bit": "f123456789abcdef0123456789abcdef:fedcba9876543210:0:{flags}",
    "percent-encoded": "abc%3Adef%3A0%3A{flags}",
}


@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_ids_of_every_width_keep_their_value(peers: Peers, ours: str, theirs: str) -> None:
    for spelling in IDS.values():
        header = spelling.format(flags=1)
        trace_id = header.replace("%3A", ":").split(":")[0].lstrip("0")
        hops = chain(peers, [ours, theirs, ours], {"uber-trace-id": header})
        assert_one_trace(hops)
        assert hops[-1]["server"]["trace_id"] == trace_id
        assert hops[0]["server"]["parent_id"] in ("def", "fedcba9876543210")


@pytest.mark.parametrize(
    ("flags", "sampled", "debug"),
    [
        ("0", False, False),
        ("1", True, False),
        ("3", True, True),
        ("5", True, False),
        ("9", True, False),
    ],
)
@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_flags_cross(
    peers: Peers, ours: str, theirs: str, flags: str, sampled: bool, debug: bool
) -> None:
    hops = chain(peers, [ours, theirs, ours], {"uber-trace-id": f"abc:def:0:{flags}"})
    assert_one_trace(hops)
    assert_flags(hops, sampled=sampled, debug=debug)
    said = [span["flags"] for hop in hops for span in spans_of(hop) if span["flags"] is not None]
    assert set(said) <= {int(flags)}


@pytest.mark.parametrize("name", ["uber-trace-id", "Uber-Trace-Id", "UBER-TRACE-ID"])
@pytest.mark.parametrize("ours", OURS)
def test_header_names_count_in_any_case(peers: Peers, ours: str, name: str) -> None:
    (hop,) = chain(peers, [ours], {name: "abc:def:0:1"})
    assert hop["server"]["trace_id"] == "abc"


@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_a_debug_id_makes_a_debug_trace(peers: Peers, ours: str, theirs: str) -> None:
    hops = chain(peers, [ours, theirs], {"jaeger-debug-id": "ticket 7"})
    assert_one_trace(hops)
    assert_flags(hops, sampled=True, debug=True)


@pytest.mark.parametrize("theirs", THEIRS)
@pytest.mark.parametrize("ours", OURS)
def test_a_span_they_force_is_debug_for_us(peers: Peers, ours: str, theirs: str) -> None:
    hops = chain(peers, [theirs, ours, theirs], {"uber-trace-id": "abc:def:0:0"}, debug=True)
    assert hops[2]["server"]["debug"] is True
    assert hops[1]["server"]["sampled"] is True


@pytest.mark.parametrize("header", ["", "1:2:3", "0:1:0:1", "g:1:0:1", "1:" + "1" * 17 + ":0:1"])
@pytest.mark.parametrize("ours", OURS)
def test_a_broken_header_begins_a_new_trace(peers: Peers, ours: str, header: str) -> None:
    (hop,) = chain(peers, [ours], {"uber-trace-id": header})
    assert hop["server"]["parent_id"] == "0"


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_b3(peers: Peers, ours: str, theirs: str, bits: int) -> None:
    for names in ([ours, theirs, ours], [theirs, ours, theirs]):
        hops = chain(peers, names, {}, propagation="b3", bits=bits)
        assert_one_trace(hops)
        assert_flags(hops, sampled=True, debug=False)


@pytest.mark.parametrize("theirs", ALL)
@pytest.mark.parametrize("ours", OURS)
def test_b3_unsampled(peers: Peers, ours: str, theirs: str) -> None:
    headers = {
        "X-B3-TraceId": "0000000000000abc",
        "X-B3-SpanId": "0000000000000def",
        "X-B3-Sampled": "0",
    }
    hops = chain(peers, [ours, theirs, ours], headers, propagation="b3")
    assert_one_trace(hops)
    assert_flags(hops, sampled=False, debug=False)


@pytest.mark.parametrize("names", [["shim", "w3c", "shim"], ["w3c", "shim", "w3c"]])
def test_services_that_know_w3c_headers_only(peers: Peers, names: list[str]) -> None:
    hops = chain(peers, names, {}, baggage=BAGGAGE)
    assert_one_trace(hops)
    assert_flags(hops, sampled=True, debug=False)
    assert [hop["server"]["baggage"] for hop in hops] == [BAGGAGE] * 3


def test_w3c_unsampled_stays_unsampled(peers: Peers) -> None:
    headers = {"traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-02"}
    hops = chain(peers, ["shim", "w3c", "shim"], headers)
    assert_one_trace(hops)
    assert_flags(hops, sampled=False, debug=False)


def test_the_random_flag_is_no_debug_flag(peers: Peers) -> None:
    headers = {"traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-03"}
    hops = chain(peers, ["shim", "python"], headers)
    assert_one_trace(hops)
    assert_flags(hops, sampled=True, debug=False)


@pytest.mark.parametrize("trace_id", [0xABC, 0xABC << 64 | 0xDEF])
@pytest.mark.parametrize("flags", [0, 1, 3, 9])
def test_the_binary_format_crosses_to_go_and_back(peers: Peers, trace_id: int, flags: int) -> None:
    codec = BinaryCodec()
    carrier = bytearray()
    codec.inject(SpanContext(trace_id, 0x123, 0x456, flags, BAGGAGE), carrier)
    query = urlencode({"data": urlsafe_b64encode(carrier)})
    answer = get(peers.url("go").replace("/call", "/binary") + f"?{query}", {})
    assert answer["server"]["trace_id"] == f"{trace_id:x}"
    assert answer["server"]["parent_id"] == "123"
    assert answer["server"]["flags"] == flags
    assert answer["server"]["baggage"] == BAGGAGE

    received = codec.extract(bytearray(urlsafe_b64decode(answer["data"])))
    assert received is not None
    assert (received.trace_id, received.parent_id, received.flags) == (trace_id, 0x123, flags)
    assert received.baggage == BAGGAGE
