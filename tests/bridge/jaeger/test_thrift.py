"""What is decoded, and what is refused with which reason."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol

from bridge.jaeger import thrift
from bridge.jaeger.thrift import Malformed, Protocol, decode_batch, decode_packet
from tests.bridge.jaeger import packets

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.bin"))
COMPACT_CALL = b"\x82\x81\x00\x09emitBatch"


def reason(data: bytes, protocol: Protocol = Protocol.COMPACT) -> str:
    with pytest.raises(Malformed) as caught:
        decode_packet(data, protocol)
    return caught.value.reason


@pytest.mark.parametrize("protocol", Protocol)
def test_a_packet_of_either_protocol(protocol: Protocol) -> None:
    sent = packets.batch(
        packets.span({"s": "text", "b": True, "i": -7, "f": 1.5, "x": b"\xff"}, flags=3),
        of=packets.process("shop", {"hostname": "h1"}),
    )
    got = decode_packet(packets.packet(sent, protocol.value), protocol)
    assert (got.process.service_name, got.process.tags[0].string) == (b"shop", b"h1")
    (span,) = got.spans
    assert (span.trace_id_low, span.span_id, span.flags) == (0xABC, 0xDEF, 3)
    assert [tag.key for tag in span.tags] == [b"s", b"b", b"i", b"f", b"x"]
    assert span.tags[0].string == b"text"
    assert span.tags[1].boolean is True
    assert span.tags[2].long == -7
    assert span.tags[3].double == 1.5
    assert span.tags[4].binary == b"\xff"


@pytest.mark.parametrize("protocol", Protocol)
def test_a_body_of_either_protocol(protocol: Protocol) -> None:
    sent = packets.batch(packets.span(logs=[packets.log({"event": "x"})]))
    got = decode_batch(packets.body(sent, protocol.value), protocol)
    assert got.spans[0].logs[0].fields[0].string == b"x"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_other_clients(path: Path) -> None:
    client, _, way = path.stem.partition("-")
    data = path.read_bytes()
    batch = decode_batch(data) if way == "http" else decode_packet(data, Protocol(way))
    assert batch.process.service_name.decode() == f"{client}-shop"
    assert sorted(span.operation_name for span in batch.spans) == [b"child", b"follower", b"parent"]


@pytest.fixture
def without_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where thrift has no C part."""
    pure = {Protocol.COMPACT: TCompactProtocol, Protocol.BINARY: TBinaryProtocol}
    monkeypatch.setattr(thrift, "_READERS", pure)


@pytest.mark.usefixtures("without_c")
@pytest.mark.parametrize("protocol", Protocol)
def test_without_c_it_is_slower_but_the_same(protocol: Protocol) -> None:
    sent = packets.batch(packets.span({"s": "x", "b": True, "f": 0.5, "y": b"\xff"}))
    (span,) = decode_packet(packets.packet(sent, protocol.value), protocol).spans
    assert span.tags[0].string == b"x"
    assert (span.tags[1].boolean, span.tags[2].double) == (True, 0.5)
    assert span.tags[3].binary == b"\xff"


@pytest.mark.usefixtures("without_c")
@pytest.mark.parametrize("data", [b"\xfc" * 50_000, b"\x1c\x29\xfc\xff\xff\xff\xff\x07", b"\x1c"])
def test_without_c_hostile_packets_are_refused_too(data: bytes) -> None:
    assert reason(COMPACT_CALL + data) in {"limit", "truncated", "thrift"}


def test_unknown_fields_are_skipped() -> None:
    unknown = b"\x1b\x01\x88\x01a\x01b"  # field 5, a map of one string to another
    sent = packets.body(packets.batch(packets.span()), "compact")
    assert decode_batch(sent[:-1] + unknown + b"\x00", Protocol.COMPACT).spans


@pytest.mark.parametrize("protocol", Protocol)
def test_zipkin_is_refused_by_name(protocol: Protocol) -> None:
    assert reason(packets.zipkin_packet(protocol.value), protocol) == "zipkin"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "truncated"),
        (b"\x82\x81\x00\x05other\x00", "method"),
        (b"\x82\x41\x00\x09emitBatch\x00", "method"),  # a reply
        (COMPACT_CALL + b"\x00", "missing-field"),
        (COMPACT_CALL, "truncated"),
        (COMPACT_CALL + b"\x1c\x29\xfc\xff\xff\xff\xff\x07", "limit"),  # 2^31 spans
        (COMPACT_CALL + b"\x1c\x1c\x18\xff\xff\xff\xff\x0f", "limit"),  # a negative length
        (COMPACT_CALL + b"\x1c\x29\x15\x02", "thrift"),  # spans that are numbers
        (COMPACT_CALL + b"\xfc" * 50_000, "limit"),  # structs in structs
        (b"\x00" * 100, "thrift"),
        (b"GET / HTTP/1.1\r\n\r\n", "thrift"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_hostile_compact_packets(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "truncated"),
        (b"\x80\x01\x00\x04" + struct.pack(">i", 2**31 - 1), "limit"),
        (b"\x80\x01\x00\x04" + struct.pack(">i", -1), "limit"),
        (b"\x80\x07\x00\x04", "thrift"),
    ],
    ids=repr,
)
def test_hostile_binary_packets(data: bytes, expected: str) -> None:
    assert reason(data, Protocol.BINARY) == expected


@pytest.mark.parametrize("protocol", Protocol)
def test_every_cut_of_a_packet_is_refused(protocol: Protocol) -> None:
    whole = packets.packet(packets.batch(packets.span({"k": "v"})), protocol.value)
    for size in range(len(whole)):
        assert reason(whole[:size], protocol) in {"truncated", "limit", "missing-field", "thrift"}
