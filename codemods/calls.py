"""What calls give, and what they tell about the parameters of what they call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from codemods import legacy
from codemods.bindings import TRACING_NAME, Scope
from codemods.kinds import (
    FOREIGN,
    INSTANCES,
    OPENTELEMETRY,
    OTHER,
    UNKNOWN,
    all_made,
    container_call,
    container_of,
    detail_of,
    element_of,
    entry_of,
    held,
    part_of,
)
from codemods.members import Members
from codemods.model import Fact
from codemods.names import CONSTANTS
from codemods.source import last_name

_MADE_BY_VENDORS = re.compile(r"(?:^|\.)[A-Z]\w*Tracer$|\.Tracer$")
LEGACY_KEYWORDS = frozenset(
    {"child_of", "references", "ignore_active_span", "operation_name", "tags"}
)
_FORMATS = frozenset(v for k, v in CONSTANTS.items() if k.startswith("opentracing.Format."))
_ONE_OF_THEM = frozenset({"max", "min", "next"})
_THE_SAME = frozenset({"filter", "iter", "list", "reversed", "set", "sorted", "tuple"})
_FUNCTION = ("name", "unbound")
_PASSED = ("instance", "callable", "tuple", "record")  # beside what is of OpenTracing
_FILLING = frozenset({"add", "append", "appendleft", "put", "put_nowait", "set"})
_FILLING_AT = frozenset({"insert", "setdefault"})
_FILLING_ALL = frozenset({"extend", "update"})
# What calls a function that it is given, later or elsewhere, and those that take its arguments
# in a tuple.
_TAKES_TUPLE = frozenset({"Thread", "Timer", "Process", "apply", "apply_async", "start_new_thread"})
_CALLS_LATER = _TAKES_TUPLE | {
    "call_at", "call_later", "call_soon", "call_soon_threadsafe", "partial", "partialmethod",
    "run", "run_in_executor", "run_sync", "spawn", "spawn_later", "start_soon", "submit",
    "to_thread", "add_callback", "defer", "Greenlet",
}  # fmt: skip
# `hasattr(span, "finish")`, `patch.object(span, "finish")`: a legacy name in a string.
_NAMING = frozenset({"hasattr", "setattr", "delattr", "object"})


class Calls(Members):
    """Calls, of legacy things, of the project's functions and classes, and of Python's own."""

    def _entered(self, value: Fact) -> Fact:
        if value.kind == "manager":
            kind, _, detail = value.detail.partition(":")
            return Fact(kind, detail, value.made)
        if value.kind == "instance":
            for cls in self.bases(value.detail):
                found = self.fact(f"{cls}.__enter__()") or self.fact(f"{cls}.__aenter__()")
                if found is not None:
                    return found
            return UNKNOWN
        return value

    def _passed(self, node: ast.expr) -> Fact:
        """What an argument or default value is to the function: of a class, something to call."""
        value = self.kinds.get(node, UNKNOWN)
        if value.kind == "name" and (symbol := self.symbols.get(node)) is not None:
            kind = legacy.CALLS.get(symbol, "")
            return self._given(node, "callable" if kind in INSTANCES else "", kind)
        return value

    def _call(self, node: ast.Call, scope: Scope) -> Fact:
        callee = self.expression(node.func, scope)
        args = [self.expression(arg, scope) for arg in node.args]
        for keyword in node.keywords:
            self.expression(keyword.value, scope)
        if last_name(node.func) in _CALLS_LATER:
            self._tell_later(node)
        elif last_name(node.func) in _NAMING:
            self._names_member(node, args)
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
            and self._is_legacy_call(node)
            and (callee in (UNKNOWN, FOREIGN, OPENTELEMETRY) or self._is_untold(callee))
        )
        if (kept := self._kept(node, callee, scope)) is not None:
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
            if (given := self._method(node, args, scope)) is not None:
                return given
            if legacy_call:
                return self._legacy_call(node, callee)
        if kind := self._out_of_sight(node):
            self.members[node.func] = Fact(kind, "foreign")
        if callee.kind == "other":
            return callee
        if callee == FOREIGN and ("tracer", getattr(node.func, "attr", "")) in legacy.METHODS:
            return FOREIGN
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return self._super(scope)
        if isinstance(node.func, ast.Name):
            return self._builtin(node, args, scope)
        return UNKNOWN

    def _is_untold(self, callee: Fact) -> bool:
        """Whether a name is one of another module that is not known here."""
        of_other = callee.kind == "name" and not self.is_legacy(callee.detail)
        return of_other and self.fact(callee.detail) is None

    def _super(self, scope: Scope) -> Fact:
        """`super()` of the class whose method this is."""
        method: Scope | None = scope
        while method is not None and not method.owner:
            method = method.parent
        return Fact("super", method.owner) if method is not None else UNKNOWN

    def _method(self, node: ast.Call, args: list[Fact], scope: Scope) -> Fact | None:
        """What is known of a call by the method's name: of a container, of an `ExitStack`."""
        assert isinstance(node.func, ast.Attribute)
        container, method = self.kinds.get(node.func.value, UNKNOWN), node.func.attr
        if container.kind in ("", "unbound") and method in ("items", "popitem", "values"):
            container = self._items(node.func.value, scope)
        if container.kind.startswith("[]"):
            return container_call(container, method)
        if method in ("enter_context", "enter_async_context") and args:
            return self._entered(args[0])
        self._learn_filling(node, args, scope)
        is_kept = method == "setdefault" and args[1:] and args[1].kind in INSTANCES
        return args[1] if is_kept else None

    def _legacy_call(self, node: ast.Call, callee: Fact) -> Fact:
        """What only OpenTracing's tracers are called with makes a tracer of what is called."""
        assert isinstance(node.func, ast.Attribute)
        tracer = self.kinds.get(node.func.value, UNKNOWN)
        untold = tracer.kind == "name" and not self.is_of_a_framework(callee)
        foreign = tracer == FOREIGN or untold
        self.members[node.func] = Fact("tracer", "foreign" if foreign else "duck")
        if foreign:
            return FOREIGN
        return self._given(node.func, legacy.METHODS.get(("tracer", node.func.attr), ""))

    def _kept(self, node: ast.Call, callee: Fact, scope: Scope) -> Fact | None:
        """`kept.get("span")`, `g.pop("span", None)`: what is under a key that is known."""
        match node:
            case ast.Call(
                func=ast.Attribute(value=container, attr="get" | "pop"),
                args=[ast.Constant(value=str(key)), *_],
            ):
                entry = entry_of(self.kinds.get(container, UNKNOWN), key)
            case _:
                return None
        if entry != UNKNOWN:
            return entry
        unknown = callee == UNKNOWN or self.is_of_a_framework(callee)
        found = None
        if unknown and TRACING_NAME.search(key):
            found = self.fact(f"?[{key}]") or self.fact(f"?.{key}")
        if found is None and (item := self._item(container, key, scope)):
            found = self.fact(item)
        return found

    def _out_of_sight(self, node: ast.Call) -> str:
        """The kind of what `x.finish()` or `x.initialize_tracer()` is called on, if not known."""
        match node:
            case ast.Call(func=ast.Attribute(attr="finish") as method, args=[], keywords=[]):
                kind = "span"
            case ast.Call(func=ast.Attribute(attr="set_tag") as method, args=[_, _], keywords=[]):
                kind = "span"
            case ast.Call(func=ast.Attribute(attr="initialize_tracer" | "new_tracer") as method):
                kind = "config"
            case _:
                return ""
        owner = self.kinds.get(method.value, UNKNOWN)
        is_unknown = owner.kind == "unbound" or owner == UNKNOWN
        return kind if self._imports_legacy and is_unknown and method not in self.members else ""

    def _is_legacy_call(self, node: ast.Call) -> bool:
        """`x.start_span(..., child_of=)` or `x.inject(..., Format.TEXT_MAP, ...)`.

        The keywords are OpenTracing's alone, and so are the formats.
        """
        assert isinstance(node.func, ast.Attribute)
        if node.func.attr in ("inject", "extract"):
            given = (*node.args, *(keyword.value for keyword in node.keywords))
            return any(
                self.symbols.get(one, "").startswith("opentracing.Format.")
                or (isinstance(one, ast.Constant) and one.value in _FORMATS)
                for one in given
            )
        return (
            node.func.attr == "start_span"
            and not self._foreign
            and any(keyword.arg in LEGACY_KEYWORDS for keyword in node.keywords)
        )

    def _learn_filling(self, node: ast.Call, args: list[Fact], scope: Scope) -> None:
        """`spans.append(span)` makes a container of spans; so do a queue and a ContextVar."""
        assert isinstance(node.func, ast.Attribute)
        filled = self._filled(node.func.attr, node, args)
        if filled != UNKNOWN and isinstance(node.func.value, ast.Name | ast.Attribute):
            self._fill(node.func.value, filled, scope)

    def _filled(self, method: str, node: ast.Call, args: list[Fact]) -> Fact:
        if method in _FILLING and len(args) == 1:
            return held(args[0])
        if method in _FILLING_AT and len(args) == 2:
            return held(args[1])
        if method in _FILLING_ALL:
            named = [self.kinds.get(one.value, UNKNOWN) for one in node.keywords]
            given = args[0] if args else container_of(named)
            return given if given.kind.startswith("[]") else UNKNOWN
        return UNKNOWN

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

    def _names_member(self, node: ast.Call, args: list[Fact]) -> None:
        if args and args[0].kind in ("tracer", "span", "scope") and _asked(node):
            self.members[node] = args[0]

    def _of_container(self, node: ast.Call, builtin: str, args: list[Fact]) -> Fact:
        """`sorted(spans, key=lambda span: ...)`, `filter(lambda span: ..., spans)`, `next(...)`."""
        if builtin == "dict":
            return self._dict_of(node)
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

    def _dict_of(self, node: ast.Call) -> Fact:
        """`dict(a=span)`, `dict(spans)`, `dict(zip(names, spans))`."""
        if node.keywords:
            return container_of([self.kinds.get(one.value, UNKNOWN) for one in node.keywords])
        match node.args:
            case [ast.Call(func=ast.Name("zip"), args=[_, values])]:
                return self.kinds.get(values, UNKNOWN)
            case [other]:
                given = self.kinds.get(other, UNKNOWN)
                pairs = given.kind == "[]tuple"
                return held(part_of(element_of(given), 1)) if pairs else given
        return UNKNOWN

    def _call_name(self, node: ast.Call, qualified: str) -> Fact:
        if self.is_legacy(qualified):
            self._tell_callback(node)
            canonical = legacy.canonical(qualified)
            active = canonical.endswith(("get_current_span", "get_active_span"))
            detail = "active" if active else canonical
            kind = legacy.CALLS.get(canonical, "")
            if not kind and canonical.startswith("opentelemetry.trace."):  # trace.tracer()
                return OPENTELEMETRY
            return self._given(node.func, kind, detail)
        if qualified.partition(".")[0] == "opentelemetry" and not legacy.is_legacy(qualified):
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

    def _tell_callback(self, node: ast.Call) -> None:
        """`FlaskTracing(tracer, start_span_cb=f)`: whoever gets the function gives it its spans."""
        for keyword in node.keywords:
            if keyword.arg in ("start_span_cb", "span_decorator"):
                called = self.kinds.get(keyword.value, UNKNOWN)
                if called.kind == "name":
                    self.learn(f"{called.detail}(0)", self._given(node.func, "span"))

    def _tell(self, function: str, node: ast.Call) -> None:
        """What a call tells about the parameters of the function it calls."""
        given = node.args[1:] if self._is_unbound(function, node) else node.args
        told: dict[str | None, Fact] = {str(i): one for i, one in enumerate(self._each(given))}
        told.update((keyword.arg, self._passed(keyword.value)) for keyword in node.keywords)
        for key, value in told.items():
            kind = value.kind.removeprefix("[]")
            if key and (kind in INSTANCES or kind in _PASSED):
                detail = "" if self.is_legacy(value.detail) else value.detail
                self.learn(f"{function}({key})", Fact(value.kind, detail, value.made, value.beside))

    def _each(self, given: Iterable[ast.expr]) -> Iterator[Fact]:
        """Arguments by their places, as far as these are known: `*pair` gives two."""
        for one in given:
            value = self._passed(one)
            if not isinstance(one, ast.Starred):
                yield value
            elif value.kind == "tuple":
                yield from (part_of(value, i) for i in range(len(value.detail.split("|"))))
            else:
                return

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
        if last_name(node.func) in _TAKES_TUPLE:
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


def _member_name(node: ast.expr) -> str:
    """The attribute's name in `x.name` and in `getattr(x, "name")`."""
    return node.attr if isinstance(node, ast.Attribute) else _asked(node)


def _asked(node: ast.expr) -> str:
    """The name in `getattr(x, "name")`, or "" where only a run can tell it."""
    match node:
        case ast.Call(args=[_, ast.Constant(value=str(attr)), *_]):
            return attr
    return ""
