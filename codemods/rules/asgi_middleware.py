"""Tracing middleware of Starlette and FastAPI becomes OpenTelemetry's ASGI middleware."""

from __future__ import annotations

import ast

from codemods.emit import in_order, rewrite_arguments
from codemods.instrumenting import call_statement, check_global, kept_calls
from codemods.model import Safety
from codemods.provider import set_up_in
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site

rule = define(
    code="JO905",
    title="Starlette and FastAPI middleware to OpenTelemetryMiddleware",
    url="https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/asgi/asgi.html",
    safety=Safety.SAFE,
    explanation="""\
The middlewares of starlette_opentracing, fastapi_opentracing and fastapi_contrib trace every
request of the app, as OpenTelemetry's ASGI middleware does. Its spans are named `GET /path` and
carry OpenTelemetry's attributes; `FastAPIInstrumentor.instrument_app(app)` would add the route.
Each message has a span of its own below (`GET /path http send`), which `exclude_spans=["receive",
"send"]` leaves out.
""",
    examples=(
        (
            """\
from fastapi import FastAPI
from opentracing import global_tracer
from starlette_opentracing import StarletteTracingMiddleWare

app = FastAPI()
app.add_middleware(StarletteTracingMiddleWare, tracer=global_tracer())
""",
            """\
from fastapi import FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

app = FastAPI()
app.add_middleware(OpenTelemetryMiddleware)
""",
        ),
    ),
    minutes=10,
)

CLASSES = (
    "starlette_opentracing.StarletteTracingMiddleWare",
    "fastapi_opentracing.OpenTracingMiddleware",
    "fastapi_contrib.tracing.middlewares.OpentracingMiddleware",
)
_INSTALL = (
    "Add to the requirements: opentelemetry-instrumentation-asgi. Each message is a span of its "
    'own (`http send`) unless it is given exclude_spans=["receive", "send"].'
)


@rule.symbol(*CLASSES)
def middleware(site: Site) -> Change | Report:
    """`app.add_middleware(Class, tracer=...)` or `Middleware(Class, ...)`."""
    call = site.file.parents[site.node]
    if not isinstance(call, ast.Call) or not call.args or call.args[0] is not site.node:
        raise CannotRewrite("the middleware is neither given to add_middleware nor to Middleware")
    for keyword in call.keywords:
        if keyword.arg == "tracer":
            check_global(site.file, keyword.value)
    change = site.change("OpenTelemetry's ASGI middleware", advice=_INSTALL)
    change.depends_on(*set_up_in(site.file))
    name = change.use("opentelemetry.instrumentation.asgi", "OpenTelemetryMiddleware")
    rewrite_arguments(
        change,
        call,
        {one: ((name,) if one is site.node else None) for one in in_order(call)},
    )
    for line in kept_calls(site, *(keyword.value for keyword in call.keywords)):
        change.before(site.statement, line)
    if any(keyword.arg == "tracer" and _of_its_own(site, keyword) for keyword in call.keywords):
        change.unsafe = "the tracer's provider is the global one, which the middleware uses"
    return change


def _of_its_own(site: Site, keyword: ast.keyword) -> bool:
    """Whether the tracer given may belong to a provider that is not the global one."""
    value = keyword.value
    return not isinstance(value, ast.Call) and site.file.symbol(value) != "opentracing.tracer"


@rule.symbol("fastapi_contrib.tracing.utils.setup_opentracing")
def setup(site: Site) -> Report:
    return Report(
        "setup_opentracing(app) sets up a Jaeger tracer from the app's settings",
        "Set up a TracerProvider with an OTLPSpanExporter when the app starts; its settings are "
        "jaeger_host, jaeger_port, service_name and trace_id_header.",
    )


@rule.symbol("fastapi_opentracing.tracer")
def module_tracer(site: Site) -> Change:
    change = site.change("becomes the module's tracer")
    return change.replace(site.node, change.tracer())


@rule.symbol("fastapi_opentracing.get_current_span")
def current_span(site: Site) -> Change:
    if site.call is None:
        raise CannotRewrite("the function is passed on without being called")
    change = site.change("the current span")
    trace = change.use("opentelemetry", "trace")
    return change.replace(site.call, f"{trace}.get_current_span()")


@rule.symbol("fastapi_opentracing.get_opentracing_span_headers")
def headers(site: Site) -> Change | Report:
    """It gives the headers of the current span; `inject` fills a dict with them."""
    parent = site.parent
    outer = site.file.parents[parent] if isinstance(parent, ast.Await) else parent
    statement = site.statement
    call = parent if isinstance(parent, ast.Await) else site.call
    if not isinstance(outer, ast.Assign) or outer.value is not call or len(outer.targets) != 1:
        raise CannotRewrite("its headers are not kept in a name of their own")
    change = site.change("the headers of the current span")
    inject = change.use("opentelemetry.propagate", "inject")
    target = outer.targets[0]
    return change.replace_statement(
        statement, (target, " = {}"), (f"{inject}(", site.file.text(target), ")")
    )


@rule.symbol("fastapi_opentracing.client_hooks.install_all_patch")
def client_hooks(site: Site) -> Report:
    call_statement(site)
    return Report(
        "install_all_patch() patches every client library it finds",
        "Instrument what the service uses: HTTPXClientInstrumentor().instrument(), "
        "RedisInstrumentor().instrument(), AioHttpClientInstrumentor().instrument(), ...",
    )
