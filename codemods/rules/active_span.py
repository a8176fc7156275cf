"""`tracer.active_span` becomes `trace.get_current_span()`, and tests of it ask for validity."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.model import Safety
from codemods.parents import is_given_to_tracer, is_parent_or_current
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Site, tight
from codemods.sites import assert_truth, is_instance_test, is_returned

rule = define(
    code="JO501",
    title="the active span",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#get-the-current-span",
    safety=Safety.SAFE,
    explanation="""\
`tracer.active_span` is None when no span is active; `trace.get_current_span()` then gives an
invalid span, which is true. So `if span:` and `span is None` become
`span.get_span_context().is_valid`. A function that returns the active span gives None where there
is none, as before, since not all who call it can be seen.
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
    if is_returned(file, node):
        return _or_none(site, node)
    parent = file.parents[node]
    change = site.change("asks whether there is a valid span")
    none = _may_be_none(file, node)
    place = parent if is_instance_test(parent) else node
    valid: tuple[Part, ...] = (*tight(file, node), ".get_span_context().is_valid")
    if isinstance(parent, ast.Compare):
        absent = isinstance(parent.ops[0], ast.Is | ast.Eq)
        around = file.parents[parent]
        text: tuple[Part, ...] = (f"{'not ' if absent else ''}", *valid)
        if none:
            text = (node, " is None or " if absent else " is not None and ", *text)
        if isinstance(around, ast.BoolOp if none else ()) or (
            (absent or none)
            and not isinstance(around, ast.If | ast.While | ast.Assert | ast.IfExp | ast.BoolOp)
        ):
            text = ("(", *text, ")")
        return change.replace(parent, *text)
    if isinstance(parent, ast.BoolOp) and not _is_condition(site, parent):
        is_it = isinstance(parent.op, ast.And) and file.detail(parent) == "active"  # its own span
        if is_it or parent.values[-1] is node or is_parent_or_current(file, parent):
            return change.replace(node, node)
        if len(parent.values) == 2 and not is_given_to_tracer(file, parent):
            asked: tuple[Part, ...] = (node, " is not None and ", *valid) if none else valid
            return _chosen(change, parent, asked)
        if isinstance(parent.op, ast.Or):
            raise CannotRewrite("`or` gives the other value only if there is no span at all")
    if none:
        valid = (node, " is not None and ", *valid)
        valid = valid if isinstance(parent, ast.If | ast.While | ast.Call) else ("(", *valid, ")")
    assert_truth(change, file, parent)
    return change.replace(place, *valid)


def _chosen(change: Change, node: ast.BoolOp, valid: tuple[Part, ...]) -> Change:
    """`span and span.context` gives None where there is no span, `span or other` the other."""
    file = change.file
    first, second = node.values
    chosen: tuple[Part, ...] = (*tight(file, second), " if ", *valid, " else None")
    if isinstance(node.op, ast.Or):
        chosen = (first, " if ", *valid, " else ", *tight(file, second))
    if not isinstance(file.parents[node], ast.Return | ast.Lambda | ast.Assign):
        chosen = ("(", *chosen, ")")
    return change.replace(node, *chosen)


def _or_none(site: Site, node: ast.expr) -> Change:
    """Whoever calls may ask whether it is None, and is not always seen."""
    change = site.change("gives None where no span is active")
    is_span: tuple[Part, ...] = (node, ".get_span_context().is_valid")
    if _may_be_none(site.file, node):
        is_span = (node, " is not None and ", *is_span)
    text: tuple[Part, ...] = (node, " if ", *is_span, " else None")
    if not isinstance(site.file.parents[node], ast.Return | ast.Lambda):
        text = ("(", *text, ")")
    return change.replace(node, *text)


def _may_be_none(file: File, node: ast.expr) -> bool:
    """Whether a variable may hold what is no span at all, beside the current one."""
    if not isinstance(node, ast.Name):
        known = file.flow.members.keys() | file.flow.symbols.keys()
        return isinstance(node, ast.Attribute) and node not in known
    bound = [
        one for one in file.bound.get(node.id, ()) if file.function(one) is file.function(node)
    ]
    return not bound or any(
        not isinstance(parent := file.parents[one], ast.Assign | ast.NamedExpr)
        or isinstance(parent.value, ast.Name)
        or file.detail(parent.value) != "active"
        for one in bound
    )


def _is_condition(site: Site, node: ast.AST) -> bool:
    """Whether the value of an `and`/`or` is only tested, not used."""
    parent = site.file.parents[node]
    if isinstance(parent, ast.BoolOp) or (
        isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)
    ):
        return isinstance(parent, ast.UnaryOp) or _is_condition(site, parent)
    return isinstance(parent, ast.If | ast.While | ast.IfExp | ast.Assert) and parent.test is node
