"""An OTLP receiver on loopback that keeps what it gets: for `compare`, the demo and the tests.

It speaks gRPC and HTTP (protobuf, gzip) on free ports of its own, and can be told to misbehave.
It is no collector: it keeps everything in memory, up to `max_requests`.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from bridge.otlp.settings import Signal

MAX_BODY_BYTES = 64 * 1024 * 1024
CLOSE_POLL = 0.05  # seconds until `close` is noticed

_REQUESTS: dict[Signal, Any] = {
    Signal.TRACES: trace_service.ExportTraceServiceRequest,
    Signal.METRICS: metrics_service.ExportMetricsServiceRequest,
}
_RESPONSES: dict[Signal, Any] = {
    Signal.TRACES: trace_service.ExportTraceServiceResponse,
    Signal.METRICS: metrics_service.ExportMetricsServiceResponse,
}


class OtlpReceiver:
    """Listens on loopback until `close`; a context manager.

    `fail` may be set to a function that is called for every request and returns an HTTP status
    (the gRPC side answers UNAVAILABLE for 5xx and 429, INVALID_ARGUMENT for the rest) or None to
    accept; it may also sleep, to be slow.
    """

    def __init__(self, max_requests: int = 100_000) -> None:
        self.fail: Callable[[], int | None] = lambda: None
        self.headers: list[dict[str, str]] = []
        self._received: dict[Signal, list[Any]] = {signal: [] for signal in Signal}
        self._changed = threading.Condition()
        self._max_requests = max_requests
        self._http = _HttpServer(self)
        self._grpc, self.grpc_port = _grpc_server(self)
        self.http_port: int = self._http.server_address[1]
        threading.Thread(
            target=self._http.serve_forever, args=(CLOSE_POLL,), name="otlp-http", daemon=True
        ).start()

    @property
    def grpc_endpoint(self) -> str:
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_endpoint(self) -> str:
        """The base URL; an SDK adds /v1/traces or /v1/metrics."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def resource_spans(self) -> list[ResourceSpans]:
        """Everything received so far, in order of arrival."""
        with self._changed:
            return [item for r in self._received[Signal.TRACES] for item in r.resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [s for r in self.resource_spans for scope in r.scope_spans for s in scope.spans]

    @property
    def resource_metrics(self) -> list[ResourceMetrics]:
        with self._changed:
            return [item for r in self._received[Signal.METRICS] for item in r.resource_metrics]

    @property
    def requests(self) -> int:
        with self._changed:
            return sum(len(kept) for kept in self._received.values())

    def wait_for_spans(self, count: int, seconds: float = 10.0) -> list[Span]:
        """The spans once there are `count`; raises TimeoutError when they do not come."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while len(spans := self.spans) < count:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{len(spans)} of {count} spans within {seconds} s")
                self._changed.wait(left)
        return spans

    def clear(self) -> None:
        with self._changed:
            for kept in self._received.values():
                kept.clear()
            self.headers.clear()

    def close(self) -> None:
        """Stops listening. What was received stays readable."""
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0).wait()

    def __enter__(self) -> OtlpReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, signal: Signal, body: bytes, headers: dict[str, str]) -> int:
        """Keeps one request; the HTTP status that answers it."""
        status = self.fail()
        if status is not None:
            return status
        try:
            request = _REQUESTS[signal].FromString(body)
        except DecodeError:
            return 400
        with self._changed:
            kept = self._received[signal]
            if len(kept) >= self._max_requests:
                return 503
            kept.append(request)
            self.headers.append(headers)
            self._changed.notify_all()
        return 200


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _HttpHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_POST(self) -> None:
        signal = next((s for s in Signal if self.path == f"/{s.path}"), None)
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        if body is None or signal is None:
            self._answer(400 if signal else 404, b"")
            return
        status = self.server.receiver.take(signal, body, headers)
        self._answer(status, _RESPONSES[signal]().SerializeToString())

    def _body(self) -> bytes | None:
        try:
            length = int(self.headers.get("Content-Length") or -1)
            if not 0 <= length <= MAX_BODY_BYTES:
                self.close_connection = True
                return None
            body = self.rfile.read(length)
            return _gunzip(body) if self.headers.get("Content-Encoding") == "gzip" else body
        except (ValueError, OSError, zlib.error):
            return None

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet: the receiver's caller says what came."""


def _gunzip(body: bytes) -> bytes:
    """Decompresses at most `MAX_BODY_BYTES`; raises zlib.error or ValueError beyond."""
    stream = zlib.decompressobj(wbits=31)
    plain = stream.decompress(body, MAX_BODY_BYTES)
    if not stream.eof:
        raise ValueError("truncated, or too large")
    return plain


def _grpc_server(receiver: OtlpReceiver) -> tuple[Any, int]:
    import grpc

    def handler(signal: Signal) -> Any:
        def export(body: bytes, context: Any) -> bytes:
            headers = {str(name): str(value) for name, value in context.invocation_metadata()}
            status = receiver.take(signal, body, headers)
            if status == 200:
                return bytes(_RESPONSES[signal]().SerializeToString())
            code = grpc.StatusCode.INVALID_ARGUMENT
            if status >= 500 or status == 429:
                code = grpc.StatusCode.UNAVAILABLE
            context.abort(code, f"told to answer {status}")
            return b""

        return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(
        ThreadPoolExecutor(8, thread_name_prefix="otlp-grpc"),
        options=[("grpc.max_receive_message_length", MAX_BODY_BYTES), ("grpc.so_reuseport", 0)],
    )
    for signal in Signal:
        _, service, method = signal.grpc_method.split("/")
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler(signal)}),)
        )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
