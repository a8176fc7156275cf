"""What tests read of a finished span: tags, logs, times."""

from __future__ import annotations

import ast

from codemods.bindings import iterated_together
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, File, Site
from codemods.source import last_name
from codemods.values import literal_key

rule = define(
    code="JO702",
    title="tags, logs and times of a finished span",
    url="https://opentelemetry-python.readthedocs.io/en/latest/sdk/trace.html#opentelemetry.sdk.trace.ReadableSpan",
    safety=Safety.SAFE,
    explanation="""\
`span.tags` is `span.attributes`, `span.logs` is `span.events`, and `logs[0].key_values` is
`events[0].attributes`; the value of `event` is the event's name, so all values are
`{"event": e.name, **e.attributes}` (a log without `event` is named `log`). The tag `error` is the
status now, and `span.kind` the kind. Times are integer nanoseconds. That holds for the spans that a
provider of the SDK recorded; of a span that the test did not get from its finished spans it is not
proved, and the change needs `--unsafe`.
""",
    examples=(
        (
            """\
from opentracing.mocktracer import MockTracer


def test_work():
    tracer = MockTracer()
    work(tracer)
    span = tracer.finished_spans()[0]
    assert span.logs[0].key_values["event"] == "start"
    assert span.logs[1].key_values["size"] == 1
    assert span.parent_id is None
""",
            """\
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def test_work():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer(__name__)
    work(tracer)
    span = exporter.get_finished_spans()[0]
    assert span.events[0].name == "start"
    assert span.events[1].attributes["size"] == 1
    assert (span.parent.span_id if span.parent else None) is None
""",
        ),
    ),
)

UNPROVED = "the span is one that a provider of the SDK recorded"


def _change(site: Site, message: str) -> Change:
    assert site.owner is not None
    if not isinstance(getattr(site.node, "ctx", None), ast.Load):
        raise CannotRewrite("it is assigned to")
    finished = site.file.detail(site.owner) == "finished"
    return site.change(message, unsafe="" if finished else UNPROVED)


def _subscript(site: Site, node: ast.AST) -> ast.Subscript | None:
    """`node[...]`"""
    parent = site.file.parents[node]
    return parent if isinstance(parent, ast.Subscript) and parent.value is node else None


@rule.member("span", "tags")
def tags(site: Site) -> Change:
    change = _change(site, "the span's attributes")
    assert site.owner is not None
    assert isinstance(site.node, ast.expr)
    if _is_list(site.file, site.node):
        raise CannotRewrite("it is the list that Jaeger's own spans have; attributes are a mapping")
    item, key = _item(site)
    if item is not None and key == "error":
        status = change.use("opentelemetry.trace", "StatusCode")
        return change.replace(item, "(", site.owner, f".status.status_code is {status}.ERROR)")
    if item is not None and key == "span.kind":
        return change.replace(item, site.owner, ".kind.name.lower()")
    if not key:
        change.advise("The kind and an error are no attributes: ask its `kind` and its `status`.")
    if _wants_dict(site):
        return change.replace(site.node, "dict(", site.owner, ".attributes)")
    return change.replace(site.node, site.owner, ".attributes")


def _is_list(file: File, node: ast.expr) -> bool:
    """Whether tags are used as a list of thrift's: `tags[-1]`, `for tag in tags: tag.key`."""
    match file.parents[node]:
        case ast.Subscript(slice=ast.Slice() | ast.Constant(value=int()) | ast.UnaryOp()) as item:
            return item.value is node
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="list")]):
            return True
        case ast.Assign(targets=[ast.Name() as name]):
            uses = file.uses(name.id, file.function(name))
            read = (use for use in uses if not isinstance(file.parents[use], ast.Assign))
            return any(_is_list(file, use) for use in read)
        case (
            ast.For(target=ast.Name() as name, iter=iterated)
            | ast.comprehension(target=ast.Name() as name, iter=iterated)
        ) if iterated is node:
            uses = file.uses(name.id, file.function(name))
            return any(getattr(file.parents[use], "attr", "") == "key" for use in uses)
    return False


# What only reads a mapping, of whatever kind.
_READS = frozenset(
    {"all", "any", "bool", "dict", "len", "list", "set", "sorted", "str", "tuple", "update"}
    | {"assertEqual", "assertIn", "assertIsNotNone", "assertNotIn", "assertTrue", "print", "repr"}
)


def _wants_dict(site: Site) -> bool:
    """Whether tags go to a call that may take a dict only, as `assertDictEqual` and json do."""
    call = site.parent
    return (
        isinstance(call, ast.Call) and site.node in call.args and last_name(call.func) not in _READS
    )


def _item(site: Site) -> tuple[ast.expr | None, str]:
    """What asks for one tag, `tags[key]` or `tags.get(key)`, and the key as far as it is known."""
    item = _subscript(site, site.node)
    if item is not None:
        return item, literal_key(site.file, item.slice)
    match site.file.parents.get(site.parent):
        case ast.Call(func=ast.Attribute(attr="get") as get, args=[key, *_]) as call:
            return (call, literal_key(site.file, key)) if get is site.parent else (None, "")
    return None, ""


@rule.member("span", "logs")
def logs(site: Site) -> Change:
    """`logs[i].key_values["event"]`, `for log in logs`, `len(logs)`: wherever the entries go."""
    change = _change(site, "the span's events")
    assert site.owner is not None
    assert isinstance(site.node, ast.expr)
    change.replace(site.node, site.owner, ".events")
    _follow_list(change, site.node)
    return change


def _follow_list(change: Change, node: ast.expr) -> None:
    parent = change.file.parents[node]
    match parent:
        case ast.Subscript(value=value) if value is node:
            is_slice = isinstance(parent.slice, ast.Slice)
            (_follow_list if is_slice else _follow_entry)(change, parent)
        case ast.Assign(targets=[ast.Name() as name]):
            for use in _uses(change.file, name):
                _follow_list(change, use)
        case (
            ast.For(target=ast.Name() as name, iter=iterated)
            | ast.comprehension(target=ast.Name() as name, iter=iterated)
        ) if iterated is node:
            for use in _uses(change.file, name):
                _follow_entry(change, use)
        case ast.Call(func=ast.Name(id="len")):
            pass
        case ast.Call(func=ast.Name(id="zip" | "enumerate")):
            for use in _uses(change.file, _beside(change.file, parent, node)):
                _follow_entry(change, use)
        case _:
            raise CannotRewrite(_ENTRIES)


def _beside(file: File, call: ast.Call, node: ast.expr) -> ast.Name:
    """The name that an element gets in `for log, expected in zip(logs, all_expected)`."""
    loop = file.parents[call]
    if isinstance(loop, ast.For | ast.comprehension) and isinstance(loop.target, ast.Tuple):
        each = iterated_together(call)
        name = loop.target.elts[each.index(node)] if len(each) == len(loop.target.elts) else None
        if isinstance(name, ast.Name):
            return name
    raise CannotRewrite(_ENTRIES)


def _follow_entry(change: Change, node: ast.expr) -> None:
    parent = change.file.parents[node]
    match parent:
        case ast.Assign(targets=[ast.Name() as name]):
            for use in _uses(change.file, name):
                _follow_entry(change, use)
        case ast.Attribute(attr="timestamp"):
            change.replace(parent, "(", node, ".timestamp / 1e9)")
        case ast.Attribute(attr="key_values"):
            _key_values(change, node, parent)
        case _:
            raise CannotRewrite(_ENTRIES)


_ENTRIES = (
    "its entries go elsewhere: an event has .name, .attributes, and .timestamp in nanoseconds"
)


def _uses(file: File, name: ast.Name) -> list[ast.Name]:
    """Where a name that is bound once is read."""
    function = file.function(name)
    if [one for one in file.bound[name.id] if file.function(one) is function] != [name]:
        raise CannotRewrite(f"`{name.id}` holds other things too")
    return [use for use in file.uses(name.id, function) if use is not name]


def _key_values(change: Change, entry: ast.expr, values: ast.Attribute) -> None:
    """The fields of a log: attributes, but for `event`, which is the event's name."""
    file = change.file
    parent = file.parents[values]
    if isinstance(parent, ast.Subscript) and parent.value is values:
        key = literal_key(file, parent.slice)
        if key == "event":
            change.replace(parent, entry, ".name")
            if _asks_for_error(file, parent):
                change.advise(_EXCEPTION)
        else:
            change.replace(values, entry, ".attributes")
            if key in ("error.kind", "error.object", "stack"):
                change.advise(_EXCEPTION)
    elif isinstance(parent, ast.Compare) and not _compares_event(file, parent):
        change.replace(values, entry, ".attributes")
    else:
        change.replace(values, '{"event": ', entry, ".name, **", entry, ".attributes}")


_EXCEPTION = (
    "Of an exception that ended the span the event is `exception` now, with exception.type, "
    "exception.message and exception.stacktrace."
)


def _asks_for_error(file: File, event: ast.expr) -> bool:
    """`log.key_values["event"] == "error"`, `assertEqual(log.key_values["event"], "error")`"""
    around = file.parents[event]
    others = [one for one in ast.walk(around) if isinstance(one, ast.expr) and one is not event]
    return any(literal_key(file, one) == "error" for one in others)


def _compares_event(file: File, node: ast.Compare) -> bool:
    """Whether what is compared with a dict may have the key `event`."""
    sides = (node.left, *node.comparators)
    displays = [side for side in sides if isinstance(side, ast.Dict)]
    keys = [literal_key(file, key) for display in displays for key in display.keys]
    return not displays or "event" in keys or "" in keys


@rule.member("span", "start_time", "finish_time", "end_time")
def times(site: Site) -> Change:
    change = _change(site, "nanoseconds as the seconds they were")
    assert site.owner is not None
    member = "start_time" if site.member == "start_time" else "end_time"
    match site.parent:
        case ast.Compare(ops=[ast.Is() | ast.IsNot()]):  # with None, before it is finished
            return change.replace(site.node, site.owner, f".{member}")
    return change.replace(site.node, "(", site.owner, f".{member} / 1e9)")


@rule.member("span", "finished")
def finished(site: Site) -> Change:
    change = _change(site, "a span has an end once it is finished")
    assert site.owner is not None
    return change.replace(site.node, "(", site.owner, ".end_time is not None)")
