"""What each expression of a module is: a tracer, a span, a legacy name, or nothing of ours.

A forward walk over the statements, with scopes. What it learns about names that others can see
(attributes of classes, results and parameters of functions, globals) are facts; the walk is
repeated until they are stable, so that order in the file does not matter. The facts of one
module are the knowledge with which the next is walked.

The keys of facts are in `knowledge.py`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from codemods import legacy
from codemods.bindings import TRACING_NAME, Scope
from codemods.functions import Functions
from codemods.index import Index
from codemods.kinds import (
    INSTANCES,
    MOCK_TRACER,
    UNKNOWN,
    class_instance,
    container_of,
    element_of,
    entry_of,
    name,
    part_of,
    prefer,
    record_of,
    tuple_of,
)
from codemods.model import Fact, Facts
from codemods.names import CONSTANTS
from codemods.source import children

_ROUNDS = 6
_OF_A_MOCK = {"finished_spans", "reset"}  # a tracer of the project's own that has them is one


class Flow(Functions):
    """The walk over one module, and its results, which `Bindings` describes."""

    def __init__(
        self, tree: ast.Module, index: Index, *, module: str, is_package: bool, known: Facts
    ) -> None:
        super().__init__(tree, index, module=module, is_package=is_package, known=known)
        for _ in range(_ROUNDS):
            self.read.clear()
            gave = dict(self._gives)
            self._run()
            if self.is_settled() and self._gives == gave:
                break

    def holds_for(self, module: str, *, is_package: bool, known: Facts) -> bool:
        """Whether a walk of the same tree in this light would find the same."""
        package = module if is_package else module.rpartition(".")[0]
        return (self.module, self.package, self.known) == (module, package, known)

    def kind(self, node: ast.AST) -> str:
        """The kind of an expression as one word, "" where it is nothing of ours."""
        what = self.kinds.get(node, UNKNOWN).kind
        return what if what in INSTANCES or what.startswith("[]") else ""

    def _run(self) -> None:
        self.kinds.clear()
        self.symbols.clear()
        self.members.clear()
        self.makers.clear()
        self._stars.clear()
        scope = Scope(self.module, self.tree, None)
        self.scopes = {self.tree: scope}
        scope.hints = self._hints.get(self.tree, {})
        self.block(self.tree.body, scope)
        while self._pending:
            node, outer = self._pending.pop(0)
            self._function_body(node, outer)
        for key, value in scope.values.items():
            self.learn(f"{self.module}.{key}", value)
        for qualified in CONSTANTS:  # `from opentracing.ext.tags import *` lends them
            head, _, key = qualified.rpartition(".")
            if head in map(legacy.canonical, self._stars) and key not in scope.values:
                self.learn(f"{self.module}.{key}", name(qualified))
        for star in self._stars:  # what it names is the names' of this module too
            inside = (key[len(star) + 1 :] for key in self.known if key.startswith(f"{star}."))
            for key in {re.split("[.(]", key)[0] for key in inside} - scope.values.keys():
                self.learn(f"{self.module}.{key}", self._imported(f"{star}.{key}"))

    def block(self, body: Iterable[ast.stmt], scope: Scope) -> None:
        for statement in body:
            handler = _STATEMENTS.get(type(statement))
            if handler is not None:
                handler(self, statement, scope)
            else:
                self._children(statement, scope)

    def _children(self, node: ast.AST, scope: Scope) -> None:
        for child in children(node):
            if isinstance(child, ast.expr):
                self.expression(child, scope)
            elif isinstance(child, ast.stmt):
                self.block([child], scope)
            else:
                self._children(child, scope)

    def _branches(
        self, branches: Iterable[Iterable[ast.stmt]], scope: Scope, test: ast.expr | None = None
    ) -> None:
        """The ways that a run may go; `test` holds in the first of them."""
        start = dict(scope.values)
        ends = []
        for branch in branches:
            scope.values = dict(start)
            with self._where(test, scope):
                self.block(branch, scope)
            ends.append(scope.values)
            test = None
        merged: dict[str, Fact] = {}
        for end in ends:
            for key, value in end.items():
                merged[key] = prefer(merged.get(key, UNKNOWN), value)
        scope.values = merged

    def _if(self, node: ast.If, scope: Scope) -> None:
        self.expression(node.test, scope)
        self._branches([node.body, node.orelse], scope, node.test)

    @contextmanager
    def _where(self, test: ast.expr | None, scope: Scope) -> Iterator[None]:
        """Within it a name is what a test says of it: `isinstance(x, Span)`."""
        told = dict(self._told_by(test, scope))
        before = {key: scope.values[key] for key in told}
        scope.values |= told
        yield
        for key, fact in told.items():
            if scope.values.get(key) is fact:
                scope.values[key] = before[key]

    def _told_by(self, test: ast.expr | None, scope: Scope) -> Iterator[tuple[str, Fact]]:
        match test:
            case ast.BoolOp(op=ast.And(), values=parts):
                for part in parts:
                    yield from self._told_by(part, scope)
            case ast.Call(func=ast.Name("isinstance"), args=[ast.Name(key), cls]):
                kind = legacy.CLASSES.get(self.kinds.get(cls, UNKNOWN).detail, "")
                fact = scope.values.get(key)
                if fact is not None and (kind, fact.kind) in _TOLD:
                    yield key, Fact(kind, "", fact.made, fact.beside)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, scope: Scope) -> None:
        if isinstance(node, ast.While):
            self.expression(node.test, scope)
        else:
            self._bind_each(node.target, node.iter, scope)
        self._branches([node.body, []], scope)
        self.block(node.orelse, scope)

    def _try(self, node: ast.Try, scope: Scope) -> None:
        before = dict(scope.values)
        self.block(node.body, scope)
        after = scope.values
        self.block(node.orelse, scope)
        ends = [scope.values]
        for handler in node.handlers:
            scope.values = {**before, **after}
            if handler.type is not None:
                self.expression(handler.type, scope)
            if handler.name:
                scope.values[handler.name] = UNKNOWN
            self.block(handler.body, scope)
            ends.append(scope.values)
        merged: dict[str, Fact] = {}
        for end in ends:
            for key, value in end.items():
                merged[key] = prefer(merged.get(key, UNKNOWN), value)
        scope.values = merged
        self.block(node.finalbody, scope)

    def _match(self, node: ast.Match, scope: Scope) -> None:
        subject = self.expression(node.subject, scope)
        for case in node.cases:
            for inner in ast.walk(case.pattern):
                if isinstance(inner, ast.expr):
                    self.expression(inner, scope)
                elif isinstance(inner, ast.MatchAs | ast.MatchStar) and inner.name:
                    scope.values[inner.name] = subject if inner is case.pattern else UNKNOWN
            if case.guard is not None:
                self.expression(case.guard, scope)
        self._branches([*(case.body for case in node.cases), []], scope)

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope) -> None:
        for item in node.items:
            value = self._entered(self.expression(item.context_expr, scope))
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value, scope)
        self.block(node.body, scope)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator, scope)
        bases = [self.expression(base, scope) for base in node.bases]
        for keyword in node.keywords:
            self.expression(keyword.value, scope)
        qualified = f"{scope.qualified}.{node.name}"
        self.own[qualified] = Fact(
            "class",
            ",".join(base.detail for base in bases if base.kind == "name"),
            frozenset(self._maker(base) for base in node.bases if base in self.symbols),
        )
        body = Scope(qualified, node, scope, is_class=True)
        self.scopes[node] = body
        self.block(node.body, body)
        self._fields(node, qualified)
        for key, value in body.values.items():
            if value.kind != "name" or self.is_legacy(value.detail):
                self.learn(f"{qualified}.{key}", value)
        scope.values[node.name] = name(qualified)
        if self.legacy_base(qualified) == "tracer" and body.values.keys() >= _OF_A_MOCK:
            self.own[qualified] = scope.values[node.name] = name(MOCK_TRACER)

    def _fields(self, node: ast.ClassDef, qualified: str) -> None:
        """What a dataclass or the like, which has no `__init__` to be seen, is made with."""
        fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
        for index, target in enumerate(fields):
            if isinstance(target, ast.Name):
                for key in (target.id, index):
                    if (told := self.fact(f"{qualified}.__init__({key})")) is not None:
                        self.learn(f"{qualified}.{target.id}", told)

    def _assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self.expression(node.value, scope)
        for target in node.targets:
            self._bind(target, value, scope)

    def _annotated_assign(self, node: ast.AnnAssign, scope: Scope) -> None:
        self.annotation(node.annotation, scope)
        value = self.expression(node.value, scope) if node.value is not None else UNKNOWN
        what = self._annotated(node.annotation, scope)
        if value.kind in ("", "name") and what:
            value = Fact(what) if not what.startswith("instance:") else class_instance(what)
        self._bind(node.target, value, scope)

    def _added(self, node: ast.AugAssign, scope: Scope) -> None:
        """`spans += [span]`."""
        self.expression(node.target, scope)
        value = self.expression(node.value, scope)
        if value.kind.startswith("[]"):
            self._fill(node.target, value, scope)

    def expression(self, node: ast.expr, scope: Scope) -> Fact:
        """What an expression is; its parts are looked at too."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            self._children(node, scope)
            value = UNKNOWN
        else:
            value = handler(self, node, scope)
        self.kinds[node] = value
        return value

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Fact:
        owner = self.expression(node.value, scope)
        self.expression(node.slice, scope)
        if owner.kind.startswith("[]"):
            return owner if isinstance(node.slice, ast.Slice) else element_of(owner)
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if owner.kind == "tuple" and isinstance(key, int):
            return part_of(owner, key)
        if isinstance(key, str):
            if (entry := entry_of(owner, key)) != UNKNOWN:
                return entry
            item = self._item(node.value, key, scope)
            return self.fact(f"?[{key}]") or (self.fact(item) if item else None) or UNKNOWN
        return UNKNOWN

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> Fact:
        value = self.expression(node.value, scope)
        owner = scope
        while isinstance(owner.node, _COMPREHENSIONS) and owner.parent is not None:
            owner = owner.parent
        self._bind(node.target, value, owner)
        return value

    def _if_expression(self, node: ast.IfExp, scope: Scope) -> Fact:
        self.expression(node.test, scope)
        with self._where(node.test, scope):
            value = self.expression(node.body, scope)
        return prefer(value, self.expression(node.orelse, scope))

    def _bool(self, node: ast.BoolOp, scope: Scope) -> Fact:
        value = UNKNOWN
        is_and = isinstance(node.op, ast.And)  # which gives the last one, or what is false
        with ExitStack() as told:
            for part in node.values:
                found = self.expression(part, scope)
                value = found if is_and else prefer(value, found)
                if is_and:
                    told.enter_context(self._where(part, scope))
        return value

    def _pass_through(self, node: ast.Await | ast.Starred, scope: Scope) -> Fact:
        return self.expression(node.value, scope)

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Fact:
        values = [self.expression(element, scope) for element in node.elts]
        if isinstance(node.ctx, ast.Load) and any(value.kind in INSTANCES for value in values):
            return tuple_of(values)
        return UNKNOWN

    def _list(self, node: ast.List | ast.Set, scope: Scope) -> Fact:
        return container_of([self.expression(element, scope) for element in node.elts])

    def _dict(self, node: ast.Dict, scope: Scope) -> Fact:
        values: list[Fact] = []
        named: dict[str, Fact] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self.expression(key, scope)
            found = self.expression(value, scope)
            values.append(found)
            text = key.value if isinstance(key, ast.Constant) else ""
            if isinstance(text, str) and text.isidentifier():
                named[text] = found
                if found.kind in INSTANCES and TRACING_NAME.search(text):
                    self.learn(f"?[{text}]", found)
        same = container_of(values)
        return record_of(named) if same == UNKNOWN else same

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope
    ) -> Fact:
        inner = Scope(scope.qualified, node, scope, owner=scope.owner, hints=scope.hints)
        for generator in node.generators:
            self._bind_each(generator.target, generator.iter, inner)
            for condition in generator.ifs:
                self.expression(condition, inner)
        if isinstance(node, ast.DictComp):
            self.expression(node.key, inner)
            return container_of([self.expression(node.value, inner)])
        return container_of([self.expression(node.elt, inner)])


_TOLD = {  # what is told of what: where all that is known is that it may be, or nothing
    ("span", "span_context"),
    ("span", ""),
    ("span_context", ""),
    ("scope", ""),
    ("tracer", ""),
}
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_STATEMENTS: dict[type[ast.stmt], Callable[[Flow, Any, Scope], None]] = {
    ast.AugAssign: Flow._added,
    ast.If: Flow._if,
    ast.For: Flow._loop,
    ast.AsyncFor: Flow._loop,
    ast.While: Flow._loop,
    ast.Try: Flow._try,
    ast.Match: Flow._match,
    ast.With: Flow._with,
    ast.AsyncWith: Flow._with,
    ast.Import: Flow._import,
    ast.ImportFrom: Flow._import_from,
    ast.FunctionDef: Flow._function,
    ast.AsyncFunctionDef: Flow._function,
    ast.ClassDef: Flow._class,
    ast.Return: Flow._return,
    ast.Assign: Flow._assign,
    ast.AnnAssign: Flow._annotated_assign,
}
_EXPRESSIONS: dict[type[ast.expr], Callable[[Flow, Any, Scope], Fact]] = {
    ast.Name: Flow._name,
    ast.Attribute: Flow._attribute,
    ast.Call: Flow._call,
    ast.Subscript: Flow._subscript,
    ast.NamedExpr: Flow._walrus,
    ast.IfExp: Flow._if_expression,
    ast.BoolOp: Flow._bool,
    ast.Await: Flow._pass_through,
    ast.Starred: Flow._pass_through,
    ast.Yield: Flow._yielded,
    ast.YieldFrom: Flow._yielded_from,
    ast.Tuple: Flow._tuple,
    ast.List: Flow._list,
    ast.Set: Flow._list,
    ast.Dict: Flow._dict,
    ast.ListComp: Flow._comprehension,
    ast.SetComp: Flow._comprehension,
    ast.GeneratorExp: Flow._comprehension,
    ast.DictComp: Flow._comprehension,
    ast.Lambda: Flow._lambda,
}
