"""Every place of a file that uses a legacy name, found from the flow alone, before any rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods import legacy
from codemods.kinds import MIXTURES
from codemods.site import Change, File, Site
from codemods.source import Span

_ROOTS = "|".join(sorted((re.escape(root) for root in legacy.ROOTS), key=len, reverse=True))
DOTTED = re.compile(rf"(?:{_ROOTS})(?:\.\w+)+(?::\w+)?")
_BORROWED = re.compile(rf"(?:\w+\.)+(?:{_ROOTS})(?:\.\w+)*")
WIRE = re.compile(
    r"uber-trace-id|uberctx-|jaeger-debug-id|jaeger-baggage|jaeger_tracing", re.IGNORECASE
)
GUARDED = frozenset({"span", "scope", "span_context", "tracer"})
_TESTED = frozenset({"active", "extracted", *MIXTURES})
_ENTRY_POINTS = ("jaeger", "jaeger_proto", "jaeger_thrift")  # of OpenTelemetry's exporters
AT_RUN_TIME = "(getattr)"  # the member that `getattr(span, name)` finds
# Classes by which `isinstance` asks whether there is a span, or a context was extracted.
_ASKED = frozenset(
    f"{package}.{cls}"
    for package in ("opentracing", "jaeger_client")
    for cls in ("Span", "SpanContext")
)


def find(file: File) -> list[Site]:
    """All sites, in the order of the text."""
    found = [*_imports(file), *_names(file), *_members(file), *_strings(file), *_guards(file)]
    found.sort(key=lambda site: (anchor(site), isinstance(site.node, ast.Call)))
    return found


def anchor(site: Site) -> int:
    """An offset that lies in the legacy word of the site itself."""
    start, end = file_span(site)
    return end - 1 if isinstance(site.node, ast.Attribute) else start


def file_span(site: Site) -> tuple[int, int]:
    """Where the site's node stands, without complaint about f-strings."""
    return site.file.source.span(site.node)


def call_span(site: Site) -> tuple[int, int]:
    """Where the site's node stands, with the arguments where it is called."""
    start, end = file_span(site)
    return start, max(end, site.file.span(site.call).end) if site.call is not None else end


def _imports(file: File) -> Iterator[Site]:
    for alias, target in file.flow.imports.items():
        statement = file.parents.get(alias)
        if isinstance(statement, ast.ImportFrom) and alias.name == "*":
            target = f"{target}.*"
        if file.flow.is_legacy(target):
            yield Site(file, alias, target)


def _names(file: File) -> Iterator[Site]:
    symbols = file.flow.symbols
    for node, qualified in symbols.items():
        if node not in file.parents:
            continue
        parent = file.parents[node]
        if isinstance(parent, ast.Attribute) and parent in symbols:
            continue
        yield Site(file, node, qualified)


def _members(file: File) -> Iterator[Site]:
    for node, owner in file.flow.members.items():
        if isinstance(node, ast.Attribute):
            if _is_in_seconds(file.parents.get(node)):
                continue
            construct = f"{_CLASS.get(owner.kind, owner.kind)}.{node.attr}"
            yield Site(file, node, construct, owner=node.value, member=node.attr)
        elif isinstance(node, ast.Call):
            asked = node.args[1]
            member = str(asked.value) if isinstance(asked, ast.Constant) else AT_RUN_TIME
            construct = f"{_CLASS.get(owner.kind, owner.kind)}.{member}"
            yield Site(file, node, construct, owner=node.args[0], member=member)


def _is_in_seconds(around: ast.AST | None) -> bool:
    """`span.start_time / 1e9`, which an earlier run wrote: both libraries have the name."""
    match around:
        case ast.BinOp(op=ast.Div(), left=ast.Attribute(attr=attr), right=ast.Constant(value=1e9)):
            return attr in ("start_time", "end_time")
    return False


_CLASS = {
    "beta": "opentelemetry.trace",
    "tracer": "opentracing.Tracer",
    "span": "opentracing.Span",
    "scope": "opentracing.Scope",
    "span_context": "opentracing.SpanContext",
    "scope_manager": "opentracing.ScopeManager",
    "reference": "opentracing.Reference",
    "config": "jaeger_client.Config",
    "sampler": "jaeger_client.Sampler",
    "reporter": "jaeger_client.Reporter",
    "flask_tracing": "flask_opentracing.FlaskTracing",
    "django_tracing": "django_opentracing.DjangoTracing",
    "pyramid_tracing": "pyramid_opentracing.PyramidTracing",
    "tornado_tracing": "tornado_opentracing.TornadoTracing",
    "sanic_tracing": "sanic_opentracing.SanicTracing",
    "requests_session": "requests_opentracing.SessionTracing",
    "jaeger_exporter": "opentelemetry.exporter.jaeger.JaegerExporter",
    "grpc_context": "grpc_opentracing.ServicerContext",
}


def _strings(file: File) -> Iterator[Site]:
    for node in file.nodes:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            continue
        if node in file.flow.symbols:
            continue
        parent = file.parents[node]
        if isinstance(parent, ast.Expr | ast.JoinedStr) or _in_annotation(file, node):
            continue
        if (
            _is_legacy_text(file, node.value)
            or _is_looked_up(parent, node.value)
            or _is_patched(file, parent, node.value)
            or (node.value in legacy.KEPT and _is_taken(file, parent, node.value))
            or (node.value in _ENTRY_POINTS and _names_exporter(parent, node))
        ):
            yield Site(file, node, f'"{node.value}"')


def _is_taken(file: File, parent: ast.AST, key: str) -> bool:
    """`request.scope["opentracing_span"]`, where nothing of the project put it there."""
    is_read = isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Load)
    return is_read and file.flow.fact(f"?[{key}]") is None


def _is_legacy_text(file: File, text: str) -> bool:
    """Whether a string is a header of Jaeger's, or names something legacy as `mock.patch` does."""
    if DOTTED.fullmatch(text):
        return _is_python_path(text)
    return bool(WIRE.fullmatch(text)) or ("." in text and file.flow.is_borrowed(text))


def _is_looked_up(parent: ast.AST, text: str) -> bool:
    """`patch("app.views.opentracing.tracer")`, `import_module("jaeger_client")`, `include(...)`."""
    words: tuple[str, ...] = ("patch",) if _BORROWED.fullmatch(text) else ()
    if text in legacy.ROOTS:
        words = ("import", "include")
    if not words or not isinstance(parent, ast.Call):
        return False
    called = ast.unparse(parent.func)
    return any(word in called for word in words)


def _names_exporter(around: ast.AST, node: ast.Constant) -> bool:
    """`os.environ["OTEL_TRACES_EXPORTER"] = "jaeger"`, also in a dict or as an argument."""
    beside: list[ast.AST | None] = [*ast.walk(around)]
    if isinstance(around, ast.Dict):
        beside = [key for key, one in zip(around.keys, around.values, strict=True) if one is node]
    return any(
        "OTEL_TRACES_EXPORTER" in (getattr(one, "value", None), getattr(one, "arg", None))
        for one in beside
    )


def _is_patched(file: File, parent: ast.AST, text: str) -> bool:
    """`patch.object(app.views, "tracer")`: a legacy name in a module, which goes there."""
    match parent:
        case ast.Call(
            func=ast.Attribute(attr="object" | "setattr"),
            args=[module, ast.Constant(value=name), *_],
        ) if name == text:
            owner = file.flow.kinds.get(module)
            if owner is None or owner.kind != "name":
                return False
            dotted = f"{owner.detail}.{text}"
            return file.flow.is_legacy(dotted) or bool(file.flow.lent(dotted))
    return False


def _is_python_path(text: str) -> bool:
    return not text.endswith((".html", ".io", ".py", ".json", ".yaml", ".yml", ".txt", ".md"))


def _in_annotation(file: File, node: ast.Constant) -> bool:
    parent = file.parents[node]
    return (isinstance(parent, ast.arg | ast.AnnAssign) and parent.annotation is node) or (
        isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and parent.returns is node
    )


def _guards(file: File) -> Iterator[Site]:
    """Tests of an active span or an extracted context: their truth has changed its meaning.

    An active span that is returned may be tested by whoever calls.
    """
    for node, fact in file.flow.kinds.items():
        if fact.kind not in GUARDED or fact.detail not in _TESTED:
            continue
        if not isinstance(node, ast.expr) or node not in file.parents:
            continue
        returned = fact.detail == "active" and is_returned(file, node)
        if returned or is_tested(file, node):
            what = "returned" if returned else "tested"
            yield Site(file, node, f"{_CLASS[fact.kind]} ({what})", owner=node, member="(tested)")


def is_returned(file: File, node: ast.expr) -> bool:
    """Whether a name, attribute or call is what a function gives, if only in some cases."""
    if not isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return False
    parent = file.parents[node]
    while isinstance(parent, ast.IfExp | ast.BoolOp):
        part = parent.test if isinstance(parent, ast.IfExp) else None
        if node is part or (isinstance(parent, ast.BoolOp) and parent.values[-1] is not node):
            return False
        node, parent = parent, file.parents[parent]
    return isinstance(parent, ast.Return) or (
        isinstance(parent, ast.Lambda) and parent.body is node
    )


def is_instance_test(node: ast.AST) -> bool:
    """Whether it is `isinstance(value, cls)`."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance"


# Assertions of a test case, and what becomes of them when the truth of a value is asked instead.
ASSERTIONS = {"assertIsNone": "assertFalse", "assertIsNotNone": "assertTrue",
              "assertTrue": "assertTrue", "assertFalse": "assertFalse"}  # fmt: skip


def assert_truth(change: Change, file: File, parent: ast.AST) -> None:
    """`self.assertIsNone(x)` around what becomes the question whether x is valid."""
    match parent:
        case ast.Call(func=ast.Attribute(attr=attr) as func) if attr in ASSERTIONS:
            end = file.span(func).end
            change.replace(Span(end - len(attr), end), ASSERTIONS[attr])


def is_tested(file: File, node: ast.expr) -> bool:
    """Whether the truth of an expression, or its being None, is asked."""
    parent = file.parents[node]
    if isinstance(node, ast.BoolOp) and not isinstance(parent, ast.Compare):
        return False  # its parts are asked
    match parent:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            return parent.test is node
        case ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
            return True
        case ast.Compare(ops=[ast.Is() | ast.IsNot() | ast.Eq() | ast.NotEq()]):
            return parent.left is node and (
                isinstance(parent.comparators[0], ast.Constant)
                and parent.comparators[0].value is None
            )
        case ast.Call(func=ast.Name(id="bool")):
            return node in parent.args
        case ast.Call(func=ast.Attribute(attr=attr), args=[value, *_]) if attr in ASSERTIONS:
            return value is node
        case ast.Call(args=[value, cls]) if is_instance_test(parent) and value is node:
            is_one = file.detail(node) in ("active", "extracted")
            return is_one and file.symbol(cls) in _ASKED
    return False
