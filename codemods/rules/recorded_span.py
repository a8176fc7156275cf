"""What tests read of a finished span: tags, logs, times."""

from __future__ import annotations

import ast

from codemods.emit import literal_key
from codemods.model import Safety
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO702",
    title="tags, logs and times of a finished span",
    url="https://opentelemetry-python.readthedocs.io/en/latest/sdk/trace.html#opentelemetry.sdk.trace.ReadableSpan",
    safety=Safety.SAFE,
    explanation="""\
`span.tags` is `span.attributes`, `span.logs` is `span.events`, and `logs[0].key_values` is
`events[0].attributes`; the value of `event` is the event's name. The tag `error` is the status now,
and `span.kind` the kind. Times are integer nanoseconds. That holds for the spans that a provider of
the SDK recorded; of a span that the test did not get from its finished spans it is not proved, and
the change needs `--unsafe`.
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
    item = _subscript(site, site.node)
    key = literal_key(site.file, item.slice) if item is not None else ""
    if item is not None and key == "error":
        status = change.use("opentelemetry.trace", "StatusCode")
        return change.replace(item, "(", site.owner, f".status.status_code is {status}.ERROR)")
    if item is not None and key == "span.kind":
        return change.replace(item, site.owner, ".kind.name.lower()")
    return change.replace(site.node, site.owner, ".attributes")


@rule.member("span", "logs")
def logs(site: Site) -> Change:
    """`logs[i].key_values["event"]`, `logs[i].key_values`, `len(logs)`."""
    change = _change(site, "the span's events")
    assert site.owner is not None
    item = _subscript(site, site.node)
    if item is None:
        parent = site.file.parents[site.node]
        if isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "len":
            return change.replace(site.node, site.owner, ".events")
        raise CannotRewrite("its entries are read elsewhere: an event has .name and .attributes")
    values = site.file.parents[item]
    if not isinstance(values, ast.Attribute) or values.attr != "key_values":
        raise CannotRewrite("an event has .name, .attributes and .timestamp in nanoseconds")
    event: tuple[ast.expr | str, ...] = (site.owner, ".events[", item.slice, "]")
    field = _subscript(site, values)
    if field is not None and literal_key(site.file, field.slice) == "event":
        return change.replace(field, *event, ".name")
    return change.replace(values, *event, ".attributes")


@rule.member("span", "start_time", "finish_time", "end_time")
def times(site: Site) -> Change:
    change = _change(site, "nanoseconds as the seconds they were")
    assert site.owner is not None
    member = "start_time" if site.member == "start_time" else "end_time"
    return change.replace(site.node, "(", site.owner, f".{member} / 1e9)")


@rule.member("span", "finished")
def finished(site: Site) -> Change:
    change = _change(site, "a span has an end once it is finished")
    assert site.owner is not None
    return change.replace(site.node, "(", site.owner, ".end_time is not None)")
