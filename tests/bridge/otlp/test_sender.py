"""Sending bytes to an OTLP receiver that takes them, refuses them, is slow, or is not there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.sender import Answer, OtlpSender, Outcome
from bridge.otlp.settings import Signal, read_settings
from tests.servers.process import free_port

PROTOCOLS = ("grpc", "http")


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        yield running


def sender_to(
    receiver: OtlpReceiver, protocol: str, signal: Signal = Signal.TRACES, **environ: str
) -> OtlpSender:
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
    return OtlpSender(
        read_settings(signal, endpoint=endpoint, protocol=protocol, timeout=5, environ=environ)
    )


def one_span() -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="hello")
    return request.SerializeToString()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_spans_arrive(receiver: OtlpReceiver, protocol: str) -> None:
    sender = sender_to(receiver, protocol)
    assert sender.send(one_span()) == Answer(Outcome.ACCEPTED)
    assert [span.name for span in receiver.spans] == ["hello"]
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metrics_arrive(receiver: OtlpReceiver, protocol: str) -> None:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.add(name="jobs")
    sender = sender_to(receiver, protocol, Signal.METRICS)
    assert sender.send(request.SerializeToString()).accepted
    assert receiver.resource_metrics[0].scope_metrics[0].metrics[0].name == "jobs"
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_gzip_and_headers_arrive(receiver: OtlpReceiver, protocol: str) -> None:
    sender = sender_to(
        receiver,
        protocol,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_HEADERS="X-Tenant=a",
    )
    assert sender.send(one_span()).accepted
    assert receiver.spans
    assert receiver.headers[0]["x-tenant"] == "a"
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_refusal_is_final(receiver: OtlpReceiver, protocol: str) -> None:
    receiver.fail = lambda: 400
    sender = sender_to(receiver, protocol)
    assert sender.send(one_span(), patience=60).outcome is Outcome.REFUSED
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_overloaded_receiver_is_asked_again(receiver: OtlpReceiver, protocol: str) -> None:
    answers = iter([503, 503])
    receiver.fail = lambda: next(answers, None)
    sender = sender_to(receiver, protocol)
    assert sender.send(one_span(), patience=30).accepted
    assert len(receiver.spans) == 1
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_listening_is_unavailable_after_the_patience(protocol: str) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    sender = OtlpSender(
        read_settings(Signal.TRACES, endpoint=endpoint, protocol=protocol, environ={})
    )
    assert sender.send(one_span(), patience=0).outcome is Outcome.UNAVAILABLE
    sender.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_receiver_that_accepts_and_is_silent_times_out(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = read_settings(
            Signal.TRACES, endpoint=endpoint, protocol=protocol, timeout=0.2, environ={}
        )
        sender = OtlpSender(settings)
        assert sender.send(one_span(), patience=0).outcome is Outcome.UNAVAILABLE
        sender.close()


def test_http_413_says_too_large(receiver: OtlpReceiver) -> None:
    receiver.fail = lambda: 413
    sender = sender_to(receiver, "http")
    assert sender.send(one_span()).outcome is Outcome.TOO_LARGE
    sender.close()


def test_grpc_over_the_receivers_message_size_says_too_large(receiver: OtlpReceiver) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="x" * (65 * 1024 * 1024))
    sender = sender_to(receiver, "grpc")
    assert sender.send(request.SerializeToString()).outcome is Outcome.TOO_LARGE
    sender.close()


def test_close_ends_the_pause_between_attempts(receiver: OtlpReceiver) -> None:
    receiver.fail = lambda: 503
    sender = sender_to(receiver, "http")
    threading.Timer(0.2, sender.close).start()
    started = time.monotonic()
    assert sender.send(one_span(), patience=60).outcome is Outcome.UNAVAILABLE
    assert time.monotonic() - started < 5
