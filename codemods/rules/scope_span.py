"""`scope.span` becomes the span itself."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.registry import define
from codemods.scopes import is_alias, is_unentered, variable
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO204",
    title="scope.span to the span",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/#get-the-current-span",
    safety=Safety.SAFE,
    explanation="""\
OpenTelemetry's `start_as_current_span` gives the span where OpenTracing gave a scope, so whatever
held the scope holds the span, and `.span` goes. A line `span = scope.span` is deleted.
""",
    examples=(
        (
            """\
import opentracing

tracer = opentracing.global_tracer()


def work():
    with tracer.start_active_span("work") as scope:
        span = scope.span
        span.set_tag("step", 1)
""",
            """\
from opentelemetry import trace

tracer = trace.get_tracer(__name__)


def work():
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("step", 1)
""",
        ),
    ),
)


@rule.member("scope", "span")
def span(site: Site) -> Change | None:
    file, owner = site.file, site.owner
    assert owner is not None
    change = site.change("the variable holds the span itself")
    if (
        isinstance(owner, ast.Call)
        and owner.func in file.flow.members
        and getattr(owner.func, "attr", "") in ("start_active_span", "activate")
    ):
        raise CannotRewrite("the scope is lost here, so nothing ever closes it")
    if is_unentered(file, owner):
        raise CannotRewrite("the scope comes from a function, and is a span only inside `with`")
    held = variable(file, owner)
    target = file.parents[site.node]
    if held is not None:
        for value in held.values:
            if isinstance(value, ast.Call) and value.func in file.flow.members:
                change.depends_on(value)
        if isinstance(owner, ast.Name) and _is_own_alias(site, target, owner, held.name):
            return change.remove(site.statement)
    return change.replace(site.node, owner)


def _is_own_alias(site: Site, target: ast.AST, owner: ast.Name, new: str) -> bool:
    """Whether the line would read `span = span`."""
    return (
        isinstance(target, ast.Assign)
        and is_alias(site.file, target.targets[0], owner.id)
        and isinstance(target.targets[0], ast.Name)
        and target.targets[0].id == new
    )
