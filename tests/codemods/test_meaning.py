"""Programs run before and after the rewrite: the spans they make say the same."""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.codemods.helpers import run

jaeger_client = pytest.importorskip("jaeger_client")


@dataclass
class Said:
    """What a span says, in words both sides have."""

    parent: str | None
    attributes: dict[str, Any] = field(default_factory=dict)
    kind: str = "internal"
    is_error: bool = False
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


Spans = dict[str, Said]


def legacy_spans(source: str) -> Spans:
    """Run a program on jaeger_client."""
    from jaeger_client.reporter import InMemoryReporter
    from opentracing.scope_managers.contextvars import ContextVarsScopeManager

    reporter = InMemoryReporter()
    tracer = jaeger_client.Tracer(
        "test",
        reporter,
        jaeger_client.ConstSampler(True),
        scope_manager=ContextVarsScopeManager(),
    )
    opentracing.set_global_tracer(tracer)
    try:
        _execute(source, "before")
    finally:
        opentracing._reset_global_tracer()
    spans = reporter.get_spans()
    names = {span.span_id: span.operation_name for span in spans}
    return {span.operation_name: _legacy(span, names) for span in spans}


def _execute(source: str | bytes, name: str) -> None:
    """Run a program in a context of its own, where what it leaves current ends with it."""
    code = compile(source, f"{name}.py", "exec")
    contextvars.copy_context().run(exec, code, {"__name__": name})


def _legacy(span: Any, names: dict[int, str]) -> Said:
    tags = {tag.key: _value(tag) for tag in span.tags if not tag.key.startswith("sampler.")}
    kind = tags.pop("span.kind", "internal")
    is_error = tags.pop("error", False) is True
    events = []
    for log in span.logs:
        fields = {item.key: _value(item) for item in log.fields}
        name = fields.pop("event", "log")
        if name != "baggage":
            events.append(("error", {}) if name == "error" else (name, fields))
    return Said(names.get(span.parent_id), tags, kind, is_error, events)


def _value(tag: Any) -> Any:
    values = (tag.vStr, tag.vBool, tag.vLong, tag.vDouble)
    return next(value for value in values if value is not None)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Where the rewritten program's spans go."""
    provider = TracerProvider()
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield memory
    provider.shutdown()


def modern_spans(source: str, exporter: InMemorySpanExporter) -> Spans:
    """Rewrite a program and run it on OpenTelemetry."""
    result = run(source)
    assert b"opentracing" not in result.source, result.source.decode()
    _execute(result.source, "after")
    spans = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    return {span.name: _modern(span, names) for span in spans}


def _modern(span: ReadableSpan, names: dict[int, str]) -> Said:
    events = [
        ("error", {}) if event.name == "exception" else (event.name, dict(event.attributes or {}))
        for event in span.events
    ]
    is_error = span.status.status_code is trace.StatusCode.ERROR
    parent = names.get(span.parent.span_id) if span.parent else None
    return Said(parent, dict(span.attributes or {}), span.kind.name.lower(), is_error, events)


HEAD = """\
import opentracing
from opentracing import Format, child_of, follows_from
from opentracing.ext import tags

tracer = opentracing.global_tracer()

"""
PROGRAMS = {
    "nested active spans": """\
        with tracer.start_active_span("outer") as scope:
            scope.span.set_tag("a", 1)
            with tracer.start_active_span("inner", tags={"b": True}) as scope:
                scope.span.log_kv({"event": "hit", "count": 2})
        """,
    "start_span does not activate": """\
        with tracer.start_span("outer"):
            with tracer.start_active_span("root"):
                pass
        """,
    "an explicit parent": """\
        parent = tracer.start_span("parent")
        child = tracer.start_span("child", child_of=parent)
        grandchild = tracer.start_span("grandchild", child_of=child.context)
        for span in (grandchild, child, parent):
            span.finish()
        """,
    "no parent given keeps the active span": """\
        def work(parent_span=None):
            tracer.start_span("inner", child_of=parent_span).finish()
        with tracer.start_active_span("outer"):
            work()
        """,
    "headers in any case": """\
        carrier = {}
        with tracer.start_active_span("client") as scope:
            tracer.inject(scope.span, Format.HTTP_HEADERS, carrier)
        headers = {key.title(): value for key, value in carrier.items()}
        context = tracer.extract(Format.HTTP_HEADERS, headers)
        with tracer.start_active_span("server", child_of=context):
            pass
        """,
    "absent headers do not cut off the active span": """\
        with tracer.start_active_span("outer"):
            found = tracer.extract(Format.HTTP_HEADERS, {})
            with tracer.start_active_span("inner", child_of=found):
                pass
        """,
    "follows_from alone names the parent": """\
        carrier = {}
        with tracer.start_active_span("producer") as scope:
            tracer.inject(scope.span, Format.TEXT_MAP, carrier)
        context = tracer.extract(Format.TEXT_MAP, carrier)
        with tracer.start_active_span("consumer", references=[follows_from(context)]):
            pass
        """,
    "kind set after the start": """\
        with tracer.start_active_span("call") as scope:
            scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
            scope.span.set_tag(tags.HTTP_URL, "http://x").set_tag(tags.PEER_PORT, 80)
        """,
    "kind in a dict of tags": """\
        span_tags = {tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER, "k": "v"}
        with tracer.start_active_span("serve", tags=span_tags):
            pass
        """,
    "odd values are kept as text": """\
        with tracer.start_active_span("odd") as scope:
            value = [1, {"a": None}]
            scope.span.set_tag("list", value)
            scope.span.set_tag("none", None)
            scope.span.log_kv({"event": "odd", "value": value})
        """,
    "an exception marks the span": """\
        try:
            with tracer.start_active_span("fails"):
                raise ValueError("no")
        except ValueError:
            pass
        """,
    "an error tagged and logged by hand": """\
        with tracer.start_active_span("caught") as scope:
            try:
                raise ValueError("no")
            except ValueError as e:
                scope.span.set_tag(tags.ERROR, True)
                scope.span.log_kv({"event": tags.ERROR, "error.object": e})
        """,
    "a scope opened and closed by hand": """\
        def run():
            scope = tracer.start_active_span("by-hand")
            with tracer.start_active_span("inner"):
                pass
            scope.span.set_tag("done", True)
            scope.close()
        run()
        tracer.start_span("after").finish()
        """,
    "a span activated by the scope manager": """\
        span = tracer.start_span("late")
        with tracer.scope_manager.activate(span, False):
            tracer.start_span("inner").finish()
        span.finish()
        """,
    "the active span is ignored": """\
        with tracer.start_active_span("outer"):
            tracer.start_span("alone", ignore_active_span=True).finish()
        """,
    "the active span, where there is one": """\
        def tag(key):
            span = tracer.active_span
            if span is not None:
                span.set_tag(key, True)
        tag("never")
        with tracer.start_active_span("outer"):
            tag("seen")
        """,
    "renamed on the way": """\
        with tracer.start_active_span("old") as scope:
            scope.span.set_operation_name("new")
        """,
    "a log without event": """\
        with tracer.start_active_span("logs") as scope:
            scope.span.log_kv({"a": 1})
            fields = {"event": "named", "b": "x"}
            scope.span.log_kv(fields)
        """,
    "baggage reaches the next service": """\
        carrier = {}
        with tracer.start_active_span("client") as scope:
            scope.span.set_baggage_item("who", "me")
            with tracer.start_active_span("inner") as scope:
                scope.span.set_tag("who", str(scope.span.get_baggage_item("who")))
                tracer.inject(scope.span, Format.HTTP_HEADERS, carrier)
        parent = tracer.extract(Format.HTTP_HEADERS, carrier)
        with tracer.start_active_span("server", child_of=parent) as scope:
            scope.span.set_tag("who", str(scope.span.get_baggage_item("who")))
        """,
    "a scope entered later": """\
        scope = tracer.start_active_span("late", finish_on_close=True)
        with scope:
            scope.span.set_tag("a", 1)
            tracer.start_span("inner").finish()
        tracer.start_span("after").finish()
        """,
    "a scope that a function returns": """\
        def started(name):
            scope = tracer.start_active_span(name)
            scope.span.set_tag("a", 1)
            return scope
        with started("outer") as scope:
            scope.span.set_tag("b", 2)
            with started("inner"):
                pass
        tracer.start_span("after").finish()
        """,
    "the active scope's span under a name of its own": """\
        def extra():
            scope = tracer.scope_manager.active
            span = scope.span
            span.set_tag("a", 1)
            return getattr(span, "extra", "none")
        with tracer.start_active_span("outer") as scope:
            scope.span.set_tag("extra", extra())
        """,
    "a parent that is a span's context or an extracted one": """\
        def above():
            if tracer.active_span is not None:
                return tracer.active_span.context
            return None
        def started(name, parent):
            return tracer.start_active_span(name, child_of=parent)
        carrier = {}
        with started("outer", above()) as scope:
            tracer.inject(scope.span, Format.HTTP_HEADERS, carrier)
            with started("sent", above()):
                pass
        with started("received", tracer.extract(Format.HTTP_HEADERS, carrier)):
            pass
        """,
    "a scope kept on a request and read into a name": """\
        class Request:
            pass
        request = Request()
        def before_request():
            scope = tracer.start_active_span("request")
            tracer.start_span("first").finish()
            request.scope = scope
        def after_request(status):
            scope = getattr(request, "scope", None)
            if scope is None:
                return
            tracer.start_span("inner").finish()
            scope.span.set_tag("status", status)
            scope.close()
        before_request()
        after_request(200)
        tracer.start_span("after").finish()
        """,
    "a scope kept on an object and closed there": """\
        class Middleware:
            scope = None
            def enter(self):
                scope = tracer.start_active_span("request", finish_on_close=False)
                self.scope = scope
            def leave(self):
                if self.scope:
                    span = self.scope.span
                    self.scope.close()
                    tracer.start_span("after").finish()
                    span.finish()
        one = Middleware()
        one.leave()
        one.enter()
        one.leave()
        """,
    "a scope that nothing keeps": """\
        def before_request():
            tracer.start_active_span("request", tags={"a": 1})
        def after_request():
            tracer.start_span("inner").finish()
            tracer.active_span.finish()
        before_request()
        after_request()
        """,
    "tags that are added to a dict": """\
        def handle(path, agent):
            rpc = {"span.kind": "server"}
            rpc["path"] = path
            rpc["agents"] = agent, "x"
            if agent is None:
                rpc["unknown"] = True
            tracer.start_span("request", tags=rpc).finish()
        handle("/a", None)
        """,
    "a test for a parent while a span is active": """\
        def handle(name, headers):
            parent = tracer.extract(Format.HTTP_HEADERS, headers)
            if parent is None:
                name += " (none)"
            tracer.start_span(name, child_of=parent).finish()
        with tracer.start_active_span("outer") as scope:
            headers = {}
            tracer.inject(scope.span, Format.HTTP_HEADERS, headers)
            handle("first", {})
            handle("second", headers)
        """,
    "a scope entered and left by its methods": """\
        def run():
            scope = tracer.start_active_span("manual")
            scope.__enter__()
            tracer.start_span("inner").finish()
            scope.__exit__(None, None, None)
        run()
        tracer.start_span("after").finish()
        """,
    "references to all messages of a batch": """\
        def extracted(name):
            carrier = {}
            with tracer.start_span(name) as span:
                tracer.inject(span, Format.TEXT_MAP, carrier)
            return tracer.extract(Format.TEXT_MAP, carrier)
        contexts = [extracted(name) for name in ("one", "two")]
        references = [follows_from(context) for context in contexts]
        tracer.start_span("batch", references=references).finish()
        empty = [follows_from(context) for context in contexts[:0]]
        tracer.start_span("empty", references=empty).finish()
        with tracer.start_span("parent") as parent:
            links = [follows_from(context) for context in contexts]
            tracer.start_span("beside", child_of=parent, references=links).finish()
        """,
    "references that are chosen, or built before": """\
        def consume(name, headers, on):
            found = tracer.extract(Format.TEXT_MAP, headers)
            chosen = [follows_from(found)] if found else None
            tracer.start_span(name + "1", references=chosen).finish()
            tracer.start_span(name + "2", references=[child_of(found)] if on else []).finish()
            built = []
            if found is not None:
                built.append(follows_from(found))
            tracer.start_span(name + "3", references=built).finish()
        with tracer.start_active_span("outer") as scope:
            headers = {}
            tracer.inject(scope.span, Format.TEXT_MAP, headers)
            consume("none", {}, True)
        consume("found", headers, True)
        consume("off", headers, False)
        """,
    "what is active is closed elsewhere": """\
        def before(name):
            span = tracer.start_span(name)
            tracer.scope_manager.activate(span, True)
        def begin(name):
            tracer.start_active_span(name)
        def after(status):
            scope = tracer.scope_manager.active
            if scope is not None:
                scope.span.set_tag("status", status)
                scope.close()
        before("first")
        begin("inner")
        tracer.scope_manager.active.close()
        tracer.start_span("sibling").finish()
        after(200)
        after(404)
        tracer.start_span("alone").finish()
        """,
    "a parent, or the span that is active": """\
        def begin(name, above=None, headers={}):
            active = tracer.active_span
            found = tracer.extract(Format.TEXT_MAP, headers)
            tracer.start_span(name + "1", child_of=above or tracer.active_span).finish()
            tracer.start_span(name + "2", child_of=active and active.context).finish()
            tracer.start_span(name + "3", child_of=found or tracer.active_span).finish()
        first = tracer.start_span("first")
        begin("alone")
        with tracer.start_active_span("outer"):
            begin("within")
            begin("given", first)
        first.finish()
        """,
    "what is chosen by the active span": """\
        def work():
            kept = tracer.scope_manager.active
            span = kept and kept.span
            if span:
                span.set_tag("found", True)
            fields = {"id": tracer.active_span and tracer.active_span.context.span_id}
            own = tracer.active_span or tracer.start_span("own")
            own.set_tag("none", fields["id"] is None)
            own.finish()
        work()
        with tracer.start_active_span("outer", finish_on_close=False):
            work()
        """,
    "spans in pairs and dicts": """\
        from contextlib import contextmanager
        def each():
            for name in "ab":
                yield name, tracer.start_span(name)
        @contextmanager
        def sent(name):
            with tracer.start_active_span(name) as scope:
                yield scope.span, {}
        for name, span in each():
            span.set_tag("name", name)
            span.finish()
        for number, (name, span) in enumerate([("c", tracer.start_span("c"))]):
            span.set_tag("number", number)
            span.finish()
        first, *others = [tracer.start_span(name) for name in "def"]
        first.finish()
        for other in others:
            other.set_tag("other", True)
            other.finish()
        by_name = {name: tracer.start_span(name) for name in "gh"}
        for name, span in by_name.items():
            span.set_tag("name", name)
        while by_name:
            _, span = by_name.popitem()
            span.finish()
        with sent("i") as (span, headers):
            span.set_tag("size", len(headers))
        """,
    "spans under a key of a dict that holds other things": """\
        def work(number):
            return {"current": tracer.start_span("work"), "number": number}
        def close(found):
            found["current"].set_tag("number", found["number"])
            found["current"].finish()
        close(work(1))
        job = work(2)
        job.get("current").set_tag("job", True)
        job.pop("current").finish()
        for one in [work(number) for number in (3, 4)]:
            one["current"].set_tag("number", one["number"])
            one["current"].finish()
        """,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_same_spans(program: str, exporter: InMemorySpanExporter) -> None:
    source = HEAD + dedent(program)
    expected = legacy_spans(source)
    assert expected
    assert modern_spans(source, exporter) == expected


def test_seconds_become_integer_nanoseconds(exporter: InMemorySpanExporter) -> None:
    program = """\
        began = 1700000000.5
        span = tracer.start_span("timed", start_time=began)
        span.finish(finish_time=began + 2)
        """
    modern_spans(HEAD + dedent(program), exporter)
    (span,) = exporter.get_finished_spans()
    assert span.start_time == 1_700_000_000_500_000_000
    assert span.end_time == 1_700_000_002_500_000_000
    assert isinstance(span.start_time, int)
