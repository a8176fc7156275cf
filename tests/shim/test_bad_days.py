"""Bad days: what happens to the application (nothing) and to its spans when something breaks."""

from __future__ import annotations

import gc
import importlib
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref

import opentracing
import pytest

import shim
from shim.jaeger_client import Config, ConstSampler, Tracer
from shim.jaeger_client.metrics import LegacyMetricsFactory, Metrics
from shim.jaeger_client.reporter import InMemoryReporter, Reporter
from tests.servers.process import free_port, wait_until
from tests.shim.programs import environment

# What docs/shim.md promises: the end of a process waits this long for the last spans, at most.
EXIT_SECONDS = 5.0
MARGIN = 3.0  # for a busy machine


def tracer_to(url, monkeypatch, **options):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    reporter = Reporter(channel=None, flush_interval=0.05, **options)
    return Tracer("bad", reporter, ConstSampler(True))


def write_spans(tracer, count):
    for number in range(count):
        with tracer.start_active_span(f"span {number}"):
            pass


class TestReceiver:
    def test_is_down_and_comes_back(self, receiver, monkeypatch):
        receiver.fail = lambda: 503
        tracer = tracer_to(receiver.http_endpoint, monkeypatch)
        started = time.monotonic()
        write_spans(tracer, 50)
        assert time.monotonic() - started < 1
        wait_until(lambda: len(tracer.reporter._queue) == 0, 5, "the batch is being sent")
        receiver.fail = lambda: None
        receiver.wait_for_spans(50)

    def test_is_down_and_the_log_stays_quiet(self, monkeypatch, caplog):
        tracer = tracer_to(f"http://127.0.0.1:{free_port()}", monkeypatch)
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                write_spans(tracer, 5)
                time.sleep(0.3)
            tracer.reporter._queue.shutdown(1000)
        messages = [str(record.msg) for record in caplog.records]
        assert messages
        assert len(messages) == len(set(messages)), messages

    def test_is_slow_and_nobody_waits(self, receiver, monkeypatch):
        receiver.fail = lambda: time.sleep(0.5)
        tracer = tracer_to(receiver.http_endpoint, monkeypatch)
        started = time.monotonic()
        write_spans(tracer, 200)
        assert time.monotonic() - started < 0.4
        receiver.wait_for_spans(200)

    def test_refuses_for_good_and_the_next_batch_goes(self, receiver, monkeypatch):
        results = {}
        metrics = Metrics(count=lambda key, n: results.update({key: results.get(key, 0) + n}))
        receiver.fail = lambda: 400
        tracer = tracer_to(
            receiver.http_endpoint, monkeypatch, metrics_factory=LegacyMetricsFactory(metrics)
        )
        write_spans(tracer, 3)
        wait_until(lambda: results.get("jaeger:reporter_spans.result_err") == 3, 5, "counted")
        receiver.fail = lambda: None
        write_spans(tracer, 2)
        receiver.wait_for_spans(2)
        wait_until(lambda: results.get("jaeger:reporter_spans.result_ok") == 2, 5, "counted")

    def test_takes_the_connection_and_never_answers(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
            tracer = tracer_to(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
            started = time.monotonic()
            write_spans(tracer, 10)
            assert time.monotonic() - started < 0.5
            tracer.close().result(EXIT_SECONDS + MARGIN)


class TestQueueFull:
    def test_the_newest_are_dropped_counted_and_logged_once(self, receiver, monkeypatch, caplog):
        dropped = []
        metrics = Metrics(count=lambda key, n: "dropped" in key and dropped.append(n))
        gate = threading.Event()
        receiver.fail = lambda: gate.wait(10) and None
        tracer = tracer_to(
            receiver.http_endpoint,
            monkeypatch,
            queue_capacity=20,
            batch_size=1,
            metrics_factory=LegacyMetricsFactory(metrics),
        )
        write_spans(tracer, 1)
        wait_until(lambda: len(tracer.reporter._queue) == 0, 5, "the first span is being sent")
        with caplog.at_level(logging.WARNING, "jaeger_tracing"):
            write_spans(tracer, 50)
        assert sum(dropped) == 30 == tracer.reporter._queue.dropped
        assert len([r for r in caplog.records if "queue is full" in r.message]) == 1
        gate.set()
        kept = receiver.wait_for_spans(21)
        assert {span.name for span in kept} == {f"span {number}" for number in range(20)}


PROGRAM = """
import os, signal, sys, time
from jaeger_client import Config
tracer = Config({'sampler': {'type': 'const', 'param': 1}}, service_name='end').initialize_tracer()
for number in range(3):
    with tracer.start_active_span('span'):
        pass
%s
"""


def start(ending, receiver, **extra):
    return subprocess.Popen(
        [sys.executable, "-c", "import shim.auto\n" + PROGRAM % ending],
        env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint, **extra),
        stdout=subprocess.PIPE,
        text=True,
    )


class TestTheEnd:
    @pytest.mark.parametrize(
        ("ending", "status"),
        [("", 0), ("sys.exit(3)", 3), ("raise KeyError('x')", 1)],
        ids=["of the program", "by sys.exit", "by an exception"],
    )
    def test_the_last_spans_leave(self, receiver, ending, status):
        assert start("sys.stderr = None\n" + ending, receiver).wait(20) == status
        assert len(receiver.spans) == 3

    def test_is_not_delayed_by_a_receiver_that_never_answers(self):
        class Silent:
            http_endpoint = ""

        with socket.create_server(("127.0.0.1", 0)) as server:
            Silent.http_endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            program = start("print('the end', flush=True)", Silent)
            assert program.stdout.readline() == "the end\n"
            started = time.monotonic()
            assert program.wait(30) == 0
            assert time.monotonic() - started < EXIT_SECONDS + MARGIN

    def test_sigterm_with_a_handler_that_exits(self, receiver):
        ending = (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
            "print('ready', flush=True); time.sleep(20)"
        )
        program = start(ending, receiver)
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
        assert len(receiver.spans) == 3

    def test_sigterm_without_a_handler_loses_a_second_at_most(self, receiver):
        program = start("print('ready', flush=True); time.sleep(20)", receiver)
        assert program.stdout.readline() == "ready\n"
        receiver.wait_for_spans(3)  # the flush interval is one second
        program.send_signal(signal.SIGTERM)
        assert program.wait(10) == -signal.SIGTERM

    def test_the_last_spans_of_a_migrated_program_leave(self, receiver):
        program = (
            "from shim import configure\n"
            "made = configure({'sampler': {'type': 'const', 'param': 1}}, 'end', protocol='grpc')\n"
            "made.get_tracer('app').start_span('span').end()"
        )
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.grpc_endpoint),
            check=True,
            timeout=30,
        )
        assert [span.name for span in receiver.spans] == ["span"]

    def test_os_exit_ends_at_once(self, receiver):
        program = start("time.sleep(1.5); os._exit(5)", receiver)
        assert program.wait(20) == 5
        assert len(receiver.spans) == 3


class TestFork:
    def test_before_the_start(self, receiver):
        ending = "sys.exit(0)"
        program = f"import os\nif os.fork(): os.wait()\nimport shim.auto\n{PROGRAM % ending}"
        subprocess.run(
            [sys.executable, "-c", program],
            env=environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_endpoint),
            check=True,
            timeout=30,
        )
        assert len(receiver.spans) == 6

    def test_an_active_span_is_the_parent_in_the_child(self, receiver):
        ending = (
            "with tracer.start_active_span('parent'):\n"
            "    if not os.fork():\n"
            "        with tracer.start_active_span('child'): pass\n"
            "        tracer.close().result(); os._exit(0)\n"
            "    os.wait()\n"
        )
        assert start(ending, receiver).wait(20) == 0
        spans = {span.name: span for span in receiver.spans}
        assert spans["child"].parent_span_id == spans["parent"].span_id
        assert len(receiver.spans) == 5, "the child sent its parent's spans as well"


def test_ten_thousand_short_threads(receiver, monkeypatch):
    tracer = tracer_to(receiver.http_endpoint, monkeypatch, queue_capacity=20_000)

    def work():
        with tracer.start_active_span("outer"), tracer.start_active_span("inner"):
            pass

    for _ in range(100):
        threads = [threading.Thread(target=work) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spans = receiver.wait_for_spans(20_000, 30)
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == 20_000
    inner = [span for span in spans if span.name == "inner"]
    assert all(by_id[span.parent_span_id].name == "outer" for span in inner)
    assert tracer.active_span is None


def test_memory_stays_flat(receiver, monkeypatch):
    import tracemalloc

    receiver.fail = lambda: None
    tracer = tracer_to(receiver.http_endpoint, monkeypatch)

    def round_of_spans():
        write_spans(tracer, 1500)
        tracer.reporter._queue.force_flush()
        receiver.clear()
        gc.collect()

    round_of_spans()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        round_of_spans()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 200_000, f"{grown} bytes more after 7500 spans"


def test_a_clock_that_goes_backwards(monkeypatch):
    reporter = InMemoryReporter()
    tracer = Tracer("clock", reporter, ConstSampler(True))
    now = iter([2000.0, 1000.0])
    monkeypatch.setattr(time, "time", lambda: next(now))
    tracer.start_span("span").finish()
    (span,) = reporter.get_spans()
    assert span.end_time_ns() == span.start_time_ns() == 2_000_000_000_000


class TestTwice:
    def test_reloading_the_modules(self):
        import shim.auto
        import shim.jaeger_client

        importlib.reload(shim.auto)
        import jaeger_client

        assert importlib.reload(jaeger_client).Config is Config

    def test_two_installs_are_two_tracers_and_the_second_is_global(self, receiver):
        first = shim.install("first", {"sampler": {"type": "const", "param": 1}})
        second = shim.install("second", {"sampler": {"type": "const", "param": 1}})
        assert opentracing.global_tracer() is second
        for tracer in (first, second):
            with tracer.start_active_span("span"):
                pass
            tracer.close().result(10)
        services = [
            attribute.value.string_value
            for resource in receiver.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        ]
        assert sorted(services) == ["first", "second"]

    def test_initialize_twice_is_a_warning_and_none(self, caplog):
        config = Config({"sampler": {"type": "const", "param": 1}}, service_name="twice")
        assert config.initialize_tracer() is not None
        assert config.initialize_tracer() is None
        assert "already initialized" in caplog.text

    def test_close_twice(self):
        tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="t").new_tracer()
        tracer.close().result(10)
        tracer.close().result(10)


def test_a_closed_tracer_is_not_kept(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    config = Config({"sampler": {"type": "const", "param": 1}}, service_name="short")
    gone = []
    for _ in range(3):
        tracer = config.new_tracer()
        tracer.start_span("x").finish()
        gone.append(weakref.ref(tracer.reporter.provider))
        tracer.close().result(10)
        del tracer
    wait_until(
        lambda: (gc.collect() and False) or not any(ref() for ref in gone), 5, "all are gone"
    )
