"""Where a tracer, span, scope or context comes from: what is done with it waits for what makes it.

Otherwise a start call that is left would get its span's `set_tag` rewritten, and fail. What makes a
tracer waits for the calls on it too: a start call that is left would meet OpenTelemetry's tracer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from codemods import legacy
from codemods.model import Fact, Fate
from codemods.site import File, Site

_FOLLOWED = frozenset({"tracer", "span", "scope", "span_context"})
_WORDS = {"span_context": "context", "config": "configuration"}

Left = Mapping[str, Fate]  # the makers that stay legacy, by their names in `Fact.made`


def awaited(site: Site, left: Left) -> list[tuple[str, str]]:
    """Kind and maker of each thing a site works on of which all makers stay legacy."""
    return [
        (_WORDS.get(fact.kind, fact.kind), maker)
        for fact in _operands(site)
        if fact.made and all(maker in left for maker in fact.made)
        for maker in sorted(fact.made)
    ]


def also_passed(site: Site, left: Left) -> list[tuple[str, str]]:
    """Kind and maker of what stays legacy and comes to a site beside what is rewritten."""
    return [
        (_WORDS.get(fact.kind, fact.kind), maker)
        for fact in _operands(site)
        if not all(maker in left for maker in fact.made)
        for maker in sorted(fact.made)
        if maker in left
    ]


def at_once(site: Site) -> Iterator[ast.expr]:
    """The names and functions of calls whose result a site works on where it is made."""
    owner = () if site.owner is None else (site.owner,)
    for node in (*owner, *_arguments(site)):
        yield node.func if isinstance(node, ast.Call) else node


def called(site: Site) -> frozenset[str]:
    """The makers of the tracer or configuration of which a site wants OpenTracing's own."""
    owner = site.file.flow.kinds.get(site.owner) if site.owner is not None else None
    if owner is None or owner.kind not in ("tracer", "config"):
        return frozenset()
    is_own = site.call is not None or owner.kind == "config" or _gives(owner, site)
    return owner.made if is_own else frozenset()


def _gives(owner: Fact, site: Site) -> bool:
    """Whether an attribute is a span or the like, and not plain data."""
    return bool(legacy.ATTRIBUTES.get((owner.kind, site.member)))


def place(maker: str, module: str) -> str:
    """Where a maker is, as a reader of `module` would look for it."""
    where, line, _ = maker.rsplit(":", 2)
    return f"line {line}" if where == module else f"line {line} of {where}"


def _operands(site: Site) -> Iterator[Fact]:
    """What a site works on: the object whose member it is, and what it is called with."""
    kinds = site.file.flow.kinds
    if site.owner is not None and (owner := kinds.get(site.owner)) is not None:
        yield owner
    for node in _arguments(site):
        yield kinds[node]


def _arguments(site: Site) -> Iterator[ast.expr]:
    """The spans and the like that a site is called with."""
    if site.call is not None:
        for argument in (*site.call.args, *(keyword.value for keyword in site.call.keywords)):
            yield from _followed(site.file, argument)


def _followed(file: File, node: ast.expr) -> Iterator[ast.expr]:
    """The spans and the like in an argument, also as `[child_of(span)]`."""
    fact = file.flow.kinds.get(node)
    if fact is not None and fact.kind in _FOLLOWED:
        yield node
    elif isinstance(node, ast.List | ast.Tuple):
        for element in node.elts:
            yield from _followed(file, element)
    elif isinstance(node, ast.Call) and file.kind(node) == "reference":
        for argument in node.args:
            yield from _followed(file, argument)
