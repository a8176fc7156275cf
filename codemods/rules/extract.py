"""`tracer.extract()` becomes `propagate.extract()`, and its result a `Context`."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.kinds import MIXTURES
from codemods.model import Safety
from codemods.parents import is_parent_or_current, is_partly_unknown
from codemods.registry import define
from codemods.rules.inject import check_format
from codemods.rules.propagation_errors import NAMES
from codemods.site import CannotRewrite, Change, File, Site, tight
from codemods.sites import assert_truth, is_instance_test
from codemods.values import literal_key

rule = define(
    code="JO402",
    title="extract with the global propagators",
    url="https://opentelemetry.io/docs/specs/otel/context/api-propagators/#extract",
    safety=Safety.SAFE,
    explanation="""\
`propagate.extract(carrier, context=context.get_current())` gives a context: the remote parent's, or
the current one where the carrier holds none, as OpenTracing did with `child_of=None`. Without the
argument, a carrier without headers would cut off the active span. OpenTelemetry looks keys up as
they are written, so a plain dict of headers is lower-cased; frameworks' header objects ignore case.
`extract` never raises and never returns None: tests of the result ask for a valid span.
""",
    examples=(
        (
            """\
import opentracing
from opentracing.propagation import Format

tracer = opentracing.global_tracer()


def handle(request):
    parent = tracer.extract(Format.HTTP_HEADERS, dict(request.headers))
    with tracer.start_active_span("handle", child_of=parent):
        return "ok"
""",
            """\
from opentelemetry import context, propagate, trace

tracer = trace.get_tracer(__name__)


def handle(request):
    parent = propagate.extract(
        {key.lower(): value for key, value in request.headers.items()},
        context=context.get_current(),
    )
    with tracer.start_as_current_span("handle", context=parent):
        return "ok"
""",
        ),
    ),
)


@rule.member("tracer", "extract")
def extract(site: Site) -> Change:
    call = site.call
    arguments = site.arguments("format", "carrier")
    carrier = arguments.get("carrier")
    if call is None or carrier is None:
        raise CannotRewrite("it wants a format and a carrier")
    change = site.change("extracts with the global propagators")
    check_format(site, change, arguments.get("format"))
    function = f"{change.use('opentelemetry', 'propagate')}.extract"
    current = f"context={change.use('opentelemetry', 'context')}.get_current()"
    is_headers = literal_key(site.file, arguments.get("format")) != "text_map"
    text = _carrier(site.file, carrier, is_headers=is_headers)
    if _is_caught(site.file, call) and _may_be_none(site.file, carrier):
        alone = len(text) == 1
        text = tuple(part for one in text for part in _or_empty(one, alone=alone))
    if len(text) > 2 and isinstance(site.statement, ast.Assign | ast.Return):
        around = site.file.parents[site.statement]
        first = around if _goes(site.file, around) else site.statement
        source = site.file.source
        indent = source.newline + source.indentation(site.file.span(first).start)
        inner = indent + "    "
        return change.replace(call, function, "(", inner, *text, f",{inner}{current},{indent})")
    return change.replace(call, function, "(", *text, f", {current})")


def _is_caught(file: File, call: ast.Call) -> bool:
    """Whether the program caught what jaeger-client raised where there is no carrier."""
    inner: ast.AST = call
    for node in file.ancestors(call):
        if isinstance(node, ast.Try) and inner in node.body:
            caught = [handler.type for handler in node.handlers if handler.type is not None]
            names = [one.elts if isinstance(one, ast.Tuple) else [one] for one in caught]
            if any(file.symbol(one) == NAMES[0] for group in names for one in group):
                return True
        inner = node
    return False


def _may_be_none(file: File, carrier: ast.expr) -> bool:
    """Headers of a web framework's request are always there, those of a message may be not."""
    if isinstance(carrier, ast.Name) and (origin := _origin(file, carrier)) is not None:
        carrier = origin
    match carrier:
        case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return not name.lower().endswith(("request", "req", "self", "handler"))
        case ast.Call(func=ast.Attribute(attr="get"), args=[_]):
            return True
    return False


def _or_empty(part: Part, *, alone: bool) -> tuple[Part, ...]:
    if not isinstance(part, ast.expr):
        return (part,)
    return (part, " or {}") if alone else ("(", part, " or {})")


def _goes(file: File, node: ast.AST) -> bool:
    """Whether a `try` catches but what propagation raises, and so is taken away."""
    if not isinstance(node, ast.Try):
        return False
    caught = [handler.type for handler in node.handlers if handler.type is not None]
    names = [one.elts if isinstance(one, ast.Tuple) else [one] for one in caught]
    return all(file.symbol(one) in NAMES for group in names for one in group)


def _carrier(file: File, node: ast.expr, *, is_headers: bool) -> tuple[Part, ...]:
    """The carrier with lower-case keys, unless it ignores case or has them already."""
    if (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "dict"
        and len(node.args) == 1
    ):
        inner = node.args[0]
        is_mapping = isinstance(inner, ast.Attribute) and inner.attr == "headers"
        return _lowered(file, inner if is_mapping else node)
    if isinstance(node, ast.Name) and (origin := _origin(file, node)) is not None:
        if isinstance(origin, ast.Dict) and not origin.keys:
            return (node,) if not is_headers else _lowered(file, node)
        if isinstance(origin, ast.Call) and getattr(origin.func, "id", "") == "dict":
            return _lowered(file, node)
        if isinstance(origin, ast.Attribute):
            return (node,)
    if isinstance(node, ast.DictComp) and ".lower()" not in file.text(node.key):
        return _lowered(file, node)
    if isinstance(node, ast.Name) and is_headers:
        return _lowered(file, node)
    return (node,)


def _origin(file: File, node: ast.Name) -> ast.expr | None:
    function = file.function(node)
    bound = [one for one in file.bound.get(node.id, ()) if file.function(one) is function]
    if len(bound) != 1:
        return None
    parent = file.parents[bound[0]]
    return parent.value if isinstance(parent, ast.Assign) else None


def _lowered(file: File, node: ast.expr) -> tuple[Part, ...]:
    return ("{key.lower(): value for key, value in ", *tight(file, node), ".items()}")


@rule.guard("span_context")
def tested(site: Site) -> Change:
    file, node = site.file, site.node
    assert isinstance(node, ast.expr)
    parent = file.parents[node]
    if file.detail(node) in MIXTURES:
        raise CannotRewrite(
            "it may be a span or a context, and each says in its way that it is none"
        )
    change = site.change("asks whether a parent was found")
    trace = change.use("opentelemetry", "trace")
    found: tuple[Part, ...]
    # `is_valid` would take the span that is current here for one that was extracted.
    found = (f"{trace}.get_current_span(", node, ").get_span_context().is_remote")
    if is_partly_unknown(file, node):
        context = change.use("opentelemetry.context", "Context")
        found = ("(", *found, " if isinstance(", node, f", {context}) else ", node, " is not None)")
    if isinstance(parent, ast.Compare):
        absent = isinstance(parent.ops[0], ast.Is | ast.Eq)
        return change.replace(parent, "not " if absent else "", *found)
    if is_parent_or_current(file, parent):
        return change.replace(node, node)
    if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or):
        raise CannotRewrite("`or` gives the other value only if nothing was extracted")
    assert_truth(change, file, parent)
    return change.replace(parent if is_instance_test(parent) else node, *found)
