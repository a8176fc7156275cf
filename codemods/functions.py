"""Functions: what their parameters are, by annotation, caller, fixture or name; what they give."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from codemods import legacy
from codemods.bindings import Scope
from codemods.calls import Calls
from codemods.kinds import (
    ACTIVE_OR_NONE,
    CONFTEST,
    FIXTURE,
    FOREIGN,
    HANDED_OUT,
    INSTANCES,
    MOCK_TRACER,
    QUOTED,
    UNKNOWN,
    class_instance,
    held,
    is_legacy_fact,
    name,
    prefer,
)
from codemods.model import Fact
from codemods.source import FunctionNode, last_name

_CONTAINERS = frozenset(
    {"ContextVar", "Deque", "Generator", "Iterable", "Iterator", "List", "Queue", "Sequence"}
    | {"Set", "Tuple", "deque", "list", "set", "tuple"}
)


class Functions(Calls):
    """Functions and lambdas; their bodies are walked after what stands around them."""

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
        label = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        scope = Scope(f"{outer.qualified}.{label}", node, outer)
        if outer.is_class:
            scope.owner = outer.qualified
        self.scopes[node] = scope
        scope.hints = {} if self._foreign else self._hints.get(node, {})
        scope.outer.update(self._outer.get(node, ()))
        self._parameters(node, scope, outer)
        if isinstance(node, ast.Lambda):
            given = self.expression(node.body, scope)
            if given.kind in INSTANCES:
                self._gives[node] = given
            return
        self.block(node.body, scope)
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

    def _return(self, node: ast.Return, scope: Scope) -> None:
        if node.value is None:
            return
        value = self._handed_out(node.value, self.expression(node.value, scope))
        owner = scope
        if isinstance(owner.node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._returns(owner.node, owner, value)

    def _handed_out(self, node: ast.expr, value: Fact) -> Fact:
        """A MockTracer that is returned in the file where it is made has its exporter with it."""
        here = isinstance(node, ast.Call) and self.symbols.get(node.func) == MOCK_TRACER
        if here or (value.detail == MOCK_TRACER and value.made <= self.makers.keys()):
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
        several = held(value)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or several == UNKNOWN:
            return
        given = f"{scope.qualified}()"
        if _has_decorator(node.decorator_list, "contextmanager", "asynccontextmanager"):
            self.learn(given, Fact("manager", f"{value.kind}:{several.detail}", value.made))
        elif _is_fixture(node):
            self.learn(given, value)
        else:
            self.learn(given, several)

    def _yielded(self, node: ast.Yield, scope: Scope) -> Fact:
        if node.value is not None:
            self._yield(self._handed_out(node.value, self.expression(node.value, scope)), scope)
        return UNKNOWN

    def _yielded_from(self, node: ast.YieldFrom, scope: Scope) -> Fact:
        value = self.expression(node.value, scope)
        if isinstance(scope.node, FunctionNode) and value.kind.startswith("[]"):
            self.learn(f"{scope.qualified}()", value)
        return UNKNOWN

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Fact:
        self._defaults(node.args, scope)
        self._pending.append((node, scope))
        given = self._gives.get(node)
        return Fact("callable", given.kind, given.made) if given is not None else UNKNOWN


def _by_name(parameter: str) -> Fact:
    """What a parameter of a file that imports a legacy library is, by its name."""
    found = re.fullmatch(r"(?:\w*_)?(tracer|span|scope)", parameter)
    return Fact(found.group(1)) if found else UNKNOWN


def _attribute_of(node: FunctionNode) -> ast.AST:
    """The object whose attributes a `__getattr__` hands out, or the function itself."""
    for part in ast.walk(node):
        if isinstance(part, ast.Return) and isinstance(part.value, ast.Call):
            call = part.value
            if getattr(call.func, "id", "") == "getattr" and call.args:
                return call.args[0]
    return node


def _has_decorator(decorators: Iterable[ast.expr], *names: str) -> bool:
    called = (one.func if isinstance(one, ast.Call) else one for one in decorators)
    return any(last_name(decorator) in names for decorator in called)


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
