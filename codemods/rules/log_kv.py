"""`span.log_kv()` becomes `add_event` or `record_exception`."""

from __future__ import annotations

import ast
from typing import TypeGuard

from codemods import chain
from codemods.edits import Part
from codemods.emit import (
    argument_of,
    in_order,
    item_places,
    remove_item,
    rename_member,
    rewrite_arguments,
)
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site
from codemods.source import Span
from codemods.starting import rewrite_attributes
from codemods.values import attribute_value, is_none, literal_key, nanoseconds, value_type

rule = define(
    code="JO302",
    title="log_kv to add_event or record_exception",
    url="https://opentelemetry.io/docs/specs/otel/compatibility/opentracing/#log",
    safety=Safety.SAFE,
    explanation="""\
The field `event` becomes the name of the event, the others its attributes; a log without `event` is
named `log`. A log of an error with the exception object becomes `record_exception`. Values of
unknown type are wrapped in `str()`, since OpenTelemetry would drop them.
""",
    examples=(
        (
            """\
import opentracing


def work(size):
    span = opentracing.tracer.active_span
    span.log_kv({"event": "start", "size": size})
    span.log_kv({"done": True})
    try:
        step()
    except ValueError as e:
        span.log_kv({"event": "error", "error.object": e})
""",
            """\
from opentelemetry import trace


def work(size):
    span = trace.get_current_span()
    span.add_event("start", {"size": size})
    span.add_event("log", {"done": True})
    try:
        step()
    except ValueError as e:
        span.record_exception(e)
""",
        ),
    ),
)
_ERRORS = frozenset({"error", "exception"})


@rule.member("span", "log_kv")
def log_kv(site: Site) -> Change:
    change = site.change("logs become events")
    call = site.call
    if call is None:
        raise CannotRewrite("the method is passed on without being called")
    arguments = site.arguments("key_values", "timestamp")
    fields = arguments.get("key_values")
    if fields is None:
        raise CannotRewrite("it has no fields")
    assert isinstance(site.node, ast.Attribute)
    chain.split(change, site)
    parts = _event(site, change, fields)
    new: dict[ast.expr | ast.keyword, tuple[Part, ...] | None]
    new = {argument_of(call, fields): parts}
    if (when := arguments.get("timestamp")) is not None:
        time: tuple[Part, ...] = ("timestamp=", *nanoseconds(site.file, when))
        places = sorted(
            (argument_of(call, fields), argument_of(call, when)), key=in_order(call).index
        )
        new = dict(zip(places, (parts, time), strict=True))  # the name of the event stands first
    rewrite_arguments(change, call, new)
    return change


def _event(site: Site, change: Change, fields: ast.expr) -> tuple[Part, ...]:
    """The arguments that replace the fields; the method is renamed as they ask."""
    assert isinstance(site.node, ast.Attribute)
    if isinstance(fields, ast.Dict):
        return _literal(site, change, fields)
    rename_member(change, site.node, "add_event")
    if _is_dict_call(fields):
        return _dict_call(site, change, fields)
    if not isinstance(fields, ast.Name | ast.Attribute):
        change.unsafe = f"`{site.file.text(fields)}` holds no `event` and only values that are kept"
        return ('"log", ', fields)
    kept = "{key: str(value) for key, value in "
    return (
        "str(", fields, '.get("event", "log")), ',
        kept, fields, '.items() if key != "event"}',
    )  # fmt: skip


def _literal(site: Site, change: Change, fields: ast.Dict) -> tuple[Part, ...]:
    file = site.file
    assert isinstance(site.node, ast.Attribute)
    keys = [literal_key(file, key) for key in fields.keys]
    exception = _exception(site, fields, keys)
    if exception is not None:
        rename_member(change, site.node, "record_exception")
        change.message = "the error log becomes a recorded exception"
        recorded = {
            i for i, key in enumerate(keys) if _is_recorded(key, fields.values[i], exception)
        }
        rest = [i for i in range(len(keys)) if i not in recorded]
        if not rest:
            return (exception,)
        for index in sorted(recorded):
            _remove(change, fields, index, rest)
        rewrite_attributes(change, fields)
        _forget(change, exception)
        return (exception, ", attributes=", fields)
    rename_member(change, site.node, "add_event")
    rewrite_attributes(change, fields)
    for key, value in zip(fields.keys, fields.values, strict=True):
        if key is None:
            change.unsafe = f"`{file.text(value)}` holds no `event` and only values that are kept"
    if "event" not in keys:
        return ('"log", ', fields) if keys else ('"log"',)
    index = keys.index("event")
    event = fields.values[index]
    name: tuple[Part, ...] = (event,) if value_type(file, event) == "str" else ("str(", event, ")")
    if literal_key(file, event):
        name = (event,)
    elif len(name) > 1:
        _forget(change, event)
    if len(keys) == 1:
        return name
    remove_item(change, fields, index)
    return (*name, ", ", fields)


def _forget(change: Change, value: ast.expr) -> None:
    """Take back the `str()` that the value of a field got: it is written once more by itself."""
    span = change.file.span(value)
    change.edits[:] = [edit for edit in change.edits if edit.span != span]


def _remove(change: Change, fields: ast.Dict, index: int, rest: list[int]) -> None:
    """Delete an entry among several that go."""
    places = item_places(change.file, fields)
    if any(other > index for other in rest):
        change.replace(Span(places[index].start, places[index + 1].start))
    else:
        change.replace(Span(places[index - 1].end, places[index].end))


def _exception(site: Site, fields: ast.Dict, keys: list[str]) -> ast.expr | None:
    """The exception object a log of an error carries; an event of another name keeps its name."""
    named = dict(zip(keys, fields.values, strict=True)).get("event")
    if named is not None and literal_key(site.file, named) not in _ERRORS:
        return None
    for key, value in zip(keys, fields.values, strict=True):
        if key == "error.object" and isinstance(value, ast.Name):
            for ancestor in site.file.ancestors(value):
                if isinstance(ancestor, ast.ExceptHandler) and ancestor.name == value.id:
                    return value
    return None


def _is_recorded(key: str, value: ast.expr, exception: ast.expr) -> bool:
    """Whether `record_exception` says it too: the type, the text and the stack of the exception."""
    if key == "message":
        while isinstance(value, ast.Call) and len(value.args) == 1:  # str(e), repr(e)
            value = value.args[0]
        while isinstance(value, ast.Attribute | ast.Subscript):  # e.args[0]
            value = value.value
        return ast.dump(value) == ast.dump(exception)
    if key == "error.kind":
        return not isinstance(value, ast.Constant)
    return key in ("event", "error.object", "stack")


def _is_dict_call(fields: ast.expr) -> TypeGuard[ast.Call]:
    return (
        isinstance(fields, ast.Call)
        and getattr(fields.func, "id", "") == "dict"
        and not fields.args
    )


def _dict_call(site: Site, change: Change, fields: ast.Call) -> tuple[Part, ...]:
    """`dict(event="x", a=b)` written as name and attributes."""
    event: tuple[Part, ...] = ('"log"',)
    parts: list[Part] = []
    for keyword in fields.keywords:
        if keyword.arg == "event":
            known = value_type(site.file, keyword.value) == "str"
            event = (keyword.value,) if known else ("str(", keyword.value, ")")
            continue
        if keyword.arg is None:
            parts.extend((", " if parts else "", "**", keyword.value))
            text = site.file.text(keyword.value)
            change.unsafe = f"`{text}` holds no `event` and only values that are kept"
            continue
        value = attribute_value(site.file, keyword.value, keyword.arg)
        parts.extend((", " if parts else "", f'"{keyword.arg}": ', *value))
    return (*event, ", {", *parts, "}") if parts else event


@rule.member("span", "log_event")
def log_event(site: Site) -> Change:
    """`log_event(event, payload=None)`."""
    change = site.change("logs become events")
    call = site.call
    arguments = site.arguments("event", "payload")
    event, payload = arguments.get("event"), arguments.get("payload")
    if call is None or event is None:
        raise CannotRewrite("it names no event")
    assert isinstance(site.node, ast.Attribute)
    chain.split(change, site)
    rename_member(change, site.node, "add_event")
    known = value_type(site.file, event) == "str"
    new: dict[ast.expr | ast.keyword, tuple[Part, ...] | None]
    new = {argument_of(call, event): (event,) if known else ("str(", event, ")")}
    if payload is not None:
        value = attribute_value(site.file, payload)
        fields = None if is_none(payload) else ('{"payload": ', *value, "}")
        new[argument_of(call, payload)] = fields
    rewrite_arguments(change, call, new)
    return change
