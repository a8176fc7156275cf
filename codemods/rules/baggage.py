"""Baggage moves from the span to the context."""

from __future__ import annotations

import ast

from codemods import chain
from codemods.model import Safety
from codemods.registry import define
from codemods.rules.inject import is_current
from codemods.site import CannotRewrite, Change, Report, Site
from codemods.values import value_type

rule = define(
    code="JO405",
    title="baggage in the context",
    url="https://opentelemetry.io/docs/specs/otel/baggage/api/",
    safety=Safety.SAFE,
    explanation="""\
In OpenTracing baggage belongs to a span and its children, in OpenTelemetry to the context. What is
attached inside the block of a span is visible to its children and to `inject`, and gone when the
block ends. For a span that is not current, the rewrite needs `--unsafe`.
""",
    examples=(
        (
            """\
import opentracing

tracer = opentracing.global_tracer()


def hello(greeting):
    with tracer.start_active_span("hello") as scope:
        scope.span.set_baggage_item("greeting", greeting)
        return scope.span.get_baggage_item("greeting")
""",
            """\
from opentelemetry import baggage, context, trace

tracer = trace.get_tracer(__name__)


def hello(greeting):
    with tracer.start_as_current_span("hello") as span:
        context.attach(baggage.set_baggage("greeting", str(greeting)))
        return baggage.get_baggage("greeting")
""",
        ),
    ),
)


@rule.member("span", "set_baggage_item")
def set_baggage_item(site: Site) -> Change:
    call, owner = site.call, site.owner
    arguments = site.arguments("key", "value")
    key, value = arguments.get("key"), arguments.get("value")
    if call is None or owner is None or key is None or value is None:
        raise CannotRewrite("it wants a key and a value")
    if not isinstance(site.statement, ast.Expr) or site.statement.value is not call:
        chain.split(site.change(""), site)
        raise CannotRewrite("its result is used")
    change = site.change("baggage belongs to the context")
    if not is_current(site.file, owner, call):
        change.unsafe = f"`{site.file.text(owner)}` is the current span"
    text = (value,) if value_type(site.file, value) == "str" else ("str(", value, ")")
    attach = f"{change.use('opentelemetry', 'context')}.attach"
    setter = f"{change.use('opentelemetry', 'baggage')}.set_baggage"
    return change.replace(call, f"{attach}({setter}(", key, ", ", *text, "))")


@rule.member("span", "get_baggage_item")
def get_baggage_item(site: Site) -> Change:
    call, owner = site.call, site.owner
    key = site.arguments("key").get("key")
    if call is None or owner is None or key is None:
        raise CannotRewrite("it wants a key")
    change = site.change("baggage belongs to the context")
    if not is_current(site.file, owner, call):
        change.unsafe = f"`{site.file.text(owner)}` is the current span"
    getter = f"{change.use('opentelemetry', 'baggage')}.get_baggage"
    return change.replace(call, f"{getter}(", key, ")")


@rule.member("span_context", "baggage")
def baggage(site: Site) -> Change | Report:
    if site.file.detail(site.node) or site.owner is None:
        return Report("baggage is in the context now", "Read it with baggage.get_all(context).")
    change = site.change("baggage belongs to the context", unsafe="its span is the current one")
    return change.replace(site.node, f"{change.use('opentelemetry', 'baggage')}.get_all()")
