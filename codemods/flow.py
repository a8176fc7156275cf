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
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from codemods import legacy
from codemods.index import Index
from codemods.kinds import (
    ACTIVE_OR_NONE,
    FOREIGN,
    HANDED_OUT,
    INSTANCES,
    OPENTELEMETRY,
    OTHER,
    UNKNOWN,
    all_made,
    class_instance,
    container_call,
    container_of,
    detail_of,
    element_of,
    held,
    is_legacy_fact,
    is_member,
    name,
    part_of,
    prefer,
    tuple_of,
    unpacked_as,
)
from codemods.knowledge import Knowledge
from codemods.model import Fact, Facts
from codemods.names import CONSTANTS
from codemods.source import children

TRACING_NAME = re.compile(r"span|trac|scope", re.IGNORECASE)
_MADE_BY_VENDORS = re.compile(r"(?:^|\.)[A-Z]\w*Tracer$|\.Tracer$")
OF_EVERY_OBJECT = frozenset(dir(object)) | {"__dict__", "__module__", "__name__"}
LEGACY_KEYWORDS = frozenset(
    {"child_of", "references", "ignore_active_span", "operation_name", "tags"}
)
_ROUNDS = 6
FIXTURE = Fact("function", "fixture")
CONFTEST = "conftest"  # the name under which a module knows the nearest conftest.py
MOCK_TRACER = "opentracing.mocktracer.MockTracer"
_OF_A_MOCK = {"finished_spans", "reset"}  # a tracer of the project's own that has them is one
_ONE_OF_THEM = frozenset({"max", "min", "next"})
_THE_SAME = frozenset({"filter", "iter", "list", "reversed", "set", "sorted", "tuple"})
QUOTED = "opentracing.(quoted annotation)"  # a string in which a legacy name is one of several
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Scope:
    """One namespace: the module, a class body, a function, or a comprehension."""

    qualified: str
    node: ast.AST
    parent: Scope | None
    is_class: bool = False
    owner: str = ""  # the class whose method this is
    values: dict[str, Fact] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)  # global and nonlocal names
    hints: dict[str, str] = field(default_factory=dict)


class Flow(Knowledge):
    """The walk over one module, and its results.

    `kinds` has a fact for every expression seen; `symbols` the qualified (canonical) legacy name
    of each name or attribute that denotes one; `members` for each attribute read or called on a
    legacy instance the kind of the instance.
    """

    def __init__(
        self, tree: ast.Module, index: Index, *, module: str, is_package: bool, known: Facts
    ) -> None:
        super().__init__(module, is_package=is_package, known=known)
        self.tree = tree
        self.kinds: dict[ast.AST, Fact] = {}
        self.symbols: dict[ast.AST, str] = {}
        self.members: dict[ast.AST, Fact] = {}
        self.quoted: dict[ast.AST, list[tuple[int, int, str]]] = {}  # names in a quoted annotation
        self.makers: dict[str, ast.AST] = {}  # the sites that make something, by what `made` says
        self.imports: dict[ast.alias, str] = {}
        self.scopes: dict[ast.AST, Scope] = {}
        self._pending: list[tuple[FunctionNode | ast.Lambda, Scope]] = []
        self._handed: dict[tuple[ast.AST, int], Fact] = {}  # what a lambda is given, by place
        self._gives: dict[ast.AST, Fact] = {}  # what a lambda gave in the walk before
        self._stars: list[str] = []
        self._foreign = False
        self._hints, self._outer = index.hints, index.outer
        self._declared = frozenset[str]().union(*index.outer.values())  # set by other functions
        self._imports_legacy = index.imports_legacy
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

    # The walk.

    def _run(self) -> None:
        self.kinds.clear()
        self.symbols.clear()
        self.members.clear()
        self.makers.clear()
        self._stars.clear()
        scope = Scope(self.module, self.tree, None)
        self.scopes = {self.tree: scope}
        scope.hints = self._hints.get(self.tree, {})
        self._block(self.tree.body, scope)
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

    def _block(self, body: Iterable[ast.stmt], scope: Scope) -> None:
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
                self._block([child], scope)
            else:
                self._children(child, scope)

    def _branches(self, branches: Iterable[Iterable[ast.stmt]], scope: Scope) -> None:
        start = dict(scope.values)
        ends = []
        for branch in branches:
            scope.values = dict(start)
            self._block(branch, scope)
            ends.append(scope.values)
        merged: dict[str, Fact] = {}
        for end in ends:
            for key, value in end.items():
                merged[key] = prefer(merged.get(key, UNKNOWN), value)
        scope.values = merged

    def _if(self, node: ast.If, scope: Scope) -> None:
        self.expression(node.test, scope)
        self._branches([node.body, node.orelse], scope)

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, scope: Scope) -> None:
        if isinstance(node, ast.While):
            self.expression(node.test, scope)
        else:
            self._bind_each(node.target, node.iter, scope)
        self._branches([node.body, []], scope)
        self._block(node.orelse, scope)

    def _bind_each(self, target: ast.expr, iterated: ast.expr, scope: Scope) -> None:
        """`for span in spans`, also `for i, span in enumerate(spans)` and `zip(spans, names)`."""
        value = self.expression(iterated, scope)
        together = iterated_together(iterated)
        if isinstance(target, ast.Tuple) and len(together) == len(target.elts):
            for element, each in zip(target.elts, together, strict=True):
                self._bind(element, element_of(self.kinds.get(each, UNKNOWN)), scope)
        else:
            self._bind(target, element_of(value), scope)

    def _try(self, node: ast.Try, scope: Scope) -> None:
        before = dict(scope.values)
        self._block(node.body, scope)
        after = scope.values
        self._block(node.orelse, scope)
        ends = [scope.values]
        for handler in node.handlers:
            scope.values = {**before, **after}
            if handler.type is not None:
                self.expression(handler.type, scope)
            if handler.name:
                scope.values[handler.name] = UNKNOWN
            self._block(handler.body, scope)
            ends.append(scope.values)
        merged: dict[str, Fact] = {}
        for end in ends:
            for key, value in end.items():
                merged[key] = prefer(merged.get(key, UNKNOWN), value)
        scope.values = merged
        self._block(node.finalbody, scope)

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
        self._block(node.body, scope)

    def _entered(self, value: Fact) -> Fact:
        if value.kind == "manager":
            return Fact(value.detail, "", value.made)
        if value.kind == "instance":
            for cls in self.bases(value.detail):
                found = self.fact(f"{cls}.__enter__()") or self.fact(f"{cls}.__aenter__()")
                if found is not None:
                    return found
            return UNKNOWN
        return value

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            self.imports[alias] = alias.name
            self._note_foreign(alias.name)
            if alias.asname:
                self._store(alias.asname, self.resolve(alias.name), scope)
            else:
                root = alias.name.partition(".")[0]
                self._store(root, name(root), scope)

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        base = absolute(node.module or "", node.level, self.package)
        self._note_foreign(base)
        for alias in node.names:
            if alias.name == "*":
                self.imports[alias] = base
                self._stars.append(base)
                continue
            qualified = f"{base}.{alias.name}" if base else alias.name
            self.imports[alias] = qualified
            self._store(alias.asname or alias.name, self._imported(qualified), scope)

    def _imported(self, qualified: str) -> Fact:
        resolved = self.resolve(qualified)
        return (
            resolved
            if resolved.kind != "name"
            else name(qualified)
            if self.is_legacy(qualified)
            else resolved
        )

    def _note_foreign(self, module: str) -> None:
        if module.partition(".")[0] in legacy.OTHER_TRACERS:
            self._foreign = True

    def _function(self, node: FunctionNode, scope: Scope) -> None:
        for decorator in node.decorator_list:
            self.expression(decorator, scope)
        self._defaults(node.args, scope)
        if node.returns is not None:
            self.annotation(node.returns, scope)
        qualified = f"{scope.qualified}.{node.name}"
        if not scope.is_class or not _is_property(node):
            self.own[qualified] = FIXTURE if _is_fixture(node) else Fact("function")
        is_property = scope.is_class and (_is_property(node) or _is_accessor(node))
        scope.values[node.name] = UNKNOWN if is_property else name(qualified)
        self._pending.append((node, scope))

    def _defaults(self, args: ast.arguments, scope: Scope) -> None:
        for default in (*args.defaults, *(d for d in args.kw_defaults if d is not None)):
            self.expression(default, scope)

    def _function_body(self, node: FunctionNode | ast.Lambda, outer: Scope) -> None:
        lambda_ = isinstance(node, ast.Lambda)
        label = "<lambda>" if lambda_ else node.name  # type: ignore[union-attr]
        scope = Scope(f"{outer.qualified}.{label}", node, outer)
        if outer.is_class:
            scope.owner = outer.qualified
        self.scopes[node] = scope
        body: list[ast.stmt] = [] if lambda_ else node.body  # type: ignore[assignment]
        scope.hints = {} if self._foreign else self._hints.get(node, {})
        scope.outer.update(self._outer.get(node, ()))
        self._parameters(node, scope, outer)
        if lambda_:
            given = self.expression(node.body, scope)  # type: ignore[arg-type]
            if given.kind in INSTANCES:
                self._gives[node] = given
            return
        assert not isinstance(node, ast.Lambda)
        self._block(body, scope)
        if node.returns is not None and (annotated := self._annotated(node.returns, scope)):
            key = scope.qualified if _is_property(node) else f"{scope.qualified}()"
            if self.own.get(key, UNKNOWN).kind != annotated:  # what is returned says more
                self._returns(node, scope, Fact(annotated))

    def _parameters(self, node: FunctionNode | ast.Lambda, scope: Scope, outer: Scope) -> None:
        args = node.args
        named = [*args.posonlyargs, *args.args]
        decorators = () if isinstance(node, ast.Lambda) else node.decorator_list
        if outer.is_class and named and not _has_decorator(decorators, "staticmethod"):
            first = named.pop(0)
            is_class = _has_decorator(decorators, "classmethod")
            scope.values[first.arg] = (
                name(outer.qualified) if is_class else Fact("instance", outer.qualified)
            )
        defaults = _defaults_of(args)
        for index, arg in enumerate(named):
            told = self._told(arg, index, defaults.get(arg), scope, outer)
            self._parameter(arg, told, scope, outer)
        for arg in args.kwonlyargs:
            told = self._told(arg, None, defaults.get(arg), scope, outer)
            self._parameter(arg, told, scope, outer)
        for variadic in (args.vararg, args.kwarg):
            if variadic is not None:
                scope.values[variadic.arg] = UNKNOWN

    def _told(
        self, arg: ast.arg, index: int | None, default: ast.expr | None, scope: Scope, outer: Scope
    ) -> Fact:
        """What those who call a function pass for a parameter, as far as they are known."""
        told = UNKNOWN
        for function in self._known_as(scope, outer):
            for key in (arg.arg, index):
                if key is not None:
                    told = prefer(told, self.fact(f"{function}({key})") or UNKNOWN)
        if index is not None and (scope.node, index) in self._handed:
            told = self._handed[scope.node, index]
        if default is not None:
            given = self._passed(default)
            told = prefer(told, given if is_legacy_fact(given) else UNKNOWN)
        if _is_fixture(scope.node) or getattr(scope.node, "name", "").startswith("test"):
            told = prefer(self._fixture(arg.arg, outer), told)
        return told

    def _known_as(self, scope: Scope, outer: Scope) -> list[str]:
        """A function; a method also as that of a base class, which may call it and not have it."""
        method = getattr(scope.node, "name", "__lambda__")
        if not outer.is_class or method.startswith("__"):
            return [scope.qualified]
        return [f"{cls}.{method}" for cls in self.bases(outer.qualified)]

    def _passed(self, node: ast.expr) -> Fact:
        """What an argument or default value is to the function: of a class, something to call."""
        value = self.kinds.get(node, UNKNOWN)
        if value.kind == "name" and (symbol := self.symbols.get(node)) is not None:
            kind = legacy.CALLS.get(symbol, "")
            return self._given(node, "callable" if kind in INSTANCES else "", kind)
        return value

    def _fixture(self, key: str, scope: Scope) -> Fact:
        """What pytest passes: the result of the fixture of that name, here or in conftest.py."""
        found = self._lookup(key, scope)
        qualified = found.detail if found.kind == "name" else f"{CONFTEST}.{key}"
        if self.fact(qualified) != FIXTURE:
            return UNKNOWN
        return self.fact(f"{qualified}()") or FOREIGN

    def _parameter(self, arg: ast.arg, told: Fact, scope: Scope, outer: Scope) -> None:
        value = UNKNOWN
        if arg.annotation is not None:
            self.annotation(arg.annotation, outer)
            what = self._annotated(arg.annotation, outer)
            value = Fact(what) if what in INSTANCES else class_instance(what)
        if value == UNKNOWN or value.kind == "span_context":
            given = value
            value = told if told.kind and given.kind in ("", told.kind) else given
        elif told.kind in (value.kind, "instance"):
            detail = HANDED_OUT if told.detail == HANDED_OUT else value.detail
            value = Fact(value.kind, detail, told.made)
        if value == UNKNOWN and arg.arg in scope.hints and arg.annotation is None:
            value = Fact(scope.hints[arg.arg])
        if value == UNKNOWN and arg.annotation is None and self._imports_legacy:
            value = _by_name(arg.arg)
        scope.values[arg.arg] = value
        self.kinds[arg] = value

    def annotation(self, node: ast.expr, scope: Scope) -> None:
        """Look through an annotation for legacy names, also one in quotes."""
        self.expression(node, scope)
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                self._quoted(part, part.value, scope)

    def _quoted(self, node: ast.Constant, text: str, scope: Scope) -> None:
        try:
            inner = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            return
        before = set(self.symbols)
        self.expression(inner, scope)
        found = [part for part in self.symbols if part not in before]
        if inner in found:
            self.symbols[node] = self.symbols[inner]
        elif found:
            self.symbols[node] = QUOTED
            self.quoted[node] = [
                (part.col_offset, part.end_col_offset or 0, self.symbols[part])
                for part in found
                if isinstance(part, ast.expr) and "." in self.symbols[part]
            ]

    def _annotated(self, node: ast.expr, scope: Scope) -> str:
        """The kind an annotation gives, through Optional, unions and string quotes."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value, mode="eval").body
            except (SyntaxError, ValueError):
                return ""
            return self._annotated(inner, scope)
        if isinstance(node, ast.BinOp):
            return self._annotated(node.left, scope) or self._annotated(node.right, scope)
        if isinstance(node, ast.Subscript):
            head = (
                node.value.attr
                if isinstance(node.value, ast.Attribute)
                else getattr(node.value, "id", "")
            )
            if head in ("Optional", "Union", "Annotated", "Final", "ClassVar"):
                items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                found_kinds = (self._annotated(item, scope) for item in items)
                return next((kind for kind in found_kinds if kind), "")
            if head in _CONTAINERS:
                items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                inner_kind = self._annotated(items[0], scope) if items else ""
                return "[]" + inner_kind if inner_kind in INSTANCES else ""
            return ""
        value = self.expression(node, scope)
        if value.kind == "name":
            kind = legacy.CLASSES.get(legacy.canonical(value.detail), "")
            if kind:
                return kind
            known = self.fact(value.detail)
            if known is not None and known.kind == "class":
                return "instance:" + value.detail
        return ""

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
        self._block(node.body, body)
        for key, value in body.values.items():
            if value.kind != "name" or self.is_legacy(value.detail):
                self.learn(f"{qualified}.{key}", value)
        scope.values[node.name] = name(qualified)
        if self.legacy_base(qualified) == "tracer" and body.values.keys() >= _OF_A_MOCK:
            self.own[qualified] = scope.values[node.name] = name(MOCK_TRACER)

    def _return(self, node: ast.Return, scope: Scope) -> None:
        if node.value is None:
            return
        value = self._handed_out(node.value, self.expression(node.value, scope))
        owner = scope
        if isinstance(owner.node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._returns(owner.node, owner, value)

    def _handed_out(self, node: ast.expr, value: Fact) -> Fact:
        """A MockTracer that is returned where it is made has its exporter with it."""
        if isinstance(node, ast.Call) and self.symbols.get(node.func) == MOCK_TRACER:
            return Fact(value.kind, HANDED_OUT, value.made)
        return value

    def _returns(self, node: FunctionNode, scope: Scope, value: Fact) -> None:
        if value.detail == "active":  # it is rewritten to give None where no span is active
            value = Fact(value.kind, ACTIVE_OR_NONE if value.kind == "scope" else "", value.made)
        if node.name == "__getattr__":  # `return getattr(self._tracer, name)`: it stands for it
            value = self.kinds.get(_attribute_of(node), UNKNOWN)
        if _is_property(node):
            self.learn(scope.qualified, value)
        else:
            self.learn(f"{scope.qualified}()", value)

    def _yield(self, value: Fact, scope: Scope) -> None:
        node = scope.node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and value.kind in INSTANCES:
            if _has_decorator(node.decorator_list, "contextmanager", "asynccontextmanager"):
                self.learn(f"{scope.qualified}()", Fact("manager", value.kind, value.made))
            elif _is_fixture(node):
                self.learn(f"{scope.qualified}()", value)
            else:
                self.learn(f"{scope.qualified}()", Fact("[]" + value.kind, made=value.made))

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

    def _bind(self, target: ast.expr, value: Fact, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            if value == UNKNOWN and target.id in scope.hints:
                value = Fact(scope.hints[target.id])
            self._store(target.id, value, scope)
            self.kinds[target] = value
        elif isinstance(target, ast.Tuple | ast.List):
            parts = unpacked_as(value, len(target.elts))
            for element, part in zip(target.elts, parts, strict=False):
                self._bind(element, part, scope)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, UNKNOWN, scope)
        elif isinstance(target, ast.Attribute):
            self._bind_attribute(target, value, scope)
        elif isinstance(target, ast.Subscript):
            self._bind_item(target, value, scope)
        else:
            self.expression(target, scope)

    def _store(self, key: str, value: Fact, scope: Scope) -> None:
        if key in scope.outer:
            owner = scope.parent
            while owner is not None and owner.parent is not None and key not in owner.values:
                owner = owner.parent
            if owner is not None:
                owner.values[key] = prefer(owner.values.get(key, UNKNOWN), value)
                self.learn(f"{owner.qualified}.{key}", value)
        else:
            scope.values[key] = value

    def _bind_attribute(self, target: ast.Attribute, value: Fact, scope: Scope) -> None:
        owner = self.expression(target.value, scope)
        if owner.kind in INSTANCES:
            self.members[target] = owner
            if value.kind in INSTANCES and TRACING_NAME.search(target.attr):
                self.learn(f"?.{target.attr}", value)
            return
        if owner.kind == "instance":
            self.learn(f"{owner.detail}.{target.attr}", value)
        elif owner.kind == "name":
            qualified = f"{owner.detail}.{target.attr}"
            if self.is_legacy(qualified):
                self.symbols[target] = legacy.canonical(qualified)
            else:
                self.learn(qualified, value)
                if value.kind in INSTANCES and TRACING_NAME.search(target.attr):
                    self.learn(f"?.{target.attr}", value)
        elif value.kind in INSTANCES and TRACING_NAME.search(target.attr):
            self.learn(f"?.{target.attr}", value)
        self.kinds[target] = value

    def _bind_item(self, target: ast.Subscript, value: Fact, scope: Scope) -> None:
        self.expression(target.value, scope)
        self.expression(target.slice, scope)
        if value.kind not in INSTANCES:
            return
        if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
            if TRACING_NAME.search(target.slice.value):
                self.learn(f"?[{target.slice.value}]", value)
            elif (key := self._item(target, target.slice.value, scope)) is not None:
                self.learn(key, value)
        else:
            self._fill(target.value, Fact("[]" + value.kind, made=value.made), scope)

    def _fill(self, container: ast.expr, value: Fact, scope: Scope) -> None:
        """Something was put into a container; a name may be one of an outer scope."""
        owner: Scope | None = scope
        if isinstance(container, ast.Name):
            while owner is not None and container.id not in owner.values:
                owner = owner.parent
            if owner is not None and owner is not scope:
                owner.values[container.id] = value
                self.learn(f"{owner.qualified}.{container.id}", value)
                return
        self._bind(container, value, scope)

    def _added(self, node: ast.AugAssign, scope: Scope) -> None:
        """`spans += [span]`."""
        self.expression(node.target, scope)
        value = self.expression(node.value, scope)
        if value.kind.startswith("[]"):
            self._fill(node.target, value, scope)

    # Expressions.

    def _given(self, site: ast.AST, kind: str, detail: str = "") -> Fact:
        """What the call or the reading of a legacy name gives; nothing of ours is made nowhere."""
        return Fact(kind, detail, frozenset({self._maker(site)}) if kind else frozenset())

    def _maker(self, site: ast.AST) -> str:
        """The name by which a site is known as a maker: where its last word ends."""
        assert isinstance(site, ast.expr)
        maker = f"{self.module}:{site.end_lineno}:{site.end_col_offset}"
        self.makers[maker] = site
        return maker

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

    def _name(self, node: ast.Name, scope: Scope) -> Fact:
        value = self._lookup(node.id, scope)
        if value.kind == "name":
            resolved = self.resolve(value.detail)
            if self.is_legacy(value.detail):
                self.symbols[node] = legacy.canonical(value.detail)
                return self._value_of(node, resolved)
            return resolved
        if value.kind in INSTANCES and self._is_imported_value(node.id, value.detail):
            self.symbols[node] = value.detail
            return self._value_of(node, value)
        return value

    def _value_of(self, node: ast.AST, value: Fact) -> Fact:
        """What reading a legacy name gives: `opentracing.tracer` is made where it is read."""
        is_value = value.kind in INSTANCES
        return self._given(node, value.kind, value.detail) if is_value else value

    def _is_imported_value(self, key: str, qualified: str) -> bool:
        return self.is_legacy(qualified) and any(
            (alias.asname or alias.name) == key and legacy.canonical(target) in legacy.VALUES
            for alias, target in self.imports.items()
        )

    def _lookup(self, key: str, scope: Scope) -> Fact:
        current: Scope | None = scope
        first = True
        while current is not None:
            if (
                (first or not current.is_class)
                and key in current.values
                and key not in (current.outer)
            ):
                value = current.values[key]
                told = self.fact(f"{current.qualified}.{key}") if value == UNKNOWN else None
                if told is not None and (told.kind[:2] == "[]" or key in self._declared):
                    return told
                return value
            first = False
            if current.parent is None:
                told = self.fact(f"{current.qualified}.{key}")
                if told is not None:
                    return (
                        name(f"{current.qualified}.{key}")
                        if told.kind in ("class", "function")
                        else told
                    )
            current = current.parent
        for star in self._stars:
            if self.is_legacy(star) and key.isupper() and star.endswith(("tags", "logs")):
                return name(f"{star}.{key}")
            if self.fact(f"{star}.{key}") is not None:
                return self.resolve(f"{star}.{key}")
        return UNKNOWN

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Fact:
        owner = self.expression(node.value, scope)
        return self.member(node, owner, node.attr, scope)

    def member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        """What attribute `attr` of an `owner` is."""
        if owner.kind == "name":
            qualified = f"{owner.detail}.{attr}"
            if self.is_legacy(qualified):
                self.symbols[node] = legacy.canonical(qualified)
                return self._value_of(node, self.resolve(qualified))
            resolved = self.resolve(qualified)
            found = self.fact(owner.detail)
            if resolved.kind == "name" and found is not None and found.kind == "class":
                return self.class_member(owner.detail, attr) or resolved
            if resolved.kind == "name" and self.is_legacy(resolved.detail):
                self.symbols[node] = legacy.canonical(resolved.detail)
            elif self.is_of_a_framework(resolved) and self._telltale(node, attr):
                return self._unknown_member(node, UNKNOWN, attr, scope)  # flask.g.tracer.inject
            return resolved
        if owner.kind in INSTANCES:
            if attr in OF_EVERY_OBJECT:
                return UNKNOWN
            self.members[node] = owner
            kind = legacy.ATTRIBUTES.get((owner.kind, attr), "")
            if attr in ("set_baggage_item", "get_baggage_item"):
                self.own["?baggage"] = Fact("manager")
            if not kind and TRACING_NAME.search(attr):
                return self.fact(f"?.{attr}") or UNKNOWN
            return self._given(node, kind, detail_of(owner, attr))
        if owner.kind == "instance":
            return self._instance_member(node, owner, attr, scope)
        if owner.kind == "super":
            return self._inherited(node, owner.detail, attr)
        if owner == OPENTELEMETRY and (kind := self._telltale(node, attr)):  # what was left
            self.members[node] = Fact(kind, "duck")
            return self._given(node, legacy.ATTRIBUTES.get((kind, attr), ""))
        if owner.kind == "other":
            return owner
        return self._unknown_member(node, owner, attr, scope)

    def _instance_member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        found = self.class_member(owner.detail, attr)
        if found is not None and found.kind != "name":
            return found
        for cls in self.bases(owner.detail) if found is None else ():
            given = self.fact(f"{cls}.__getattr__()")
            if given is not None and given.kind in INSTANCES:
                return self.member(node, given, attr, scope)
        return (  # also a method that overrides a legacy one
            self._legacy_member(node, owner.detail, attr)
            or found
            or Fact("unbound", f"{owner.detail}.{attr}")
        )

    def _legacy_member(self, node: ast.AST, cls: str, attr: str) -> Fact | None:
        """What a class of the project that derives from a legacy one may have from that."""
        base = self.legacy_base(cls)
        if not is_member(base, attr):
            return None
        self.members[node] = Fact(base, "custom")
        return self._given(node, legacy.ATTRIBUTES.get((base, attr), ""))

    def _inherited(self, node: ast.AST, cls: str, attr: str) -> Fact:
        """`super().attr`: what the nearest base has, or a method of which nobody told yet."""
        if (found := self._legacy_member(node, cls, attr)) is not None:
            return found
        bases = [base for base in (self.fact(cls) or UNKNOWN).detail.split(",") if base]
        for base in bases:
            if (found := self.class_member(base, attr)) is not None:
                return found
        return Fact("unbound", f"{bases[0]}.{attr}") if bases else UNKNOWN

    def _unknown_member(self, node: ast.AST, owner: Fact, attr: str, scope: Scope) -> Fact:
        kind = "" if self._foreign else self._telltale(node, attr)
        if kind:
            if owner == FOREIGN or _is_of_unknown_scope(node):
                self.members[node] = Fact(kind, "foreign")
                return UNKNOWN
            self.members[node] = Fact(kind, "duck")
            if owner.kind == "unbound":
                self.learn(owner.detail, Fact(kind))
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and TRACING_NAME.search(node.value.attr)
            ):
                self.learn(f"?.{node.value.attr}", Fact(kind))
            return self._given(node, legacy.ATTRIBUTES.get((kind, attr), ""))
        if self._is_a_lost_scope(node, owner, attr):
            self.members[node] = Fact("scope", "foreign")
            return FOREIGN
        if TRACING_NAME.search(attr) and owner.kind in ("", "unbound"):
            return self.fact(f"?.{attr}") or UNKNOWN
        return FOREIGN if owner == FOREIGN else UNKNOWN

    def _is_a_lost_scope(self, node: ast.AST, owner: Fact, attr: str) -> bool:
        """`scope.span` of a scope that comes out of a place into which it was not seen going."""
        if self._foreign or owner.kind or not isinstance(node, ast.Attribute):
            return False
        told = attr == "span" or (attr == "close" and self._imports_legacy)
        return told and _last_name(node.value).lower().endswith("scope")

    def _telltale(self, node: ast.AST, attr: str) -> str:
        if attr in legacy.TELLTALE:
            return legacy.TELLTALE[attr]
        if attr in legacy.TELLTALE_WHEN_NAMED and isinstance(node, ast.Attribute):
            kind = legacy.TELLTALE_WHEN_NAMED[attr]
            if _last_name(node.value).lower().endswith(kind):
                return kind
        return ""

    def _call(self, node: ast.Call, scope: Scope) -> Fact:
        callee = self.expression(node.func, scope)
        args = [self.expression(arg, scope) for arg in node.args]
        for keyword in node.keywords:
            self.expression(keyword.value, scope)
        if _last_name(node.func) in _CALLS_LATER:
            self._tell_later(node)
        elif isinstance(node.func, ast.Lambda):
            self._hand(node.func, node.args)
        if (owner := self.members.get(node.func)) is not None:
            if owner.detail == "foreign":
                return FOREIGN
            method = _member_name(node.func)
            kind = legacy.METHODS.get((owner.kind, method), "")
            return self._given(node.func, kind, detail_of(owner, method))
        legacy_call = (
            isinstance(node.func, ast.Attribute)
            and (callee in (UNKNOWN, FOREIGN, OPENTELEMETRY) or self.is_of_a_framework(callee))
            and self._is_legacy_call(node)
        )
        if (kept := self._kept(node, callee)) is not None:
            return kept
        if callee.kind == "name" and not legacy_call:
            return self._call_name(node, callee.detail)
        if callee.kind == "callable":
            return Fact(callee.detail, "", callee.made)
        if callee.kind == "unbound":  # a method of which nobody told yet
            cls, _, method = callee.detail.rpartition(".")
            for base in self.bases(cls):
                self._tell(f"{base}.{method}", node)
        if isinstance(node.func, ast.Attribute):
            container = self.kinds.get(node.func.value, UNKNOWN)
            if container.kind.startswith("[]"):
                return container_call(container, node.func.attr)
            if node.func.attr in ("enter_context", "enter_async_context") and args:
                return self._entered(args[0])
            self._learn_append(node, args, scope)
            if node.func.attr == "setdefault" and args[1:] and args[1].kind in INSTANCES:
                return args[1]
            if legacy_call:
                foreign = container == FOREIGN
                self.members[node.func] = Fact("tracer", "foreign" if foreign else "duck")
                return (
                    FOREIGN
                    if foreign
                    else self._given(node.func, legacy.METHODS.get(("tracer", node.func.attr), ""))
                )
        if callee.kind == "other":
            return callee
        if callee == FOREIGN and ("tracer", getattr(node.func, "attr", "")) in legacy.METHODS:
            return FOREIGN
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return self._super(scope)
        if isinstance(node.func, ast.Name):
            return self._builtin(node, args, scope)
        return UNKNOWN

    def _super(self, scope: Scope) -> Fact:
        """`super()` of the class whose method this is."""
        method: Scope | None = scope
        while method is not None and not method.owner:
            method = method.parent
        return Fact("super", method.owner) if method is not None else UNKNOWN

    def _kept(self, node: ast.Call, callee: Fact) -> Fact | None:
        """`g.pop("span", None)`: what is kept under a name on an object of unknown class."""
        match node:
            case ast.Call(
                func=ast.Attribute(attr="get" | "pop"), args=[ast.Constant(value=str(key)), *_]
            ) if TRACING_NAME.search(key):
                if callee == UNKNOWN or self.is_of_a_framework(callee):
                    return self.fact(f"?[{key}]") or self.fact(f"?.{key}")
        return None

    def _is_legacy_call(self, node: ast.Call) -> bool:
        """`x.start_span(..., child_of=)` or `x.inject(..., Format.TEXT_MAP, ...)`.

        The keywords are OpenTracing's alone, and so are the formats.
        """
        assert isinstance(node.func, ast.Attribute)
        if node.func.attr in ("inject", "extract"):
            given = (*node.args, *(keyword.value for keyword in node.keywords))
            return any(self.symbols.get(one, "").startswith("opentracing.Format.") for one in given)
        return (
            node.func.attr == "start_span"
            and not self._foreign
            and any(keyword.arg in LEGACY_KEYWORDS for keyword in node.keywords)
        )

    def _learn_append(self, node: ast.Call, args: list[Fact], scope: Scope) -> None:
        """`spans.append(span)` makes a container of spans; so do a queue and a ContextVar."""
        assert isinstance(node.func, ast.Attribute)
        value = UNKNOWN
        if node.func.attr in _FILLING and len(args) == 1:
            value = args[0]
        elif node.func.attr in _FILLING_AT and len(args) == 2:
            value = args[1]
        filled = held(value) if value.kind in INSTANCES or value.kind == "tuple" else UNKNOWN
        if node.func.attr in _FILLING_ALL:
            named = [self.kinds.get(one.value, UNKNOWN) for one in node.keywords]
            filled = args[0] if args else container_of(named)
            filled = filled if filled.kind.startswith("[]") else UNKNOWN
        if filled != UNKNOWN and isinstance(node.func.value, ast.Name | ast.Attribute):
            self._fill(node.func.value, filled, scope)

    def _builtin(self, node: ast.Call, args: list[Fact], scope: Scope) -> Fact:
        assert isinstance(node.func, ast.Name)
        if node.func.id == "getattr" and len(node.args) >= 2:
            attr = node.args[1]
            if isinstance(attr, ast.Constant) and isinstance(attr.value, str):
                owner = args[0]
                if owner.kind == "name" and self.is_legacy(f"{owner.detail}.{attr.value}"):
                    return UNKNOWN
                return self.member(node, owner, attr.value, scope)
            if args[0].kind in ("tracer", "span", "scope"):  # which one only a run can tell
                self.members[node] = args[0]
                return FOREIGN
        return self._of_container(node, node.func.id, args)

    def _of_container(self, node: ast.Call, builtin: str, args: list[Fact]) -> Fact:
        """`sorted(spans, key=lambda span: ...)`, `filter(lambda span: ..., spans)`, `next(...)`."""
        is_given_first = builtin in ("filter", "map")
        container = args[is_given_first] if len(args) > is_given_first else UNKNOWN
        if not container.kind.startswith("[]"):
            return UNKNOWN
        key = next((one.value for one in node.keywords if one.arg == "key"), None)
        function = node.args[0] if is_given_first else key
        if isinstance(function, ast.Lambda):
            self._handed[function, 0] = element_of(container)
        elif function is not None and (called := self.kinds.get(function, UNKNOWN)).kind == "name":
            self.learn(f"{called.detail}(0)", element_of(container))
        if builtin in _ONE_OF_THEM:
            return element_of(container)
        return container if builtin in _THE_SAME else UNKNOWN

    def _call_name(self, node: ast.Call, qualified: str) -> Fact:
        if self.is_legacy(qualified):
            canonical = legacy.canonical(qualified)
            active = canonical.endswith(("get_current_span", "get_active_span"))
            detail = "active" if active else canonical
            return self._given(node.func, legacy.CALLS.get(canonical, ""), detail)
        if qualified.partition(".")[0] == "opentelemetry":
            return OPENTELEMETRY
        if qualified.partition(".")[0] in legacy.OTHER_TRACERS:
            return OTHER
        found = self.fact(qualified)
        target = qualified
        if found is not None and found.kind == "class":
            made = self.class_member(qualified, "__init__")
            target = made.detail if made is not None else f"{qualified}.__init__"
        self._tell(target, node)
        if found is not None and found.kind == "class":
            bases = (self.fact(base) or UNKNOWN for base in self.bases(qualified))
            return Fact("instance", qualified, all_made(bases))
        given = self.fact(f"{qualified}()")
        is_vendors = _MADE_BY_VENDORS.search(qualified) and found is None  # `lightstep.Tracer()`
        return given or (FOREIGN if is_vendors or not self._imports_legacy else UNKNOWN)

    def _tell(self, function: str, node: ast.Call) -> None:
        """What a call tells about the parameters of the function it calls."""
        given = node.args[1:] if self._is_unbound(function, node) else node.args
        told: dict[str | None, ast.expr] = {str(i): value for i, value in enumerate(given)}
        told.update((keyword.arg, keyword.value) for keyword in node.keywords)
        for key, argument in told.items():
            value = self._passed(argument)
            kind = value.kind.removeprefix("[]")
            if key and (kind in INSTANCES or kind in ("instance", "callable")):
                detail = "" if self.is_legacy(value.detail) else value.detail
                self.learn(f"{function}({key})", Fact(value.kind, detail, value.made, value.beside))

    def _tell_later(self, node: ast.Call) -> None:
        """`submit(work, span)`, `Thread(target=work, args=(span,))`: what is called elsewhere."""
        named = {one.arg: one.value for one in node.keywords}
        arguments = [*node.args, *(named[key] for key in ("target", "function") if key in named)]
        functions = [self.kinds.get(one, UNKNOWN) for one in arguments]
        index = next(
            (
                place
                for place, one in enumerate(functions)
                if one.kind in _FUNCTION or isinstance(arguments[place], ast.Lambda)
            ),
            None,
        )
        if index is None or self.is_legacy(functions[index].detail):
            return
        given = arguments[index + 1 :]
        if _last_name(node.func) in _TAKES_TUPLE:
            packed = [*given, *(named[key] for key in ("args",) if key in named)]
            given = [part for one in packed for part in getattr(one, "elts", ())]
        keywords = [] if "args" in named or "target" in named else node.keywords
        match named.get("kwargs"):
            case ast.Dict(keys=keys, values=values):
                keywords = [
                    ast.keyword(key.value, value)
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and isinstance(key.value, str)
                ]
        called = arguments[index]
        if isinstance(called, ast.Lambda):
            self._hand(called, given)
        else:
            self._tell(functions[index].detail, ast.Call(called, given, keywords))

    def _hand(self, called: ast.Lambda, given: Iterable[ast.expr]) -> None:
        for place, one in enumerate(given):
            if (value := self.kinds.get(one, UNKNOWN)).kind in INSTANCES:
                self._handed[called, place] = value

    def _is_unbound(self, function: str, node: ast.Call) -> bool:
        """`Base.__init__(self, tracer)`: whether a method is called with its object in front."""
        first = self.kinds.get(node.args[0], UNKNOWN) if node.args else UNKNOWN
        cls = function.rpartition(".")[0]
        if first.kind != "instance" or not cls:
            return False
        if cls == first.detail:  # `Worker.work(self, span)`
            owner = node.func.value if isinstance(node.func, ast.Attribute) else node
            return self.kinds.get(owner, UNKNOWN).kind == "name"
        return cls in self.bases(first.detail)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Fact:
        owner = self.expression(node.value, scope)
        self.expression(node.slice, scope)
        if owner.kind.startswith("[]"):
            return owner if isinstance(node.slice, ast.Slice) else element_of(owner)
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        if owner.kind == "tuple" and isinstance(key, int):
            return part_of(owner, key)
        if isinstance(key, str):
            item = self._item(node, key, scope)
            return self.fact(f"?[{key}]") or (self.fact(item) if item else None) or UNKNOWN
        return UNKNOWN

    def _item(self, node: ast.Subscript, key: str, scope: Scope) -> str | None:
        """What is known under a key of one dict has a fact of its own: `m.f.kept[key]`."""
        if not isinstance(node.value, ast.Name):
            return None
        owner: Scope | None = scope
        while owner is not None and node.value.id not in owner.values:
            owner = owner.parent
        return f"{owner.qualified}.{node.value.id}[{key}]" if owner is not None else None

    def _walrus(self, node: ast.NamedExpr, scope: Scope) -> Fact:
        value = self.expression(node.value, scope)
        owner = scope
        while isinstance(owner.node, _COMPREHENSIONS) and owner.parent is not None:
            owner = owner.parent
        self._bind(node.target, value, owner)
        return value

    def _if_expression(self, node: ast.IfExp, scope: Scope) -> Fact:
        self.expression(node.test, scope)
        return prefer(self.expression(node.body, scope), self.expression(node.orelse, scope))

    def _bool(self, node: ast.BoolOp, scope: Scope) -> Fact:
        value = UNKNOWN
        for part in node.values:
            value = prefer(value, self.expression(part, scope))
        return value

    def _pass_through(self, node: ast.Await | ast.Starred, scope: Scope) -> Fact:
        return self.expression(node.value, scope)

    def _yielded(self, node: ast.Yield, scope: Scope) -> Fact:
        if node.value is not None:
            self._yield(self._handed_out(node.value, self.expression(node.value, scope)), scope)
        return UNKNOWN

    def _yielded_from(self, node: ast.YieldFrom, scope: Scope) -> Fact:
        value = self.expression(node.value, scope)
        if isinstance(scope.node, FunctionNode) and value.kind.startswith("[]"):
            self.learn(f"{scope.qualified}()", value)
        return UNKNOWN

    def _tuple(self, node: ast.Tuple, scope: Scope) -> Fact:
        values = [self.expression(element, scope) for element in node.elts]
        if isinstance(node.ctx, ast.Load) and any(value.kind in INSTANCES for value in values):
            return tuple_of(values)
        return UNKNOWN

    def _list(self, node: ast.List | ast.Set, scope: Scope) -> Fact:
        return container_of([self.expression(element, scope) for element in node.elts])

    def _dict(self, node: ast.Dict, scope: Scope) -> Fact:
        values = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self.expression(key, scope)
            found = self.expression(value, scope)
            values.append(found)
            text = key.value if isinstance(key, ast.Constant) else ""
            if isinstance(text, str) and found.kind in INSTANCES and TRACING_NAME.search(text):
                self.learn(f"?[{text}]", found)
        return container_of(values)

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

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Fact:
        self._defaults(node.args, scope)
        self._pending.append((node, scope))
        given = self._gives.get(node)
        return Fact("callable", given.kind, given.made) if given is not None else UNKNOWN


def absolute(module: str, level: int, package: str) -> str:
    """The absolute name of the module that `from module import` means, with `level` dots."""
    if not level:
        return module
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - (level - 1)] if level > 1 else parts
    return ".".join([*kept, *([module] if module else [])])


def iterated_together(node: ast.expr) -> list[ast.expr]:
    """What the elements of a `zip` or `enumerate` come from; of the numbers that is the call."""
    match node:
        case ast.Call(func=ast.Name(id="zip"), args=args):
            return args
        case ast.Call(func=ast.Name(id="enumerate"), args=[one, *_]):
            return [node, one]
    return []


def _by_name(parameter: str) -> Fact:
    """What a parameter of a file that imports a legacy library is, by its name."""
    found = re.fullmatch(r"(?:\w*_)?(tracer|span|scope)", parameter)
    return Fact(found.group(1)) if found else UNKNOWN


def _is_of_unknown_scope(node: ast.AST) -> bool:
    """`scope.span.set_tag`, `x.active_span.set_tag`: what gives the span would have to go too."""
    match node:
        case ast.Attribute(value=ast.Attribute(attr="span", value=scope)):
            return _last_name(scope).lower().endswith("scope")
        case ast.Attribute(value=ast.Attribute(attr="active_span")):
            return True
    return False


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _attribute_of(node: FunctionNode) -> ast.AST:
    """The object whose attributes a `__getattr__` hands out, or the function itself."""
    for part in ast.walk(node):
        if isinstance(part, ast.Return) and isinstance(part.value, ast.Call):
            call = part.value
            if getattr(call.func, "id", "") == "getattr" and call.args:
                return call.args[0]
    return node


def _member_name(node: ast.expr) -> str:
    """The attribute's name in `x.name` and in `getattr(x, "name")`."""
    match node:
        case ast.Attribute(attr=attr):
            return attr
        case ast.Call(args=[_, ast.Constant(value=str(attr)), *_]):
            return attr
    return ""


def _has_decorator(decorators: Iterable[ast.expr], *names: str) -> bool:
    called = (one.func if isinstance(one, ast.Call) else one for one in decorators)
    return any(_last_name(decorator) in names for decorator in called)


def _is_fixture(node: ast.AST) -> bool:
    return isinstance(node, FunctionNode) and _has_decorator(node.decorator_list, "fixture")


def _defaults_of(args: ast.arguments) -> dict[ast.arg, ast.expr]:
    """The default values of the parameters that have one."""
    named = [*args.posonlyargs, *args.args]
    found = dict(zip(reversed(named), reversed(args.defaults), strict=False))
    found.update((a, d) for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d)
    return found


def _is_property(node: FunctionNode) -> bool:
    return _has_decorator(node.decorator_list, "property", "cached_property", "reify")


def _is_accessor(node: FunctionNode) -> bool:
    """Whether a method is the setter or deleter of a property."""
    return _has_decorator(node.decorator_list, "setter", "deleter", "getter")


_CONTAINERS = frozenset(
    {"ContextVar", "Deque", "Generator", "Iterable", "Iterator", "List", "Queue", "Sequence"}
    | {"Set", "Tuple", "deque", "list", "set", "tuple"}
)
# What calls a function that it is given, later or elsewhere, and those that take its arguments
# in a tuple.
_TAKES_TUPLE = frozenset({"Thread", "Timer", "Process", "apply", "apply_async", "start_new_thread"})
_CALLS_LATER = _TAKES_TUPLE | {
    "call_at", "call_later", "call_soon", "call_soon_threadsafe", "partial", "partialmethod",
    "run", "run_in_executor", "run_sync", "spawn", "spawn_later", "start_soon", "submit",
    "to_thread", "add_callback", "defer", "Greenlet",
}  # fmt: skip
_FUNCTION = ("name", "unbound")
_FILLING = frozenset({"add", "append", "appendleft", "put", "put_nowait", "set"})
_FILLING_AT = frozenset({"insert", "setdefault"})
_FILLING_ALL = frozenset({"extend", "update"})
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
if hasattr(ast, "TryStar"):
    _STATEMENTS[ast.TryStar] = Flow._try
