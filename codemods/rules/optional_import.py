"""A legacy library as an optional dependency: `try: import opentracing`, `if opentracing:`."""

from __future__ import annotations

import ast

from codemods.model import Safety
from codemods.registry import define
from codemods.site import Change, Report, Site
from codemods.sites import is_tested

rule = define(
    code="JO104",
    title="the library as an optional dependency",
    url="https://opentelemetry.io/docs/languages/python/instrumentation/",
    safety=Safety.SAFE,
    explanation="""\
Where an import stands under `try: ... except ImportError`, the OpenTelemetry imports take its
place, and the name that is None without the library is OpenTelemetry's `trace`.
""",
    examples=(
        (
            """\
try:
    import opentracing
except ImportError:
    opentracing = None


def tag(key, value):
    if opentracing is None:
        return
    opentracing.tracer.active_span.set_tag(key, str(value))
""",
            """\
try:
    from opentelemetry import trace
except ImportError:
    trace = None


def tag(key, value):
    if trace is None:
        return
    trace.get_current_span().set_attribute(key, str(value))
""",
        ),
    ),
)


@rule.symbol("opentracing", "jaeger_client")
def module(site: Site) -> Change | Report | None:
    node, file = site.node, site.file
    if not isinstance(node, ast.Name):
        return None
    if isinstance(file.parents[node], ast.Attribute) or not is_tested(file, node):
        return Report(
            f"the module {site.construct} itself is passed on",
            "Pass what is needed of it, in OpenTelemetry's words.",
        )
    change = site.change("whether OpenTelemetry is there")
    trace = change.use("opentelemetry", "trace")
    change.replace(node, trace)
    for bound in file.bound.get(node.id, ()):
        if isinstance(bound, ast.Name) and _is_absent(file.parents[bound]):
            change.replace(bound, trace)
    return change


def _is_absent(statement: ast.AST) -> bool:
    """`opentracing = None`."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is None
    )
