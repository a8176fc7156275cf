"""The loopback receiver refuses what is no OTLP and keeps what is."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from bridge.otlp import receiver as module
from bridge.otlp.receiver import OtlpReceiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


def post(receiver: OtlpReceiver, body: bytes, path: str = "/v1/traces", **headers: str) -> int:
    request = urllib.request.Request(receiver.http_endpoint + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def exporters(receiver: OtlpReceiver) -> list[SpanExporter]:
    return [
        GrpcExporter(endpoint=receiver.grpc_endpoint, insecure=True),
        HttpExporter(endpoint=receiver.http_endpoint + "/v1/traces"),
    ]


def test_both_exporters_of_the_sdk_are_understood(receiver: OtlpReceiver) -> None:
    for exporter in exporters(receiver):
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("hello"):
            pass
        provider.shutdown()
    assert [span.name for span in receiver.wait_for_spans(2)] == ["hello", "hello"]


def test_garbage_is_refused(receiver: OtlpReceiver) -> None:
    assert post(receiver, b"\xff\xff\xff") == 400
    assert post(receiver, b"", path="/elsewhere") == 404


def test_a_gzip_bomb_is_refused(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY_BYTES", 1024)
    bomb = gzip.compress(bytes(100_000))
    assert post(receiver, bomb, **{"Content-Encoding": "gzip"}) == 400


def test_it_answers_what_it_is_told(receiver: OtlpReceiver) -> None:
    receiver.fail = lambda: 503
    assert post(receiver, b"") == 503
    assert receiver.requests == 0


def test_waiting_for_spans_that_do_not_come_raises(receiver: OtlpReceiver) -> None:
    with pytest.raises(TimeoutError, match="0 of 1"):
        receiver.wait_for_spans(1, seconds=0.05)
