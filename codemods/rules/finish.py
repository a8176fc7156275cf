"""`span.finish()` becomes `span.end()`."""

from __future__ import annotations

import ast

from codemods.emit import argument_of, rename_member, rewrite_arguments
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site
from codemods.values import nanoseconds

rule = define(
    code="JO203",
    title="span.finish() to span.end()",
    url="https://opentelemetry.io/docs/specs/otel/trace/api/#end",
    safety=Safety.SAFE,
    explanation="""\
`finish(finish_time=...)` takes seconds, `end(end_time=...)` integer nanoseconds; a float would be
accepted and be wrong.
""",
    examples=(
        (
            """\
import time

import opentracing

span = opentracing.global_tracer().start_span("work")
span.finish(finish_time=time.time())
""",
            """\
import time

from opentelemetry import trace

tracer = trace.get_tracer(__name__)

span = tracer.start_span("work")
span.end(end_time=time.time_ns())
""",
        ),
    ),
)


@rule.member("span", "finish")
def finish(site: Site) -> Change:
    if isinstance(site.parent, ast.Attribute) and site.call is None:
        raise CannotRewrite("a mock stands for the span")
    change = site.change("ends the span")
    assert isinstance(site.node, ast.Attribute)
    rename_member(change, site.node, "end")
    if site.call is not None:
        arguments = site.arguments("finish_time")
        if (when := arguments.get("finish_time")) is not None:
            value = ("end_time=", *nanoseconds(site.file, when))
            rewrite_arguments(change, site.call, {argument_of(site.call, when): value})
    return change
