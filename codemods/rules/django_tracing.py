"""django-opentracing in Django's settings gives way to the Django instrumentation."""

from __future__ import annotations

import ast

from codemods.instrumenting import call_statement, check_global, current_span, install, kept_calls
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site
from codemods.source import Span, last_name

rule = define(
    code="JO902",
    title="django-opentracing to the Django instrumentation",
    url="https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/django/django.html",
    safety=Safety.UNSAFE,
    explanation="""\
The middleware and the `OPENTRACING_...` settings go. In their place
`DjangoInstrumentor().instrument()` has to run in manage.py, wsgi.py and asgi.py before Django
starts; it cannot run in the settings. Since that is another file, the change is held back until you
say `--unsafe`. `OPENTRACING_TRACED_ATTRIBUTES` is OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS now.
""",
    examples=(
        (
            """\
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
    "django_opentracing.OpenTracingMiddleware",
]
""",
            """\
MIDDLEWARE = [
    "django.middleware.common.CommonMiddleware",
]
""",
        ),
    ),
    minutes=20,
)

CONDITION = "DjangoInstrumentor().instrument() runs in manage.py, wsgi.py and asgi.py"
_INSTALL = install("django")


@rule.string(r"django_opentracing\.(middleware\.)?OpenTracingMiddleware")
def middleware(site: Site) -> Change:
    """An entry of MIDDLEWARE: a list or tuple display, one entry a line or several."""
    node, file = site.node, site.file
    parent, statement = file.parents[node], site.statement
    change = site.change("the middleware goes", unsafe=CONDITION, advice=_INSTALL)
    _advise_settings(change)
    if _is_added(parent) and isinstance(statement, ast.Expr) and statement.value is parent:
        return change.remove(statement)
    if not isinstance(parent, ast.List | ast.Tuple):
        raise CannotRewrite("the middleware is not an entry of a list")
    if isinstance(parent, ast.Tuple) and len(parent.elts) == 2:
        (other,) = (one for one in parent.elts if one is not node)
        return change.replace(parent, "(", other, ",)")
    text, (start, end) = file.source.text, file.span(node)
    stop = end
    while stop < len(text) and text[stop] in " \t":
        stop += 1
    has_comma = text[stop : stop + 1] == ","
    line_start, line_end = file.source.line_start(start), file.source.line_end(end)
    after = stop + 1 if has_comma else end
    if not text[line_start:start].strip() and not text[after:line_end].strip():
        return change.replace(Span(line_start, line_end))
    if has_comma:
        while text[after] in " \t":
            after += 1
        return change.replace(Span(start, after))
    return (
        change.replace(Span(text.rindex(",", 0, start), end))
        if "," in text[file.span(parent).start : start]
        else change.replace(Span(start, end))
    )


def _is_added(parent: ast.AST) -> bool:
    """`MIDDLEWARE.insert(0, "...")`"""
    return isinstance(parent, ast.Call) and last_name(parent.func) in ("append", "insert")


# Settings without effect any more, and what takes their place.
_SETTINGS = {
    "OPENTRACING_TRACER_CALLABLE": "Nothing calls OPENTRACING_TRACER_CALLABLE any more: set the "
    "provider with trace.set_tracer_provider() beside DjangoInstrumentor().instrument().",
    "OPENTRACING_TRACED_ATTRIBUTES": "OPENTRACING_TRACED_ATTRIBUTES is "
    "OTEL_PYTHON_DJANGO_TRACED_REQUEST_ATTRS now, in the environment.",
}


def _advise_settings(change: Change) -> None:
    change.advise(*(said for name, said in _SETTINGS.items() if name in change.file.bound))


@rule.symbol("django_opentracing.DjangoTracing")
def setting(site: Site) -> Change | Report:
    """`OPENTRACING_TRACING = DjangoTracing(tracer)` in the settings."""
    statement = site.statement
    if site.call is None or not _is_setting(statement):
        return Report(
            "a DjangoTracing outside the settings traces decorated views",
            "Trace the whole app with DjangoInstrumentor, or start a span in each view.",
        )
    call_statement(site)
    tracer = site.arguments("tracer").get("tracer")
    check_global(site.file, tracer)
    change = site.change("the setting goes", unsafe=CONDITION, advice=_INSTALL)
    _advise_settings(change)
    kept = kept_calls(site, tracer)
    return change.replace_statement(statement, *kept) if kept else change.remove(statement)


def _is_setting(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id.startswith("OPENTRACING_")
    )


@rule.member("django_tracing", "get_span")
def get_span(site: Site) -> Change:
    return current_span(site, unsafe=CONDITION)


@rule.member("django_tracing", "tracer", "_tracer")
def tracer(site: Site) -> Change:
    change = site.change("becomes the module's tracer")
    return change.replace(site.node, change.tracer())


@rule.symbol("django.conf.settings.OPENTRACING_TRACING")
def of_the_settings(site: Site) -> Report:
    """`tracing = settings.OPENTRACING_TRACING`, as the adapter's manual has it for views."""
    return Report(
        "the adapter's object, which the settings hold",
        "Use trace.get_current_span() for its span and trace.get_tracer(__name__) for its tracer; "
        "@tracing.trace() goes, every request is traced.",
    )
