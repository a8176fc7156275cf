"""`start_span` keeps its name and takes OpenTelemetry's arguments."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.parents import parent_context, span_parent
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.starting import rewrite_start, tags_and_times

rule = define(
    code="JO202",
    title="start_span with OpenTelemetry's arguments",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#creating-spans",
    safety=Safety.SAFE,
    explanation="""\
`tracer.start_span(...)` does not make the span current, neither in OpenTracing nor in
OpenTelemetry, also not as `with tracer.start_span(...)`. So the name stays; `child_of` and
`references` become `context` and `links`, `tags` become `attributes` and `kind`, and seconds
become nanoseconds. The kind has to be known at the start in OpenTelemetry: a
`set_tag(tags.SPAN_KIND, ...)` right after it moves into the call.
""",
    examples=(
        (
            """\
import opentracing

tracer = opentracing.global_tracer()


def handle(request):
    parent = tracer.start_span("handle")
    child = tracer.start_span(operation_name="query", child_of=parent)
    child.finish()
    parent.finish()
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)


def handle(request):
    parent = tracer.start_span("handle")
    child = tracer.start_span("query", context=trace.set_span_in_context(parent))
    child.end()
    parent.end()
""",
        ),
    ),
)


@rule.member("tracer", "start_span")
def start_span(site: Site) -> Change:
    if site.call is None:
        raise CannotRewrite("the method is passed on without being called")
    change = site.change("starts a span with OpenTelemetry's arguments")
    arguments = rewrite_start(site, change)
    if "finish_on_close" in arguments:
        raise CannotRewrite("start_span has no finish_on_close")
    if not change.edits:
        change.replace(site.node, site.node)
    return change


@rule.symbol("opentracing.start_child_span", "opentracing_instrumentation.utils.start_child_span")
def start_child_span(site: Site) -> Change:
    """`start_child_span(parent, name)` starts a span below a given one."""
    call = site.call
    names = ("parent_span", "operation_name", "tags", "start_time")
    if site.construct.startswith("opentracing_instrumentation"):
        names = ("operation_name", "tracer", "parent", "tags")
    arguments = site.arguments(*names)
    change = site.change("starts a child span")
    parent = arguments.get("parent_span") or arguments.get("parent")
    operation = arguments.get("operation_name")
    if operation is None or call is None:
        raise CannotRewrite("it names no operation, and OpenTelemetry wants a span name")
    is_span = parent is not None and site.construct == "opentracing.start_child_span"
    find = span_parent if is_span else parent_context  # the former asks the parent for its tracer
    context = find(change, parent) if parent is not None else None
    given = [("context=", *context)] if context else []
    given += tags_and_times(change, call, arguments)
    tail = [part for one in given for part in (", ", *one)]
    return change.replace(call, change.tracer(), ".start_span(", operation, *tail, ")")


@rule.symbol("opentracing.child_of", "opentracing.follows_from", "opentracing.Reference")
def reference(site: Site) -> Change | Report:
    if (start := _given_to(site.file, site.node)) is not None:
        return site.change("rewritten with the start call it is given to").depends_on(start)
    return Report(
        "a reference is rewritten with the start call it is given to, which is not here",
        "Where the span starts: context= for the parent, links=[trace.Link(context)] for others.",
    )


def _given_to(file: File, reference: ast.AST) -> ast.expr | None:
    """The method that starts a span with a reference, also with one that got a name before."""
    for node in file.ancestors(reference):
        match node:
            case ast.Call(func=method) if method in file.flow.members:
                return method
            case ast.Assign(targets=[ast.Name() as name]):
                given = (_argument_of(file, one) for one in file.uses(name.id, file.function(name)))
                return next((method for method in given if method in file.flow.members), None)
            case ast.stmt():
                return None
    return None


def _argument_of(file: File, name: ast.Name) -> ast.expr | None:
    """The method that is called with `references=name`."""
    around = file.parents[name]
    call = file.parents[around] if isinstance(around, ast.keyword) else None
    return call.func if isinstance(call, ast.Call) else None
