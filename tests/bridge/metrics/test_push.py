"""The push when the receiver is well, slow, full, angry or gone."""

from __future__ import annotations

import logging
import threading
import time

import pytest
from opentelemetry import context
from prometheus_client.core import GaugeMetricFamily

from bridge.metrics.problems import Problems
from bridge.metrics.push import Pusher
from bridge.otlp.receiver import OtlpReceiver
from bridge.otlp.settings import Signal, read_settings
from tests.bridge.metrics.helpers import Pushes
from tests.servers.process import free_port, wait_until


@pytest.fixture
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


class Service:
    """Something that is pushed: a gauge with as many series as wanted."""

    def __init__(self, receiver=None, *, protocol="http", endpoint=None, **settings) -> None:
        self.pushes = Pushes(max_bytes=settings.pop("max_bytes", 4_000_000))
        self.series, self.padding, self.delivered = 1, "", 0
        at = {"http": "http_endpoint", "grpc": "grpc_endpoint"}[protocol]
        self.problems = self.pushes.problems
        self.pusher = Pusher(
            read_settings(
                Signal.METRICS, endpoint=endpoint or getattr(receiver, at), protocol=protocol
            ),
            self.collect,
            self.count,
            self.problems,
            **{"interval": 3600.0, "timeout": 10.0, **settings},
        )

    def collect(self):
        found = GaugeMetricFamily("level", "", labels=["a"])
        for number in range(self.series):
            found.add_metric([f"{number}{self.padding}"], number)
        return self.pushes.requests(found)

    def count(self) -> None:
        self.delivered += 1


def points_of(receiver) -> int:
    return sum(
        len(metric.gauge.data_points)
        for resource in receiver.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_push_arrives(receiver, protocol):
    service = Service(receiver, protocol=protocol)
    assert service.pusher.push()
    assert (points_of(receiver), service.delivered, service.problems.counts()) == (1, 1, {})
    service.pusher.close(1)


def test_the_timer_pushes_again_and_again(receiver):
    service = Service(receiver, interval=0.05)
    service.pusher.start()
    wait_until(lambda: points_of(receiver) >= 3)
    service.pusher.close(5)


def test_close_pushes_a_last_time_and_ends_the_thread(receiver):
    service = Service(receiver)
    service.pusher.start()
    assert service.pusher.close(5)
    assert points_of(receiver) == 1
    service.pusher._thread.join(2)
    assert not service.pusher._thread.is_alive()
    assert service.pusher.close(5)
    assert not service.pusher.push()


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_is_busy_gets_it_again(receiver, status):
    answers = [status, status]
    receiver.fail = lambda: answers.pop() if answers else None
    service = Service(receiver)
    assert service.pusher.push()
    assert (points_of(receiver), service.problems.counts()) == (1, {})


def test_one_that_stays_busy_is_given_up_counted_and_logged_once(receiver, caplog):
    receiver.fail = lambda: 503
    service = Service(receiver, timeout=0.3)
    assert not service.pusher.push()
    assert not service.pusher.push()
    assert service.delivered == 0
    assert service.problems.counts() == {"receiver unavailable": 2}
    assert len(caplog.records) == 1
    receiver.fail = lambda: None
    assert service.pusher.push()
    assert "no more: receiver unavailable" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 404])
def test_what_is_refused_is_not_sent_again(receiver, status, caplog):
    asked = []
    receiver.fail = lambda: asked.append(1) or status
    service = Service(receiver)
    assert not service.pusher.push()
    assert len(asked) == 1
    assert service.problems.counts() == {"push refused": 1}
    assert f"HTTP {status}" in caplog.text


def test_too_large_is_sent_in_halves(receiver):
    """A receiver with a limit of its own: nothing is lost, nothing doubled."""
    receiver.fail = lambda: 413 if len(bodies) == 0 or bodies[-1] > 3000 else None
    bodies: list[int] = []
    service = Service(receiver)
    service.series = 500
    send = service.pusher._send

    def measured(request, deadline):
        bodies.append(len(request.body()))
        return send(request, deadline)

    service.pusher._send = measured
    assert service.pusher.push()
    assert points_of(receiver) == 500
    assert max(b for b in bodies if b <= 3000) > 1000
    assert service.problems.counts() == {}


def test_a_point_that_is_too_large_alone_is_counted(receiver):
    receiver.fail = lambda: 413
    service = Service(receiver)
    service.series = 3
    assert service.pusher.push()
    assert service.problems.counts() == {"points dropped": 3}


def test_grpc_message_limit_of_a_receiver_is_respected():
    """A real gRPC server with the default limit of 4 MiB."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    sizes = []

    def export(body, _context):
        sizes.append(len(body))
        return b""

    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(export)
    service_name, method = Signal.METRICS.grpc_method.strip("/").split("/")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service_name, {method: handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    service = Service(endpoint=f"http://127.0.0.1:{port}", protocol="grpc")
    service.series, service.padding = 1500, "x" * 5000
    assert service.pusher.push(30)
    assert len(sizes) > 1
    assert max(sizes) < 4 * 1024 * 1024
    service.pusher.close(1)
    server.stop(0)


def test_partial_success_is_counted_not_repeated(receiver, monkeypatch, caplog):
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service_pb2

    from bridge.otlp import receiver as receiver_module

    def answer():
        partial = service_pb2.ExportMetricsPartialSuccess(
            rejected_data_points=2, error_message="too old"
        )
        return service_pb2.ExportMetricsServiceResponse(partial_success=partial)

    monkeypatch.setitem(receiver_module._RESPONSES, Signal.METRICS, answer)
    service = Service(receiver)
    assert service.pusher.push()
    assert service.pusher.push()
    assert receiver.requests == 2
    assert service.problems.counts() == {"points rejected": 4}
    assert [r.message.count("too old") for r in caplog.records] == [1]


def test_a_receiver_that_is_gone_costs_no_more_than_the_timeout():
    service = Service(endpoint=f"http://127.0.0.1:{free_port()}", timeout=0.5)
    began = time.monotonic()
    assert not service.pusher.push()
    assert time.monotonic() - began < 5
    assert service.problems.counts() == {"receiver unavailable": 1}


def test_shutdown_in_the_middle_of_a_push_waits_and_pushes_the_last(receiver):
    entered, release = threading.Event(), threading.Event()

    def slow():
        entered.set()
        release.wait(10)

    receiver.fail = slow
    service = Service(receiver)
    first = threading.Thread(target=service.pusher.push)
    first.start()
    entered.wait()
    service.series = 7
    threading.Timer(0.2, release.set).start()
    assert service.pusher.close(10)
    first.join()
    assert points_of(receiver) == 1 + 7


def test_shutdown_does_not_wait_for_ever(receiver):
    receiver.fail = lambda: time.sleep(3)
    service = Service(receiver)
    threading.Thread(target=service.pusher.push, daemon=True).start()
    time.sleep(0.1)
    began = time.monotonic()
    assert not service.pusher.close(0.3)
    assert time.monotonic() - began < 2


def test_a_collection_that_fails_does_not_end_the_timer(receiver, caplog):
    service = Service(receiver, interval=0.05)
    sound = service.pusher._collect

    def broken():
        raise RuntimeError("secret")

    service.pusher._collect = broken
    service.pusher.start()
    wait_until(lambda: service.problems.counts().get("push failed", 0) >= 2)
    service.pusher._collect = sound
    wait_until(lambda: points_of(receiver) >= 1)
    service.pusher.close(5)
    assert "secret" not in caplog.text


def test_the_push_is_not_traced(receiver):
    seen = []
    service = Service(receiver)
    collect = service.pusher._collect

    def collecting():
        from bridge.metrics.push import _SUPPRESS

        seen.append(context.get_value(_SUPPRESS))
        return collect()

    service.pusher._collect = collecting
    service.pusher.push()
    assert seen == [True]


def test_no_header_is_ever_logged(caplog):
    caplog.set_level(logging.DEBUG)
    problems = Problems()
    settings = read_settings(
        Signal.METRICS,
        endpoint=f"http://user:canary@127.0.0.1:{free_port()}",
        protocol="http",
        headers={"authorization": "canary"},
    )
    pusher = Pusher(
        settings, Service(endpoint="http://x").collect, lambda: None, problems,
        interval=60, timeout=0.2,
    )  # fmt: skip
    assert not pusher.push()
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("bridge")]
    assert "canary" not in "".join(ours)
