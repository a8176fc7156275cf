"""What rules have in common when they write OpenTelemetry code: arguments, parents, values."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import pairwise

from codemods.edits import Edit, Part
from codemods.kinds import MIXTURES
from codemods.site import CannotRewrite, Change, File, FunctionNode, Site, tight
from codemods.source import Span

Argument = ast.expr | ast.keyword
PARENTS = frozenset({"span", "scope", "span_context"})


def rename_member(change: Change, node: ast.Attribute, member: str) -> None:
    """Change the last word of `a.b.c`, and leave the rest to other rules."""
    end = change.file.span(node).end
    change.replace(Span(end - len(node.attr), end), member)


# Arguments of a call.


def in_order(call: ast.Call) -> list[Argument]:
    """Positional and keyword arguments in the order of the text."""
    arguments: list[Argument] = [*call.args, *call.keywords]
    return sorted(arguments, key=lambda one: (one.lineno, one.col_offset))


def argument_of(call: ast.Call, value: ast.expr) -> Argument:
    """The argument, keyword included, that holds a value."""
    return next((k for k in call.keywords if k.value is value), value)


def slots(file: File, call: ast.Call) -> list[Span]:
    """The place of each argument, with parentheses around it, without its comma."""
    arguments = in_order(call)
    if not arguments:
        return []
    text = file.source.text
    begin, stop = _parentheses(file, call)
    commas = [
        _comma(text, file.span(one).end, file.span(other).start)
        for one, other in pairwise(arguments)
    ]
    edges = [begin, *(comma + 1 for comma in commas)]
    ends = [*commas, stop]
    found = []
    for argument, start, end in zip(arguments, edges, ends, strict=True):
        span = file.span(argument)
        head = _skip_space(text, start, span.start)
        closers = re.compile(r"[\s)]*").match(text, span.end, end)
        tail = closers.group().rstrip() if closers else ""
        tail = tail if head < span.start else ""
        found.append(Span(head, span.end + len(tail)))
    return found


def _parentheses(file: File, call: ast.Call) -> tuple[int, int]:
    text = file.source.text
    end = file.span(call).end - 1
    start = file.span(call.func).end
    while text[start] != "(":
        start = text.index("\n", start) if text[start] == "#" else start + 1
    # The function itself may stand in parentheses: (f)(x)
    return start + 1, end


def _comma(text: str, start: int, end: int) -> int:
    at = start
    while at < end:
        if text[at] == "#":
            at = text.index("\n", at)
        elif text[at] == ",":
            return at
        at += 1
    raise CannotRewrite("its arguments are written in a way the engine cannot take apart")


def _skip_space(text: str, start: int, end: int) -> int:
    at = start
    while at < end:
        if text[at] == "#":
            at = text.index("\n", at)
        elif not text[at].isspace() and text[at] != "\\":
            return at
        at += 1
    return end


def rewrite_arguments(
    change: Change,
    call: ast.Call,
    new: dict[Argument, tuple[Part, ...] | None],
    extra: Sequence[tuple[Part, ...]] = (),
) -> None:
    """Replace arguments (by None: drop them) and append more, leaving the layout as it is."""
    file = change.file
    arguments = in_order(call)
    places = slots(file, call)
    kept = [i for i, one in enumerate(arguments) if new.get(one, ()) is not None]
    for index, argument in enumerate(arguments):
        parts = new.get(argument, ())
        if parts is None:
            change.replace(_with_comma(places, kept, index))
        elif parts:
            change.edits.append(Edit(_own_span(file, argument), parts))
    if extra:
        text: list[Part] = []
        for index, parts in enumerate(extra):
            if index or kept:
                text.append(", ")
            text.extend(parts)
        at = places[kept[-1]].end if kept else _parentheses(file, call)[0]
        change.replace(Span(at, at), *text)


def _own_span(file: File, argument: Argument) -> Span:
    return file.span(argument)


def _with_comma(places: list[Span], kept: list[int], index: int) -> Span:
    """What to delete with an argument so that the commas still separate."""
    if any(other > index for other in kept):
        return Span(places[index].start, places[index + 1].start)
    if index and kept:
        return Span(places[index - 1].end, places[index].end)
    if index + 1 < len(places):
        return Span(places[index].start, places[index + 1].start)
    return places[index]


def remove_item(change: Change, node: ast.Dict, index: int) -> None:
    """Delete one entry of a dict display, with its comma."""
    file = change.file
    keys, values = node.keys, node.values
    text = file.source.text
    spans = []
    for key, value in zip(keys, values, strict=True):
        start = file.span(key).start if key is not None else file.span(value).start - 2
        spans.append(Span(start, file.span(value).end))
    if index + 1 < len(spans):
        change.replace(Span(spans[index].start, spans[index + 1].start))
    else:
        comma = re.compile(r"[\s)]*,?").match(text, spans[index].end)
        end = comma.end() if comma and comma.group().endswith(",") else spans[index].end
        start = spans[index - 1].end if index else spans[index].start
        if index and end > spans[index].end:
            end = spans[index].end
        change.replace(Span(start, end))


# Parents.


def context_of(change: Change, node: ast.expr) -> tuple[Part, ...] | None:
    """The context of what is surely a span or a span's context, for `inject`."""
    parts = parent_context(change, node)
    if parts and str(parts[-1]).endswith(" else None"):
        end = parts.index(") if ")
        return (*parts[:end], ")")
    return parts


def parent_context(change: Change, node: ast.expr) -> tuple[Part, ...] | None:
    """The value of `context=` for a `child_of`; None where there is no parent to name."""
    file = change.file
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | None):
        return None
    if isinstance(node, ast.IfExp):
        chosen = parent_context(change, node.body) or ("None",)
        other = parent_context(change, node.orelse) or ("None",)
        return (*chosen, " if ", node.test, " else ", *other)
    if isinstance(node, ast.BoolOp):
        raise CannotRewrite("the parent is chosen with `and`/`or`")
    kind = file.kind(node)
    if kind in PARENTS and is_partly_unknown(file, node):
        return _any_parent(change, node)
    if kind == "span_context":
        return _context_parent(change, node)
    if kind in ("span", "scope"):
        return span_parent(change, node)
    return _guessed_parent(change, node)


def is_partly_unknown(file: File, node: ast.expr) -> bool:
    """Whether a variable is also bound to what nothing is known of, as a ContextVar's value."""
    if not isinstance(node, ast.Name):
        return False
    function = file.function(node)
    values = [
        getattr(file.parents[one], "value", None)
        for one in file.bound.get(node.id, ())
        if file.function(one) is function
    ]
    return any(isinstance(one, ast.expr) and not _is_known(file, one) for one in values)


def _is_known(file: File, value: ast.expr) -> bool:
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            return _is_known(file, body) and _is_known(file, orelse)
        case ast.BoolOp(values=values):
            return all(_is_known(file, one) for one in values)
        case ast.Constant():
            return True
    return file.kind(value) in PARENTS


def span_parent(change: Change, span: ast.expr) -> tuple[Part, ...]:
    """A context whose current span is `span`; None at run time stays None."""
    file = change.file
    trace = change.use("opentelemetry", "trace")
    head: tuple[Part, ...] = (f"{trace}.set_span_in_context(", span)
    if may_be_none(file, span):
        return (*head, ") if ", *tight(file, span), " is not None else None")
    if _is_kept_active(file, span):
        return (*head, ") if ", span, ".get_span_context().is_valid else None")
    return (*head, ")")


def _is_kept_active(file: File, span: ast.expr) -> bool:
    """Whether it was active elsewhere; where no span was, the one active now is the parent."""
    if file.detail(span) != "active" or span in file.flow.members:
        return False
    if isinstance(span, ast.Name):
        bound = file.bound.get(span.id, ())
        return not any(file.function(one) is file.function(span) for one in bound)
    return isinstance(span, ast.Attribute)


def _context_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    file = change.file
    if isinstance(node, ast.Attribute) and file.kind(node.value) == "span":
        return span_parent(change, node.value)
    detail = file.detail(node)
    if detail == "extracted":
        return (node,)
    trace = change.use("opentelemetry", "trace")
    held = (f"{trace}.set_span_in_context({trace}.NonRecordingSpan(", node, "))")
    if detail == "of span":
        return held
    if detail == "mixed":
        return (*held, *_if(change, node, "SpanContext"), node)
    if detail == "span or extracted":
        return (f"{trace}.set_span_in_context(", node, ")", *_if(change, node, "Span"), node)
    return _any_parent(change, node)


def _any_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    """Asks at run time what a parent is: a span, its own context, or what `extract` gave."""
    trace = change.use("opentelemetry", "trace")
    span = (f"{trace}.set_span_in_context(", node, ")", *_if(change, node, "Span"))
    held = (f"{trace}.set_span_in_context({trace}.NonRecordingSpan(", node, "))")
    return (*span, *held, *_if(change, node, "SpanContext"), node)


def _if(change: Change, node: ast.expr, cls: str) -> tuple[Part, ...]:
    """Asks at run time which of two a parent is: what `extract` gave, or one of a class."""
    if not isinstance(node, ast.Name | ast.Attribute):
        raise CannotRewrite("the parent may be one of two things; give it a name first")
    trace = change.use("opentelemetry", "trace")
    return (" if isinstance(", node, f", {trace}.{cls}) else ")


def span_context_of(change: Change, node: ast.expr) -> tuple[Part, ...]:
    """The `SpanContext` of a legacy context that may be a `Context` after rewriting."""
    trace = change.use("opentelemetry", "trace")
    current = (f"{trace}.get_current_span(", node, ").get_span_context()")
    detail = change.file.detail(node)
    if detail == "mixed":
        return (node, *_if(change, node, "SpanContext"), *current)
    if detail in MIXTURES:
        raise CannotRewrite("it may be a span or a context")
    return current


def _guessed_parent(change: Change, node: ast.expr) -> tuple[Part, ...]:
    file = change.file
    text = file.text(node)
    is_named = re.search(r"span\W*$", text, re.IGNORECASE) and _comes_from_outside(file, node)
    if not is_named and isinstance(node, ast.Name | ast.Attribute):
        return _any_parent(change, node)
    if not is_named:
        change.unsafe = f"`{text}` is a span, or None"
    trace = change.use("opentelemetry", "trace")
    return (
        f"{trace}.set_span_in_context(",
        node,
        ") if ",
        *tight(file, node),
        " is not None else None",
    )


def _comes_from_outside(file: File, node: ast.expr) -> bool:
    """Whether a thing is a parameter or an attribute, so that its name is all we know of it."""
    if not isinstance(node, ast.Name):
        return isinstance(node, ast.Attribute)
    bound = file.bound.get(node.id, ())
    return bool(bound) and all(isinstance(one, ast.arg) for one in bound)


def may_be_none(file: File, node: ast.expr) -> bool:
    """Whether a variable or attribute is None somewhere: by default value or assignment."""
    if _is_gotten(node):
        return True
    if isinstance(node, ast.Name):
        function = file.function(node)
        if not isinstance(function, ast.Module) and _defaults_to_none(function, node.id):
            return True
        return any(
            _assigned_none(file, bound)
            for bound in file.bound.get(node.id, ())
            if file.function(bound) is function
        )
    if isinstance(node, ast.Attribute):
        return any(
            isinstance(other, ast.Attribute)
            and other.attr == node.attr
            and isinstance(other.ctx, ast.Store)
            and _assigned_none(file, other)
            for other in file.nodes
        )
    return isinstance(node, ast.Call) and not file.kind(node)


def _defaults_to_none(function: FunctionNode | ast.Lambda, key: str) -> bool:
    args = function.args
    positional = [*args.posonlyargs, *args.args]
    pairs = [
        *zip(positional[len(positional) - len(args.defaults) :], args.defaults, strict=True),
        *zip(args.kwonlyargs, args.kw_defaults, strict=True),
    ]
    return any(arg.arg == key and is_none(default) for arg, default in pairs)


def _assigned_none(file: File, node: ast.AST) -> bool:
    parent = file.parents.get(node)
    return isinstance(parent, ast.Assign | ast.AnnAssign) and _gives_none(parent.value)


def _gives_none(value: ast.expr | None) -> bool:
    """Whether an expression is None in some case: one branch of it, or `found.get(key)`."""
    match value:
        case ast.IfExp(body=body, orelse=orelse):
            return _gives_none(body) or _gives_none(orelse)
        case ast.BoolOp(op=ast.Or(), values=values):
            return _gives_none(values[-1])
    return is_none(value) or _is_gotten(value)


def _is_gotten(node: ast.expr | None) -> bool:
    """Whether it is `found.get(key)`, which is None where the key is not there."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and len(node.args) == 1
        and not node.keywords
    )


def is_none(node: ast.AST | None) -> bool:
    """Whether a node is the literal None."""
    return isinstance(node, ast.Constant) and node.value is None


# Values of attributes.

_TEXT_CALLS = frozenset({"str", "repr", "format", "hex", "ascii", "type"})
_NUMBER_CALLS = {"int": "int", "len": "int", "float": "float", "bool": "bool", "round": "float",
                 "isinstance": "bool", "hasattr": "bool", "any": "bool", "all": "bool",
                 "ord": "int", "hash": "int", "id": "int"}  # fmt: skip
_TEXT_METHODS = frozenset(
    {"format", "join", "lower", "upper", "strip", "lstrip", "rstrip", "replace", "decode",
     "title", "capitalize", "hex", "hexdigest", "isoformat", "strftime", "dumps", "getvalue",
     "format_exc", "get_full_path", "build_absolute_uri", "geturl", "gethostname", "getfqdn"}
)  # fmt: skip
_NUMBER_METHODS = {"time": "float", "count": "int", "index": "int", "total_seconds": "float",
                   "perf_counter": "float", "startswith": "bool", "endswith": "bool",
"getpid": "int", "time_ns": "int", "monotonic": "float"}  # fmt: skip
_TEXT_ATTRIBUTES = frozenset({"__name__", "__qualname__", "__module__", "__doc__"})
_NUMBER_NAME = re.compile(
    r"(?:^|_|\b)(?:port|code|status|status_code|count|size|length|len|num|number|total|retries|"
    r"attempt|attempts|retry|duration|elapsed|seconds|ms|offset|partition|index|pid|priority|"
    r"latency|bytes|limit|page|age|timeout|level|amount|price|cost|total|sum|balance|rate|ratio|"
    r"percent|score|weight|width|height|quantity|qty|temperature|depth|width)$",
    re.IGNORECASE,
)


def value_type(file: File, node: ast.expr, depth: int = 3) -> str:
    """ "str", "int", "float" or "bool" where the type of an expression is plain to see, or ""."""
    match node:
        case ast.Constant(value=value):
            return type(value).__name__ if isinstance(value, str | bool | int | float) else ""
        case ast.JoinedStr():
            return "str"
        case ast.Compare() | ast.UnaryOp(op=ast.Not()):
            return "bool"
        case ast.UnaryOp(operand=operand):
            return value_type(file, operand, depth)
        case ast.BinOp(left=left, op=operator, right=right):
            return _operation_type(file, left, operator, right, depth)
        case ast.IfExp(body=body, orelse=orelse):
            one, other = value_type(file, body, depth), value_type(file, orelse, depth)
            return one if one == other else ""
        case ast.BoolOp(values=values):
            kinds = {value_type(file, value, depth) for value in values}
            return kinds.pop() if len(kinds) == 1 else ""
        case ast.Call():
            return _call_type(node)
        case ast.Attribute(attr=attr) if attr in _TEXT_ATTRIBUTES:
            return "str"
        case ast.Name() if depth:
            return _name_type(file, node, depth - 1)
    return _symbol_type(file, node)


def _operation_type(
    file: File, left: ast.expr, operator: ast.operator, right: ast.expr, depth: int
) -> str:
    one, other = value_type(file, left, depth), value_type(file, right, depth)
    if "str" in (one, other) and isinstance(operator, ast.Add):
        return "str"
    if isinstance(operator, ast.Mod) and one == "str":
        return "str"
    if one in ("int", "float") and other in ("int", "float"):
        return "float" if "float" in (one, other) or isinstance(operator, ast.Div) else "int"
    return ""


def _call_type(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=key):
            return "str" if key in _TEXT_CALLS - {"type"} else _NUMBER_CALLS.get(key, "")
        case ast.Attribute(attr=key):
            return "str" if key in _TEXT_METHODS else _NUMBER_METHODS.get(key, "")
    return ""


def _name_type(file: File, node: ast.Name, depth: int) -> str:
    """The type of a variable all of whose bindings in its scope have one type."""
    function = file.function(node)
    bindings = [one for one in file.bound.get(node.id, ()) if file.function(one) is function]
    if not bindings and not isinstance(function, ast.Module):
        bindings = [
            one for one in file.bound.get(node.id, ()) if isinstance(file.function(one), ast.Module)
        ]
    kinds = {_binding_type(file, one, depth) for one in bindings}
    return kinds.pop() if len(kinds) == 1 else ""


def _binding_type(file: File, node: ast.AST, depth: int) -> str:
    if isinstance(node, ast.arg):
        annotation = node.annotation
        found = annotation.id if isinstance(annotation, ast.Name) else ""
        return found if found in ("str", "int", "float", "bool") else ""
    parent = file.parents[node]
    if isinstance(parent, ast.Assign) and node in parent.targets:
        return value_type(file, parent.value, depth)
    if isinstance(parent, ast.AnnAssign) and isinstance(parent.annotation, ast.Name):
        found = parent.annotation.id
        return found if found in ("str", "int", "float", "bool") else ""
    if isinstance(parent, ast.For) and isinstance(parent.iter, ast.Call):
        func = parent.iter.func
        return "int" if isinstance(func, ast.Name) and func.id == "range" else ""
    return ""


def _symbol_type(file: File, node: ast.expr) -> str:
    symbol = file.symbol(node)
    return "str" if symbol.startswith(("opentracing.tags.", "opentracing.logs.")) else ""


def attribute_value(file: File, node: ast.expr, key: str = "") -> tuple[Part, ...]:
    """A value that OpenTelemetry will not drop: as it is where the type is known, else `str()`.

    A value whose name or key says that it is a number is left, so that it stays one.
    """
    if value_type(file, node):
        return (node,)
    name = (
        node.attr
        if isinstance(node, ast.Attribute)
        else node.id
        if isinstance(node, ast.Name)
        else ""
    )
    if _NUMBER_NAME.search(key) or (name and _NUMBER_NAME.search(name)):
        return (node,)
    bare = isinstance(node, ast.Tuple) and node.elts and node.elts[0].col_offset == node.col_offset
    return ("str((", node, "))") if bare else ("str(", node, ")")


def literal_key(file: File, node: ast.expr | None) -> str:
    """The text of a tag or log key that is a literal or a constant of the legacy tags module."""
    from codemods.names import CONSTANTS

    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if node is None:
        return ""
    return CONSTANTS.get(file.symbol(node), "")


def nanoseconds(file: File, node: ast.expr) -> tuple[Part, ...]:
    """Seconds as OpenTelemetry's integer nanoseconds."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="time"), args=[]):
            return ("time.time_ns()",)
        case ast.Constant(value=int() | float() as seconds):
            return (str(int(seconds * 1_000_000_000)),)
    parts = (*tight(file, node), " * 1e9")
    if may_be_none(file, node):
        return ("int(", *parts, ") if ", *tight(file, node), " is not None else None")
    return ("int(", *parts, ")")


def is_statement(site: Site) -> ast.Expr | None:
    """The expression statement that consists of the site's call alone."""
    parent = site.parent
    return parent if isinstance(parent, ast.Expr) and parent.value is site.call else None
