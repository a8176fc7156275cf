"""The comparison as a tree in the terminal: equal spans dim, differences in colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from migrator.compare.comparison import Comparison, Row
from migrator.compare.differences import Difference
from migrator.compare.model import Span
from migrator.compare.sides import SideRun

UNLIMITED = 100_000  # columns of a file or a pipe: nothing is cut
SILENT = "does it start its tracer, sample, and export as Jaeger thrift or OTLP?"
VALUES = {"changed-attribute", "changed-event-attribute"}
SHOWN = 120  # characters of a value


def print_tree(outcome: Comparison, old: SideRun, new: SideRun) -> None:
    """Print both sides' spans as one tree and the verdict below it."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = UNLIMITED
    for tree in _trees(outcome):
        console.print(tree)
    for line in _services(outcome.services):
        console.print(line)
    for side in (old, new):
        for remark in side.remarks:
            console.print(Text(f"note: {side.label}: {remark}", "dim"))
        if not side.recording.spans:
            console.print(Text(f"note: {side.label} reported no span: {SILENT}", "yellow"))
    for rule in outcome.unused:
        console.print(Text(f"note: {rule.origin} allowed nothing ({rule.difference})", "dim"))
    console.print(_verdict(outcome, old, new))
    if outcome.counts.keys() & VALUES:
        console.print(Text("If a value differs in every run, --twice finds out.", "dim"))


def _trees(outcome: Comparison) -> list[Tree]:
    trees: list[Tree] = []
    nodes: dict[Span, Tree] = {}
    for row in outcome.rows:
        parent = _parent(row, nodes)
        node = parent.add(_label(row)) if parent else Tree(_label(row), guide_style="dim")
        if not parent:
            trees.append(node)
        for span in (row.before, row.after):
            if span is not None:
                nodes[span] = node
        for difference in row.differences:
            if not difference.allowed_by:
                node.add(_line(difference))
    return trees


def _parent(row: Row, nodes: dict[Span, Tree]) -> Tree | None:
    span = row.before or row.after
    return nodes.get(span.parent) if span and span.parent else None


def _label(row: Row) -> Text:
    span = row.before or row.after
    assert span is not None
    style = "bold" if row.counts else "dim"
    if row.before is None or row.after is None:
        style += " red" if row.after is None else " green"
    return (
        Text().append(f"{span.service}: {span.name}", style).append_text(_allowed(row.differences))
    )


def _allowed(differences: list[Difference]) -> Text:
    """Allowed differences by name, behind what they concern; the page has their values."""
    counts = Counter(d.name for d in differences if d.allowed_by)
    names = (f"{name} ×{count}" if count > 1 else name for name, count in counts.items())
    return Text(f"  ≈ {', '.join(names)}" if counts else "", "dim italic")


def _services(differences: list[Difference]) -> Iterator[Text]:
    for service in sorted({difference.service for difference in differences}):
        these = [difference for difference in differences if difference.service == service]
        yield Text().append(f"service {service}", "dim").append_text(_allowed(these))
        yield from (Text("  ") + _line(each) for each in these if not each.allowed_by)


def _line(difference: Difference) -> Text:
    line = Text().append("≠ ", "bold yellow").append(difference.name, "yellow")
    if difference.key:
        line.append(f" {difference.key}")
    if difference.name not in ("missing-span", "extra-span"):
        line.append_text(_change(difference))
    return line


def _change(difference: Difference) -> Text:
    change = Text(": ")
    if difference.before is not None:
        change.append(_short(difference.before), "red")
    if difference.before is not None and difference.after is not None:
        change.append(" → ", "dim")
    if difference.after is not None:
        change.append(_short(difference.after), "green")
    return change


def _short(value: str) -> str:
    line = value.replace("\n", "⏎") or "(empty)"
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _verdict(outcome: Comparison, old: SideRun, new: SideRun) -> Text:
    spans = f"{len(old.recording.spans)} spans before, {len(new.recording.spans)} after"
    allowed = ", ".join(f"{count} {name}" for name, count in outcome.allowed.items())
    tail = f" Allowed: {allowed}." if allowed else ""
    if outcome.equal:
        return Text().append("Equal", "bold green").append(f": {spans}.{tail}")
    found = ", ".join(f"{count} {name}" for name, count in outcome.counts.items())
    return Text().append("Different", "bold red").append(f": {spans}. {found}.").append(tail, "dim")
