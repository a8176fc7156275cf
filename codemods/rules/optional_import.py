"""A legacy library as an optional dependency: `try: import opentracing`, `if opentracing:`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.sites import is_tested
from codemods.source import Span

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
def module(site: Site) -> Change | Report:
    node, file = site.node, site.file
    if not isinstance(node, ast.Name):
        return Report(
            f"{file.text(node)} is what another module imports, and goes with that import",
            "Ask that module for what it imports instead, mostly `trace`.",
        )
    if isinstance(file.parents[node], ast.Attribute) or not is_tested(file, node):
        return Report(
            f"the module {site.construct} itself is passed on",
            "Pass what is needed of it, in OpenTelemetry's words.",
        )
    return tested_import(site, node, "opentelemetry", "trace")


def tested_import(site: Site, node: ast.Name, module: str, member: str) -> Change:
    """`if Config:` and the `Config = None` of an import that may fail ask for OpenTelemetry."""
    file = site.file
    bound = file.bound.get(node.id, ())
    absent = [one for one in bound if isinstance(one, ast.Name) and _is_absent(file.parents[one])]
    if absent and not any(_is_at_import(file, one) for one in bound):
        raise CannotRewrite("the library is imported inside a function, when it is needed")
    change = site.change("whether OpenTelemetry is there")
    there = change.use(module, member)
    change.replace(node, there)
    for one in absent:
        change.replace(one, there)
    for span in _declared(file, node.id):
        change.replace(span, there)
    return change.depends_on(*_used(file, node.id))


def _used(file: File, name: str) -> list[ast.Name]:
    """Where what is imported is used, and not only asked for."""
    return [
        node
        for node in file.flow.symbols
        if isinstance(node, ast.Name)
        and node.id == name
        and node in file.parents  # not the names in quoted annotations
        and not isinstance(file.parents[node], ast.Attribute)
        and not is_tested(file, node)
    ]


def _is_at_import(file: File, node: ast.AST) -> bool:
    """Whether a name is imported when the module is, where OpenTelemetry will be."""
    return isinstance(node, ast.alias) and isinstance(file.function(node), ast.Module)


def _declared(file: File, key: str) -> Iterator[Span]:
    """Where `global` and `nonlocal` statements say a name."""
    for node in file.nodes:
        if isinstance(node, ast.Global | ast.Nonlocal) and key in node.names:
            start = file.span(node).start
            for word in re.finditer(rf"\b{re.escape(key)}\b", file.text(node)):
                yield Span(start + word.start(), start + word.end())


def _is_absent(statement: ast.AST) -> bool:
    """`opentracing = None`."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and statement.value.value is None
    )
