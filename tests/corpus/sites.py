"""An independent count of legacy sites: a plain walk over `ast`, no code of the engine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

LEGACY = (
    "opentracing",
    "jaeger_client",
    "opentelemetry.exporter.jaeger",
    "opentelemetry.ext.jaeger",
    "opentracing_instrumentation",
    "opentracing_utils",
    "flask_opentracing",
    "django_opentracing",
    "grpc_opentracing",
    "requests_opentracing",
    "redis_opentracing",
    "sqlalchemy_opentracing",
    "tornado_opentracing",
    "pyramid_opentracing",
    "pymongo_opentracing",
    "celery_opentracing",
    "starlette_opentracing",
)
METHODS = frozenset(  # distinctive enough to count on any receiver in a file with a legacy import
    (
        "start_active_span",
        "active_span",
        "scope_manager",
        "log_kv",
        "set_baggage_item",
        "get_baggage_item",
        "set_operation_name",
        "set_tag",
        "initialize_tracer",
    )
)


@dataclass(frozen=True, slots=True)
class Site:
    """One use of a legacy name. Lines and columns count from 1."""

    line: int
    column: int
    name: str
    is_import: bool = False


def sites(source: bytes) -> list[Site]:
    """Every site of a file. Raises SyntaxError or ValueError where `ast` cannot parse it."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}  # by legacy imports
    other: set[str] = set()  # by other imports
    found: list[Site] = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.extend(_imported(node, bound, other))
    if not found:
        return []
    other -= bound.keys()
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and node not in inner:
            chain = _chain(node)
            inner.update(_parts(node))
            name = _legacy_name(chain, bound, other)
            if name:
                found.append(Site(node.lineno, node.col_offset + 1, name))
    return found


def _imported(
    node: ast.Import | ast.ImportFrom, bound: dict[str, str], other: set[str]
) -> Iterator[Site]:
    for alias in node.names:
        if isinstance(node, ast.Import):
            full, name = alias.name, alias.asname or alias.name.partition(".")[0]
            meaning = alias.name if alias.asname else alias.name.partition(".")[0]
        else:
            full = meaning = f"{'.' * node.level}{node.module or ''}.{alias.name}"
            name = alias.asname or alias.name
        if any(full == start or full.startswith(start + ".") for start in LEGACY):
            if not meaning.startswith("opentelemetry") or "jaeger" in meaning:
                bound[name] = meaning
            yield Site(node.lineno, node.col_offset + 1, full, is_import=True)
        else:
            other.add(name)


def _chain(node: ast.AST) -> list[str]:
    """`a.b().c` is a, b, c; an unknown beginning is the empty name."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Name):
            return [node.id, *reversed(parts)]
        else:
            return ["", *reversed(parts)]


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """What a dotted name consists of; calls in it begin a chain of their own."""
    while isinstance(node, ast.Attribute):
        node = node.value
        yield node


def _legacy_name(chain: list[str], bound: dict[str, str], other: set[str]) -> str:
    root, *rest = chain
    if root in bound:
        return ".".join((bound[root], *rest))
    if rest and rest[-1] in METHODS and root not in other:
        return ".".join(("?", rest[-1]))
    return ""
