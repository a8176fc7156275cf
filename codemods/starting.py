"""The arguments of `start_span` and `start_active_span`, as OpenTelemetry takes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from codemods.edits import Part
from codemods.emit import Argument, argument_of, in_order, remove_item, rewrite_arguments
from codemods.names import KINDS
from codemods.parents import parent_context
from codemods.references import references
from codemods.site import CannotRewrite, Change, File, Site, bare, is_constant, tight
from codemods.source import last_name
from codemods.values import attribute_value, is_none, literal_key, nanoseconds

PARAMETERS = (
    "operation_name",
    "child_of",
    "references",
    "tags",
    "start_time",
    "ignore_active_span",
    "finish_on_close",
)


def rewrite_start(site: Site, change: Change, *, is_manager: bool = False) -> dict[str, ast.expr]:
    """Rewrite the arguments of a start call in place; returns the legacy ones by name.

    Whether leaving the block ends the span is an argument only where a manager is made.
    """
    call = site.call
    assert call is not None
    arguments = _arguments(change, call)
    unknown = arguments.keys() - set(PARAMETERS)
    if unknown:
        raise CannotRewrite(f"it has arguments OpenTracing does not know: {', '.join(unknown)}")
    spread = any(isinstance(arg, ast.Starred) for arg in call.args) or any(
        keyword.arg is None for keyword in call.keywords
    )
    if "operation_name" not in arguments and not spread:
        raise CannotRewrite("it names no operation, and OpenTelemetry wants a span name")
    new: dict[Argument, tuple[Part, ...] | None] = {}
    extra: list[tuple[Part, ...]] = []
    if "operation_name" in arguments:
        _name(call, arguments["operation_name"], new)
    _parent(change, call, arguments, new)
    _tags(change, call, arguments, new, extra)
    _times(change, call, arguments, new)
    if (close := arguments.get("finish_on_close")) is not None:
        ends = isinstance(close, ast.Constant) and close.value is True
        kept = is_manager and not ends
        new[argument_of(call, close)] = ("end_on_exit=", *bare(close)) if kept else None
    if (late := hoisted_kind(change.file, call)) is not None:
        extra.append((f"kind={kind_name(change, late)}",))
    rewrite_arguments(change, call, new, extra)
    return arguments


def tags_and_times(
    change: Change, call: ast.Call, arguments: dict[str, ast.expr]
) -> list[tuple[Part, ...]]:
    """The tags and the start time among a call's arguments, as OpenTelemetry's keywords."""
    new: dict[Argument, tuple[Part, ...] | None] = {}
    extra: list[tuple[Part, ...]] = []
    _tags(change, call, arguments, new, extra)
    _times(change, call, arguments, new)
    return [parts for parts in (*new.values(), *extra) if parts]


_FALSE_IN_SECOND_PLACE = (
    "`False` is taken for `finish_on_close`, as it was meant before OpenTracing 2.0; since then it "
    "said nothing, and the scope ended the span."
)


def _arguments(change: Change, call: ast.Call) -> dict[str, ast.expr]:
    """The arguments by name; what is spread with `*` or `**` stays, with a precondition."""
    found: dict[str, ast.expr] = {}
    for index, arg in enumerate(call.args):
        if isinstance(arg, ast.Starred):
            change.unsafe = f"`{change.file.text(arg)}` holds the name of the span alone"
            break
        if index == 1 and is_constant(arg, bool):  # as OpenTracing 2.0's release candidates had it
            found["finish_on_close"] = arg
            if not arg.value:
                change.advise(_FALSE_IN_SECOND_PLACE)
        elif index < len(PARAMETERS):
            found[PARAMETERS[index]] = arg
    for keyword in call.keywords:
        if keyword.arg is None:
            text = change.file.text(keyword.value)
            if line := _line_of_legacy(change.file, keyword.value):
                raise CannotRewrite(
                    f"`**{text}` holds what only OpenTracing knows, see line {line}"
                )
            change.unsafe = f"`**{text}` holds no arguments that only OpenTracing knows"
        else:
            found[keyword.arg] = keyword.value
    return found


def _line_of_legacy(file: File, spread: ast.expr) -> int:
    """Where a dict of arguments gets one of OpenTracing's: as it is built, or by a call; or 0."""
    function = file.function(spread)
    if not isinstance(spread, ast.Name) or isinstance(function, ast.Lambda):
        return 0
    for use in file.uses(spread.id, function):
        if _are_legacy(_put_in(file.parents[use])):
            return use.lineno
    if isinstance(function, ast.Module) or getattr(function.args.kwarg, "arg", "") != spread.id:
        return 0
    own = {one.arg for one in (*function.args.args, *function.args.kwonlyargs)}
    for call in file.nodes:
        if isinstance(call, ast.Call) and function.name == last_name(call.func):
            given = {keyword.arg for keyword in call.keywords}
            if _are_legacy(given - own):
                return call.lineno
    return 0


def _put_in(around: ast.AST) -> set[object]:
    """The keys that a dict gets where its name stands."""
    match around:
        case ast.Assign(value=ast.Dict(keys=keys)):
            return {getattr(key, "value", None) for key in keys}
        case ast.Assign(value=ast.Call(func=ast.Name(id="dict"), keywords=keywords)):
            return {keyword.arg for keyword in keywords}
        case ast.Subscript(slice=ast.Constant(value=key), ctx=ast.Store()):
            return {key}
    return set()


def _are_legacy(given: Iterable[object]) -> bool:
    return any(name in PARAMETERS for name in given)


Arguments = dict[Argument, "tuple[Part, ...] | None"]


def _name(call: ast.Call, value: ast.expr, new: Arguments) -> None:
    argument = argument_of(call, value)
    if isinstance(argument, ast.keyword):
        first = in_order(call)[0] is argument
        new[argument] = bare(value) if first else ("name=", *bare(value))


def _parent(change: Change, call: ast.Call, arguments: dict[str, ast.expr], new: Arguments) -> None:
    """`child_of`, `references` and `ignore_active_span`, which bear on each other."""
    child_of, listed = arguments.get("child_of"), arguments.get("references")
    context = given = None
    if child_of is not None:
        context = parent_context(change, child_of)
        new[argument_of(call, child_of)] = ("context=", *context) if context else None
    if listed is not None:
        given = references(
            change,
            listed,
            has_parent=context is not None,
            ignores_active=_ignores_active(arguments),
        )
        new[argument_of(call, listed)] = given
        is_active = child_of is not None and change.file.detail(child_of) == "active"
        if given and child_of is not None and context and (is_active or _may_be_none(context)):
            _need(change, f"`{change.file.text(child_of)}` is a parent, not None")
    ignore = arguments.get("ignore_active_span")
    if ignore is None:
        return
    new[argument_of(call, ignore)] = None
    if isinstance(ignore, ast.Constant) and not ignore.value:
        return
    if context is None and given is not None and given[0] == "context=":
        if "None" in "".join(part for part in given if isinstance(part, str)):
            _need(change, "its references name a parent")
    elif context is None:
        new[argument_of(call, ignore)] = ("context=", *_root(change, ignore))
    elif child_of is not None and change.file.detail(child_of) == "extracted":
        # What finds nothing gives the context that is current.
        _need(change, "a parent was extracted, or no span is active here")
    elif child_of is not None and _may_be_none(context):
        root = _root(change, ignore)
        root = root if len(root) == 1 else ("(", *root, ")")
        new[argument_of(call, child_of)] = ("context=(", *context, ") or ", *root)


def _root(change: Change, ignore: ast.expr) -> tuple[Part, ...]:
    """The context of a span that begins a trace, if the active span is ignored."""
    empty = f"{change.use('opentelemetry.context', 'Context')}()"
    if isinstance(ignore, ast.Constant):
        return (empty,)
    return (f"{empty} if ", *tight(change.file, ignore), " else None")


def _may_be_none(context: tuple[Part, ...]) -> bool:
    """Whether it is not surely a call that makes a context."""
    return context[-1] != ")"


def _need(change: Change, precondition: str) -> None:
    change.unsafe = change.unsafe or precondition


def _ignores_active(arguments: dict[str, ast.expr]) -> bool:
    ignore = arguments.get("ignore_active_span")
    return isinstance(ignore, ast.Constant) and ignore.value is True


# Tags.


def _tags(
    change: Change,
    call: ast.Call,
    arguments: dict[str, ast.expr],
    new: Arguments,
    extra: list[tuple[Part, ...]],
) -> None:
    tags = arguments.get("tags")
    if tags is None:
        return
    argument = argument_of(call, tags)
    if is_none(tags):
        new[argument] = None
        return
    file = change.file
    new[argument] = ("attributes=", *bare(tags))
    display, added = (tags, []) if isinstance(tags, ast.Dict) else built_dict(file, tags)
    later = {literal_key(file, key) for key, _ in added}
    if display is None or None in display.keys or later & {"", "span.kind"}:
        if not change.unsafe:
            change.unsafe = (
                "the tags hold only strings, numbers and booleans, and no `span.kind` or `error`"
            )
        display = _display(file, tags)
        if display is None or None in display.keys or "span.kind" in later:
            if "span.kind" in later or _held_at_times(file, tags):
                raise CannotRewrite("where they are made the tags hold `span.kind` or `error`")
            return
    _error_tag(change, (*zip(display.keys, display.values, strict=True), *added))
    kind = _dict_kind(change, display)
    if kind and len(display.keys) == 1 and _only_use(change.file, tags, display):
        new[argument] = (f"kind={kind}",)
        if isinstance(tags, ast.Name):
            change.remove(change.file.statement(display))
    elif kind:
        extra.append((f"kind={kind}",))
    rewrite_attributes(change, display, added)


Item = tuple[ast.expr | None, ast.expr]  # key and value


def _error_tag(change: Change, items: Iterable[Item]) -> None:
    """A span that is begun as an error keeps the attribute, which Jaeger shows as before."""
    for key, value in items:
        if literal_key(change.file, key) != "error":
            continue
        if is_constant(value, bool, str):
            change.advise("`error` stays an attribute; where it has to be the status, set that.")
        elif not change.unsafe:
            change.unsafe = "`error` may stay an attribute, and the status of the span unset"


def dict_display(file: File, node: ast.expr) -> ast.Dict | None:
    """The dict literal a local name was bound to, where it is bound once and not changed."""
    display, added = built_dict(file, node)
    return None if added else display


def _held_at_times(file: File, tags: ast.expr) -> set[str]:
    """What is no attribute, in one of the displays that a name may hold: `span.kind`, `error`."""
    bound = file.bound.get(tags.id, ()) if isinstance(tags, ast.Name) else ()
    values = [
        getattr(file.parents[one], "value", None)
        for one in bound
        if file.function(one) is file.function(tags)
    ]
    parts = [part for one in (*values, tags) if one is not None for part in ast.walk(one)]
    keys = [key for part in parts if isinstance(part, ast.Dict) for key in part.keys]
    return {literal_key(file, key) for key in keys} & {"span.kind", "error"}


def _display(file: File, node: ast.expr) -> ast.Dict | None:
    """The dict literal a local name was bound to, once, whatever is done with it later."""
    if not isinstance(node, ast.Name):
        return None
    function = file.function(node)
    bound = [one for one in file.bound.get(node.id, ()) if file.function(one) is function]
    parent = file.parents[bound[0]] if len(bound) == 1 else None
    if isinstance(parent, ast.Assign | ast.AnnAssign) and isinstance(parent.value, ast.Dict):
        return parent.value
    return None


def built_dict(file: File, node: ast.expr) -> tuple[ast.Dict | None, list[Item]]:
    """The dict literal a local name was bound to, once, and what `name[key] = value` adds to it.

    None where it is changed in other ways.
    """
    display = _display(file, node)
    if display is None:
        return None, []
    assert isinstance(node, ast.Name)
    added: list[Item] = []
    for use in file.uses(node.id, file.function(node)):
        around = file.parents[use]
        if isinstance(around, ast.Attribute) or _is_handed_on(file, use):
            return None, []
        if isinstance(around, ast.Subscript) and not isinstance(around.ctx, ast.Load):
            statement = file.parents[around]
            if not isinstance(statement, ast.Assign) or statement.targets != [around]:
                return None, []
            added.append((around.slice, statement.value))
    return display, added


def _is_handed_on(file: File, use: ast.expr) -> bool:
    """Whether a call that is none of a legacy thing gets the dict, and may add to it."""
    around = file.parents[use]
    call = file.parents[around] if isinstance(around, ast.keyword) else around
    is_legacy = isinstance(call, ast.Call) and (
        call.func in file.flow.members or file.symbol(call.func) != ""
    )
    return isinstance(call, ast.Call) and not is_legacy


def _only_use(file: File, tags: ast.expr, display: ast.Dict) -> bool:
    if tags is display:
        return True
    assert isinstance(tags, ast.Name)
    return len(file.uses(tags.id, file.function(tags))) == 2


def _dict_kind(change: Change, display: ast.Dict) -> str:
    """The `kind=` a dict of tags asks for; its entry is taken out."""
    file = change.file
    for index, (key, value) in enumerate(zip(display.keys, display.values, strict=True)):
        if literal_key(file, key) == "span.kind":
            kind = literal_key(file, value)
            if kind not in KINDS:
                change.advise("Give `kind=` to the call; as an attribute it says nothing.")
                return ""
            if ("kind", display) not in file.memo:
                file.memo["kind", display] = True
                remove_item(change, display, index)
            return kind_name(change, kind)
    return ""


def rewrite_attributes(change: Change, display: ast.Dict, added: Iterable[Item] = ()) -> None:
    """Make the values of a dict of tags or fields ones that OpenTelemetry keeps."""
    file = change.file
    if ("values", display) in file.memo:
        return
    file.memo["values", display] = True
    for key, value in (*zip(display.keys, display.values, strict=True), *added):
        text = literal_key(file, key)
        if text == "span.kind" or key is None:
            continue
        parts = attribute_value(file, value, text)
        if len(parts) > 1:
            change.replace(value, *parts)


def kind_name(change: Change, kind: str) -> str:
    """`trace.SpanKind.CLIENT` for "client"."""
    return f"{change.use('opentelemetry', 'trace')}.SpanKind.{KINDS[kind]}"


# Times and the rest.


def _times(change: Change, call: ast.Call, arguments: dict[str, ast.expr], new: Arguments) -> None:
    if (start := arguments.get("start_time")) is not None:
        argument = argument_of(call, start)
        is_now = isinstance(start, ast.Constant) and not start.value  # jaeger-client: `or time()`
        new[argument] = None if is_now else ("start_time=", *nanoseconds(change.file, start))


# `span.set_tag("span.kind", ...)` soon after the start belongs into the start call.


def hoisted_kind(file: File, call: ast.Call) -> str | None:
    """The kind set right after a start call, or None."""
    for start, kind in _hoists(file).values():
        if start is call:
            return kind
    return None


def is_hoisted(file: File, set_tag: ast.Call) -> ast.Call | None:
    """The start call that takes over what a `set_tag(SPAN_KIND, ...)` says, if any."""
    found = _hoists(file).get(set_tag)
    return found[0] if found else None


def _hoists(file: File) -> dict[ast.Call, tuple[ast.Call, str]]:
    if "hoists" not in file.memo:
        file.memo["hoists"] = {
            node: found
            for node in file.nodes
            if isinstance(node, ast.Call) and (found := _hoist(file, node)) is not None
        }
    hoists: dict[ast.Call, tuple[ast.Call, str]] = file.memo["hoists"]
    return hoists


def _hoist(file: File, node: ast.Call) -> tuple[ast.Call, str] | None:
    owner = file.flow.members.get(node.func)
    if (
        owner is None
        or owner.kind != "span"
        or not isinstance(node.func, ast.Attribute)
        or node.func.attr != "set_tag"
        or len(node.args) != 2
        or literal_key(file, node.args[0]) != "span.kind"
    ):
        return None
    kind = literal_key(file, node.args[1])
    receiver = node.func.value
    while isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Attribute):
        receiver = receiver.func.value
    start = _start_of(file, receiver, 3)
    if kind not in KINDS or start is None or not _always_follows(file, start, node):
        return None
    return start, kind


def _start_of(file: File, node: ast.expr, depth: int) -> ast.Call | None:
    """The start call whose span (or scope) an expression is, if there is but one."""
    if isinstance(node, ast.Attribute) and node.attr == "span":
        return _start_of(file, node.value, depth)
    if isinstance(node, ast.Call):
        owner = file.flow.members.get(node.func)
        is_start = owner is not None and owner.kind == "tracer"
        return node if is_start and re.match("start_", getattr(node.func, "attr", "")) else None
    if not isinstance(node, ast.Name) or not depth:
        return None
    function = file.function(node)
    before = [
        one
        for one in file.bound.get(node.id, ())
        if file.function(one) is function and getattr(one, "lineno", 0) <= node.lineno
    ]
    if not before:
        return None
    last = max(before, key=lambda one: getattr(one, "lineno", 0))
    block = file.block(file.statement(last))
    if len(before) > 1 and not {*block} & {node, *file.ancestors(node)}:  # in another branch
        return None
    parent = file.parents[last]
    match parent:
        case ast.withitem():
            return _start_of(file, parent.context_expr, depth - 1)
        case ast.Assign() | ast.AnnAssign() if parent.value is not None:
            return _start_of(file, parent.value, depth - 1)
    return None


def _always_follows(file: File, start: ast.Call, later: ast.Call) -> bool:
    """Whether no branch, loop or handler lies between a start and a later call."""
    around = set(file.ancestors(start))
    for ancestor in file.ancestors(later):
        if ancestor in around:
            return isinstance(ancestor, ast.stmt | ast.Module)
        if not isinstance(
            ancestor, ast.expr | ast.Expr | ast.With | ast.AsyncWith | ast.Try | ast.Assign
        ):
            return False
        if isinstance(ancestor, ast.Try) and file.statement(later) not in ancestor.body:
            return False
    return False
