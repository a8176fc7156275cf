"""OpenTelemetry's OTLP exporters with our encoder: their settings, retries and TLS stay."""

from __future__ import annotations

import logging
import sys
from types import FunctionType, MethodType
from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter

from shim.endpoint import Endpoint
from shim.otlp import encode_spans

logger = logging.getLogger("jaeger_tracing")

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def fast_exporter(where: Endpoint) -> SpanExporter:
    """The standard exporter for `where`, encoding with `shim.otlp`.

    Where a release of OpenTelemetry has no place to put our encoder, its own is used.
    """
    from shim.pipeline import standard_exporter

    exporter = standard_exporter(where)
    replace = _replace_in_grpc if where.protocol == "grpc" else _replace_in_http
    try:
        return replace(exporter)
    except (AttributeError, ImportError):
        logger.debug("OpenTelemetry's own OTLP encoder is used", exc_info=True)
        return exporter


class _Encoded:
    """Stands for a protobuf message that is bytes already."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:  # noqa: N802
        return self._data

    SerializePartialToString = SerializeToString


def _encoded(spans: Any) -> _Encoded:
    return _Encoded(encode_spans(spans))


def _replace_in_http(exporter: Any) -> SpanExporter:
    own = type(exporter).export
    module = sys.modules[own.__module__]
    if not hasattr(module, "encode_spans") or "encode_spans" not in own.__code__.co_names:
        raise AttributeError("the HTTP exporter does not call encode_spans")
    # The same function over other globals: `encode_spans` in it is ours, for this object only.
    export = FunctionType(own.__code__, {**vars(module), "encode_spans": _encoded})
    exporter.export = MethodType(export, exporter)
    return exporter  # type: ignore[no-any-return]


def _replace_in_grpc(exporter: Any) -> SpanExporter:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    class Stub:
        def __init__(self, channel: Any) -> None:
            self.Export = channel.unary_unary(
                _EXPORT,
                request_serializer=_Encoded.SerializeToString,
                response_deserializer=ExportTraceServiceResponse.FromString,
            )

    client = Stub(exporter._channel)
    if not (hasattr(exporter, "_stub") and hasattr(exporter, "_client")):
        raise AttributeError("the gRPC exporter has no stub to replace")
    exporter._stub = Stub  # for its reconnects
    exporter._client = client
    exporter._translate_data = _encoded
    return exporter  # type: ignore[no-any-return]
