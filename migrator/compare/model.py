"""The one plain model both sides become: spans as Jaeger would show them, with their family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

Value: TypeAlias = Any  # str, bool, int, float, bytes, None, and lists and dicts of these
Attributes: TypeAlias = dict[str, Value]

KINDS = ("unset", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
UNKNOWN_SERVICE = "unknown_service"


@dataclass(slots=True)
class Event:
    name: str
    attributes: Attributes
    time: int  # nanoseconds since 1970


@dataclass(slots=True)
class Link:
    trace_id: bytes
    span_id: bytes
    attributes: Attributes


@dataclass(slots=True, eq=False)
class Span:
    """One span. Two spans are the same only if they are the same object: ids never count."""

    service: str
    name: str
    kind: str  # one of KINDS
    status: str  # one of STATUSES
    status_message: str
    attributes: Attributes
    events: list[Event]
    links: list[Link]
    start: int  # nanoseconds since 1970
    end: int
    trace_id: bytes
    span_id: bytes
    parent_id: bytes  # empty for a root
    parent: Span | None = None
    children: list[Span] = field(default_factory=list)
    said_error: bool = False  # the program itself set the legacy `error` tag
    baggage: dict[str, dict[str, str]] = field(default_factory=dict)  # "sent" and "received"

    @property
    def path(self) -> str:
        """Where it stands in its trace: "frontend: GET / > backend: query"."""
        names = [f"{self.service}: {self.name}"]
        above = self.parent
        while above is not None and len(names) < 64:
            names.append(f"{above.service}: {above.name}")
            above = above.parent
        return " > ".join(reversed(names))

    @property
    def lost_parent(self) -> bool:
        """It names a parent that nobody reported."""
        return bool(self.parent_id) and self.parent is None


@dataclass(slots=True)
class Recording:
    """Everything one side reported. `resources` holds what each service says of itself."""

    spans: list[Span]
    roots: list[Span]  # also those whose parent was never reported
    resources: dict[str, Attributes]
    _by_id: dict[tuple[bytes, bytes], Span] = field(default_factory=dict)

    def find(self, trace_id: bytes, span_id: bytes) -> Span | None:
        return self._by_id.get((trace_id, span_id))


def read(resource_spans: Iterable[pb.ResourceSpans]) -> Recording:
    """Turn OTLP into a recording: spans with parents and children, siblings by start time."""
    spans: list[Span] = []
    resources: dict[str, Attributes] = {}
    for group in resource_spans:
        resource = attributes(group.resource.attributes)
        service = text(resource.get("service.name", UNKNOWN_SERVICE))
        resources.setdefault(service, {}).update(resource)
        for scope in group.scope_spans:
            spans.extend(_span(service, span) for span in scope.spans)
    return family(spans, resources)


def walk(roots: Iterable[Span]) -> Iterator[Span]:
    """Every span below (and with) the roots, parents before children; deep traces are fine."""
    waiting = list(reversed(list(roots)))
    while waiting:
        span = waiting.pop()
        yield span
        waiting.extend(reversed(span.children))


def attributes(pairs: Iterable[KeyValue]) -> Attributes:
    """Attributes as a dict; of a key given twice the last counts, as in Jaeger."""
    return {pair.key: _value(pair.value) for pair in pairs}


def text(value: Value) -> str:
    """A value as Jaeger's page writes it: `true`, `[1,2]`, 5."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return "[" + ",".join(text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{text(item)}" for key, item in value.items()) + "}"
    return str(value)


def _value(value: AnyValue) -> Value:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, which)


def _span(service: str, span: pb.Span) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "unset",
        status=STATUSES[span.status.code] if 0 <= span.status.code < len(STATUSES) else "unset",
        status_message=span.status.message,
        attributes=attributes(span.attributes),
        events=[
            Event(event.name, attributes(event.attributes), event.time_unix_nano)
            for event in span.events
        ],
        links=[
            Link(link.trace_id, link.span_id, attributes(link.attributes)) for link in span.links
        ],
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id if any(span.parent_span_id) else b"",
    )


def family(spans: list[Span], resources: Mapping[str, Attributes]) -> Recording:
    """Give every span its parent and children."""
    by_id: dict[tuple[bytes, bytes], Span] = {}
    for span in sorted(spans, key=lambda span: span.kind == "server"):
        by_id.setdefault((span.trace_id, span.span_id), span)
    for span in spans:
        first = by_id[span.trace_id, span.span_id]
        # Zipkin's way, which jaeger-client's one_span_per_rpc takes: the server's half of a
        # call has the client's id.
        shared = first is not span and span.kind == "server" and first.kind != "server"
        parent = first if shared else by_id.get((span.trace_id, span.parent_id))
        if parent is not None and not _below(parent, span):
            span.parent = parent
            parent.children.append(span)
    spans.sort(key=lambda span: span.start)
    for span in spans:
        span.children.sort(key=lambda child: child.start)
    return Recording(spans, [s for s in spans if s.parent is None], dict(resources), by_id)


def _below(span: Span, ancestor: Span) -> bool:
    """Whether `span` is `ancestor` or already hangs below it: broken ids may name a circle."""
    above: Span | None = span
    while above is not None:
        if above is ancestor:
            return True
        above = above.parent
    return False
