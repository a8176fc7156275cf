"""`tracer.inject()` becomes `propagate.inject()`."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.model import Safety
from codemods.parents import context_of
from codemods.registry import define
from codemods.scopes import variable
from codemods.site import CannotRewrite, Change, File, Site
from codemods.values import literal_key

rule = define(
    code="JO401",
    title="inject with the global propagators",
    url="https://opentelemetry.io/docs/specs/otel/context/api-propagators/#inject",
    safety=Safety.SAFE,
    explanation="""\
`propagate.inject(carrier)` writes what the global propagators write, for the current span; for any
other span its context is given. Keys are `traceparent`, `tracestate` and `baggage` (or those of
B3), no longer `uber-trace-id` and `uberctx-`.
""",
    examples=(
        (
            """\
import opentracing
from opentracing.propagation import Format

tracer = opentracing.global_tracer()


def headers_for(span):
    headers = {}
    tracer.inject(span, Format.HTTP_HEADERS, headers)
    return headers
""",
            """\
from opentelemetry import propagate, trace

tracer = trace.get_tracer(__name__)


def headers_for(span):
    headers = {}
    propagate.inject(headers, context=trace.set_span_in_context(span))
    return headers
""",
        ),
    ),
)


@rule.member("tracer", "inject")
def inject(site: Site) -> Change:
    call = site.call
    arguments = site.arguments("span_context", "format", "carrier")
    span, carrier = arguments.get("span_context"), arguments.get("carrier")
    if call is None or span is None or carrier is None:
        raise CannotRewrite("it wants a span, a format and a carrier")
    change = site.change("injects with the global propagators")
    check_format(site, change, arguments.get("format"))
    function = f"{change.use('opentelemetry', 'propagate')}.inject"
    tail: tuple[Part, ...] = ()
    if not is_current(site.file, span, call):
        context = context_of(change, span)
        tail = (", context=", *context) if context else ()
    return change.replace(call, function, "(", carrier, *tail, ")")


def check_format(site: Site, change: Change, node: ast.expr | None) -> None:
    """Raise for the binary format; doubt one that is known only at run time."""
    name = literal_key(site.file, node)
    if name == "binary":
        raise CannotRewrite("OpenTelemetry has no binary propagation")
    if name and name not in ("http_headers", "text_map"):
        raise CannotRewrite(f"OpenTelemetry has no propagation format {name!r}")
    if not name and not change.unsafe:
        change.unsafe = "the format is text, not binary"


def is_current(file: File, node: ast.expr, at: ast.AST) -> bool:
    """Whether an expression is the span (or its context) that is current at a place."""
    if (
        isinstance(node, ast.Attribute)
        and node.attr == "context"
        and file.kind(node.value) == "span"
    ):
        node = node.value
    if file.detail(node) == "active" and not isinstance(node, ast.Name):
        return True
    if isinstance(node, ast.Attribute) and node.attr == "span" and file.kind(node.value) == "scope":
        node = node.value
        if file.detail(node) == "active":
            return True
    if not isinstance(node, ast.Name):
        return False
    return _entered_around(file, node, at) or _is_active_variable(file, node)


def _entered_around(file: File, node: ast.Name, at: ast.AST) -> bool:
    """Whether the innermost tracing `with` around a place binds this name."""
    for ancestor in file.ancestors(at):
        if isinstance(ancestor, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return False
        if not isinstance(ancestor, ast.With | ast.AsyncWith):
            continue
        for item in reversed(ancestor.items):
            if file.kind(item.context_expr) != "scope":
                continue
            target = item.optional_vars
            if isinstance(target, ast.Name) and target.id == node.id:
                return True
            return isinstance(target, ast.Name) and _is_span_of(file, node, target)
    return False


def _is_span_of(file: File, node: ast.Name, scope: ast.Name) -> bool:
    """Whether a name was bound by `span = scope.span`."""
    found = variable(file, scope)
    bound = [
        one for one in file.bound.get(node.id, ()) if file.function(one) is file.function(node)
    ]
    if found is None or len(bound) != 1:
        return False
    parent = file.parents[bound[0]]
    value = parent.value if isinstance(parent, ast.Assign) else None
    return isinstance(value, ast.Attribute) and value.value in found.uses


def _is_active_variable(file: File, node: ast.Name) -> bool:
    """Whether a name is bound but once in its function, to the active span."""
    function = file.function(node)
    bound = [one for one in file.bound.get(node.id, ()) if file.function(one) is function]
    if len(bound) != 1 or any(
        isinstance(item, ast.With | ast.AsyncWith)
        and file.function(item) is function
        and any(file.kind(one.context_expr) == "scope" for one in item.items)
        for item in file.ancestors(node)
    ):
        return False
    parent = file.parents[bound[0]]
    value = parent.value if isinstance(parent, ast.Assign) else None
    return isinstance(value, ast.Attribute | ast.Call) and file.detail(value) == "active"
