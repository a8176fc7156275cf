"""Trace and span ids, and the context they are read from."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.emit import rename_member
from codemods.kinds import MIXTURES
from codemods.model import Safety
from codemods.parents import span_context_of
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site, tight
from codemods.values import is_none

rule = define(
    code="JO504",
    title="trace and span ids",
    url="https://opentelemetry.io/docs/specs/otel/trace/api/#spancontext",
    safety=Safety.SAFE,
    explanation="""\
`span.context` becomes `span.get_span_context()`; `trace_id` and `span_id` are integers as before,
but trace ids have 128 bits: whoever formats them gets up to 32 digits instead of 16.
`trace.format_trace_id()` writes all 32. `span_context_to_string` becomes the text it gave, with 0
for a parent's id that only the legacy context knew.
""",
    examples=(
        (
            """\
import opentracing


def trace_header(span: opentracing.Span):
    return "%x" % span.context.trace_id
""",
            """\
from opentelemetry import trace


def trace_header(span: trace.Span):
    return "%x" % span.get_span_context().trace_id
""",
        ),
    ),
)
_WIDER = "Trace ids have 128 bits now: whatever stores or compares the text sees up to 32 digits."


@rule.member("span", "context")
def context(site: Site) -> Change:
    if isinstance(getattr(site.node, "ctx", None), ast.Store):
        raise CannotRewrite("the context of a span cannot be replaced")
    change = site.change("the span's own context")
    if isinstance(site.node, ast.Attribute):
        rename_member(change, site.node, "get_span_context()")
        return change
    assert site.owner is not None
    return change.replace(site.node, site.owner, ".get_span_context()")


@rule.member("span", "trace_id", "span_id")
def own_id(site: Site) -> Change:
    if isinstance(getattr(site.node, "ctx", None), ast.Store):
        raise CannotRewrite("ids of spans cannot be set; an IdGenerator makes them")
    assert site.owner is not None
    change = site.change("reads the id", advice=_WIDER if site.member == "trace_id" else "")
    return change.replace(site.node, site.owner, f".get_span_context().{site.member}")


@rule.member("span_context", "trace_id", "span_id")
def context_id(site: Site) -> Change:
    if isinstance(getattr(site.node, "ctx", None), ast.Store):
        raise CannotRewrite("ids of spans cannot be set; an IdGenerator makes them")
    assert site.owner is not None
    change = site.change("reads the id", advice=_WIDER if site.member == "trace_id" else "")
    return change.replace(site.node, *_span_context(site, change), f".{site.member}")


def _span_context(site: Site, change: Change) -> tuple[Part, ...]:
    """The owner as a SpanContext, where it is a Context after rewriting."""
    assert site.owner is not None
    detail = site.file.detail(site.owner)
    if detail == "extracted":
        return span_context_of(change, site.owner)
    if detail in MIXTURES:
        return ("(", *span_context_of(change, site.owner), ")")
    if detail != "of span" and not isinstance(site.owner, ast.Attribute):
        change.unsafe = f"`{site.file.text(site.owner)}` is the context of a span, not extracted"
    return (site.owner,)


@rule.member("span_context", "flags")
def flags(site: Site) -> Change:
    assert site.owner is not None
    change = site.change("reads the trace flags")
    return change.replace(site.node, *_span_context(site, change), ".trace_flags")


@rule.symbol("jaeger_client.codecs.span_context_to_string")
def written_as_header(site: Site) -> Change:
    """The text of `uber-trace-id`; its parent's id is deprecated, and read by nobody."""
    parts = ("trace_id", "span_id", "parent_id", "flags")
    values = site.arguments(*parts)
    if site.call is None or values.keys() != {*parts}:
        raise CannotRewrite("it wants four numbers")
    trace_id, span_id, parent, flags = (values[part] for part in parts)
    members = site.file.flow.members
    if any(isinstance(one, ast.Attribute) and one not in members for one in values.values()):
        raise CannotRewrite("it is not known what its numbers are read of")
    change = site.change("the text of `uber-trace-id`", advice=_WIDER)
    change.depends_on(trace_id, span_id, flags)
    lost = is_none(parent) or parent in members
    number: tuple[Part, ...] = ("0",) if lost else ("(", parent, ") or 0")
    text = '"{:x}:{:x}:{:x}:{:x}".format('
    shown = (trace_id, ", ", span_id, ", ", *number, ", ", *tight(site.file, flags), " & 1)")
    return change.replace(site.call, text, *shown)


@rule.member("span", "is_sampled")
def is_sampled(site: Site) -> Change:
    assert site.owner is not None
    change = site.change("asks whether the span is recorded")
    return change.replace(site.call or site.node, site.owner, ".is_recording()")


@rule.member("span", "tracer")
def tracer(site: Site) -> Change:
    change = site.change("spans do not know their tracer; the module's is used")
    match site.node:
        case ast.Call(args=[owner, _, default]):  # `getattr(span, "tracer", None)` of no span
            active = site.file.detail(owner) == "active"
            there = ".get_span_context().is_valid" if active else " is not None"
            parts = (change.tracer(), " if ", owner, there, " else ", default)
            if isinstance(site.parent, ast.Assign):
                return change.replace(site.node, *parts)
            return change.replace(site.node, "(", *parts, ")")
    return change.replace(site.node, change.tracer())


@rule.member("span", "parent_id")
@rule.member("span_context", "parent_id")
def parent_id(site: Site) -> Change | Report:
    owner = site.owner
    if owner is not None and site.file.detail(owner) == "finished":
        change = site.change("the parent's id")
        return change.replace(
            site.node, "(", owner, ".parent.span_id if ", owner, ".parent else None)"
        )
    return Report(
        "only spans of the SDK know their parent",
        "Read `span.parent.span_id` of a ReadableSpan, in a processor, an exporter or a test.",
    )
