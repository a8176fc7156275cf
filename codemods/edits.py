"""Edits to a text by ranges of its syntax nodes, nested ones composed, all else kept to the byte.

An edit replaces a range by parts: literal text, or nodes and ranges of the original, which are
rendered with the edits inside them. So a rule may move, wrap or drop what another rule rewrites.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from codemods.source import Source, Span

Part: TypeAlias = "str | ast.AST | Span"


class Edit(NamedTuple):
    """Replace `span` by `parts`. A part with the same span is what other edits made of it."""

    span: Span
    parts: tuple[Part, ...]


class Editor:
    """Collects edits and renders the result."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._edits: dict[Span, list[Edit]] = {}
        self._order: list[tuple[int, int, int, Span]] = []
        self._kept: list[Span] = []
        self._made: set[Span] = set()

    def fits(self, edits: Iterable[Edit]) -> bool:
        """Whether no edit cuts through another one."""
        return not any(_cross(edit.span, other) for edit in edits for other in self._edits)

    def add(self, edits: Iterable[Edit]) -> None:
        """Take edits; where two have one range, one that wraps it goes around one that does not."""
        for edit in edits:
            stack = self._edits.setdefault(edit.span, [])
            if edit.span.start == edit.span.end or self._wraps(edit):
                stack.append(edit)
            else:
                stack.insert(0, edit)

    def add_ahead(self, edits: Iterable[Edit]) -> None:
        """Take edits that insert before what others inserted at the same place."""
        edits = list(edits)
        inserting = [edit for edit in edits if edit.span.start == edit.span.end]
        for edit in reversed(inserting):
            self._edits.setdefault(edit.span, []).insert(0, edit)
        self.add(edit for edit in edits if edit not in inserting)

    def _wraps(self, edit: Edit) -> bool:
        return any(
            (part if isinstance(part, Span) else self._source.span(part)) == edit.span
            for part in edit.parts
            if not isinstance(part, str)
        )

    def render(self) -> str:
        """The whole text with all edits made."""
        self._order = sorted(
            (span.start, span.end > span.start, -span.end, span) for span in self._edits
        )
        self._kept = []
        self._made = set()
        text = self._range(Span(0, len(self._source.text)), whole=True)
        self._kept = _united(self._kept)
        return text

    def kept(self, offset: int) -> bool:
        """Whether the last rendering has the character at `offset` as it was."""
        index = bisect_left(self._kept, (offset + 1, 0)) - 1
        return index >= 0 and offset < self._kept[index].end

    def made(self, edits: Iterable[Edit]) -> bool:
        """Whether the last rendering shows any of these edits."""
        return any(edit.span in self._made for edit in edits)

    def _range(self, span: Span, *, whole: bool = False) -> str:
        out: list[str] = []
        at = span.start
        first = bisect_left(self._order, (span.start,))
        for start, _, _, inner in self._order[first:]:
            if start >= span.end and not whole:
                break
            if inner.end > span.end or start < at or (inner == span and not whole):
                continue
            if inner.start == inner.end and not whole and start == span.start:
                continue
            self._keep(out, at, start)
            made = self._stack(inner, len(self._edits[inner]))
            if made.startswith("{") and out and out[-1].endswith("{"):
                made = f" {made}"  # in an f-string two braces are no field
            out.append(made)
            at = inner.end
        self._keep(out, at, span.end)
        return "".join(out)

    def _keep(self, out: list[str], start: int, end: int) -> None:
        if start < end:
            self._kept.append(Span(start, end))
            out.append(self._source.text[start:end])

    def _stack(self, span: Span, depth: int) -> str:
        """What the first `depth` edits of one range make of it."""
        self._made.add(span)
        if depth == 0:
            return self._range(span)
        if span.start == span.end:
            inserted = [part for edit in self._edits[span] for part in edit.parts]
            return "".join(self._part(part, span, depth) for part in inserted)
        return "".join(self._part(part, span, depth) for part in self._edits[span][depth - 1].parts)

    def _part(self, part: Part, outer: Span, depth: int) -> str:
        if isinstance(part, str):
            return part
        span = part if isinstance(part, Span) else self._source.span(part)
        if span == outer:
            return self._stack(span, depth - 1)
        if span in self._edits:
            return self._stack(span, len(self._edits[span]))
        return self._range(span)


def _united(spans: list[Span]) -> list[Span]:
    """The spans in order, those that touch made one: a node may be rendered more than once."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _cross(one: Span, other: Span) -> bool:
    if one.start == one.end or other.start == other.end:
        return False
    return (one.start < other.start < one.end < other.end) or (
        other.start < one.start < other.end < one.end
    )


def join(separator: str, items: Sequence[Sequence[Part]]) -> tuple[Part, ...]:
    """Parts joined as `str.join` joins strings."""
    parts: list[Part] = []
    for index, item in enumerate(items):
        if index:
            parts.append(separator)
        parts.extend(item)
    return tuple(parts)
