"""`span.set_tag()` becomes `set_attribute`, `set_status`, or the kind in the start call."""

from __future__ import annotations

import ast
import re

from codemods import chain
from codemods.edits import Part
from codemods.emit import is_statement, rename_member
from codemods.model import Safety
from codemods.names import SEMCONV
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Report, Site
from codemods.source import Span
from codemods.starting import is_hoisted
from codemods.values import attribute_value, literal_key, value_type

rule = define(
    code="JO301",
    title="set_tag to set_attribute, set_status or kind",
    url="https://opentelemetry.io/docs/specs/otel/compatibility/opentracing/#set-tag",
    safety=Safety.SAFE,
    explanation="""\
`set_tag` takes any value and stringifies it; `set_attribute` drops what is not a string, a number
or a boolean, so values of unknown type are wrapped in `str()`. `error: True` becomes the status.
`span.kind` set right after the start moves into the start call, where OpenTelemetry wants it.
Chained calls are split, because `set_attribute` returns None.
`http.status_code`: Jaeger derived an error from it for spans of its own clients, and does not for
OpenTelemetry's; where the red mark matters, set the status.
""",
    examples=(
        (
            """\
import opentracing
from opentracing.ext import tags

tracer = opentracing.global_tracer()


def call(url, user):
    with tracer.start_active_span("call") as scope:
        scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
        scope.span.set_tag("user", user).set_tag("retries", 3)
        try:
            return fetch(url)
        except OSError:
            scope.span.set_tag(tags.ERROR, True)
            raise
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)


def call(url, user):
    with tracer.start_as_current_span("call", kind=trace.SpanKind.CLIENT) as span:
        span.set_attribute("user", str(user))
        span.set_attribute("retries", 3)
        try:
            return fetch(url)
        except OSError:
            span.set_status(trace.StatusCode.ERROR)
            raise
""",
        ),
    ),
)

# What a key that other files name may be, by its name.
_MEANT = re.compile(r"ERROR$|KIND$", re.IGNORECASE)
_ADVICE = {
    "error": "If the key is `error`, set the status: trace.StatusCode.ERROR.",
    "kind": "If the key is `span.kind`, give `kind=` to the call that starts the span.",
    "": "If the key can be `error` or `span.kind`: set the status, give `kind=` at the start.",
}


@rule.member("span", "set_tag")
def set_tag(site: Site) -> Change | Report:
    change = site.change("sets an attribute")
    assert isinstance(site.node, ast.Attribute)
    if site.call is None:
        raise CannotRewrite("the method is passed on without being called")
    arguments = site.arguments("key", "value")
    key, value = arguments.get("key"), arguments.get("value")
    if key is None or value is None:
        raise CannotRewrite("it wants a key and a value")
    name = literal_key(site.file, key)
    if name == "sampling.priority":
        change.message = "keeps the wish to be sampled as an attribute"
        change.unsafe = "a collector that samples by the attribute sampling.priority sees all spans"
        change.advice = "OpenTelemetry cannot force the sampling of a span after its start."
    if name == "span.kind" and (start := is_hoisted(site.file, site.call)) is not None:
        assert isinstance(start.func, ast.Attribute)
        change.message = "the kind moves into the call that starts the span"
        return change.remove(site.statement).depends_on(start.func)
    chain.split(change, site)
    if name == "error" and _error(site, change, value):
        return change
    rename_member(change, site.node, "set_attribute")
    _rename_key(site, change, key, name)
    parts = attribute_value(site.file, value, name)
    if len(parts) > 1:
        change.replace(value, *parts)
    if name == "span.kind":
        change.message = "kept as an attribute; the kind itself is fixed when a span starts"
        change.advice = "Give `kind=` to the call that starts this span."
    elif name == "http.status_code":
        change.advice = "Jaeger no longer derives an error from it; set the status where it counts."
    elif not name and (meant := _MEANT.search(site.file.text(key))):
        change.advice = _ADVICE[meant[0].lower()]
    elif not name and isinstance(key, ast.Name):  # of a parameter or a loop: any
        change.advice = _ADVICE[""]
    return change


def _rename_key(site: Site, change: Change, key: ast.expr, name: str) -> None:
    new = SEMCONV.get(name)
    if isinstance(key, ast.Constant) and isinstance(key.value, int | float):
        change.replace(key, f'"{key.value}"')  # OpenTelemetry drops other keys
    if site.options.semconv and new and isinstance(key, ast.Constant):
        change.replace(key, f'"{new}"')


def _error(site: Site, change: Change, value: ast.expr) -> bool:
    """Write the status for a boolean error tag; False where it stays an attribute."""
    file, call = site.file, site.call
    assert isinstance(site.node, ast.Attribute)
    assert call is not None
    constant = value.value if isinstance(value, ast.Constant) else None
    true = constant is True or (isinstance(constant, str) and constant.lower() == "true")
    if true:
        change.message = "the error tag becomes the status"
        _status(site, change)
        return True
    statement = is_statement(site)
    if statement is not None and value_type(file, value) == "bool" and constant is None:
        newline = file.source.newline + file.source.indentation(file.span(statement).start)
        change.message = "the error tag becomes the status"
        _status(site, change, ("if ", value, f":{newline}{file.source.indent}"))
        return True
    if constant is None and not value_type(file, value) and not _is_exception(site, value):
        change.unsafe = f"`{file.text(value)}` is a text, not a boolean"
    return False


def _status(site: Site, change: Change, head: tuple[Part, ...] = ()) -> None:
    file, node, call = site.file, site.node, site.call
    assert isinstance(node, ast.Attribute)
    assert call is not None
    trace = change.use("opentelemetry", "trace")
    end = file.span(node).end
    change.replace(
        Span(end - len(node.attr), file.span(call).end), f"set_status({trace}.StatusCode.ERROR)"
    )
    if head:
        at = file.span(call).start
        change.replace(Span(at, at), *head)


def _is_exception(site: Site, value: ast.expr) -> bool:
    """Whether a value is the exception of a handler around it."""
    return isinstance(value, ast.Name) and any(
        isinstance(ancestor, ast.ExceptHandler) and ancestor.name == value.id
        for ancestor in site.file.ancestors(value)
    )
