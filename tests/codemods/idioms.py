"""The idioms of real legacy code, each with a program and what becomes of it.

`python -m tests.codemods.idioms` writes the table into docs/coverage.md; test_idioms.py checks
that every line of it is true.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from codemods import Fate
from tests.codemods import api
from tests.codemods.helpers import run

PAGE = Path(__file__).parent.parent.parent / "docs" / "coverage.md"
BEGIN, END = "<!-- idioms: begin -->\n", "<!-- idioms: end -->\n"


class Idiom(NamedTuple):
    """One idiom: what becomes of the whole of `program`, and the text that shows it."""

    number: str
    title: str
    fate: str  # rewritten, held (needs --unsafe), or reported
    program: str
    shows: str = ""  # a piece of the rewritten text (with --unsafe where held)


TRACER = "import opentracing\ntracer = opentracing.global_tracer()\n"
CONFIG = "from jaeger_client import Config\n"

IDIOMS = (
    Idiom("I-01", "literal Config, returned tracer", "rewritten", CONFIG + """\
        def init(service):
            config = Config(config={"sampler": {"type": "const", "param": 1}}, service_name=service)
            return config.initialize_tracer()
        """, "trace.set_tracer_provider(provider)"),
    Idiom("I-02", "host from environment or settings", "rewritten", "import os\n" + CONFIG + """\
        host = os.getenv("JAEGER_AGENT_HOST")
        tracer = Config(config={"sampler": {"type": "const", "param": 1},
            "local_agent": {"reporting_host": host}}, service_name="x").initialize_tracer()
        """, "http://{host or 'localhost'}:4317"),
    Idiom("I-02", "configuration from YAML", "rewritten", "import yaml\n" + CONFIG + """\
        tracer = Config(config=yaml.safe_load(open("c")), service_name="x").initialize_tracer()
        """, "from shim import configure"),
    Idiom("I-03", "configuration with a spread", "rewritten", CONFIG + """\
        tracer = Config(config={**base, "logging": True}, service_name="x").initialize_tracer()
        """, "configure({**base"),
    Idiom("I-04", "bare initialize_tracer()", "rewritten", CONFIG + """\
        Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x").initialize_tracer()
        """, "trace.set_tracer_provider(provider)"),
    Idiom("I-05", "initialize_tracer() or global_tracer()", "rewritten", "import opentracing\n" + CONFIG + """\
        config = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x")
        tracer = config.initialize_tracer() or opentracing.global_tracer()
        """, "tracer = trace.get_tracer(__name__)"),
    Idiom("I-05", "Config._initialized reset", "rewritten", CONFIG + "Config._initialized = False\n"),
    Idiom("I-06", "several services in one process", "rewritten", CONFIG + """\
        a = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="a").new_tracer()
        """, "provider.get_tracer(__name__)"),
    Idiom("I-07", "create_tracer(reporter, sampler)", "reported", CONFIG + """\
        def f(config: Config, reporter):
            return config.create_tracer(reporter, config.sampler)
        """),
    Idiom("I-08", "propagation-only tracer", "rewritten", """\
        from jaeger_client import ConstSampler, Tracer
        from jaeger_client.codecs import B3Codec
        from jaeger_client.reporter import NullReporter
        from opentracing import Format
        tracer = Tracer("p", NullReporter(), ConstSampler(True), one_span_per_rpc=True,
            extra_codecs={Format.HTTP_HEADERS: B3Codec()})
        """, "provider = NoOpTracerProvider()"),
    Idiom("I-09", "propagation b3", "rewritten", CONFIG + """\
        t = Config(config={"sampler": {"type": "const", "param": 1}, "propagation": "b3"},
            service_name="x").initialize_tracer()
        """, "B3MultiFormat"),
    Idiom("I-10", "custom trace_id_header", "rewritten", CONFIG + """\
        t = Config(config={"sampler": {"type": "const", "param": 1}, "trace_id_header": "my-id"},
            service_name="x").initialize_tracer()
        """, "TracerProvider("),
    Idiom("I-11", "metrics_factory", "rewritten", CONFIG + """\
        from jaeger_client.metrics.prometheus import PrometheusMetricsFactory
        t = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x",
            metrics_factory=PrometheusMetricsFactory()).initialize_tracer()
        """, "TracerProvider("),
    Idiom("I-12", "scope managers of the library", "rewritten", CONFIG + """\
        from opentracing.scope_managers.asyncio import AsyncioScopeManager
        t = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x",
            scope_manager=AsyncioScopeManager()).initialize_tracer()
        """, "TracerProvider("),
    Idiom("I-13", "start-up hook", "rewritten", CONFIG + """\
        async def start(app):
            config = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x")
            app.state.tracer = config.initialize_tracer()
        """, "app.state.tracer = trace.get_tracer(__name__)"),
    Idiom("I-14", "lazy getter", "rewritten", CONFIG + """\
        _tracer = None
        def get_tracer():
            global _tracer
            if _tracer is None:
                _tracer = Config(config={"sampler": {"type": "const", "param": 1}},
                    service_name="x").initialize_tracer()
            return _tracer
        def work():
            with get_tracer().start_active_span("w") as scope:
                scope.span.set_tag("a", 1)
        """, 'span.set_attribute("a", 1)'),
    Idiom("I-15", "class that keeps the tracer", "rewritten", CONFIG + """\
        class Service:
            def __init__(self):
                self.config = Config(config={"sampler": {"type": "const", "param": 1}}, service_name="x")
                self.tracer = self.config.initialize_tracer()
            def work(self):
                with self.tracer.start_active_span("w") as scope:
                    scope.span.log_kv({"event": "e"})
        """, 'span.add_event("e")'),
    Idiom("I-16", "dotted names in strings", "reported", 'HOOK = "opentracing.tracer"\n'),
    Idiom("I-17", "optional dependency", "rewritten", """\
        try:
            import opentracing
        except ImportError:
            opentracing = None
        def tag(k):
            if opentracing is None:
                return
            opentracing.tracer.active_span.set_tag(k, 1)
        """, "if trace is None:"),
    Idiom("I-18", "importlib by string", "reported", """\
        import importlib
        e = importlib.import_module("opentelemetry.exporter.jaeger.thrift").JaegerExporter()
        """),
    Idiom("I-20", "with start_active_span", "rewritten", TRACER + """\
        with tracer.start_active_span("op") as scope:
            span = scope.span
            span.set_tag("a", 1)
        """, 'with tracer.start_as_current_span("op") as span:'),
    Idiom("I-21", "with start_span, explicit parent", "rewritten", TRACER + """\
        with tracer.start_span("a") as parent:
            with tracer.start_span("b", child_of=parent) as child:
                child.set_tag("c", 1)
        """, "context=trace.set_span_in_context(parent)"),
    Idiom("I-22", "start and finish by hand", "rewritten", TRACER + """\
        span = tracer.start_span("a")
        span.finish()
        """, "span.end()"),
    Idiom("I-23", "start_active_span(...).span, never closed", "rewritten", TRACER + """\
        def f():
            span = tracer.start_active_span("a").span
            span.set_tag("b", 1)
        """, "context.attach(trace.set_span_in_context(span))"),
    Idiom("I-24", "opened in one method, closed in another", "rewritten", TRACER + """\
        class Hooks:
            def before(self):
                self._scope = tracer.start_active_span("a")
            def after(self):
                self._scope.close()
        """, "context.detach(self._scope_token)"),
    Idiom("I-25", "finish_on_close=False, entered later", "rewritten", TRACER + """\
        def f(request):
            scope = tracer.start_active_span("x", finish_on_close=False)
            request.set(scope.span)
            with scope:
                pass
        """, "with trace.use_span(span):"),
    Idiom("I-26", "scope_manager.activate", "rewritten", TRACER + """\
        def f(span):
            with tracer.scope_manager.activate(span, True):
                pass
        """, "trace.use_span(span, end_on_exit=True)"),
    Idiom("I-27", "span.__enter__() by hand", "rewritten", TRACER + """\
        span = tracer.start_span("a")
        span.__enter__()
        span.finish()
        """, "span.end()"),
    Idiom("I-28", "context manager that yields the span", "rewritten", TRACER + """\
        from contextlib import contextmanager
        @contextmanager
        def traced(name):
            with tracer.start_active_span(name) as scope:
                yield scope.span
        """, "yield span"),
    Idiom("I-29", "decorator", "rewritten", TRACER + """\
        def traced(f):
            def inner(*args):
                with tracer.start_active_span(f.__name__):
                    return f(*args)
            return inner
        """, "tracer.start_as_current_span(f.__name__)"),
    Idiom("I-30", "start_child_span", "rewritten", """\
        import opentracing
        def f(span):
            child = opentracing.start_child_span(span, "c")
            child.finish()
        """, '.start_span("c", context='),
    Idiom("I-31", "follows_from an extracted context", "rewritten", TRACER + """\
        def f(headers):
            ctx = tracer.extract("text_map", headers)
            span = tracer.start_span("c", references=[opentracing.follows_from(ctx)])
            span.finish()
        """, "links=[trace.Link("),
    Idiom("I-31", "follows_from a local span", "held", TRACER + """\
        def f():
            a = tracer.start_span("a")
            tracer.start_span("b", references=opentracing.follows_from(a.context)).finish()
        """, "links=[trace.Link("),
    Idiom("I-32", "ignore_active_span=True", "rewritten", TRACER + """\
        tracer.start_span("a", ignore_active_span=True).finish()
        """, "context=Context()"),
    Idiom("I-33", "explicit times", "rewritten", TRACER + """\
        def f(t):
            tracer.start_span("a", start_time=t).finish(finish_time=t + 1)
        """, "start_time=int(t * 1e9)"),
    Idiom("I-34", "contexts made by hand", "reported", """\
        from jaeger_client import SpanContext
        c = SpanContext(trace_id=1, span_id=2, parent_id=None, flags=1)
        """),
    Idiom("I-35", "extra attributes on spans", "rewritten", TRACER + """\
        span = tracer.start_span("a")
        span.extra_headers = {}
        span.finish()
        """, "span.extra_headers = {}"),
    Idiom("I-36", "a parent passed to a thread", "rewritten", TRACER + """\
        def worker(parent_span):
            tracer.start_span("w", child_of=parent_span).finish()
        """, "set_span_in_context(parent_span)"),
    Idiom("I-37", "async functions", "rewritten", TRACER + """\
        async def f():
            with tracer.start_active_span("a"):
                await g()
        """, 'with tracer.start_as_current_span("a"):'),
    Idiom("I-40", "set_tag", "rewritten", TRACER + """\
        def f(url):
            tracer.active_span.set_tag("url", url)
        """, 'set_attribute("url", str(url))'),
    Idiom("I-41", "error tag, boolean", "rewritten", TRACER + """\
        tracer.active_span.set_tag("error", True)
        """, "set_status(trace.StatusCode.ERROR)"),
    Idiom("I-41", "error tag, anything", "held", TRACER + """\
        def f(problem):
            tracer.active_span.set_tag("error", problem)
        """, 'set_attribute("error", str(problem))'),
    Idiom("I-42", "kind after the start", "rewritten", TRACER + """\
        with tracer.start_active_span("a") as scope:
            scope.span.set_tag("span.kind", "client")
            go()
        """, "kind=trace.SpanKind.CLIENT"),
    Idiom("I-43", "tag constants", "rewritten", TRACER + """\
        from opentracing.ext import tags
        tracer.active_span.set_tag(tags.HTTP_METHOD, "GET")
        """, 'set_attribute("http.method", "GET")'),
    Idiom("I-44", "log_kv", "rewritten", TRACER + """\
        def f(fields):
            tracer.active_span.log_kv({"event": "x", "k": 1})
            tracer.active_span.log_kv({"k": 1})
            tracer.active_span.log_kv(fields)
        """, 'add_event("log", {"k": 1})'),
    Idiom("I-45", "set_operation_name", "rewritten", TRACER + """\
        tracer.active_span.set_operation_name("x")
        """, 'update_name("x")'),
    Idiom("I-46", "error helper", "rewritten", TRACER + """\
        def log_error(span, e, stack):
            span.set_tag("error", True)
            span.log_kv({"event": "error", "error.object": e, "stack": stack})
        """, 'span.add_event("error", {"error.object": str(e)'),
    Idiom("I-47", "sampling.priority", "held", TRACER + """\
        from opentracing import tags
        tracer.active_span.set_tag(tags.SAMPLING_PRIORITY, 1)
        """),
    Idiom("I-48", "chained setters", "rewritten", TRACER + """\
        def f(span):
            span.set_tag("a", 1).set_tag("b", 2)
            return span.log_kv({"event": "e"})
        """, "return span"),
    Idiom("I-50", "inject into headers", "rewritten", TRACER + """\
        def f(span):
            headers = {}
            tracer.inject(span.context, opentracing.Format.HTTP_HEADERS, headers)
        """, "propagate.inject(headers, context="),
    Idiom("I-51", "inject into other carriers", "rewritten", TRACER + """\
        def f(kwargs):
            tracer.inject(tracer.active_span, "http_headers", kwargs.setdefault("headers", {}))
        """, 'propagate.inject(kwargs.setdefault("headers", {}))'),
    Idiom("I-52", "extract", "rewritten", TRACER + """\
        def f(request):
            return tracer.extract(opentracing.Format.HTTP_HEADERS, dict(request.headers))
        """, "key.lower()"),
    Idiom("I-53", "nothing extracted, or an exception", "rewritten", TRACER + """\
        def f(request):
            try:
                ctx = tracer.extract(opentracing.Format.HTTP_HEADERS, request.headers)
            except opentracing.SpanContextCorruptedException:
                ctx = None
            if ctx is None:
                return tracer.start_span("root")
            return tracer.start_span("child", child_of=ctx)
        """, "get_span_context().is_remote"),
    Idiom("I-54", "TEXT_MAP in messages", "rewritten", TRACER + """\
        def f(message):
            ctx = tracer.extract(opentracing.Format.TEXT_MAP, message)
            tracer.start_span("x", child_of=ctx).finish()
        """, "propagate.extract(message"),
    Idiom("I-55", "ids in response headers", "rewritten", TRACER + """\
        def f(response, span):
            response.headers["X-Trace-Id"] = "%x" % span.context.trace_id
        """, "span.get_span_context().trace_id"),
    Idiom("I-56", "raw uber-trace-id header", "reported", 'HEADERS = ["x-request-id", "uber-trace-id"]\n'),
    Idiom("I-57", "zipkin-span-format", "reported", TRACER + """\
        def f(span, carrier):
            tracer.inject(span, "zipkin-span-format", carrier)
        """),
    Idiom("I-58", "baggage of the current span", "rewritten", TRACER + """\
        with tracer.start_active_span("a") as scope:
            scope.span.set_baggage_item("k", "v")
        """, 'baggage.set_baggage("k", "v")'),
    Idiom("I-58", "baggage of another span", "held", TRACER + """\
        def f(span):
            return span.get_baggage_item("k")
        """, 'baggage.get_baggage("k")'),
    Idiom("I-60", "active span with a guard", "rewritten", TRACER + """\
        def f():
            scope = tracer.scope_manager.active
            if scope:
                scope.span.set_tag("a", 1)
        """, "get_span_context().is_valid"),
    Idiom("I-61", "assert on the active span", "rewritten", TRACER + """\
        assert tracer.active_span is not None
        """, "assert trace.get_current_span().get_span_context().is_valid"),
    Idiom("I-62", "is a tracer registered", "rewritten", """\
        import opentracing
        if not opentracing.is_global_tracer_registered():
            setup()
        """, "ProxyTracerProvider"),
    Idiom("I-63", "annotations", "rewritten", """\
        from opentracing import Span, Tracer
        def f(tracer: Tracer, span: Span) -> Span:
            return span
        """, "span: trace.Span"),
    Idiom("I-64", "ids in log records", "rewritten", TRACER + """\
        def record(entry):
            span = tracer.active_span
            entry.trace_id = span.context.trace_id
        """, "entry.trace_id = span.get_span_context().trace_id"),
    Idiom("I-65", "a span on the request", "rewritten", TRACER + """\
        def before(request):
            request.span = tracer.start_span("r")
        def after(request):
            request.span.finish()
        """, "request.span.end()"),
    Idiom("I-66", "facade functions keep their names", "rewritten", TRACER + """\
        def start_active_span(name):
            return tracer.start_active_span(name)
        """, "def start_active_span(name):"),
    Idiom("I-67", "classes derived from legacy ones", "reported", """\
        import opentracing
        class Mine(opentracing.Tracer):
            pass
        """),
    Idiom("I-70", "sleep and close", "rewritten", "import time\n" + TRACER + """\
        time.sleep(2)
        tracer.close()
        """, "shutdown()"),
    Idiom("I-71", "the future of close()", "reported", TRACER + """\
        tracer.close().add_done_callback(print)
        """),
    Idiom("I-72", "close after app.run()", "rewritten", TRACER + """\
        if __name__ == "__main__":
            app.run()
            tracer.close()
        """, "trace.get_tracer_provider().shutdown()"),
    Idiom("I-80", "MockTracer", "rewritten", """\
        from opentracing.mocktracer import MockTracer
        def test():
            tracer = MockTracer()
            tracer.start_span("a").finish()
            spans = tracer.finished_spans()
            assert spans[0].operation_name == "a"
        """, "InMemorySpanExporter()"),
    Idiom("I-81", "mock.patch of legacy names", "reported", """\
        from unittest import mock
        @mock.patch("opentracing.global_tracer")
        def test(m):
            pass
        """),
    Idiom("I-82", "InMemoryReporter", "rewritten", """\
        from jaeger_client import ConstSampler, Tracer
        from jaeger_client.reporter import InMemoryReporter
        reporter = InMemoryReporter()
        tracer = Tracer("x", reporter, ConstSampler(True))
        spans = reporter.get_spans()
        """, "reporter.get_finished_spans()"),
    Idiom("I-83", "the global tracer in setUp", "reported", """\
        import opentracing
        def setup():
            opentracing._reset_global_tracer()
        """),
    Idiom("I-90", "JaegerExporter to an agent", "rewritten", """\
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter
        exporter = JaegerExporter(agent_host_name="h", agent_port=6831)
        """, "OTLPSpanExporter("),
    Idiom("I-91", "JaegerExporter to a collector", "rewritten", """\
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter
        exporter = JaegerExporter(collector_endpoint="h:14250", insecure=True)
        """, "OTLPSpanExporter("),
    Idiom("I-92", "JaegerExporter by environment", "rewritten", """\
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter
        exporter = JaegerExporter()
        """, "OTLPSpanExporter()"),
    Idiom("I-93", "aliased JaegerExporter", "rewritten", """\
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter as Thrift
        exporter = Thrift(agent_host_name="h", agent_port=6831)
        """, "OTLPSpanExporter("),
)  # fmt: skip


def source(idiom: Idiom) -> str:
    """The program, with the imports in front brought to its indentation."""
    lines = [
        line if line.startswith(" " * 8) else " " * 8 + line for line in idiom.program.splitlines()
    ]
    return dedent("\n".join(lines) + "\n")


def outcome(idiom: Idiom) -> tuple[str, list[str]]:
    """The worst fate among the sites of the program, and the rules that spoke."""
    findings = run(source(idiom)).findings
    fates = {finding.fate for finding in findings}
    codes = sorted(
        {f.code for f in findings if f.fate is not Fate.REWRITTEN} or {f.code for f in findings}
    )
    for fate in (Fate.HELD, Fate.REPORTED):
        if fate in fates:
            return fate.value, [code for code in codes if code != "JO001"] or codes
    return "rewritten", [code for code in codes if code != "JO001"]


def table() -> str:
    """The generated part of docs/coverage.md."""
    return (
        f"{_idioms()}\n## The API, name by name\n\n"
        "Which rule is asked about each name. It rewrites, holds back or reports, as its page says.\n\n"
        f"{api.table()}"
    )


def _idioms() -> str:
    rows = ["| idiom | | fate | rules | test |", "|---|---|---|---|---|"]
    for index, idiom in enumerate(IDIOMS):
        fate, codes = outcome(idiom)
        told = "needs `--unsafe`" if fate == "held" else fate
        rows.append(
            f"| {idiom.number} | {idiom.title} | {told} | {', '.join(codes)} "
            f"| `test_idioms.py[{idiom.number}-{index}]` |"
        )
    rows.append(
        "| I-94 | requirements without code | reported | JO010 "
        "| `tests/migrator/test_manifests.py` |"
    )
    return "\n".join(rows) + "\n"


def main() -> None:
    """Write the table between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}{table()}{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
