"""Calls and their arguments, edited so that what is kept stays as it was."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from itertools import pairwise

from codemods.edits import Edit, Part
from codemods.site import CannotRewrite, Change, File, Site
from codemods.source import Span

Argument = ast.expr | ast.keyword


def rename_member(change: Change, node: ast.Attribute, member: str) -> None:
    """Change the last word of `a.b.c`, and leave the rest to other rules."""
    end = change.file.span(node).end
    change.replace(Span(end - len(node.attr), end), member)


def moved(site: Site, change: Change, module: str, member: str) -> Change:
    """Put what another module gives in the place of a legacy name, under its own name if it can."""
    if isinstance(site.node, ast.Name) and site.node.id == member:
        # The same name from another module: right once no use of the old import is left.
        change.depends_on(*site.file.uses(member, site.file.source.tree))
        change.imports.add((module, member, member))
        return change.replace(site.node, member)
    return change.replace(site.node, change.use(module, member))


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
    begin, stop = _parentheses(file, call)
    return _places(file.source.text, [file.span(one) for one in arguments], begin, stop)


def _places(text: str, spans: Sequence[Span], begin: int, stop: int) -> list[Span]:
    """What stands between commas, with parentheses around it."""
    commas = [_comma(text, one.end, other.start) for one, other in pairwise(spans)]
    edges = [begin, *(comma + 1 for comma in commas)]
    found = []
    for (start, end), edge, limit in zip(spans, edges, [*commas, stop], strict=True):
        head = _skip_space(text, edge, start)
        closers = _closers(text, end, limit)
        if "#" in text[end:closers]:
            raise CannotRewrite("a comment stands within the parentheses around it")
        found.append(Span(head, closers))
    return found


def _closers(text: str, start: int, stop: int) -> int:
    """The end of the parentheses that close behind a node."""
    end = at = start
    while (at := _skip_space(text, at, stop)) < stop and text[at] == ")":
        end = at = at + 1
    return end


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
            is_named = isinstance(argument, ast.keyword)  # `child_of=(p)` reaches to its end
            place = file.span(argument) if is_named else places[index]
            change.edits.append(Edit(place, parts))
    if extra:
        text: list[Part] = []
        for index, parts in enumerate(extra):
            if index or kept:
                text.append(", ")
            text.extend(parts)
        at = places[kept[-1]].end if kept else _parentheses(file, call)[0]
        change.replace(Span(at, at), *text)


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
    text = file.source.text
    spans = item_places(file, node)
    if index + 1 < len(spans):
        change.replace(Span(spans[index].start, spans[index + 1].start))
    else:
        comma = re.compile(r"\s*,").match(text, spans[index].end)
        end = comma.end() if comma and not index else spans[index].end
        start = spans[index - 1].end if index else spans[index].start
        change.replace(Span(start, end))


def item_places(file: File, node: ast.Dict) -> list[Span]:
    """The place of each entry of a dict display, with parentheses, without its comma."""
    spans = []
    for key, value in zip(node.keys, node.values, strict=True):
        start = file.span(key).start if key is not None else file.span(value).start - 2
        spans.append(Span(start, file.span(value).end))
    start, end = file.span(node)
    return _places(file.source.text, spans, start + 1, end - 1)


def is_statement(site: Site) -> ast.Expr | None:
    """The expression statement that consists of the site's call alone."""
    parent = site.parent
    return parent if isinstance(parent, ast.Expr) and parent.value is site.call else None
