"""Exceptions of `inject` and `extract`, which OpenTelemetry's never raise."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.registry import define
from codemods.site import Change, Report, Site
from codemods.source import Span

rule = define(
    code="JO404",
    title="exceptions of propagation",
    url="https://opentelemetry.io/docs/specs/otel/context/api-propagators/#operations",
    safety=Safety.SAFE,
    explanation="""\
`propagate.extract` and `propagate.inject` never raise, so a `try` around them that catches only
their exceptions goes. Where more stands inside it, the handler stays as dead code (`except ():`)
until someone deletes it.
""",
    examples=(
        (
            """\
import opentracing
from opentracing import Format, SpanContextCorruptedException

tracer = opentracing.global_tracer()


def parent_of(request):
    try:
        parent = tracer.extract(Format.HTTP_HEADERS, request.headers)
    except SpanContextCorruptedException:
        parent = None
    return parent
""",
            """\
from opentelemetry import context, propagate, trace

tracer = trace.get_tracer(__name__)


def parent_of(request):
    parent = propagate.extract(request.headers, context=context.get_current())
    return parent
""",
        ),
    ),
)
NAMES = tuple(
    f"opentracing.{name}"
    for name in (
        "InvalidCarrierException",
        "SpanContextCorruptedException",
        "UnsupportedFormatException",
    )
)


@rule.symbol(*NAMES)
def propagation_error(site: Site) -> Change | Report:
    handler = _handler(site)
    if handler is None:
        return Report(
            "OpenTelemetry's propagation raises nothing, and has no exception of this meaning",
            "Raise or catch an exception of your own.",
        )
    file = site.file
    statement = file.parents[handler]
    assert isinstance(statement, ast.Try)
    raising = [
        node
        for node, owner in file.flow.members.items()
        if owner.kind == "tracer" and getattr(node, "attr", "") in ("extract", "inject")
    ]
    change = site.change("extract and inject no longer raise").depends_on(*raising)
    if not raising:
        change.unsafe = "what is called in the `try` is rewritten too, and raises it no more"
    if any(
        isinstance(one, ast.Return | ast.Raise | ast.Continue | ast.Break) for one in handler.body
    ):
        change.advise(
            "A header that cannot be read is none now, and what follows begins a trace, where the "
            "handler left."
        )
    others = _others(site, handler)
    if others:
        return _keep(change, handler, others)
    if len(statement.handlers) > 1:
        start = file.source.line_start(file.span(handler).start)
        end = file.source.line_end(file.span(handler).end)
        return change.replace(Span(start, end))
    simple = all(
        isinstance(one, ast.Assign | ast.Expr | ast.Return | ast.AnnAssign)
        for one in statement.body
    )
    if simple and not statement.finalbody and not statement.orelse:
        return change.replace_statement(statement, *statement.body)
    change.advice = "Delete the handler, which catches nothing any more, and its `try`."
    assert handler.type is not None
    return change.replace(handler.type, "()")


def _handler(site: Site) -> ast.ExceptHandler | None:
    """The handler that catches this name."""
    parent = site.file.parents[site.node]
    if isinstance(parent, ast.Tuple):
        parent = site.file.parents[parent]
    return parent if isinstance(parent, ast.ExceptHandler) else None


def _others(site: Site, handler: ast.ExceptHandler) -> list[ast.expr]:
    """The other exceptions the handler catches."""
    if not isinstance(handler.type, ast.Tuple):
        return []
    return [one for one in handler.type.elts if site.file.symbol(one) not in NAMES]


def _keep(change: Change, handler: ast.ExceptHandler, others: list[ast.expr]) -> Change:
    assert handler.type is not None
    if len(others) == 1:
        return change.replace(handler.type, others[0])
    parts: list[str | ast.expr] = ["("]
    for index, other in enumerate(others):
        parts.extend((", " if index else "", other))
    return change.replace(handler.type, *parts, ")")
