"""Where a tracer, span, scope or context comes from: what is done with it waits for what makes it.

Otherwise a start call that is left would get its span's `set_tag` rewritten, and fail. What makes a
tracer waits for the calls on it too: a start call that is left would meet OpenTelemetry's tracer.
What makes a span waits for what its function does with it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from codemods import legacy
from codemods.model import Fact, Fate
from codemods.site import File, Site

_FOLLOWED = frozenset({"tracer", "span", "scope", "span_context"})
_SET_UP = frozenset({"tracer", "config"})
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


def rewritten(site: Site, left: Left) -> str:
    """The kind of the object whose member a site is, if all that makes it is rewritten, or ""."""
    fact = site.file.flow.kinds.get(site.owner) if site.owner is not None else None
    made = fact.made if fact is not None and fact.kind in _FOLLOWED else frozenset()
    return _WORDS.get(fact.kind, fact.kind) if fact and made and made.isdisjoint(left) else ""


def also_called(site: Site) -> list[str]:
    """The project's own classes whose method is called where no legacy object comes to a site."""
    flow = site.file.flow
    fact = flow.kinds.get(site.owner) if site.owner is not None else None
    classes = sorted(fact.beside) if fact is not None and site.call is not None else []
    return [cls for cls in classes if not flow.legacy_base(cls)]


def called(site: Site) -> frozenset[str]:
    """The makers of what a site works on, and wants as OpenTracing made it.

    Of spans and the like only those in the same function.
    """
    wanted = [
        fact
        for fact in _operands(site)
        if fact.kind in _FOLLOWED | _SET_UP and (site.call is not None or _gives(fact, site))
    ]
    return frozenset(
        maker
        for fact in wanted
        for maker in fact.made
        if fact.kind in _SET_UP or _is_near(site, maker)
    )


def _gives(fact: Fact, site: Site) -> bool:
    """Whether an attribute is more than plain data of a tracer."""
    return fact.kind != "tracer" or bool(legacy.ATTRIBUTES.get((fact.kind, site.member)))


def _is_near(site: Site, maker: str) -> bool:
    """Whether a site stands in the function that makes its operand, or in one within it."""
    file = site.file
    node = file.flow.makers.get(maker)
    if node is None:
        return False
    if any(one is site.node or one is site.call for one in file.ancestors(node)):
        return True
    home = file.function(node)
    if _is_of_a_strange_tracer(file, node):
        taken = getattr(node, "attr", "") == "extract" and site.call is not None
        return taken and file.function(site.node) is home
    return isinstance(home, ast.Module) or any(one is home for one in file.ancestors(site.node))


def _is_of_a_strange_tracer(file: File, node: ast.AST) -> bool:
    """Whether a span or context is of a tracer that may come from outside of what was read.

    That one may be rewritten; with `unsafe`, one made in another file is, whatever this file does
    with it. A start call that is left would fail sooner than what comes after it, so such a span
    does not wait for its function, and a context only for calls that take it.
    """
    if not isinstance(node, ast.Attribute):
        return False
    tracer = file.flow.kinds.get(node.value)
    if tracer is None or tracer.kind != "tracer":
        return False
    on_object = isinstance(node.value, ast.Attribute) and not file.symbol(node.value)
    made = tracer.made & file.flow.makers.keys() if file.options.unsafe else tracer.made
    return on_object or not made


def place(maker: str, module: str) -> str:
    """Where a maker is, as a reader of `module` would look for it."""
    where, line, _ = maker.rsplit(":", 2)
    return f"line {line}" if where == module else f"line {line} of {where}"


def _operands(site: Site) -> list[Fact]:
    """What a site works on: the object whose member it is, and what it is called with."""
    memo, key = site.file.memo, ("operands", site.node, site.member)
    if key not in memo:  # they are asked for whenever something turns out to stay
        memo[key] = list(_seen(site))
    found: list[Fact] = memo[key]
    return found


def _seen(site: Site) -> Iterator[Fact]:
    kinds = site.file.flow.kinds
    if site.owner is not None and (owner := kinds.get(site.owner)) is not None:
        stands_for = owner.kind == "instance" and site.file.flow.members.get(site.node)
        yield stands_for or owner
    if site.call is not None:
        for argument in site.call.args:
            yield from _passed(site.file, argument)
        for keyword in site.call.keywords:
            yield from _passed(site.file, keyword.value)


def _passed(file: File, node: ast.expr) -> Iterator[Fact]:
    """The spans and the like in an argument, also as `[child_of(span)]` and `lambda: tracer`."""
    fact = file.flow.kinds.get(node.body if isinstance(node, ast.Lambda) else node)
    if fact is not None and fact.kind == "name":  # a function, for what it gives
        fact = file.flow.fact(f"{fact.detail}()")
    if fact is not None and fact.kind in _FOLLOWED:
        yield fact
    elif isinstance(node, ast.List | ast.Tuple):
        for element in node.elts:
            yield from _passed(file, element)
    elif isinstance(node, ast.Call) and file.kind(node) == "reference":
        for argument in node.args:
            yield from _passed(file, argument)
