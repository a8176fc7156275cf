"""Legacy classes in annotations and `isinstance`."""

from __future__ import annotations

import ast

from codemods.kinds import QUOTED
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site

rule = define(
    code="JO503",
    title="types",
    url="https://opentelemetry-python.readthedocs.io/en/latest/api/trace.html",
    safety=Safety.SAFE,
    explanation="""\
`Tracer`, `Span` and `SpanContext` exist in both worlds. A scope becomes its span, so `Scope`
becomes `Span`. Classes that derive from legacy ones are reported.
""",
    examples=(
        (
            """\
from typing import Optional

from opentracing import Span, Tracer


def start(tracer: Tracer, parent: Optional[Span] = None) -> Span:
    return tracer.start_span("work")
""",
            """\
from typing import Optional

from opentelemetry import trace


def start(tracer: trace.Tracer, parent: Optional[trace.Span] = None) -> trace.Span:
    return tracer.start_span("work")
""",
        ),
    ),
)
_CLASSES = {
    "opentracing.Tracer": "Tracer",
    "opentracing.Span": "Span",
    "opentracing.Scope": "Span",
    "jaeger_client.Tracer": "Tracer",
    "jaeger_client.Span": "Span",
    "opentelemetry.shim.opentracing_shim.TracerShim": "Tracer",
    "opentelemetry.shim.opentracing_shim.SpanShim": "Span",
    "opentelemetry.shim.opentracing_shim.ScopeShim": "Span",
}
_CONTEXTS = ("opentracing.SpanContext", "jaeger_client.SpanContext")


@rule.symbol(*(name for name in _CLASSES if name != "jaeger_client.Tracer"))
def known_type(site: Site) -> Change | Report:
    if site.call is not None:
        return _made(site)
    if _is_base(site):
        return _DERIVED
    change = site.change("the class of the same meaning")
    return _written(change, site.node, f"{_trace(change)}.{_CLASSES[site.construct]}")


def _trace(change: Change) -> str:
    return change.use("opentelemetry", "trace")


def _written(change: Change, node: ast.AST, name: str) -> Change:
    """A class in the place of another, in the quotes that it may have to be in."""
    if isinstance(node, ast.Constant):
        quote = change.file.text(node)[0]
        if quote not in "'\"":
            raise CannotRewrite("the annotation is written in an unusual way")
        name = f"{quote}{name}{quote}"
    return change.replace(node, name)


@rule.symbol(QUOTED)
def quoted_annotation(site: Site) -> Change:
    """`"opentracing.Span | None"`: the names inside the string."""
    node = site.node
    assert isinstance(node, ast.Constant)
    written = site.file.text(node)
    quote, text = written[0], written[1:-1]
    if text != node.value or not text.isascii():
        raise CannotRewrite("the annotation is written in an unusual way")
    change = site.change("the classes of the same meaning")
    trace = change.use("opentelemetry", "trace")
    for start, end, symbol in sorted(site.file.flow.quoted[node], reverse=True):
        name = _CLASSES.get(symbol)
        if symbol in _CONTEXTS:  # of a span, or extracted
            name = f"SpanContext | {change.use('opentelemetry.context', 'Context')}"
        if name is None:
            raise CannotRewrite(f"{symbol} in it has no counterpart")
        text = f"{text[:start]}{trace}.{name}{text[end:]}"
    return change.replace(node, f"{quote}{text}{quote}")


@rule.symbol(*_CONTEXTS)
def span_context(site: Site) -> Change | Report:
    if site.call is not None:
        return Report(
            "a context made by hand",
            "trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=...) in a "
            "trace.NonRecordingSpan; ids of running spans cannot be changed.",
        )
    if _is_base(site):
        return _DERIVED
    change = site.change("the class of the same meaning")
    parent = site.file.parents[site.node]
    if isinstance(parent, ast.arg) and site.file.detail(parent) != "of span":
        context = change.use("opentelemetry.context", "Context")
        if site.file.detail(parent) == "mixed":
            return change.replace(site.node, f'"{context} | {_trace(change)}.SpanContext"')
        if site.file.detail(parent) != "extracted":
            change.unsafe = "what is passed here comes from `extract`"
        return _written(change, site.node, context)
    return _written(change, site.node, f"{_trace(change)}.SpanContext")


_DERIVED = Report(
    "the class derives from a legacy class",
    "Decide what it is for: an OpenTelemetry SpanProcessor, Sampler or propagator usually "
    "replaces it.",
)


def _is_base(site: Site) -> bool:
    parent = site.file.parents[site.node]
    return isinstance(parent, ast.ClassDef) and site.node in parent.bases


def _made(site: Site) -> Change | Report:
    """`opentracing.Tracer()` is the tracer that does nothing."""
    call = site.call
    if site.construct == "opentracing.Tracer" and call is not None:
        change = site.change("the tracer that does nothing")
        return change.replace(call, f"{change.use('opentelemetry', 'trace')}.NoOpTracer()")
    return Report(
        f"{site.construct} is made by hand", "Let a tracer of an OpenTelemetry provider make it."
    )
