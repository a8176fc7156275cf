"""The wire format against protobuf's own reader."""

from __future__ import annotations

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from bridge.jaeger import wire
from bridge.jaeger.wire import Headers, key_values, sized
from bridge.otlp.wire import varint
from tests.bridge.jaeger import packets


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (2**64 - 1, b"\xff" * 9 + b"\x01")],
)
def test_varint(number: int, expected: bytes) -> None:
    assert varint(number) == expected


@pytest.mark.parametrize("size", [0, 127, 128, wire.SIZES - 1, wire.SIZES, 100_000])
def test_headers_and_sized_agree_at_every_size(size: int) -> None:
    data = sized(wire.SCOPE_NAME, b"x" * size)
    assert Headers(wire.SCOPE_NAME).of(size) + b"x" * size == data
    assert InstrumentationScope.FromString(data).name == "x" * size


def test_key_values_are_read_back() -> None:
    tags = packets.tags({"s": "x" * 5000, "b": False, "i": -(2**63), "f": 1e300, "x": b"\xff"})
    found = Resource.FromString(bytes(key_values(tags, Headers(wire.RESOURCE_ATTRIBUTES))))
    values = [item.value for item in found.attributes]
    assert values[0].string_value == "x" * 5000
    assert values[1].WhichOneof("value") == "bool_value"
    assert values[2].int_value == -(2**63)
    assert values[3].double_value == 1e300
    assert values[4].bytes_value == b"\xff"


def test_remembered_keys_are_bounded() -> None:
    for number in range(3 * wire._MAX_KEYS):
        wire._key(b"%d" % number)
    wire._key(b"x" * 10_000)
    assert len(wire._KEYS) <= wire._MAX_KEYS
    assert all(len(key) <= wire._MAX_KEY_BYTES for key in wire._KEYS)
