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
from typing import TYPE_CHECKING, NamedTuple

from bridge.jaeger import thrift, wire
from bridge.jaeger.thrift import Batch, Log, Malformed, Process, Span, SpanRef, Tag
from bridge.jaeger.wire import Headers, key_values, sized, text_of, utf8

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
        spans += _SPANS.of(len(data))
        spans += data
    body = sized(wire.RESOURCE_SPANS_RESOURCE, _resource(batch.process)) + b"".join(
        sized(wire.RESOURCE_SPANS_SCOPE_SPANS, spans) for spans in scopes.values()
    )
    traces = sized(wire.TRACES_RESOURCE_SPANS, body)
    return Translated(traces, len(batch.spans) - invalid, invalid)


def resource_spans(batch: Batch) -> ResourceSpans:
    """The same as a protobuf object, for who wants to look inside. Raises `Malformed`."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    return TracesData.FromString(translate(batch).data).resource_spans[0]


_SPANS = Headers(wire.SCOPE_SPANS_SPANS)
_RESOURCE_ATTRIBUTES = Headers(wire.RESOURCE_ATTRIBUTES)
_NAME = Headers(wire.SPAN_NAME)
_ATTRIBUTES = Headers(wire.SPAN_ATTRIBUTES)
_EVENTS = Headers(wire.SPAN_EVENTS)
_EVENT_NAME = Headers(wire.EVENT_NAME)
_EVENT_ATTRIBUTES = Headers(wire.EVENT_ATTRIBUTES)

# What is said once per process and scope

_Scope = tuple[bytes, bytes] | None


def _resource(process: Process) -> bytearray:
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
        version.kind, version.string = thrift.STRING, b"Jaeger-" + text_of(version)
    return key_values(attributes.values(), _RESOURCE_ATTRIBUTES)


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
    text = text_of(tags[key]) if key in tags else b""
    if text:
        del tags[key]
    return text


def _scope(scope: _Scope) -> bytes:
    if scope is None:
        return b""
    name, version = scope
    fields = sized(wire.SCOPE_NAME, name)
    if version:
        fields += sized(wire.SCOPE_VERSION, version)
    return sized(wire.SCOPE_SPANS_SCOPE, fields)


# What is said of each span

_KINDS = {b"internal": 1, b"server": 2, b"client": 3, b"producer": 4, b"consumer": 5}
_KIND = {number: wire.SPAN_KIND + bytes((number,)) for number in _KINDS.values()}
_SERVER = _KINDS[b"server"]


def _span(span: Span, tags: dict[bytes, Tag]) -> bytearray:
    if span.operation_name is None or span.flags is None or span.parent_span_id is None:
        raise Malformed("missing-field", "span")
    parent = span.parent_span_id or (_parent(span) if span.references else 0)
    start = span.start_time
    try:
        out = bytearray(_ids(span))
        times = wire.TIMES(0x39, _nanoseconds(start), 0x41, _nanoseconds(start + span.duration))
    except (struct.error, TypeError):
        raise Malformed("missing-field", "span") from None
    if b"w3c.tracestate" in tags and (state := _pop_string(tags, b"w3c.tracestate")):
        out += sized(wire.SPAN_TRACE_STATE, state)
    if parent:
        out += wire.PARENT(0x2208, parent)
    if name := utf8(span.operation_name):
        out += _NAME.of(len(name))
        out += name
    kind = _KINDS.get(text_of(tags.pop(b"span.kind")), 0) if b"span.kind" in tags else 0
    if kind:
        out += _KIND[kind]
    out += times
    status = _status(tags, kind)
    out += key_values(tags.values(), _ATTRIBUTES)
    for log in span.logs or ():
        event = _event(log)
        out += _EVENTS.of(len(event))
        out += event
    if span.references:
        out += _links(span.references, parent)
    out += status
    if span.flags & 1:
        out += wire.SPAN_FLAGS_SAMPLED
    return out


def _ids(of: Span | SpanRef) -> bytes:
    """Fields 1 and 2 of both Span and Span.Link."""
    return wire.IDS(0x0A10, of.trace_id_high, of.trace_id_low, 0x1208, of.span_id)


def _nanoseconds(microseconds: int) -> int:
    return microseconds * 1000 & wire.UINT64


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
    kind: sized(
        wire.LINK_ATTRIBUTES,
        sized(wire.KEY_VALUE_KEY, b"opentracing.ref_type") + wire.string_value(name),
    )
    for kind, name in ((thrift.CHILD_OF, b"child_of"), (thrift.FOLLOWS_FROM, b"follows_from"))
}


def _links(references: list[SpanRef], parent: int) -> bytearray:
    out = bytearray()
    for reference in references:
        if reference.kind == thrift.CHILD_OF and reference.span_id == parent:
            continue
        try:
            ids = _ids(reference)
        except struct.error:
            raise Malformed("missing-field", "reference") from None
        kind = _REFERENCE.get(reference.kind, _REFERENCE[thrift.FOLLOWS_FROM])
        out += sized(wire.SPAN_LINKS, ids + kind)
    return out


def _event(log: Log) -> bytearray:
    if log.timestamp is None or log.fields is None:
        raise Malformed("missing-field", "log")
    out = bytearray(wire.TIME(0x09, _nanoseconds(log.timestamp)))
    fields = {field.key: field for field in log.fields}
    if b"event" in fields and (name := text_of(fields.pop(b"event"))):
        out += _EVENT_NAME.of(len(name))
        out += name
    out += key_values(fields.values(), _EVENT_ATTRIBUTES)
    return out


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
        code = _CODES.get(text_of(tags.pop(b"otel.status_code")).upper(), 0)
        return _status_field(code, _description(tags, or_http=False))
    if b"http.status_code" in tags and _http_failed(tags[b"http.status_code"], kind):
        return _status_field(_ERROR, _http_message(tags))
    return b""


def _status_field(code: int, message: bytes) -> bytes:
    data = sized(wire.STATUS_MESSAGE, message) if message else b""
    if code:
        data += wire.STATUS_CODE + bytes((code,))
    return sized(wire.SPAN_STATUS, data) if data else b""


def _description(tags: dict[bytes, Tag], *, or_http: bool) -> bytes:
    if b"otel.status_description" in tags:
        return text_of(tags.pop(b"otel.status_description"))
    return _http_message(tags) if or_http else b""


def _http_message(tags: dict[bytes, Tag]) -> bytes:
    return text_of(tags[b"http.status_message"]) if b"http.status_message" in tags else b""


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
