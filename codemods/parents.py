"""The parent of a span as a context: of a span, of its own context, extracted, or told apart."""

from __future__ import annotations

import ast
import re

from codemods.edits import Part
from codemods.kinds import MIXTURES
from codemods.site import CannotRewrite, Change, File, tight
from codemods.values import is_none, may_be_none

PARENTS = frozenset({"span", "scope", "span_context"})


def context_of(change: Change, node: ast.expr) -> tuple[Part, ...] | None:
    """The context of what is surely a span or a span's context, for `inject`."""
    parts = parent_context(change, node)
    if parts and str(parts[-1]).endswith(" else None"):
        end = parts.index(") if ")
        return (*parts[:end], ")")
    return parts


def parent_context(change: Change, node: ast.expr) -> tuple[Part, ...] | None:
    """The value of `context=` for a `child_of`; None where there is no parent to name."""
    file = change.file
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | None):
        return None
    if isinstance(node, ast.IfExp):
        chosen = parent_context(change, node.body) or ("None",)
        other = parent_context(change, node.orelse) or ("None",)
        return (*chosen, " if ", *tight(file, node.test), " else ", *other)
    if isinstance(node, ast.BoolOp):
        return _chosen_parent(change, node)
    kind = file.kind(node)
    if kind in PARENTS and is_partly_unknown(file, node):
        return _any_parent(change, node)
    if kind == "span_context":
        return _context_parent(change, node)
    if kind in ("span", "scope"):
        return span_parent(change, node)
    return _guessed_parent(change, node)


def _chosen_parent(change: Change, node: ast.BoolOp) -> tuple[Part, ...] | None:
    """Of `parent or tracer.active_span` and `span and span.context`."""
    file = change.file
    first, last = node.values[0], node.values[-1]
    if is_parent_or_current(file, node):
        return parent_context(change, first)
    if len(node.values) == 2 and isinstance(node.op, ast.And):
        given = last.value if isinstance(last, ast.Attribute) else last
        if file.text(given) == file.text(first) and file.kind(first) in ("span", "scope"):
            trace = change.use("opentelemetry", "trace")
            return (f"{trace}.set_span_in_context(", given, ") if ", first, " else None")
    raise CannotRewrite("the parent is chosen with `and`/`or`")


def is_parent_or_current(file: File, node: ast.AST) -> bool:
    """Whether it is `child_of=parent or tracer.active_span`: the current one is it anyway."""
    if not (isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2):
        return False
    around = file.parents[node]
    given = isinstance(around, ast.Call) or getattr(around, "arg", "") == "child_of"
    return given and (file.detail(node.values[1]) == "active" or is_none(node.values[1]))


def is_given_to_tracer(file: File, node: ast.AST) -> bool:
    """Whether it is an argument of a start call or `inject`, which tells its parts apart."""
    around = file.parents[node]
    call = file.parents[around] if isinstance(around, ast.keyword) else around
    method = file.flow.members.get(call.func) if isinstance(call, ast.Call) else None
    return method is not None and method.kind == "tracer"


def is_partly_unknown(file: File, node: ast.expr) -> bool:
    """Whether a variable is also bound to what nothing is known of, as a ContextVar's value."""
    if not isinstance(node, ast.Name):
        return False
    function = file.function(node)
    values = [
        getattr(file.parents[one], "value", None)
        for one in file.bound.get(node.id, ())
        if file.function(one) is function
    ]
    return any(isinstance(one, ast.expr) and not _is_known(file, one) for one in values)


def _is_known(file: File, value: ast.expr) -> bool:
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            return _is_known(file, body) and _is_known(file, orelse)
        case ast.BoolOp(values=values):
            return all(_is_known(file, one) for one in values)
        case ast.Constant():
            return True
    return file.kind(value) in PARENTS


def span_parent(change: Change, span: ast.expr) -> tuple[Part, ...]:
    """A context whose current span is `span`; None at run time stays None."""
    file = change.file
    trace = change.use("opentelemetry", "trace")
    head: tuple[Part, ...] = (f"{trace}.set_span_in_context(", span)
    if may_be_none(file, span):
        return (*head, ") if ", *tight(file, span), " is not None else None")
    if _is_kept_active(file, span):
        return (*head, ") if ", span, ".get_span_context().is_valid else None")
    return (*head, ")")


def _is_kept_active(file: File, span: ast.expr) -> bool:
    """Whether it was active elsewhere; where no span was, the one active now is the parent."""
    if file.detail(span) != "active" or span in file.flow.members:
        return False
    if isinstance(span, ast.Name):
        bound = file.bound.get(span.id, ())
        return not any(file.function(one) is file.function(span) for one in bound)
    return isinstance(span, ast.Attribute)


def _context_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    file = change.file
    if isinstance(node, ast.Attribute) and file.kind(node.value) == "span":
        return span_parent(change, node.value)
    detail = file.detail(node)
    if detail == "extracted":
        return (node,)
    trace = change.use("opentelemetry", "trace")
    held = (f"{trace}.set_span_in_context({trace}.NonRecordingSpan(", node, "))")
    if detail == "of span":
        return held
    if detail == "mixed":
        return (*held, *_if(change, node, "SpanContext"), node)
    if detail == "span or extracted":
        return (f"{trace}.set_span_in_context(", node, ")", *_if(change, node, "Span"), node)
    return _any_parent(change, node)


def _any_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    """Asks at run time what a parent is: a span, its own context, or what `extract` gave."""
    trace = change.use("opentelemetry", "trace")
    span = (f"{trace}.set_span_in_context(", node, ")", *_if(change, node, "Span"))
    held = (f"{trace}.set_span_in_context({trace}.NonRecordingSpan(", node, "))")
    return (*span, *held, *_if(change, node, "SpanContext"), node)


def _if(change: Change, node: ast.expr, cls: str) -> tuple[Part, ...]:
    """Asks at run time which of two a parent is: what `extract` gave, or one of a class."""
    if not isinstance(node, ast.Name | ast.Attribute):
        raise CannotRewrite("the parent may be one of two things; give it a name first")
    trace = change.use("opentelemetry", "trace")
    return (" if isinstance(", node, f", {trace}.{cls}) else ")


def span_context_of(change: Change, node: ast.expr) -> tuple[Part, ...]:
    """The `SpanContext` of a legacy context that may be a `Context` after rewriting."""
    trace = change.use("opentelemetry", "trace")
    current = (f"{trace}.get_current_span(", node, ").get_span_context()")
    detail = change.file.detail(node)
    if detail == "mixed" or (detail == "" and isinstance(node, ast.Name | ast.Attribute)):
        return (node, *_if(change, node, "SpanContext"), *current)
    if detail in MIXTURES:
        raise CannotRewrite("it may be a span or a context")
    return current


def _guessed_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    file = change.file
    text = file.text(node)
    is_named = re.search(r"span\W*$", text, re.IGNORECASE) and _comes_from_outside(file, node)
    if not is_named and isinstance(node, ast.Name | ast.Attribute):
        return _any_parent(change, node)
    if not is_named:
        change.unsafe = f"`{text}` is a span, or None"
    trace = change.use("opentelemetry", "trace")
    return (
        f"{trace}.set_span_in_context(",
        node,
        ") if ",
        *tight(file, node),
        " is not None else None",
    )


def _comes_from_outside(file: File, node: ast.expr) -> bool:
    """Whether a thing is a parameter or an attribute, so that its name is all we know of it."""
    if not isinstance(node, ast.Name):
        return isinstance(node, ast.Attribute)
    bound = file.bound.get(node.id, ())
    return bool(bound) and all(isinstance(one, ast.arg) for one in bound)
