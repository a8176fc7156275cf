"""What is known of the values of expressions: None, a type, a constant's text, seconds."""

from __future__ import annotations

import ast
import re

from codemods.edits import Part
from codemods.site import File, tight
from codemods.source import FunctionNode


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
    if isinstance(parent, ast.Tuple) and isinstance(assign := file.parents[parent], ast.Assign):
        values = getattr(assign.value, "elts", ())
        return any(one is node and is_none(v) for one, v in zip(parent.elts, values, strict=False))
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
    """The text of a tag or log key: a literal, or a constant of the file's or of legacy tags."""
    from codemods.names import CONSTANTS

    if isinstance(node, ast.Name) and node.id in file.bound:
        node = _constant(file, node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if node is None:
        return ""
    return CONSTANTS.get(file.symbol(node), "")


def _constant(file: File, node: ast.Name) -> ast.expr:
    """What stands behind `ERROR = "error"` of the module, if it is bound once."""
    around = {*file.ancestors(node)}
    bound = [one for one in file.bound[node.id] if file.function(one) in around]
    match [file.parents[one] for one in bound]:
        case [ast.Assign(value=ast.Constant() as value) as once]:
            return value if isinstance(file.parents[once], ast.Module) else node
    return node


def _is_handed_on(file: File, node: ast.expr) -> bool:
    """Whether it is what a function was given, whose callers may say None."""
    bound = file.bound.get(node.id, ()) if isinstance(node, ast.Name) else ()
    function = file.function(node)
    given = [one for one in bound if isinstance(one, ast.arg) and one.annotation is None]
    return any(file.parents[file.parents[one]] is function for one in given)


def nanoseconds(file: File, node: ast.expr) -> tuple[Part, ...]:
    """Seconds as OpenTelemetry's integer nanoseconds."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="time"), attr="time"), args=[]):
            return ("time.time_ns()",)
        case ast.Constant(value=int() | float() as seconds):
            return (str(int(seconds * 1_000_000_000)),)
        case ast.Constant(value=None):
            return (node,)
    parts = (*tight(file, node), " * 1e9")
    if may_be_none(file, node) or _is_handed_on(file, node):
        return ("int(", *parts, ") if ", *tight(file, node), " is not None else None")
    return ("int(", *parts, ")")
