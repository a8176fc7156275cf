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
    own: set[str] = set()  # methods that the file defines itself
    found: list[Site] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.extend(_imported(node, bound, other))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own.add(node.name)
    if not found:
        return []
    other |= {name for name, made_by in _fixtures(tree) if made_by in other}
    names = _Names(bound, other - bound.keys(), own)
    found.extend(_used(tree, names, frozenset()))
    return found


@dataclass(frozen=True, slots=True)
class _Names:
    bound: dict[str, str]
    other: set[str]
    own: set[str]


def _used(node: ast.AST, names: _Names, hidden: frozenset[str]) -> Iterator[Site]:
    """The sites below a node; `hidden` are parameters that take a legacy name for themselves."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        inside = hidden | {argument.arg for argument in every}
        for field, value in ast.iter_fields(node):
            below = inside if field == "body" else hidden
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _used(child, names, below)
        return
    if isinstance(node, ast.Name | ast.Attribute):
        name = _legacy_name(_chain(node), names, hidden)
        if name and (isinstance(node, ast.Attribute) or isinstance(node.ctx, ast.Load)):
            yield Site(node.lineno, node.col_offset + 1, name)
        while isinstance(node, ast.Attribute):  # the rest of a dotted name is the same site
            node = node.value
        if isinstance(node, ast.Name):
            return
    for child in ast.iter_child_nodes(node):
        yield from _used(child, names, hidden)


def _fixtures(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """pytest's fixtures that return `Thing(...)`, each with the name of the thing."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and "fixture" in map(_last, node.decorator_list):
            last = node.body[-1]
            if isinstance(last, ast.Return) and isinstance(last.value, ast.Call):
                yield node.name, _chain(last.value)[0]


def _last(node: ast.expr) -> str:
    return _chain(node)[-1]


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
            yield Site(alias.lineno, alias.col_offset + 1, full, is_import=True)
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


def _legacy_name(chain: list[str], names: _Names, hidden: frozenset[str]) -> str:
    root, *rest = chain
    if root in names.bound and root not in hidden:
        return ".".join((names.bound[root], *rest))
    if not rest or rest[-1] not in METHODS or root in names.other:
        return ""
    if root in ("self", "cls", "super") and len(rest) == 1 and rest[0] in names.own:
        return ""  # a method of the project's own
    return f"?.{rest[-1]}"
