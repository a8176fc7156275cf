"""Sends serialised OTLP requests over gRPC or HTTP, with the retries the specification asks for.

The encoders of ours produce bytes; the exporters of the OpenTelemetry SDK take objects. This is
the small part between: bytes to an endpoint, and a plain answer. Nothing here raises for what a
network or a server does.
"""

from __future__ import annotations

import gzip
import random
import threading
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from bridge.otlp.settings import Settings, Signal

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
ANSWER_BYTES = 64 * 1024
TEXT_CHARACTERS = 200


class Outcome(Enum):
    """What became of a request."""

    ACCEPTED = "accepted"  # perhaps in part: see Answer.rejected
    REFUSED = "refused"  # the receiver will never take it
    TOO_LARGE = "too large"  # it might take it in pieces
    UNAVAILABLE = "unavailable"  # worth another try later


@dataclass(frozen=True, slots=True)
class Answer:
    """A receiver's answer. `rejected` counts spans or data points of a partial success."""

    outcome: Outcome
    text: str = ""
    rejected: int = 0
    retry_after: float | None = None  # seconds, when the receiver named them

    @property
    def accepted(self) -> bool:
        return self.outcome is Outcome.ACCEPTED


class _Transport(Protocol):
    def post(self, body: bytes, timeout: float) -> Answer: ...

    def close(self) -> None: ...


class OtlpSender:
    """One destination. `send` may be called from any thread; `close` ends waiting ones early."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closed = threading.Event()
        self._transport: _Transport = (
            _Grpc(settings) if settings.protocol == "grpc" else _Http(settings)
        )

    def send(self, body: bytes, patience: float = 60.0) -> Answer:
        """Sends one serialised Export...ServiceRequest and returns the last answer.

        While the answer is UNAVAILABLE it tries again, with growing jittered pauses or the
        receiver's own, for at most `patience` seconds (0: one attempt).
        """
        deadline = time.monotonic() + patience
        backoff = FIRST_BACKOFF_SECONDS
        timeout = self.settings.timeout
        while True:
            answer = self._transport.post(body, timeout)
            if answer.outcome is not Outcome.UNAVAILABLE:
                return answer
            pause = answer.retry_after
            if pause is None:
                pause = backoff * random.uniform(0.8, 1.2)
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            left = deadline - time.monotonic()
            if pause >= left or self._closed.wait(pause):
                return answer
            timeout = min(timeout, max(left - pause, 0.1))

    def close(self) -> None:
        """Ends pauses between attempts and releases the connection. Safe to call twice."""
        self._closed.set()
        self._transport.close()


def _partial_success(signal: Signal, body: bytes) -> Answer:
    """Reads an Export...ServiceResponse; one that cannot be read counts as accepted."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

    try:
        if signal is Signal.TRACES:
            spans = traces.ExportTraceServiceResponse.FromString(body).partial_success
            return Answer(Outcome.ACCEPTED, _short(spans.error_message), spans.rejected_spans)
        points = metrics.ExportMetricsServiceResponse.FromString(body).partial_success
        return Answer(Outcome.ACCEPTED, _short(points.error_message), points.rejected_data_points)
    except DecodeError:
        return Answer(Outcome.ACCEPTED)


def _short(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[:TEXT_CHARACTERS] + "..."


class _Grpc:
    # OTLP specification, "OTLP/gRPC Response": what may be tried again.
    RETRYABLE = frozenset(
        {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
    )

    def __init__(self, settings: Settings) -> None:
        import grpc

        self._signal = settings.signal
        options = [("grpc.max_receive_message_length", ANSWER_BYTES)]
        if settings.secure:
            credentials = grpc.ssl_channel_credentials(
                _read(settings.certificate),
                _read(settings.client_key),
                _read(settings.client_certificate),
            )
            self._channel: Any = grpc.secure_channel(settings.address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(settings.address, options)
        self._call = self._channel.unary_unary(settings.signal.grpc_method)
        self._metadata = tuple((name.lower(), value) for name, value in settings.headers.items())
        self._compression = grpc.Compression.Gzip if settings.gzip else None
        self._error: type[Exception] = grpc.RpcError

    def post(self, body: bytes, timeout: float) -> Answer:
        try:
            answer = self._call(
                body, timeout=timeout, metadata=self._metadata, compression=self._compression
            )
        except self._error as error:
            return self._failure(error)
        except ValueError:
            return Answer(Outcome.UNAVAILABLE, "the sender is closed")
        return _partial_success(self._signal, answer)

    def _failure(self, error: Any) -> Answer:
        code, details = error.code().name, _short(error.details() or "")
        text = f"{code}: {details}"
        if code in self.RETRYABLE:
            return Answer(Outcome.UNAVAILABLE, text, retry_after=_retry_info(error))
        if code == "RESOURCE_EXHAUSTED":
            pause = _retry_info(error)
            if pause is not None:
                return Answer(Outcome.UNAVAILABLE, text, retry_after=pause)
            return Answer(
                Outcome.TOO_LARGE if "larger than max" in details else Outcome.REFUSED, text
            )
        return Answer(Outcome.REFUSED, text)

    def close(self) -> None:
        self._channel.close()


def _retry_info(error: Any) -> float | None:
    """Seconds of google.rpc.RetryInfo in the status details, where the server sent one."""
    from google.protobuf.message import DecodeError
    from google.rpc import error_details_pb2, status_pb2

    for name, value in error.trailing_metadata() or ():
        if name != "grpc-status-details-bin":
            continue
        try:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return max(float(info.retry_delay.ToTimedelta().total_seconds()), 0.0)
        except DecodeError:
            return None
    return None


def _read(path: str | None) -> bytes | None:
    return Path(path).read_bytes() if path else None


class _Http:
    # OTLP specification, "OTLP/HTTP Response", "Retryable Response Codes".
    RETRYABLE = frozenset({429, 502, 503, 504})

    def __init__(self, settings: Settings) -> None:
        import urllib3

        self._settings = settings
        self._pool = urllib3.PoolManager(
            num_pools=1,
            retries=False,
            ca_certs=settings.certificate,
            cert_file=settings.client_certificate,
            key_file=settings.client_key,
        )
        self._error: type[Exception] = urllib3.exceptions.HTTPError
        self._headers = {"Content-Type": "application/x-protobuf", **settings.headers}
        if settings.gzip:
            self._headers["Content-Encoding"] = "gzip"

    def post(self, body: bytes, timeout: float) -> Answer:
        if self._settings.gzip:
            body = gzip.compress(body, compresslevel=1)
        try:
            answer = self._pool.request(
                "POST",
                self._settings.endpoint,
                body=body,
                headers=self._headers,
                timeout=timeout,
                redirect=False,
                preload_content=False,
            )
            try:
                content = answer.read(ANSWER_BYTES)
            finally:
                answer.drain_conn()
                answer.release_conn()
        except self._error as error:
            return Answer(Outcome.UNAVAILABLE, type(error).__name__)
        return self._answer(answer.status, answer.headers.get("Retry-After"), content)

    def _answer(self, status: int, retry_after: str | None, content: bytes) -> Answer:
        if 200 <= status < 300:
            return _partial_success(self._settings.signal, content)
        text = f"HTTP {status}"
        if status in self.RETRYABLE:
            return Answer(Outcome.UNAVAILABLE, text, retry_after=_seconds_of(retry_after))
        return Answer(Outcome.TOO_LARGE if status == 413 else Outcome.REFUSED, text)

    def close(self) -> None:
        self._pool.clear()


def _seconds_of(retry_after: str | None) -> float | None:
    """The header in seconds (RFC 9110, 10.2.3: a number of them, or a date)."""
    if not retry_after:
        return None
    if retry_after.isdigit():
        return float(retry_after)
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
