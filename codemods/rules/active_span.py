"""`tracer.active_span` becomes `trace.get_current_span()`, and tests of it ask for validity."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Site, tight

rule = define(
    code="JO501",
    title="the active span",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#get-the-current-span",
    safety=Safety.SAFE,
    explanation="""\
`tracer.active_span` is None when no span is active; `trace.get_current_span()` then gives an
invalid span, which is true. So `if span:` and `span is None` become
`span.get_span_context().is_valid`.
""",
    examples=(
        (
            """\
import opentracing


def tag(user):
    span = opentracing.tracer.active_span
    if span is not None:
        span.set_tag("user", str(user))
""",
            """\
from opentelemetry import trace


def tag(user):
    span = trace.get_current_span()
    if span.get_span_context().is_valid:
        span.set_attribute("user", str(user))
""",
        ),
    ),
)


@rule.member("tracer", "active_span")
def active_span(site: Site) -> Change:
    if isinstance(getattr(site.node, "ctx", None), ast.Store):
        raise CannotRewrite("active_span is assigned to")
    return _current(site)


@rule.member("scope_manager", "active")
def active_scope(site: Site) -> Change:
    return _current(site)


@rule.symbol("opentracing_instrumentation.get_current_span")
def get_current_span(site: Site) -> Change:
    if site.call is None:
        raise CannotRewrite("the function is passed on without being called")
    change = site.change("the current span")
    return change.replace(site.call, f"{change.use('opentelemetry', 'trace')}.get_current_span()")


def _current(site: Site) -> Change:
    change = site.change("the current span")
    return change.replace(site.node, f"{change.use('opentelemetry', 'trace')}.get_current_span()")


@rule.guard("span", "scope")
def tested(site: Site) -> Change:
    file, node = site.file, site.node
    assert isinstance(node, ast.expr)
    parent = file.parents[node]
    change = site.change("asks whether there is a valid span")
    valid = (*tight(file, node), ".get_span_context().is_valid")
    if isinstance(parent, ast.Compare):
        absent = isinstance(parent.ops[0], ast.Is | ast.Eq)
        around = file.parents[parent]
        text: tuple[Part, ...] = (f"{'not ' if absent else ''}", *valid)
        none = _may_be_none(file, node)
        if none:
            text = (node, " is None or " if absent else " is not None and ", *text)
        if isinstance(around, ast.BoolOp if none else ()) or (
            (absent or none)
            and not isinstance(around, ast.If | ast.While | ast.Assert | ast.IfExp | ast.BoolOp)
        ):
            text = ("(", *text, ")")
        return change.replace(parent, *text)
    if isinstance(parent, ast.BoolOp) and not _is_condition(site, parent):
        if parent.values[-1] is node:
            return change.replace(node, node)
        if isinstance(parent.op, ast.Or):
            raise CannotRewrite("`or` gives the other value only if there is no span at all")
    return change.replace(node, *valid)


def _may_be_none(file: File, node: ast.expr) -> bool:
    """Whether a name holds what a function of the project gives, which may be no span at all."""
    if not isinstance(node, ast.Name):
        return False
    known = file.flow.symbols.keys() | file.flow.members.keys()
    return any(
        isinstance(parent := file.parents[bound], ast.Assign)
        and isinstance(parent.value, ast.Call)
        and parent.value.func not in known
        for bound in file.bound.get(node.id, ())
        if file.function(bound) is file.function(node)
    )


def _is_condition(site: Site, node: ast.AST) -> bool:
    """Whether the value of an `and`/`or` is only tested, not used."""
    parent = site.file.parents[node]
    if isinstance(parent, ast.BoolOp) or (
        isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)
    ):
        return isinstance(parent, ast.UnaryOp) or _is_condition(site, parent)
    return isinstance(parent, ast.If | ast.While | ast.IfExp | ast.Assert) and parent.test is node
