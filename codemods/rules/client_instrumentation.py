"""Adapters of libraries become the OpenTelemetry instrumentation of the same library."""

from __future__ import annotations

import ast

from codemods.emit import rewrite_arguments
from codemods.instrumenting import (
    call_statement,
    check_global,
    install,
    instrumentor,
    is_empty,
    is_true,
    kept_calls,
)
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO904",
    title="adapters of libraries to their instrumentations",
    url="https://opentelemetry.io/ecosystem/registry/?language=python&component=instrumentation",
    safety=Safety.SAFE,
    explanation="""\
`redis_opentracing.init_tracing()` and its like become `RedisInstrumentor().instrument()`. The spans
get the names and attributes of OpenTelemetry's conventions. A callback, span tags or an adapter
switched on for single objects have no counterpart everywhere; then the place is held back or
reported. What traced single requests sessions or engines may trace all of the process now
(`--unsafe`).
""",
    examples=(
        (
            """\
import redis_opentracing
import requests_opentracing
import opentracing

redis_opentracing.init_tracing(opentracing.global_tracer())
requests_opentracing.monkeypatch_requests()
""",
            """\
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor

RedisInstrumentor().instrument()
RequestsInstrumentor().instrument()
""",
        ),
    ),
    minutes=10,
)

# Functions that switch an adapter on: the library, and their parameters.
SWITCHES = {
    "redis_opentracing.init_tracing": (
        "redis", ("tracer", "trace_all_classes", "prefix", "start_span_cb")),
    "sqlalchemy_opentracing.init_tracing": (
        "sqlalchemy", ("tracer", "trace_all_engines", "trace_all_queries")),
    "tornado_opentracing.init_tracing": ("tornado", ()),
    "tornado_opentracing.init_client_tracing": ("tornado", ("tracer", "start_span_cb")),
    "requests_opentracing.monkeypatch_requests": ("requests", ("tracer",)),
    "opentracing_utils.trace_requests": ("requests", ("set_error_tag", "mask_url_query")),
    "opentracing_utils.trace_sqlalchemy": ("sqlalchemy", ()),
}  # fmt: skip
# These parameters say whether all or only chosen objects are traced.
ALL = ("trace_all_classes", "trace_all_engines")
_TORNADO = (
    "The Application's settings that begin with `opentracing_` have no effect any more: set a "
    "TracerProvider where opentracing_tracer_callable or opentracing_tracing gave a tracer."
)
HOOKS = ("start_span_cb", "operation_name", "span_extractor", "skip_span", "enrich_span")

# What CeleryTracing adds to Celery's own parameters.
OURS = ("tracer", "propagate", "span_tags")


@rule.symbol(*SWITCHES)
def switch(site: Site) -> Change:
    library, parameters = SWITCHES[site.construct]
    arguments = site.arguments(*parameters)
    if any(not is_empty(arguments.get(hook)) for hook in HOOKS):
        raise CannotRewrite("its callback has to become a hook of the instrumentation")
    check_global(site.file, arguments.get("tracer"))
    statement = call_statement(site)
    kept = kept_calls(site, arguments.get("tracer"))
    for name in ALL:
        if not is_true(arguments.get(name), default=True):
            change = site.change("single objects are instrumented below")
            return change.replace_statement(statement, *kept) if kept else change.remove(statement)
    change = site.change(f"instruments {library}", advice=install(library))
    if library == "tornado":
        change.advise(_TORNADO)
    return change.replace_statement(
        statement, *kept, f"{instrumentor(change, library)}.instrument()"
    )


@rule.symbol("redis_opentracing.trace_client")
def client(site: Site) -> Change:
    change = site.change("instruments this client", advice=install("redis"))
    found = site.arguments("client").get("client")
    if found is None or site.call is None:
        raise CannotRewrite("its client is missing")
    return change.replace(
        site.call, f"{instrumentor(change, 'redis')}.instrument_client(", found, ")"
    )


@rule.symbol("sqlalchemy_opentracing.register_engine")
def engine(site: Site) -> Change:
    change = site.change("instruments this engine", advice=install("sqlalchemy"))
    found = site.arguments("obj").get("obj")
    if found is None or site.call is None:
        raise CannotRewrite("its engine is missing")
    if not _is_alone(site):
        change.unsafe = (
            "no other engine is registered: only the first instrument() has an effect, which takes "
            "several as engines=[...]"
        )
    return change.replace(
        site.call, f"{instrumentor(change, 'sqlalchemy')}.instrument(engine=", found, ")"
    )


def _is_alone(site: Site) -> bool:
    """Whether one engine at most is registered in this file: once, when it is loaded or run."""
    file = site.file
    again = [node for node in file.nodes if file.symbol(node) == site.construct]
    once = all(
        isinstance(node, ast.Module | ast.If | ast.With | ast.Try)
        for node in file.ancestors(site.statement)
    )
    return once and len(again) == 1


@rule.symbol("pymongo_opentracing.CommandTracing")
def listener(site: Site) -> Change:
    """A listener of pymongo's commands; OpenTelemetry's is one too."""
    arguments = site.arguments("tracer", "span_tags")
    if site.call is None or not is_empty(arguments.get("span_tags")):
        raise CannotRewrite("span_tags have to become a request_hook(span, event)")
    check_global(site.file, arguments.get("tracer"))
    change = site.change("OpenTelemetry's listener", advice=install("pymongo"))
    name = change.use("opentelemetry.instrumentation.pymongo", "CommandTracer")
    return change.replace(site.call, f"{name}({change.tracer()})")


@rule.symbol("requests_opentracing.SessionTracing")
def session(site: Site) -> Change:
    """A session that traces: an ordinary one, and all of requests instrumented."""
    if site.call is None:
        raise CannotRewrite("the class is passed on or derived from")
    arguments = site.arguments("tracer", "propagate", "span_tags")
    if not is_empty(arguments.get("span_tags")):
        raise CannotRewrite("span_tags have to become a request_hook(span, request)")
    check_global(site.file, arguments.get("tracer"))
    _check_propagates(arguments.get("propagate"))
    change = site.change(
        "an ordinary session, with requests instrumented",
        unsafe="all requests of the process may be traced",
        advice=install("requests"),
    )
    change.before(site.statement, f"{instrumentor(change, 'requests')}.instrument()")
    return change.replace(site.call, f"{change.use('requests')}.Session()")


def _check_propagates(propagate: ast.expr | None) -> None:
    if propagate is not None and not (isinstance(propagate, ast.Constant) and propagate.value):
        raise CannotRewrite("the instrumentation always sends the context, propagate=False did not")


@rule.member("requests_session", "*")
def of_the_session(site: Site) -> Change:
    return site.change("an ordinary session has it too").replace(site.node, site.node)


@rule.symbol("celery_opentracing.CeleryTracing")
def celery(site: Site) -> Change:
    call = site.call
    if call is None:
        raise CannotRewrite("the class is passed on or derived from")
    arguments = site.arguments()
    if not is_empty(arguments.get("span_tags")):
        raise CannotRewrite("span_tags have to be set in the tasks")
    _check_propagates(arguments.get("propagate"))
    check_global(site.file, arguments.get("tracer"))
    change = site.change("Celery's own class, instrumented", advice=install("celery"))
    ours = [keyword for keyword in call.keywords if keyword.arg in OURS]
    rewrite_arguments(change, call, dict.fromkeys(ours))
    change.replace(call.func, change.use("celery", "Celery"))
    return change.before(site.statement, f"{instrumentor(change, 'celery')}.instrument()")


@rule.symbol("gevent_opentracing.TracedGreenlet")
def greenlet(site: Site) -> Change:
    change = site.change("context variables follow greenlets by themselves")
    return change.replace(site.node, change.use("gevent", "Greenlet"))


@rule.symbol("gevent_opentracing.init_tracing")
def nothing_left_to_do(site: Site) -> Change:
    return site.change("context variables follow greenlets by themselves").remove(
        call_statement(site)
    )
