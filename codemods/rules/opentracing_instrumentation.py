"""opentracing_instrumentation: its patches, decorators and request helpers."""

from __future__ import annotations

import ast

from codemods.instrumenting import INSTRUMENTORS, call_statement, install, instrumentor
from codemods.model import Safety
from codemods.provider import set_up_in
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site

rule = define(
    code="JO906",
    title="opentracing_instrumentation's patches and decorators",
    url="https://opentelemetry.io/docs/zero-code/python/",
    safety=Safety.SAFE,
    explanation="""\
`client_hooks.requests.install_patches()` becomes `RequestsInstrumentor().instrument()`, and
`install_patches([...])` one such line for each name. `install_all_patches()` patched what was
installed of ten libraries, so the instrumentations of these are turned on where they are installed;
what is not in the requirements yet is not traced. `@traced_function` is
`@tracer.start_as_current_span(name)`, which decorates coroutines too. The interceptors and the
`before_request` helpers are reported.
""",
    examples=(
        (
            """\
from opentracing_instrumentation.client_hooks import install_patches

install_patches(["requests", "sqlalchemy"])
""",
            """\
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

RequestsInstrumentor().instrument()
SQLAlchemyInstrumentor().instrument()
""",
        ),
    ),
    minutes=15,
)

PACKAGE = "opentracing_instrumentation"
HOOKS = f"{PACKAGE}.client_hooks"

# The names of its patches, where they differ from ours.
PATCHES = {
    "boto3": "boto3",
    "celery": "celery",
    "mysqldb": "mysqldb",
    "psycopg2": "psycopg2",
    "requests": "requests",
    "sqlalchemy": "sqlalchemy",
    "strict_redis": "redis",
    "tornado_http": "tornado",
    "urllib": "urllib",
    "urllib2": "urllib",
}


# Only the first call patches; tests that reset the patches call what stands behind it.
AGAIN = (".__original_func", "")


@rule.symbol(*(f"{HOOKS}.{patch}.install_patches{how}" for patch in PATCHES for how in AGAIN))
def one_patch(site: Site) -> Change:
    library = PATCHES[site.construct.removeprefix(f"{HOOKS}.").partition(".")[0]]
    statement = call_statement(site)
    change = site.change(f"instruments {library}", advice=install(library))
    return change.replace_statement(statement, f"{instrumentor(change, library)}.instrument()")


@rule.symbol(f"{HOOKS}.tornado_http.reset_patchers")
def reset_tornado(site: Site) -> Change:
    statement = call_statement(site)
    change = site.change("takes the instrumentation off again", advice=install("tornado"))
    return change.replace_statement(statement, f"{instrumentor(change, 'tornado')}.uninstrument()")


@rule.symbol(f"{HOOKS}.install_patches")
def patches(site: Site) -> Change:
    """`install_patches(["requests", "a.dotted.path.install_patches"])`."""
    statement = call_statement(site)
    named = site.arguments("patchers").get("patchers")
    if isinstance(named, ast.Constant) and named.value == "all":
        return _everything(site, statement)
    if not isinstance(named, ast.List | ast.Tuple):
        raise CannotRewrite("the names of the patches are known only at run time")
    libraries = [_library(one) for one in named.elts]
    change = site.change("instruments what was patched", advice=install(*libraries))
    return change.replace_statement(
        statement, *(f"{instrumentor(change, one)}.instrument()" for one in libraries)
    )


def _library(node: ast.expr) -> str:
    name = node.value if isinstance(node, ast.Constant) else None
    if isinstance(name, str):
        word = name.removeprefix(f"{HOOKS}.").removesuffix(".install_patches")
        if word in PATCHES:
            return PATCHES[word]
    raise CannotRewrite("one of its patches is not known")


@rule.symbol(f"{HOOKS}.install_all_patches")
def all_patches(site: Site) -> Change:
    if site.arguments("hook"):
        raise CannotRewrite("it is given hooks: those of an instrumentation have another form")
    return _everything(site, call_statement(site))


def _everything(site: Site, statement: ast.stmt) -> Change:
    """Turns on what of these is installed; instrumentations declare themselves as entry points."""
    if "entry_point" in site.file.bound:
        raise CannotRewrite("the file has an entry_point of its own")
    libraries = sorted(set(PATCHES.values()))
    change = site.change(
        "instruments what was patched, where its instrumentation is installed",
        advice=install(*libraries),
    )
    change.depends_on(*set_up_in(site.file))
    names = ", ".join(f'"{INSTRUMENTORS[library][0]}"' for library in libraries)
    points = change.use("importlib.metadata", "entry_points")
    return change.replace_statement(
        statement,
        f'for entry_point in {points}(group="opentelemetry_instrumentor"):',
        f"    if entry_point.name in ({names}):",
        "        entry_point.load()().instrument()",
    )


@rule.symbol(f"{PACKAGE}.traced_function", f"{PACKAGE}.local_span.func_span")
def traced_function(site: Site) -> Change:
    """`@traced_function`, `@traced_function(name="x")`."""
    arguments = site.arguments("func", "name") if site.call is not None else {}
    function = site.parent
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        raise CannotRewrite("it is not used as a decorator")
    if arguments.keys() - {"name"}:
        raise CannotRewrite("on_start and require_active_trace have no counterpart")
    change = site.change("a span around every call")
    name = arguments.get("name") or f'"{function.name}"'
    return change.replace(
        site.call or site.node, change.tracer(), ".start_as_current_span(", name, ")"
    )


_RECIPES = {
    "http_server": "Let the instrumentation of the web framework start the server span, or: "
    "tracer.start_as_current_span(name, context=extract(request.headers), kind=SpanKind.SERVER).",
    "http_client": "Let RequestsInstrumentor (or the client's own) start the client span, or: "
    "tracer.start_as_current_span(name, kind=SpanKind.CLIENT) and inject(headers).",
    "interceptors": "An interceptor is a request_hook or response_hook of an instrumentation.",
    "config": "Caller and callee names travel as baggage or attributes now.",
}


@rule.symbol(*(f"{PACKAGE}.{module}.*" for module in _RECIPES))
def request_helpers(site: Site) -> Report:
    module = site.construct.removeprefix(f"{PACKAGE}.").partition(".")[0]
    return Report("the helper has no counterpart of the same form", _RECIPES[module])
