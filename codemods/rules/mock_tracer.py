"""`MockTracer` in tests becomes a provider that exports into memory."""

from __future__ import annotations

import ast
import re

from codemods.kinds import HANDED_OUT, MOCK_TRACER
from codemods.model import Safety
from codemods.provider import SET_ONCE, free_name
from codemods.registry import define
from codemods.setup import EXPORT, SPANS
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.source import last_name

rule = define(
    code="JO701",
    title="MockTracer to the in-memory exporter",
    url="https://opentelemetry-python.readthedocs.io/en/latest/sdk/trace.export.html",
    safety=Safety.SAFE,
    explanation="""\
A test that asks a `MockTracer` for its finished spans asks an `InMemorySpanExporter` instead; the
exporter gets a name like the tracer's (`self.tracer` has `self.exporter`). The provider stays the
test's own, since a process can set its global provider only once: a MockTracer that becomes the
global tracer is reported. Where a function or fixture returns the tracer, its exporter goes with it
(`tracer.exporter`); where it is otherwise out of reach that is reported. One that is made as an
argument, so that nobody can ask it, gets none.
""",
    examples=(
        (
            """\
from opentracing.mocktracer import MockTracer


def test_work():
    tracer = MockTracer()
    work(tracer)
    spans = tracer.finished_spans()
    assert spans[0].operation_name == "work"
    assert spans[0].tags["size"] == 1
    assert spans[0].tags["error"] is True
""",
            """\
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


def test_work():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(__name__)
    work(tracer)
    spans = exporter.get_finished_spans()
    assert spans[0].name == "work"
    assert spans[0].attributes["size"] == 1
    assert (spans[0].status.status_code is StatusCode.ERROR) is True
""",
        ),
    ),
    minutes=15,
)

MEMORY = "opentelemetry.sdk.trace.export.in_memory_span_exporter"
_FIXTURE = Report(
    "the tracer is returned or passed on, so that its exporter would be out of reach",
    "Make the exporter a fixture of its own: a TracerProvider with a "
    "SimpleSpanProcessor(InMemorySpanExporter()), and ask the exporter for get_finished_spans().",
)


@rule.symbol(MOCK_TRACER)
def constructor(site: Site) -> Change | Report:
    statement = site.statement
    if site.call is None:
        return _as_type(site)
    returned = _is_returned(site.file, site.call)
    if _is_given_away(site.file, site.call) and not returned:
        change = site.change("a provider of its own; nobody here asks the tracer for spans")
        return change.replace(
            site.call, change.use(SPANS, "TracerProvider"), "().get_tracer(__name__)"
        )
    if _is_handed_out(site.call, statement):
        return _handed_out(site, statement)
    if not isinstance(statement, ast.Assign) or statement.value is not site.call:
        return _FIXTURE
    if len(statement.targets) != 1:
        raise CannotRewrite("it is bound to several names")
    target = statement.targets[0]
    if site.file.symbol(target) == "opentracing.tracer":
        return SET_ONCE
    exporter = exporter_of(site.file, target)
    change = site.change("a provider that exports into memory")
    memory = change.use(MEMORY, "InMemorySpanExporter")
    provider = change.use(SPANS, "TracerProvider")
    simple = change.use(EXPORT, "SimpleSpanProcessor")
    site.file.memo["provider", site.call] = "provider"
    return change.replace_statement(
        statement,
        f"{exporter} = {memory}()",
        f"provider = {provider}()",
        f"provider.add_span_processor({simple}({exporter}))",
        (target, " = provider.get_tracer(__name__)"),
        *([f"{site.file.text(target)}.exporter = {exporter}"] if returned else []),
    )


def _is_returned(file: File, made: ast.Call) -> bool:
    """Whether a function of the file gives it to others, by a name or attribute."""
    tracers = (
        file.flow.kinds.get(node.value)
        for node in file.nodes
        if isinstance(node, ast.Return | ast.Yield) and node.value is not None
    )
    return any(
        file.flow.makers.get(maker) is made.func
        for tracer in tracers
        if tracer is not None and tracer.kind == "tracer"
        for maker in tracer.made
    )


def _is_handed_out(made: ast.Call, statement: ast.stmt) -> bool:
    """Whether a statement returns or yields it, and nothing else."""
    given = statement.value if isinstance(statement, ast.Return | ast.Expr) else None
    return made in (given, given.value if isinstance(given, ast.Yield) else None)


def _as_type(site: Site) -> Change:
    """`tracer: MockTracer`"""
    parent = site.parent
    is_type = isinstance(parent, ast.arg | ast.AnnAssign) and parent.annotation is site.node
    if not is_type and getattr(parent, "returns", None) is not site.node:
        raise CannotRewrite("the class is passed on or derived from")
    change = site.change("the class of the same meaning")
    return change.replace(site.node, f"{change.use('opentelemetry', 'trace')}.Tracer")


def _handed_out(site: Site, statement: ast.stmt) -> Change:
    """`return MockTracer()`: the exporter goes with the tracer, for those who get it."""
    change = site.change("a provider that exports into memory; the tracer has its exporter")
    exporter, provider, tracer = (
        free_name(site.file, site.node, name, "made") for name in ("exporter", "provider", "tracer")
    )
    word = "yield" if isinstance(statement, ast.Expr) else "return"
    return change.replace_statement(
        statement,
        f"{exporter} = {change.use(MEMORY, 'InMemorySpanExporter')}()",
        f"{provider} = {change.use(SPANS, 'TracerProvider')}()",
        f"{provider}.add_span_processor({change.use(EXPORT, 'SimpleSpanProcessor')}({exporter}))",
        f"{tracer} = {provider}.get_tracer(__name__)",
        f"{tracer}.exporter = {exporter}",
        f"{word} {tracer}",
    )


def _is_given_away(file: File, made: ast.Call) -> bool:
    """Whether a tracer goes to a call and nowhere else: none of a patch or a legacy call."""
    around = file.parents[made]
    if isinstance(around, ast.keyword):
        around = file.parents[around]
    return (
        isinstance(around, ast.Call)
        and isinstance(file.parents[around], ast.Expr)
        and around.func is not made
        and not file.symbol(around.func)
        and around.func not in file.flow.members
        and "patch" not in file.text(around.func)
    )


def exporter_of(file: File, tracer: ast.expr) -> str:
    """The name of the exporter that goes with a tracer: `self._tracer` has `self._exporter`."""
    if not isinstance(tracer, ast.Name | ast.Attribute):
        raise CannotRewrite("the tracer is kept in an unusual place")
    text = file.text(tracer)
    head, dot, last = text.rpartition(".")
    renamed = re.sub("tracer", "exporter", last)
    if renamed == last:
        renamed = f"{last}_exporter"
    if not head and renamed in file.bound:
        raise CannotRewrite(f"the name `{renamed}` is taken")
    return f"{head}{dot}{renamed}"


@rule.member("tracer", "finished_spans", "reset")
def recorded(site: Site) -> Change | Report:
    """`tracer.finished_spans()` where the same expression was bound to a MockTracer here."""
    assert site.owner is not None
    file = site.file
    made = _made(file, site.owner)
    handed_out = made is None and file.detail(site.owner) == HANDED_OUT
    if (made is None and not handed_out) or site.call is None:
        return _FIXTURE
    change = site.change("asks the exporter")
    if made is not None:
        change.depends_on(made.func)
    method = "get_finished_spans()" if site.member == "finished_spans" else "clear()"
    exporter = f"{file.text(site.owner)}.exporter" if handed_out else exporter_of(file, site.owner)
    text = f"{exporter}.{method}"
    if site.member == "finished_spans" and not _may_be_tuple(file, site.call):
        text = f"list({text})"
    return change.replace(site.call, text)


_READERS = frozenset(
    {"all", "any", "bool", "enumerate", "iter", "len", "list", "map", "max", "min", "next"}
    | {"reversed", "set", "sorted", "tuple", "zip", "assertFalse", "assertTrue"}
)


def _may_be_tuple(file: File, spans: ast.expr) -> bool:
    """Whether finished spans are only counted, indexed or gone through: a tuple is no list."""
    match file.parents[spans]:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) as call:
            return spans in call.args and name in _READERS
        case ast.Subscript(value=value, slice=index):
            return value is spans and not isinstance(index, ast.Slice)
        case ast.For(iter=gone_through) | ast.comprehension(iter=gone_through):
            return gone_through is spans
        case ast.Assign(targets=[ast.Tuple() | ast.List()]):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            uses = file.uses(name, file.function(spans))
            return all(_may_be_tuple(file, use) for use in uses if isinstance(use.ctx, ast.Load))
        case ast.If() | ast.Assert() | ast.UnaryOp() | ast.Starred() | ast.Expr():
            return True
    return False


def _made(file: File, tracer: ast.expr) -> ast.Call | None:
    """The `MockTracer()` an expression holds: the same name or attribute, in a scope around it."""
    for node in file.nodes:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and file.symbol(node.value.func) == MOCK_TRACER
            and _is_same(file, node.targets[0], tracer)
        ):
            return node.value
    return None


def _is_same(file: File, target: ast.expr, use: ast.expr) -> bool:
    """Whether what a statement binds is what a name or attribute means elsewhere."""
    attribute = _of_the_class(file, target)
    if attribute and attribute == _of_the_class(file, use):
        return file.class_of(target) in _classes(file, file.class_of(use))
    if attribute or file.text(target) != file.text(use):
        return False
    if isinstance(use, ast.Attribute):
        return file.class_of(target) is file.class_of(use)
    scope = file.function(target)
    return scope is file.function(use) or scope in file.ancestors(use)


def _of_the_class(file: File, node: ast.expr) -> str:
    """The attribute that `self.tracer` and `cls.tracer` are, and a name in the class itself."""
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
            return attr
        case ast.Name(id=name) if isinstance(file.parents[file.statement(node)], ast.ClassDef):
            return name
    return ""


def _classes(file: File, cls: ast.ClassDef | None) -> list[ast.ClassDef | None]:
    """A class and those of the file that it derives from."""
    found, todo = [], [cls]
    while todo:
        current = todo.pop()
        found.append(current)
        names = [last_name(base) for base in current.bases] if current is not None else []
        todo += [
            node
            for node in file.nodes
            if isinstance(node, ast.ClassDef) and node.name in names and node not in found
        ]
    return found
