"""The comparison as one self-contained page: two waterfalls side by side, details on click."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.comparison import Comparison, Row
from migrator.compare.differences import Difference
from migrator.compare.events import summary
from migrator.compare.model import Span, text
from migrator.compare.sides import SideRun

NARROWEST = 0.4  # per cent of the waterfall's width


def write_page(path: Path, outcome: Comparison, old: SideRun, new: SideRun) -> None:
    """Write the page; nothing in it is fetched from anywhere, and it runs no script."""
    path.write_text(render(outcome, old, new), encoding="utf-8")


def render(outcome: Comparison, old: SideRun, new: SideRun) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        outcome=outcome,
        sides=(old, new),
        traces=list(_traces(outcome)),
        meanings={name: sort.meaning.replace("`", "") for name, sort in CATALOGUE.items()},
    )


class Bar(NamedTuple):
    """A span in its waterfall; places and lengths are per cent of its trace's time."""

    span: Span
    depth: int
    left: float
    width: float
    length: str


class Field(NamedTuple):
    name: str
    before: str
    after: str
    differences: list[Difference]


@dataclass(slots=True)
class Line:
    """One row of the page."""

    row: Row
    bars: tuple[Bar | None, Bar | None]
    fields: list[Field]

    @property
    def mark(self) -> str:
        if self.row.counts:
            return "differs"
        return "equal" if self.row.equal else "allowed"


@dataclass(slots=True)
class Trace:
    lines: list[Line]

    @property
    def mark(self) -> str:
        """The class that "only what differs" hides."""
        return "" if any(line.mark == "differs" for line in self.lines) else "alike"


def _traces(outcome: Comparison) -> Iterator[Trace]:
    clocks = _clocks(outcome)
    lines: list[Line] = []
    for row in outcome.rows:
        first = row.before or row.after
        if first is not None and first.parent is None and lines:
            yield Trace(lines)
            lines = []
        bars = _bar(row.before, clocks), _bar(row.after, clocks)
        lines.append(Line(row, bars, _fields(row)))
    yield Trace(lines)


def _clocks(outcome: Comparison) -> dict[tuple[int, bytes], tuple[int, int]]:
    """When each trace of each side begins and ends. Sides never share an object."""
    clocks: dict[tuple[int, bytes], tuple[int, int]] = {}
    for side, recording in enumerate((outcome.before, outcome.after)):
        for span in recording.spans:
            begin, end = clocks.get((side, span.trace_id), (span.start, span.end))
            clocks[side, span.trace_id] = min(begin, span.start), max(end, span.end)
    return clocks


def _bar(span: Span | None, clocks: dict[tuple[int, bytes], tuple[int, int]]) -> Bar | None:
    if span is None:
        return None
    begin, end = clocks.get((0, span.trace_id)) or clocks[1, span.trace_id]
    whole = max(1, end - begin)
    left = min(100 - NARROWEST, 100 * (span.start - begin) / whole)
    width = max(NARROWEST, min(100 - left, 100 * (span.end - span.start) / whole))
    return Bar(span, _depth(span), round(left, 2), round(width, 2), _duration(span))


def _depth(span: Span) -> int:
    depth = 0
    while span.parent is not None and depth < 40:
        span, depth = span.parent, depth + 1
    return depth


def _duration(span: Span) -> str:
    """Milliseconds as Jaeger writes them."""
    microseconds = max(0, span.end - span.start) / 1000
    if microseconds < 1000:
        return f"{microseconds:.0f} μs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds / 1_000_000:.2f} s"


GROUPS = (
    *("service", "operation", "parent", "kind", "status", "duration"),
    *("attribute", "event", "links", "baggage", "ids"),
)


def _fields(row: Row) -> list[Field]:
    """What is told of the spans on a click, in the same order for all."""
    before, after = (dict(_told(span)) for span in (row.before, row.after))
    names = sorted(before.keys() | after.keys(), key=_place)
    return [_field(name, before.get(name, ""), after.get(name, ""), row) for name in names]


def _place(name: str) -> tuple[int, int, str]:
    group, _, rest = name.partition(" ")
    return GROUPS.index(group), int(rest) if group == "event" else 0, rest


def _field(name: str, before: str, after: str, row: Row) -> Field:
    group, _, rest = name.partition(" ")
    words = {rest} if group != "event" else {told.partition(":")[0] for told in (before, after)}
    about = [d for d in row.differences if _group(d.name) == group and _names(d, group, words)]
    return Field(name, before, after, about)


def _names(difference: Difference, group: str, words: set[str]) -> bool:
    """Whether the difference's key is about one of these; without a key it is about all."""
    if group not in ("attribute", "event") or not difference.key:
        return True
    return bool(words & {*difference.key.split(" -> "), difference.key.partition(":")[0]})


def _told(span: Span | None) -> Iterator[tuple[str, str]]:
    if span is None:
        return
    yield "service", span.service
    yield "operation", span.name
    yield "parent", span.parent.path if span.parent else "none"
    yield "kind", span.kind
    yield "status", " ".join(filter(None, (span.status, span.status_message)))
    yield "duration", _duration(span)
    for key in sorted(span.attributes):
        yield f"attribute {key}", text(span.attributes[key])
    for index, event in enumerate(span.events, 1):
        yield f"event {index}", f"{event.name or '(no name)'}: {summary(event)}"
    if span.links:
        yield "links", str(len(span.links))
    for way, items in span.baggage.items():
        yield f"baggage {way}", ", ".join(f"{key}={value}" for key, value in items.items())
    yield "ids", f"trace {span.trace_id.hex()}, span {span.span_id.hex()}"


GROUP_OF = {
    "renamed-span": "operation",
    "changed-service": "service",
    "reparented-span": "parent",
    "split-trace": "parent",
    "joined-trace": "parent",
    "lost-parent": "parent",
    "changed-time": "duration",
    "kind-as-attribute": "kind",
    "status-message": "status",
    "changed-status-message": "status",
    "changed-type": "attribute",
    "cut-value": "attribute",
    "free-port": "attribute",
    "exception-form": "event",
    "exception-as-attribute": "event",
    "changed-stack": "event",
    "event-order": "event",
}


def _group(name: str) -> str:
    """The field that a difference is about, by the last word of its name where nothing is said."""
    if name in GROUP_OF:
        return GROUP_OF[name]
    if "event" in name:
        return "event"
    noun = name.rpartition("-")[2]
    return "links" if noun == "link" else noun
