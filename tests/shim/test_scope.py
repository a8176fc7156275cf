"""One context for both worlds: legacy and native spans nest in each other, both ways."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from shim.jaeger_client import ConstSampler, Tracer
from shim.jaeger_client.reporter import Reporter
from shim.scope import ContextScopeManager


@pytest.fixture
def exporter():
    """A provider of the application's own, set before the tracer is made."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def native(exporter):
    return trace.get_tracer("native")


def legacy_tracer(manager=None):
    return Tracer("legacy", Reporter(channel=None), ConstSampler(True), scope_manager=manager)


MANAGERS = {
    "default": lambda: None,
    "thread local": ThreadLocalScopeManager,
    "contextvars": ContextVarsScopeManager,
    "asyncio": AsyncioScopeManager,
}


@pytest.fixture(params=MANAGERS)
def legacy(exporter, request):
    return legacy_tracer(MANAGERS[request.param]())


def finished(exporter):
    return {span.name: span for span in exporter.get_finished_spans()}


def check_chain(exporter, *names):
    """Each span is the child of the one before it, in one trace."""
    spans = finished(exporter)
    for outer, inner in pairwise(names):
        assert spans[inner].parent.span_id == spans[outer].context.span_id, (outer, inner)
        assert spans[inner].context.trace_id == spans[outer].context.trace_id
    assert spans[names[0]].parent is None


def nest(legacy, native):
    with (
        legacy.start_active_span("1 legacy"),
        native.start_as_current_span("2 native"),
        legacy.start_active_span("3 legacy"),
        legacy.start_active_span("4 legacy"),
        native.start_as_current_span("5 native"),
    ):
        legacy.start_span("6 legacy").finish()


NESTED = ("1 legacy", "2 native", "3 legacy", "4 legacy", "5 native", "6 legacy")


class TestNesting:
    def test_in_one_thread(self, exporter, legacy, native):
        nest(legacy, native)
        check_chain(exporter, *NESTED)
        assert legacy.active_span is None
        assert not trace.get_current_span().get_span_context().is_valid

    def test_native_outside(self, exporter, legacy, native):
        with native.start_as_current_span("native"), legacy.start_active_span("legacy"):
            pass
        check_chain(exporter, "native", "legacy")

    def test_in_threads(self, exporter, legacy, native):
        threads = [threading.Thread(target=nest, args=(legacy, native)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(exporter.get_finished_spans()) == 24
        traces = {span.context.trace_id for span in exporter.get_finished_spans()}
        assert len(traces) == 4

    def test_in_tasks(self, exporter, native):
        legacy = legacy_tracer()

        async def task(name):
            with legacy.start_active_span(f"legacy {name}"):
                await asyncio.sleep(0.001)
                with native.start_as_current_span(f"native {name}"):
                    await asyncio.sleep(0.001)
                    legacy.start_span(f"inner {name}").finish()

        async def main():
            await asyncio.gather(*(task(name) for name in "abc"))

        asyncio.run(main())
        for name in "abc":
            check_chain(exporter, f"legacy {name}", f"native {name}", f"inner {name}")

    def test_unsampled_legacy_spans_have_no_native_children_sampled(self, exporter, native):
        legacy = legacy_tracer()
        legacy.sampler = ConstSampler(False)
        nest(legacy, native)
        assert exporter.get_finished_spans() == ()


class TestIdentity:
    def test_the_active_span_is_the_very_span(self, legacy):
        with legacy.start_active_span("x") as scope:
            assert legacy.active_span is scope.span
            assert legacy.scope_manager.active is scope
            assert trace.get_current_span() is scope.span

    def test_a_native_span_has_one_legacy_face(self, legacy, native):
        with native.start_as_current_span("native") as span:
            assert legacy.active_span is legacy.active_span
            assert legacy.active_span.span_id == span.get_span_context().span_id

    def test_native_code_may_use_the_current_legacy_span(self, exporter, legacy):
        with legacy.start_active_span("x"):
            span = trace.get_current_span()
            assert span.is_recording()
            span.set_attribute("list", ["a", "b"])
            span.add_event("event", {"n": 1})
            span.record_exception(ValueError("no"))
            span.set_status(trace.StatusCode.ERROR, "bad")
            span.update_name("y")
        made = finished(exporter)["y"]
        assert made.attributes["list"] == ("a", "b")
        assert [event.name for event in made.events] == ["event", "exception"]
        assert made.events[1].attributes["exception.type"] == "ValueError"
        assert (made.status.status_code, made.status.description) == (
            trace.StatusCode.ERROR,
            "bad",
        )

    def test_legacy_code_may_use_the_active_native_span(self, exporter, legacy, native):
        with native.start_as_current_span("native"):
            span = legacy.active_span
            span.set_tag("error", True).set_tag("thing", object).log_kv({"event": "e", "n": 1})
        made = finished(exporter)["native"]
        assert made.status.status_code is trace.StatusCode.ERROR
        assert made.attributes["thing"] == "<class 'object'>"
        assert made.events[0].name == "e"


class TestTracersApart:
    """Each tracer has its own active span, as each had its own ThreadLocalScopeManager."""

    def test_another_tracers_span_is_no_parent(self, exporter):
        first, second = legacy_tracer(), legacy_tracer()
        with first.start_active_span("first"):
            assert second.active_span is None
            with second.start_active_span("second"):
                assert first.active_span.operation_name == "first"
                first.start_span("inner").finish()
        spans = finished(exporter)
        assert spans["second"].parent is None
        assert spans["inner"].parent.span_id == spans["first"].context.span_id

    @pytest.mark.parametrize("shared", [ThreadLocalScopeManager(), ContextScopeManager()])
    def test_a_shared_scope_manager_nests(self, exporter, shared):
        first, second = legacy_tracer(shared), legacy_tracer(shared)
        with first.start_active_span("first"), second.start_active_span("second"):
            pass
        check_chain(exporter, "first", "second")


class TestClosing:
    def test_only_the_active_scope_closes(self, legacy):
        outer = legacy.start_active_span("outer")
        inner = legacy.start_active_span("inner")
        outer.close()
        assert legacy.active_span is inner.span
        inner.close()
        assert legacy.active_span is outer.span
        outer.close()
        assert legacy.active_span is None

    def test_twice_is_once(self, exporter, legacy):
        scope = legacy.start_active_span("x")
        scope.close()
        scope.close()
        assert len(exporter.get_finished_spans()) == 1

    def test_under_an_open_native_span_leaves_nothing_stale(self, exporter, native):
        legacy = legacy_tracer()
        scope = legacy.start_active_span("legacy")
        token = attach(trace.set_span_in_context(native.start_span("native")))
        scope.close()
        assert "legacy" in finished(exporter)
        detach(token)
        assert legacy.active_span is None
        assert not trace.get_current_span().get_span_context().is_valid

    def test_activating_nothing_makes_roots(self, exporter):
        legacy = legacy_tracer()
        with legacy.start_active_span("outer"), legacy.scope_manager.activate(None, True):
            assert legacy.active_span is None
            legacy.start_span("root").finish()
        assert finished(exporter)["root"].parent is None


class TestBaggage:
    def test_children_and_native_code_see_it(self, exporter, native):
        legacy = legacy_tracer()
        with legacy.start_active_span("outer") as scope:
            scope.span.set_baggage_item("user", "u1")
            assert baggage.get_baggage("user") == "u1"
            with native.start_as_current_span("native"):
                assert legacy.start_span("inner").get_baggage_item("user") == "u1"
            scope.span.set_baggage_item("user", None)
            assert baggage.get_baggage("user") is None

    def test_activating_brings_it_along(self, exporter):
        legacy = legacy_tracer()
        span = legacy.start_span("x").set_baggage_item("k", "v")
        before = get_current()
        with legacy.scope_manager.activate(span, True):
            assert baggage.get_all() == {"k": "v"}
        assert get_current() == before


class TestProcessors:
    def test_on_start_may_read_the_parent_and_set_attributes(self, exporter):
        class Stamp(SpanProcessor):
            def on_start(self, span, parent_context=None):
                parent = f"{span.parent.span_id:x}" if span.parent else "none"
                span.set_attribute("seen.parent", parent)
                span.set_attribute("seen.name", span.name)

        trace.get_tracer_provider().add_span_processor(Stamp())
        legacy = legacy_tracer()
        with legacy.start_active_span("outer") as scope, legacy.start_active_span("inner"):
            pass
        spans = finished(exporter)
        assert spans["outer"].attributes["seen.parent"] == "none"
        assert spans["inner"].attributes["seen.parent"] == f"{scope.span.span_id:x}"
        assert spans["inner"].attributes["seen.name"] == "inner"

    def test_a_processor_added_later_to_our_own_provider(self, monkeypatch):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        legacy = legacy_tracer()
        started = []

        class Seen(SpanProcessor):
            def on_start(self, span, parent_context=None):
                started.append(span.name)

        legacy.start_span("before").finish()
        legacy.reporter.provider.add_span_processor(Seen())
        legacy.start_span("after").finish()
        assert started == ["after"]
        legacy.close().result(5)

    def test_one_that_raises_costs_nothing(self, exporter):
        class Broken(SpanProcessor):
            def on_start(self, span, parent_context=None):
                raise RuntimeError("start")

            def on_end(self, span):
                raise RuntimeError("end")

        trace.get_tracer_provider().add_span_processor(Broken())
        legacy = legacy_tracer()
        with legacy.start_active_span("x"):
            pass
        assert "x" in finished(exporter)


def test_a_scope_manager_that_takes_no_attributes_is_left_alone(exporter):
    class Closed(ThreadLocalScopeManager):
        def __setattr__(self, name, value):
            if name != "_tls_scope":
                raise AttributeError(name)
            super().__setattr__(name, value)

    legacy = legacy_tracer(Closed())
    with legacy.start_active_span("outer"), legacy.start_active_span("inner"):
        pass
    check_chain(exporter, "outer", "inner")
