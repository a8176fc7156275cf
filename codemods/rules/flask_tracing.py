"""Flask-OpenTracing becomes OpenTelemetry's Flask instrumentation."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.instrumenting import (
    call_statement,
    check_global,
    current_span,
    install,
    instrumentor,
    is_empty,
    is_true,
    kept_calls,
)
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.source import Span

rule = define(
    code="JO901",
    title="Flask-OpenTracing to the Flask instrumentation",
    url="https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/flask/flask.html",
    safety=Safety.SAFE,
    explanation="""\
`FlaskTracing(tracer, True, app)` traces every request, and so does `FlaskInstrumentor`. The span is
called `GET /route` instead of by the endpoint's name, and takes its attributes from OpenTelemetry's
conventions. `@tracing.trace()` on a view goes, `tracing.get_span()` is the current span. Request
attributes that were listed are set by a `request_hook`. A `FlaskTracing` that traces only decorated
views is reported; a function as `start_span_cb` is a `request_hook` with `--unsafe`. One that is
passed on stays as a `FlaskInstrumentor`; where it does not go to a function of the project, whose
uses of it are rewritten too, that needs `--unsafe`.
""",
    examples=(
        (
            """\
import opentracing
from flask import Flask
from flask_opentracing import FlaskTracing

app = Flask(__name__)
tracing = FlaskTracing(opentracing.global_tracer(), True, app)


@app.route("/")
@tracing.trace()
def index():
    tracing.get_span().set_tag("page", "index")
    return "hello"
""",
            """\
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor

app = Flask(__name__)
FlaskInstrumentor().instrument_app(app)


@app.route("/")
def index():
    trace.get_current_span().set_attribute("page", "index")
    return "hello"
""",
        ),
    ),
    minutes=15,
)

CLASS = "flask_opentracing.FlaskTracing"
_MAKERS = ("init", "get", "create", "make", "setup", "build", "config")
_VIEWS = Report(
    "only decorated views are traced, which the Flask instrumentation cannot do",
    "Instrument the whole app with FlaskInstrumentor().instrument_app(app, excluded_urls=...), "
    "or start a span in each view: tracer.start_as_current_span(name, "
    "context=extract(request.headers), kind=SpanKind.SERVER).",
)


@rule.symbol(CLASS)
def constructor(site: Site) -> Change | Report:
    if site.call is None:
        raise CannotRewrite("the class is passed on or derived from")
    arguments = site.arguments(
        "tracer", "trace_all_requests", "app", "traced_attributes", "start_span_cb"
    )
    app = arguments.get("app")
    if not is_true(arguments.get("trace_all_requests"), default=app is not None):
        return _VIEWS
    if app is None:
        return Report(
            "the app is not known here",
            "Call FlaskInstrumentor().instrument_app(app) where the app is made.",
        )
    check_global(site.file, arguments.get("tracer"))
    statement = call_statement(site)
    change = site.change("instruments the app", advice=install("flask"))
    hook = _request_hook(change, arguments.get("traced_attributes"))
    before = kept_calls(site, arguments.get("tracer"))
    if isinstance(arguments.get("tracer"), ast.Lambda) or _is_function(site, arguments):
        change.unsafe = "the tracer may be set up when the module is loaded"
        before = [_called(arguments["tracer"])]
    change.depends_on(*_stands_for(site.file, arguments.get("tracer")))
    kept = _depend_on_uses(site, change, statement)
    if not is_empty(arguments.get("start_span_cb")):
        hook = _callback(change, arguments["start_span_cb"], hook)
    lines: list[tuple[Part, ...]]
    if kept is None:
        lines = [(f"{instrumentor(change, 'flask')}.instrument_app(", app, *hook, ")")]
    else:
        lines = [
            (kept, f" = {instrumentor(change, 'flask')}"),
            (site.file.text(kept), ".instrument_app(", app, *hook, ")"),
        ]
    return change.replace_statement(statement, *before, *lines)


def _request_hook(change: Change, names: ast.expr | None) -> tuple[Part, ...]:
    """The request's attributes that were listed go on the span, as text where there is any."""
    if names is None or is_empty(names):
        return ()
    request = change.use("flask", "request")
    return (
        ", request_hook=lambda span, environ: span.set_attributes("
        f"{{name: str(getattr({request}, name)) for name in ",
        names,
        f' if getattr({request}, name, "") not in ("", b"")}})',
    )


def _callback(change: Change, given: ast.expr, hook: tuple[Part, ...]) -> tuple[Part, ...]:
    """`start_span_cb=f` is a hook that calls `f(span, request)`, where `f` is a function here."""
    file = change.file
    found = [
        node
        for node in file.nodes
        if isinstance(node, ast.FunctionDef)
        and isinstance(given, ast.Name)
        and node.name == given.id
        and file.class_of(node) is None
    ]
    spans = [
        arg for function in found for arg in function.args.args[:1] if file.kind(arg) == "span"
    ]
    if len(found) != 1 or not spans or hook:
        raise CannotRewrite("start_span_cb has to become a request_hook(span, environ)")
    change.depends_on(*(node for node in file.flow.members if file.function(node) is found[0]))
    raises = f"`{found[0].name}` raises nothing, which was ignored and ends the request now"
    change.unsafe = f"{change.unsafe}; {raises}" if change.unsafe else raises
    request = change.use("flask", "request")
    return (", request_hook=lambda span, environ: ", given, f"(span, {request})")


def _stands_for(file: File, tracer: ast.expr | None) -> list[ast.expr]:
    """The `config.initialize_tracer` that the name of the tracer, or of its maker, stands for."""
    bound = file.bound.get(tracer.id, ()) if isinstance(tracer, ast.Name) else ()
    values = [getattr(file.parents[one], "value", None) for one in bound]
    return [one for one in values if one in file.flow.members]


def _is_function(site: Site, arguments: dict[str, ast.expr]) -> bool:
    """Whether the tracer is given as a function that makes it when it is first needed."""
    tracer = arguments.get("tracer")
    if not isinstance(tracer, ast.Name | ast.Attribute) or site.file.kind(tracer):
        return False
    flow = site.file.flow
    fact = flow.kinds.get(tracer)
    known = flow.fact(fact.detail) if fact is not None and fact.kind == "name" else None
    if known is not None and known.kind == "function":
        return True
    last = tracer.id if isinstance(tracer, ast.Name) else tracer.attr
    return not last.endswith("tracer") or last.startswith(
        ("init", "get", "create", "make", "setup")
    )


def _called(tracer: ast.expr) -> tuple[Part, ...]:
    if isinstance(tracer, ast.Lambda):
        return (tracer.body,)
    return (tracer, "()")


def _depend_on_uses(
    site: Site, change: Change, statement: ast.Expr | ast.Assign
) -> ast.expr | None:
    """Every use of the tracing object's name has to go with it; the name, if it is passed on."""
    if isinstance(statement, ast.Expr):
        return None
    if len(statement.targets) != 1:
        raise CannotRewrite("the tracing object is bound to several names")
    file, target = site.file, statement.targets[0]
    word, kept = file.text(target), None
    for node in file.nodes:
        if not isinstance(node, ast.Name | ast.Attribute) or node is target:
            continue
        if not isinstance(getattr(node, "ctx", None), ast.Load) or file.text(node) != word:
            continue
        parent = file.parents[node]
        if isinstance(parent, ast.Attribute):
            change.depends_on(parent)
            continue
        kept = target
        if not _is_followed(file, node):
            change.unsafe = f"whoever is given `{word}` asks it for the span only"
    return kept


def _is_followed(file: File, node: ast.expr) -> bool:
    """Whether it is given to a function of the project, whose uses of it are sites themselves."""
    call = file.parents[node]
    if isinstance(call, ast.keyword):
        call = file.parents[call]
    if not isinstance(call, ast.Call) or call.func is node:
        return False
    function = file.flow.kinds[call.func]
    return function.kind == "name" and any(
        file.flow.fact(key) is not None for key in (function.detail, f"{function.detail}()")
    )


@rule.member("flask_tracing", "trace")
def decorator(site: Site) -> Change | Report:
    """`@tracing.trace("url")` on a view of an app that is traced as a whole."""
    call = site.call
    parent = site.parent
    if call is None or not isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
        raise CannotRewrite("trace() is not used as a decorator")
    if not _traces_all(site):
        return _VIEWS
    change = site.change("the instrumentation traces every view")
    if call.args or call.keywords:
        change.unsafe = "the request attributes listed are not needed on the span"
    source = site.file.source
    start, end = site.file.span(call)
    line = source.line_start(start)
    if source.text[line:start].strip() != "@":
        raise CannotRewrite("the decorator shares its line")
    return change.replace(Span(line, source.line_end(end)))


def _traces_all(site: Site) -> bool:
    """Whether every FlaskTracing of the file traces all requests; without one, another file's."""
    found = [
        node
        for node in site.file.nodes
        if isinstance(node, ast.Call) and site.file.symbol(node.func) == CLASS
    ]
    for call in found:
        all_of_them = call.args[1] if len(call.args) > 1 else None
        app = call.args[2] if len(call.args) > 2 else None
        for keyword in call.keywords:
            if keyword.arg == "trace_all_requests":
                all_of_them = keyword.value
            if keyword.arg == "app":
                app = keyword.value
        if not is_true(all_of_them, default=app is not None):
            return False
    return bool(found)


@rule.member("flask_tracing", "get_span")
def get_span(site: Site) -> Change:
    return current_span(site)


@rule.member("flask_tracing", "tracer", "_tracer")
def tracer(site: Site) -> Change:
    if not isinstance(getattr(site.node, "ctx", None), ast.Load):
        raise CannotRewrite("the tracer of the extension is replaced")
    change = site.change("becomes the module's tracer")
    return change.replace(site.node, change.tracer())
