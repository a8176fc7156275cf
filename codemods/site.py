"""What a rule sees of one legacy site, and how it says what should become of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from codemods.edits import Edit, Part
from codemods.flow import Flow
from codemods.model import Options
from codemods.source import FunctionNode, Source, Span, children

_TIGHT = (
    ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant, ast.List, ast.Dict, ast.Set,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.JoinedStr,
)  # fmt: skip


class CannotRewrite(Exception):
    """Raised inside a rule where the surroundings forbid the edit; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Report:
    """The site stays as it is: why, and what to do by hand."""

    message: str
    advice: str


@dataclass(slots=True)
class Change:
    """The edits that rewrite one site. `unsafe` states the precondition that was not proved."""

    file: File
    message: str
    unsafe: str = ""
    advice: str = ""
    edits: list[Edit] = field(default_factory=list)
    removed: list[ast.stmt] = field(default_factory=list)
    imports: set[tuple[str, str, str]] = field(default_factory=set)
    module_tracer: bool = False
    needs: list[ast.AST] = field(default_factory=list)

    def replace(self, node: ast.AST | Span, *parts: Part) -> Change:
        """Put `parts` in the place of a node; nodes among them come with their own edits."""
        span = node if isinstance(node, Span) else self.file.span(node)
        self.edits.append(Edit(span, parts))
        return self

    def remove(self, statement: ast.stmt) -> Change:
        """Delete a statement with its line; an emptied block gets `pass`."""
        self.removed.append(statement)
        return self

    def before(self, statement: ast.stmt, *lines: Part | Sequence[Part]) -> Change:
        """Insert statements before one, in its indentation."""
        return self._insert(statement, lines, after=False)

    def after(self, statement: ast.stmt, *lines: Part | Sequence[Part]) -> Change:
        """Insert statements after one, in its indentation."""
        return self._insert(statement, lines, after=True)

    def replace_statement(self, statement: ast.stmt, *lines: Part | Sequence[Part]) -> Change:
        """Put several statements in the place of a simple one; trailing comments stay."""
        self.file.alone(statement)
        return self.replace(statement, *self._lines(statement, lines))

    def use(self, module: str, member: str = "") -> str:
        """Import `module` (or a member of it) and return the name it has in this file."""
        local, wanted = self.file.local_name(module, member)
        if wanted is not None:
            self.imports.add(wanted)
        return local

    def tracer(self) -> str:
        """An expression for the module's OpenTelemetry tracer."""
        trace = self.use("opentelemetry", "trace")
        if self.file.owns_tracer:
            self.module_tracer = True
            return "tracer"
        return f"{trace}.get_tracer(__name__)"

    def advise(self, *texts: str) -> Change:
        """Add what the user has to know or do; an empty text says nothing."""
        self.advice = " ".join(filter(None, (self.advice, *texts)))
        return self

    def depends_on(self, *nodes: ast.AST) -> Change:
        """Hold this change back unless the sites at these nodes are rewritten too."""
        self.needs.extend(nodes)
        return self

    def _lines(self, statement: ast.stmt, lines: Sequence[Part | Sequence[Part]]) -> list[Part]:
        start = self.file.span(statement).start
        glue = self.file.source.newline + self.file.source.indentation(start)
        parts: list[Part] = []
        for index, line in enumerate(lines):
            if index:
                parts.append(glue)
            if isinstance(line, str | ast.AST | Span):
                line = (line,)
            parts.extend(
                part.replace("\n", glue) if isinstance(part, str) else part for part in line
            )
        return parts

    def _insert(
        self, statement: ast.stmt, lines: Sequence[Part | Sequence[Part]], *, after: bool
    ) -> Change:
        file = self.file
        file.alone(statement)
        start, end = file.span(statement)
        newline, indentation = file.source.newline, file.source.indentation(start)
        parts = self._lines(statement, lines)
        if not after:
            at = file.source.line_start(start)
            return self.replace(Span(at, at), indentation, *parts, newline)
        at = file.source.line_end(end)
        if at == len(file.source.text) and not file.source.text.endswith(("\n", "\r")):
            return self.replace(Span(at, at), newline, indentation, *parts)
        return self.replace(Span(at, at), indentation, *parts, newline)


class File:
    """One file under rewriting: text, flow, parents, and the names it binds."""

    def __init__(self, source: Source, flow: Flow, *, path: str, options: Options) -> None:
        self.source = source
        self.flow = flow
        self.path = path
        self.options = options
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = []
        self._walk()
        self.bound = self._bound_names()
        self.owns_tracer = "tracer" not in self.bound and not self._is_optional()
        self._taken: dict[str, tuple[str, str]] = {}
        self.memo: dict[object, Any] = {}

    def _walk(self) -> None:
        todo: list[ast.AST] = [self.source.tree]
        while todo:
            node = todo.pop()
            self.nodes.append(node)
            for child in children(node):
                self.parents[child] = node
                todo.append(child)

    def _is_optional(self) -> bool:
        """Whether the file gets along without the legacy library, and so without OpenTelemetry."""
        around = [
            self.parents[self.parents[alias]]
            for alias, target in self.flow.imports.items()
            if alias in self.parents and self.flow.is_legacy(target)
        ]
        return any(isinstance(one, ast.Try) for one in around) or (
            bool(around) and not any(isinstance(one, ast.Module) for one in around)
        )

    def _bound_names(self) -> dict[str, list[ast.AST]]:
        """Every name the file binds in any scope, and where."""
        bound: dict[str, list[ast.AST]] = {}

        def add(key: str | None, node: ast.AST) -> None:
            if key:
                bound.setdefault(key, []).append(node)

        for node in self.nodes:
            match node:
                case ast.Name(id=key, ctx=ast.Store() | ast.Del()):
                    add(key, node)
                case ast.arg(arg=key):
                    add(key, node)
                case (
                    ast.FunctionDef(name=key)
                    | ast.AsyncFunctionDef(name=key)
                    | ast.ClassDef(name=key)
                ):
                    add(key, node)
                case ast.alias(name=key, asname=asname):
                    add(asname or key.partition(".")[0], node)
                case ast.ExceptHandler(name=key) | ast.MatchAs(name=key) | ast.MatchStar(name=key):
                    add(key, node)
        return bound

    def span(self, node: ast.AST) -> Span:
        """Where a node stands; raises `CannotRewrite` inside f-strings `ast` cannot place."""
        if getattr(node, "unplaced", False):
            raise CannotRewrite("it stands in an f-string whose parts Python cannot place")
        return self.source.span(node)

    def text(self, node: ast.AST) -> str:
        """The text of a node as the file has it."""
        start, end = self.span(node)
        return self.source.text[start:end]

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement around a node (or the node)."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def function(self, node: ast.AST) -> FunctionNode | ast.Lambda | ast.Module:
        """The innermost function around a node, or the module. Class bodies do not count."""
        node = self.parents.get(node, node)
        while not isinstance(node, FunctionNode | ast.Lambda | ast.Module):
            node = self.parents[node]
        return node

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around a node."""
        current: ast.AST | None = node
        while current is not None and not isinstance(current, ast.ClassDef):
            current = self.parents.get(current)
        return current

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The list of statements one stands in."""
        parent = self.parents[statement]
        for value in vars(parent).values():
            if isinstance(value, list) and statement in value:
                return value
        return [statement]

    def alone(self, statement: ast.stmt) -> None:
        """Raise `CannotRewrite` unless a statement has its lines for itself."""
        start, end = self.span(statement)
        head = self.source.text[self.source.line_start(start) : start]
        tail = self.source.text[end : self.source.line_end(end)]
        if head.strip() or tail.lstrip().startswith(";"):
            raise CannotRewrite("it shares its line with another statement")

    def uses(self, name: str, within: ast.AST) -> list[ast.Name]:
        """All `Name` nodes of one identifier inside a node."""
        return [node for node in ast.walk(within) if isinstance(node, ast.Name) and node.id == name]

    def kind(self, node: ast.AST) -> str:
        """The kind of an expression ("span", "tracer"), or ""."""
        return self.flow.kind(node)

    def detail(self, node: ast.AST) -> str:
        """More about the kind: "active" for what may be no span, "extracted" and so on."""
        fact = self.flow.kinds.get(node)
        return fact.detail if fact is not None else ""

    def symbol(self, node: ast.AST) -> str:
        """The canonical legacy name an expression denotes, or ""."""
        return self.flow.symbols.get(node, "")

    def local_name(self, module: str, member: str) -> tuple[str, tuple[str, str, str] | None]:
        """The name under which a thing is imported here, and the import to add if any."""
        wanted = member or module
        for alias, target in self.flow.imports.items():
            if target == (f"{module}.{member}" if member else module):
                parent = self.parents[alias]
                top = self.parents.get(parent) is self.source.tree
                if top and (alias.asname or "." not in alias.name):
                    return alias.asname or alias.name, None
        local = wanted
        key = (module, member)
        if self._is_taken(local, key):
            local = f"otel_{wanted.rpartition('.')[2]}"
        while self._is_taken(local, key):
            local = f"_{local}"
        self._taken[local] = key
        return local, (module, member, local)

    def _is_taken(self, local: str, key: tuple[str, str]) -> bool:
        return local in self.bound or self._taken.get(local, key) != key


@dataclass(slots=True, eq=False)
class Site:
    """One place that uses a legacy name.

    `node` is the name, attribute, import alias or string; `call` the call it is the function of;
    `construct` the qualified legacy name; `owner` the instance whose member it is.
    """

    file: File
    node: ast.AST
    construct: str
    owner: ast.expr | None = None
    member: str = ""

    @property
    def call(self) -> ast.Call | None:
        """The call of this name, if it is called here."""
        parent = self.file.parents.get(self.node)
        return parent if isinstance(parent, ast.Call) and parent.func is self.node else None

    @property
    def parent(self) -> ast.AST:
        """What stands around the node, or around the call of it."""
        return self.file.parents[self.call or self.node]

    @property
    def statement(self) -> ast.stmt:
        """The statement the site is in."""
        return self.file.statement(self.node)

    @property
    def options(self) -> Options:
        """What the user chose."""
        return self.file.options

    def change(self, message: str, *, unsafe: str = "", advice: str = "") -> Change:
        """Begin a change of this site."""
        return Change(self.file, message, unsafe, advice)

    def arguments(self, *parameters: str) -> dict[str, ast.expr]:
        """The call's arguments by parameter name. Raises `CannotRewrite` on `*` and `**`."""
        call = self.call
        if call is None:
            raise CannotRewrite("it is passed on without being called")
        found: dict[str, ast.expr] = {}
        for index, arg in enumerate(call.args):
            if isinstance(arg, ast.Starred):
                raise CannotRewrite(
                    "its arguments come from `*`, so they are known only at run time"
                )
            if index < len(parameters):
                found[parameters[index]] = arg
        for keyword in call.keywords:
            if keyword.arg is None:
                raise CannotRewrite(
                    "its arguments come from `**`, so they are known only at run time"
                )
            found[keyword.arg] = keyword.value
        return found


def tight(file: File, node: ast.expr) -> tuple[Part, ...]:
    """A node as an operand: in parentheses unless it binds as tightly as a name."""
    if isinstance(node, _TIGHT):
        return (node,)
    return ("(", node, ")")


def bare(node: ast.expr) -> tuple[Part, ...]:
    """A node as an argument or entry, where only a walrus needs its parentheses again."""
    return ("(", node, ")") if isinstance(node, ast.NamedExpr) else (node,)


def is_constant(node: ast.AST | None, *types: type) -> TypeGuard[ast.Constant]:
    """Whether a node is a literal of one of these types."""
    return isinstance(node, ast.Constant) and type(node.value) in types
