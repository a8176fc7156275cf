"""Translates a decoded Jaeger batch to OTLP: `translate` to bytes, `resource_spans` to objects.

Golden is `ThriftToTraces` of the OpenTelemetry Collector's `pkg/translator/jaeger` in v0.140.1,
the one in Jaeger 2.13, so that Jaeger shows the same whichever way a span came. Where other
versions or ways of that package keep more, so do we, and Jaeger still shows the same:

- the sampled flag goes to the span's flags, as v0.164 does (debug means sampled, and is lost);
- the tags `w3c.tracestate`, `otel.scope.name` and `otel.scope.version`, which the removed
  OpenTelemetry exporters for Jaeger send, go to the trace state and the scope, as
  `ProtoToTraces` does; a scope version without a name stays a tag.

Not followed: v0.158 and later rename `http.response.status_code` to `http.status_code`.
Values that are no UTF-8, which OTLP forbids in a string, become bytes, as in Jaeger's storage.
Spans with an id of zero, which OTLP calls invalid, are left out and counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from bridge.jaeger import thrift
from bridge.jaeger.thrift import Batch, Log, Malformed, Process, Span, SpanRef, Tag

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans


class Translated(NamedTuple):
    """A batch in OTLP."""

    data: bytes  # field 1 of an ExportTraceServiceRequest; several joined are a request too
    spans: int
    invalid: int  # spans left out


def translate(batch: Batch) -> Translated:
    """The batch as serialised OTLP. Raises `Malformed` when it lacks what the IDL requires."""
    if batch.process is None or batch.spans is None:
        raise Malformed("missing-field", "process or spans")
    scopes: dict[_Scope, bytearray] = {}
    invalid = 0
    for span in batch.spans:
        if not span.span_id or not (span.trace_id_low or span.trace_id_high):
            invalid += 1
            continue
        tags = {tag.key: tag for tag in span.tags or ()}
        scope = _pop_scope(tags)
        spans = scopes.get(scope)
        if spans is None:
            spans = scopes[scope] = bytearray(_scope(scope))
        data = _span(span, tags)
        spans += _SPAN[len(data)] if len(data) < _SIZES else _header(b"\x12", len(data))
        spans += data
    body = _sized(b"\x0a", _resource(batch.process)) + b"".join(
        _sized(b"\x12", bytes(spans)) for spans in scopes.values()
    )
    return Translated(_sized(b"\x0a", body), len(batch.spans) - invalid, invalid)


def resource_spans(batch: Batch) -> ResourceSpans:
    """The same as a protobuf object, for who wants to look inside. Raises `Malformed`."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    return TracesData.FromString(translate(batch).data).resource_spans[0]


# Protobuf's wire format, as far as OTLP's traces need it


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _header(field: bytes, size: int) -> bytes:
    return field + _varint(size)


def _sized(field: bytes, data: bytes) -> bytes:
    return field + _varint(len(data)) + data


def _headers(field: bytes) -> tuple[bytes, ...]:
    return tuple(_header(field, size) for size in range(_SIZES))


_SIZES = 1024  # below it, a field's header comes from a table
_SPAN = _headers(b"\x12")  # ScopeSpans.spans
_RESOURCE_ATTRIBUTE = _headers(b"\x0a")
_SPAN_ATTRIBUTE = _headers(b"\x4a")
_EVENT_ATTRIBUTE = _headers(b"\x1a")
_EVENT = _headers(b"\x5a")
_NAME = _headers(b"\x2a")
_EVENT_NAME = _headers(b"\x12")
_SHORT = 122  # strings below it fit two one-byte lengths
_STRING = tuple(bytes((0x12, size + 2, 0x0A, size)) for size in range(_SHORT))
_TRUE, _FALSE = b"\x12\x02\x10\x01", b"\x12\x02\x10\x00"
_UINT64 = 0xFFFF_FFFF_FFFF_FFFF
_IDS = struct.Struct(">HqqHq").pack  # trace id, span id
_PARENT = struct.Struct(">Hq").pack
_TIMES = struct.Struct("<BQBQ").pack
_TIME = struct.Struct("<BQ").pack
_DOUBLE = struct.Struct("<Hd").pack
_SAMPLED = b"\x85\x01\x01\x00\x00\x00"  # Span.flags


def _integer(number: int) -> bytes:
    data = b"\x18" + _varint(number & _UINT64)
    return b"\x12" + bytes((len(data),)) + data


_SMALL = tuple(_integer(number) for number in range(1024))


def _key_values(tags: Iterable[Tag], headers: tuple[bytes, ...]) -> bytearray:
    """The tags as a repeated KeyValue field."""
    out = bytearray()
    for tag in tags:
        encode = _VALUES.get(tag.kind)
        value = encode(tag) if encode else _unknown(tag)
        data = (_KEYS.get(tag.key) or _key(tag.key)) + value
        size = len(data)
        out += headers[size] if size < _SIZES else _header(headers[0][:-1], size)
        out += data
    return out


_KEYS: dict[bytes, bytes] = {}
_MAX_KEYS, _MAX_KEY_BYTES = 4096, 256


def _key(key: bytes) -> bytes:
    """A key as KeyValue.key. The usual ones are remembered, within bounds."""
    if key is None:
        raise Malformed("missing-field", "tag key")
    data = _sized(b"\x0a", _text(key))
    if len(key) <= _MAX_KEY_BYTES:
        if len(_KEYS) >= _MAX_KEYS:
            _KEYS.clear()
        _KEYS[key] = data
    return data


def _string(tag: Tag) -> bytes:
    text = tag.string or b""
    if text.isascii() or _is_utf8(text):
        size = len(text)
        if size < _SHORT:
            return _STRING[size] + text
        return _sized(b"\x12", _sized(b"\x0a", text))
    return _sized(b"\x12", _sized(b"\x3a", text))


def _boolean(tag: Tag) -> bytes:
    return _TRUE if tag.boolean else _FALSE


def _long(tag: Tag) -> bytes:
    number = tag.long or 0
    return _SMALL[number] if 0 <= number < 1024 else _integer(number)


def _double(tag: Tag) -> bytes:
    return b"\x12\x09\x21" + struct.pack("<d", tag.double or 0.0)


def _binary(tag: Tag) -> bytes:
    return _sized(b"\x12", _sized(b"\x3a", tag.binary or b""))


def _unknown(tag: Tag) -> bytes:
    if tag.kind is None:
        raise Malformed("missing-field", "tag type")
    return _sized(b"\x12", _sized(b"\x0a", b'<Unknown Jaeger TagType "<UNSET>">'))


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


def _text(data: bytes) -> bytes:
    """The bytes as UTF-8, each wrong one replaced by U+FFFD."""
    return data if data.isascii() else data.decode("utf-8", "replace").encode()


def _string_of(tag: Tag) -> bytes:
    return _text(tag.string or b"") if tag.kind == thrift.STRING else b""


# What is said once per process and scope

_Scope = tuple[bytes, bytes] | None


def _resource(process: Process) -> bytes:
    if process.service_name is None:
        raise Malformed("missing-field", "service name")
    service = Tag()
    service.key, service.kind, service.string = b"service.name", thrift.STRING, process.service_name
    attributes = {service.key: service} if process.service_name else {}
    attributes |= {tag.key: tag for tag in process.tags or ()}
    if b"hostname" in attributes and b"host.name" not in attributes:
        _rename(attributes, b"hostname", b"host.name")
    if b"jaeger.version" in attributes and b"opencensus.exporterversion" not in attributes:
        version = _rename(attributes, b"jaeger.version", b"opencensus.exporterversion")
        version.kind, version.string = thrift.STRING, b"Jaeger-" + _string_of(version)
    return bytes(_key_values(attributes.values(), _RESOURCE_ATTRIBUTE))


def _rename(tags: dict[bytes, Tag], old: bytes, new: bytes) -> Tag:
    tag, copy = tags.pop(old), Tag()
    copy.__dict__.update(tag.__dict__)
    copy.key = new
    tags[new] = copy
    return copy


def _pop_scope(tags: dict[bytes, Tag]) -> _Scope:
    if b"otel.scope.name" in tags and (name := _pop_string(tags, b"otel.scope.name")):
        return name, _pop_string(tags, b"otel.scope.version")
    return None


def _pop_string(tags: dict[bytes, Tag], key: bytes) -> bytes:
    """The text of a tag, which is taken out; what is no text, or empty, stays a tag."""
    text = _string_of(tags[key]) if key in tags else b""
    if text:
        del tags[key]
    return text


def _scope(scope: _Scope) -> bytes:
    if scope is None:
        return b""
    name, version = scope
    return _sized(b"\x0a", _sized(b"\x0a", name) + (_sized(b"\x12", version) if version else b""))


# What is said of each span

_KINDS = {b"internal": 1, b"server": 2, b"client": 3, b"producer": 4, b"consumer": 5}
_KIND = {number: bytes((0x30, number)) for number in _KINDS.values()}
_SERVER, _CLIENT = _KINDS[b"server"], _KINDS[b"client"]


def _span(span: Span, tags: dict[bytes, Tag]) -> bytes:
    if span.operation_name is None or span.flags is None or span.parent_span_id is None:
        raise Malformed("missing-field", "span")
    parent = span.parent_span_id or (_parent(span) if span.references else 0)
    start = span.start_time
    try:
        out = bytearray(_IDS(0x0A10, span.trace_id_high, span.trace_id_low, 0x1208, span.span_id))
        times = _TIMES(0x39, start * 1000 & _UINT64, 0x41, (start + span.duration) * 1000 & _UINT64)
    except (struct.error, TypeError):
        raise Malformed("missing-field", "span") from None
    if b"w3c.tracestate" in tags and (state := _pop_string(tags, b"w3c.tracestate")):
        out += _sized(b"\x1a", state)
    if parent:
        out += _PARENT(0x2208, parent)
    if name := _text(span.operation_name):
        out += _NAME[len(name)] if len(name) < _SIZES else _header(b"\x2a", len(name))
        out += name
    kind = _KINDS.get(_string_of(tags.pop(b"span.kind")), 0) if b"span.kind" in tags else 0
    if kind:
        out += _KIND[kind]
    out += times
    status = _status(tags, kind)
    out += _key_values(tags.values(), _SPAN_ATTRIBUTE)
    for log in span.logs or ():
        event = _event(log)
        out += _EVENT[len(event)] if len(event) < _SIZES else _header(b"\x5a", len(event))
        out += event
    if span.references:
        out += _links(span.references, parent)
    out += status
    if span.flags & 1:
        out += _SAMPLED
    return bytes(out)


def _parent(span: Span) -> int:
    """Of the references into the same trace the first child_of, else the first follows_from."""
    follows = 0
    for reference in span.references or ():
        if (
            reference.trace_id_low != span.trace_id_low
            or reference.trace_id_high != span.trace_id_high
        ):
            continue
        if reference.kind == thrift.CHILD_OF:
            return reference.span_id
        if not follows and reference.kind == thrift.FOLLOWS_FROM:
            follows = reference.span_id
    return follows


_REFERENCE = {
    kind: _sized(b"\x22", _sized(b"\x0a", b"opentracing.ref_type") + _STRING[len(name)] + name)
    for kind, name in ((thrift.CHILD_OF, b"child_of"), (thrift.FOLLOWS_FROM, b"follows_from"))
}


def _links(references: list[SpanRef], parent: int) -> bytes:
    out = bytearray()
    for reference in references:
        if reference.kind == thrift.CHILD_OF and reference.span_id == parent:
            continue
        try:
            ids = _IDS(
                0x0A10, reference.trace_id_high, reference.trace_id_low, 0x1208, reference.span_id
            )
        except struct.error:
            raise Malformed("missing-field", "reference") from None
        kind = _REFERENCE.get(reference.kind, _REFERENCE[thrift.FOLLOWS_FROM])
        out += _sized(b"\x6a", ids + kind)
    return bytes(out)


def _event(log: Log) -> bytes:
    if log.timestamp is None or log.fields is None:
        raise Malformed("missing-field", "log")
    out = bytearray(_TIME(0x09, log.timestamp * 1000 & _UINT64))
    fields = {field.key: field for field in log.fields}
    if b"event" in fields and (name := _string_of(fields.pop(b"event"))):
        out += _EVENT_NAME[len(name)] if len(name) < _SIZES else _header(b"\x12", len(name))
        out += name
    out += _key_values(fields.values(), _EVENT_ATTRIBUTE)
    return bytes(out)


# Status

_OK, _ERROR = 1, 2
_CODES = {b"OK": _OK, b"ERROR": _ERROR}


def _status(tags: dict[bytes, Tag], kind: int) -> bytes:
    """Span.status, from the tags that say it; the ones it replaces are taken out of `tags`.

    `error` decides when it is true, then `otel.status_code`, then `http.status_code`.
    """
    error = tags.get(b"error")
    if error is not None and error.kind == thrift.BOOL and error.boolean:
        del tags[b"error"]
        tags.pop(b"otel.status_code", None)
        return _status_field(_ERROR, _description(tags, or_http=True))
    if b"otel.status_code" in tags:
        code = _CODES.get(_string_of(tags.pop(b"otel.status_code")).upper(), 0)
        return _status_field(code, _description(tags, or_http=False))
    if b"http.status_code" in tags and _http_failed(tags[b"http.status_code"], kind):
        return _status_field(_ERROR, _http_message(tags))
    return b""


def _status_field(code: int, message: bytes) -> bytes:
    data = (_sized(b"\x12", message) if message else b"") + (bytes((0x18, code)) if code else b"")
    return _sized(b"\x7a", data) if data else b""


def _description(tags: dict[bytes, Tag], *, or_http: bool) -> bytes:
    if b"otel.status_description" in tags:
        return _string_of(tags.pop(b"otel.status_description"))
    return _http_message(tags) if or_http else b""


def _http_message(tags: dict[bytes, Tag]) -> bytes:
    return _string_of(tags[b"http.status_message"]) if b"http.status_message" in tags else b""


_is_number = re.compile(rb"[+-]?[0-9]+").fullmatch
_INT64 = range(-(2**63), 2**63)


def _http_failed(tag: Tag, kind: int) -> bool:
    if tag.kind == thrift.LONG:
        code = tag.long or 0
    elif tag.kind == thrift.STRING and _is_number(text := tag.string or b"") and len(text) < 64:
        code = int(text)
        if code not in _INT64:
            return False
    else:
        return False
    if kind == _SERVER and 400 <= code < 500:
        return False
    return not 100 <= code < 399
