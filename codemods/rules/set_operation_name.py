"""`span.set_operation_name()` becomes `span.update_name()`."""

from __future__ import annotations

import ast

from codemods import chain
from codemods.emit import argument_of, rename_member, rewrite_arguments
from codemods.model import Safety
from codemods.registry import define
from codemods.rules.recorded_span import UNPROVED
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO303",
    title="set_operation_name to update_name",
    url="https://opentelemetry.io/docs/specs/otel/trace/api/#updatename",
    safety=Safety.SAFE,
    explanation="`update_name` does the same; it returns None, so chained calls are split.",
    examples=(
        (
            """\
import opentracing


def route(request, name):
    opentracing.tracer.active_span.set_operation_name(name)
""",
            """\
from opentelemetry import trace


def route(request, name):
    trace.get_current_span().update_name(name)
""",
        ),
    ),
)


@rule.member("span", "set_operation_name")
def set_operation_name(site: Site) -> Change:
    change = site.change("renames the span")
    chain.split(change, site)
    assert isinstance(site.node, ast.Attribute)
    assert site.call is not None
    rename_member(change, site.node, "update_name")
    operation = site.arguments("operation_name").get("operation_name")
    if operation is not None and isinstance(argument_of(site.call, operation), ast.keyword):
        rewrite_arguments(change, site.call, {argument_of(site.call, operation): (operation,)})
    return change


@rule.member("span", "operation_name")
def operation_name(site: Site) -> Change:
    """Spans of the SDK that record have a name to read; a test looks at no others."""
    assert isinstance(site.node, ast.Attribute)
    change = site.change("reads the span's name")
    if isinstance(site.node.ctx, ast.Store):
        raise CannotRewrite("the name of a span is set by update_name")
    if site.owner is not None and site.file.detail(site.owner) != "finished":
        change.unsafe = UNPROVED
    rename_member(change, site.node, "name")
    return change
