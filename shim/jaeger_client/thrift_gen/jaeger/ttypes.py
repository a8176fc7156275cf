"""jaeger.thrift: https://github.com/jaegertracing/jaeger-idl/blob/main/thrift/jaeger.thrift"""

from __future__ import annotations

from .. import BOOL, DOUBLE, I32, I64, LIST, STRING, STRUCT, enum, struct

TagType = enum("TagType", "STRING", "DOUBLE", "BOOL", "LONG", "BINARY")
SpanRefType = enum("SpanRefType", "CHILD_OF", "FOLLOWS_FROM")

Tag = struct(
    "Tag",
    (1, STRING, "key", None),
    (2, I32, "vType", None),
    (3, STRING, "vStr", None),
    (4, DOUBLE, "vDouble", None),
    (5, BOOL, "vBool", None),
    (6, I64, "vLong", None),
    (7, STRING, "vBinary", "BINARY"),
    required="key vType",
)
Log = struct(
    "Log", (1, I64, "timestamp", None), (2, LIST, "fields", Tag), required="timestamp fields"
)
SpanRef = struct(
    "SpanRef",
    (1, I32, "refType", None),
    (2, I64, "traceIdLow", None),
    (3, I64, "traceIdHigh", None),
    (4, I64, "spanId", None),
    required="refType traceIdLow traceIdHigh spanId",
)
Span = struct(
    "Span",
    (1, I64, "traceIdLow", None),
    (2, I64, "traceIdHigh", None),
    (3, I64, "spanId", None),
    (4, I64, "parentSpanId", None),
    (5, STRING, "operationName", None),
    (6, LIST, "references", SpanRef),
    (7, I32, "flags", None),
    (8, I64, "startTime", None),
    (9, I64, "duration", None),
    (10, LIST, "tags", Tag),
    (11, LIST, "logs", Log),
    required="traceIdLow traceIdHigh spanId parentSpanId operationName flags startTime duration",
)
Process = struct(
    "Process", (1, STRING, "serviceName", None), (2, LIST, "tags", Tag), required="serviceName"
)
Batch = struct(
    "Batch", (1, STRUCT, "process", Process), (2, LIST, "spans", Span), required="process spans"
)
BatchSubmitResponse = struct("BatchSubmitResponse", (1, BOOL, "ok", None), required="ok")
