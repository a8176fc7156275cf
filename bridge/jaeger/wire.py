"""OTLP's trace messages in protobuf's wire format: field tags, lengths, and key-value pairs.

Protobuf lets the fields of a message come in any order and messages be joined; both are used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from bridge.jaeger import thrift
from bridge.jaeger.thrift import Malformed, Tag
from bridge.otlp.wire import varint

# Tags of the fields that hold messages, text or bytes (number << 3 | 2), by message.field of
# opentelemetry/proto/trace/v1/trace.proto.
TRACES_RESOURCE_SPANS = b"\x0a"
RESOURCE_SPANS_RESOURCE = b"\x0a"
RESOURCE_SPANS_SCOPE_SPANS = b"\x12"
RESOURCE_ATTRIBUTES = b"\x0a"
SCOPE_SPANS_SCOPE = b"\x0a"
SCOPE_SPANS_SPANS = b"\x12"
SCOPE_NAME = b"\x0a"
SCOPE_VERSION = b"\x12"
SPAN_TRACE_STATE = b"\x1a"
SPAN_NAME = b"\x2a"
SPAN_ATTRIBUTES = b"\x4a"
SPAN_EVENTS = b"\x5a"
SPAN_LINKS = b"\x6a"
SPAN_STATUS = b"\x7a"
EVENT_NAME = b"\x12"
EVENT_ATTRIBUTES = b"\x1a"
LINK_ATTRIBUTES = b"\x22"
STATUS_MESSAGE = b"\x12"
KEY_VALUE_KEY = b"\x0a"
KEY_VALUE_VALUE = b"\x12"
ANY_VALUE_STRING = b"\x0a"
ANY_VALUE_BYTES = b"\x3a"

# Fields of a fixed size: their tags are packed with them.
SPAN_KIND = b"\x30"
STATUS_CODE = b"\x18"
SPAN_FLAGS_SAMPLED = b"\x85\x01\x01\x00\x00\x00"
IDS = struct.Struct(">HqqHq").pack  # with 0x0a10 and 0x1208: trace and span id of spans and links
PARENT = struct.Struct(">Hq").pack  # with 0x2208
TIMES = struct.Struct("<BQBQ").pack  # with 0x39 and 0x41: start and end, nanoseconds
TIME = struct.Struct("<BQ").pack  # with 0x09: an event's
UINT64 = 0xFFFF_FFFF_FFFF_FFFF


def sized(tag: bytes, data: bytes | bytearray) -> bytes:
    """A field of a message, text or bytes."""
    return tag + varint(len(data)) + data


class Headers(tuple[bytes, ...]):
    """What stands before a field's data, by the data's length; the usual lengths at hand."""

    tag: bytes

    def __new__(cls, tag: bytes) -> Headers:
        """For a field with this tag."""
        made = super().__new__(cls, (tag + varint(size) for size in range(SIZES)))
        made.tag = tag
        return made

    def of(self, size: int) -> bytes:
        """The header for data of any length."""
        return self[size] if size < SIZES else self.tag + varint(size)


SIZES = 1024


def key_values(tags: Iterable[Tag], headers: Headers) -> bytearray:
    """The tags as a repeated KeyValue field. Raises `Malformed` for one without key or type."""
    out = bytearray()
    for tag in tags:
        encode = _VALUES.get(tag.kind)
        value = encode(tag) if encode else _unknown(tag)
        data = (_KEYS.get(tag.key) or _key(tag.key)) + value
        size = len(data)
        out += headers[size] if size < SIZES else headers.of(size)
        out += data
    return out


def text_of(tag: Tag) -> bytes:
    """The UTF-8 of a tag that is text; nothing for one of another type."""
    return utf8(tag.string or b"") if tag.kind == thrift.STRING else b""


def utf8(data: bytes) -> bytes:
    """The bytes as UTF-8, each wrong one replaced by U+FFFD."""
    return data if data.isascii() else data.decode("utf-8", "replace").encode()


_KEYS: dict[bytes, bytes] = {}
_MAX_KEYS, _MAX_KEY_BYTES = 4096, 256


def _key(key: bytes) -> bytes:
    """A key as KeyValue.key. The usual ones are remembered, within bounds."""
    if key is None:
        raise Malformed("missing-field", "tag key")
    data = sized(KEY_VALUE_KEY, utf8(key))
    if len(key) <= _MAX_KEY_BYTES:
        if len(_KEYS) >= _MAX_KEYS:
            _KEYS.clear()
        _KEYS[key] = data
    return data


# KeyValue.value with the AnyValue in it, by type


def string_value(text: bytes) -> bytes:
    """Text of the usual length gets its two headers from a table."""
    size = len(text)
    if size < _SHORT:
        return _STRING[size] + text
    return sized(KEY_VALUE_VALUE, sized(ANY_VALUE_STRING, text))


def _bytes_value(data: bytes) -> bytes:
    return sized(KEY_VALUE_VALUE, sized(ANY_VALUE_BYTES, data))


def _int_value(number: int) -> bytes:
    return sized(KEY_VALUE_VALUE, b"\x18" + varint(number & UINT64))


_SHORT = 122  # below it both lengths fit one byte
_STRING = tuple(bytes((0x12, size + 2, 0x0A, size)) for size in range(_SHORT))
_SMALL = tuple(_int_value(number) for number in range(1024))
_TRUE, _FALSE = b"\x12\x02\x10\x01", b"\x12\x02\x10\x00"


def _string(tag: Tag) -> bytes:
    text = tag.string or b""
    return string_value(text) if text.isascii() or _is_utf8(text) else _bytes_value(text)


def _boolean(tag: Tag) -> bytes:
    return _TRUE if tag.boolean else _FALSE


def _long(tag: Tag) -> bytes:
    number = tag.long or 0
    return _SMALL[number] if 0 <= number < 1024 else _int_value(number)


def _double(tag: Tag) -> bytes:
    return b"\x12\x09\x21" + struct.pack("<d", tag.double or 0.0)


def _binary(tag: Tag) -> bytes:
    return _bytes_value(tag.binary or b"")


def _unknown(tag: Tag) -> bytes:
    if tag.kind is None:
        raise Malformed("missing-field", "tag type")
    return string_value(b'<Unknown Jaeger TagType "<UNSET>">')


_VALUES: dict[int, Callable[[Tag], bytes]] = {
    thrift.STRING: _string,
    thrift.BOOL: _boolean,
    thrift.LONG: _long,
    thrift.DOUBLE: _double,
    thrift.BINARY: _binary,
}


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
