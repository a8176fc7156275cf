"""The references of a start call: `child_of` is the parent, `follows_from` parent and link."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from codemods.edits import Part
from codemods.kinds import MIXTURES
from codemods.parents import parent_context, span_context_of
from codemods.site import CannotRewrite, Change, File
from codemods.values import is_none


class _References(NamedTuple):
    """What the argument holds, written out; where it is chosen, if `test` is so (or `negated`)."""

    found: list[tuple[str, ast.expr]]  # relation and referenced context
    test: ast.expr | None = None
    negated: bool = False
    gone: tuple[ast.stmt, ...] = ()  # the statements that built it
    each: tuple[Part, ...] = ()  # where one stands for many: ` for message in messages`


def references(
    change: Change, node: ast.expr, *, has_parent: bool, ignores_active: bool
) -> tuple[Part, ...] | None:
    """The keywords that say the same as `references=node`; None where it says nothing."""
    given = _written_out(change.file, node)
    context: tuple[Part, ...] | None = None
    links: list[tuple[Part, ...]] = []
    for index, (relation, target) in enumerate(given.found):
        if index == 0 and not has_parent:
            context = parent_context(change, target) or ("None",)
            if given.each:
                context = ("next((", *context, *given.each, "), None)")
                _check_twice(change, given.each)
            is_extracted = change.file.detail(target) == "extracted"
            if is_extracted and not ignores_active:
                change.advise(
                    "Where a span is active here, it was the parent; what was extracted is now."
                )
            if not (is_extracted or ignores_active or change.unsafe):
                change.unsafe = "no span is active here (an active one would be the parent)"
            if relation == "child_of" and not given.each:
                continue
        links.append((*_link(change, relation, target), *given.each))
    for statement in given.gone:
        change.remove(statement)
    keywords: list[tuple[Part, ...]] = []
    if context:
        asked = given.test is None or _asks_for(change.file, given)
        keywords.append(("context=", *(context if asked else _chosen(context, given))))
    if links:
        listed = [part for link in links for part in (", ", *link)]
        keywords.append(("links=", *_chosen(("[", *listed[1:], "]"), given)))
    return tuple(part for one in keywords for part in (", ", *one))[1:] or None


def _chosen(value: tuple[Part, ...], given: _References) -> tuple[Part, ...]:
    if given.test is None:
        return value
    if " if " in "".join(part for part in value if isinstance(part, str)):
        value = ("(", *value, ")")
    one, other = (("None",), value) if given.negated else (value, ("None",))
    return (*one, " if ", given.test, " else ", *other)


def _asks_for(file: File, given: _References) -> bool:
    """Whether the test is for what was extracted; if nothing was, that is the current context."""
    test, (_, target) = given.test, given.found[0]
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot | ast.Is):
        test = test.left
    is_extracted = file.detail(target) == "extracted"
    return is_extracted and test is not None and ast.dump(test) == ast.dump(target)


def _written_out(file: File, node: ast.expr) -> _References:
    if isinstance(node, ast.Name) and (built := _built(file, node)) is not None:
        return built
    if isinstance(node, ast.ListComp):
        return _References([_reference(file, node.elt)], each=tuple(_loops(node)))
    if isinstance(node, ast.IfExp):
        for value, other, negated in (
            (node.body, node.orelse, False),
            (node.orelse, node.body, True),
        ):
            if _is_empty(other):
                return _References(_listed(file, value), node.test, negated)
    return _References(_listed(file, node))


def _loops(node: ast.ListComp) -> Iterator[Part]:
    for loop in node.generators:
        if loop.is_async:
            raise CannotRewrite("its references come from an asynchronous loop")
        yield from (" for ", loop.target, " in ", loop.iter)
        for condition in loop.ifs:
            yield from (" if ", condition)


def _check_twice(change: Change, each: tuple[Part, ...]) -> None:
    """The first gives the parent and all give links: what ends after one round loses the first."""
    file = change.file
    for before, iterated in pairwise(each):
        if before == " in " and isinstance(iterated, ast.expr) and not _is_list(file, iterated):
            text = f"`{file.text(iterated)}` can be gone through twice"
            change.unsafe = f"{change.unsafe}; {text}" if change.unsafe else text


def _is_list(file: File, node: ast.expr) -> bool:
    """Whether it is a list, or the like, as far as the file shows; also a part of one."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return True
    bound = [*file.bound.get(node.id, ())] if isinstance(node, ast.Name) else []
    made = file.parents[bound[0]] if len(bound) == 1 else None
    if isinstance(made, ast.Assign) and made.targets == bound:
        node = made.value
    made_by = ("dict", "list", "set", "sorted", "tuple")
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in made_by
    return isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.ListComp)


def _is_empty(node: ast.expr) -> bool:
    return is_none(node) or (isinstance(node, ast.List | ast.Tuple) and not node.elts)


def _listed(file: File, node: ast.expr) -> list[tuple[str, ast.expr]]:
    if is_none(node):
        return []
    elements: Iterable[ast.expr] = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    return [_reference(file, element) for element in elements]


def _built(file: File, node: ast.Name) -> _References | None:
    """What a name holds that is bound for this call only, if nothing in it is bound anew before."""
    built = _built_before(file, node)
    if built is None:
        return None
    parts = [target for _, target in built.found] + ([built.test] if built.test else [])
    names = {one.id for part in parts for one in ast.walk(part) if isinstance(one, ast.Name)}
    first, last = built.gone[0].lineno, node.lineno
    again = (one for name in names for one in file.bound.get(name, ()))
    return None if any(first < getattr(one, "lineno", 0) <= last for one in again) else built


def _built_before(file: File, node: ast.Name) -> _References | None:
    """A list that a name is bound to, or that one `append` fills, in the block of the call."""
    function = file.function(node)
    bound = [one for one in file.bound.get(node.id, ()) if file.function(one) is function]
    uses = [one for one in file.uses(node.id, function) if isinstance(one.ctx, ast.Load)]
    made = file.parents[bound[0]] if len(bound) == 1 else None
    if not isinstance(made, ast.Assign) or len(made.targets) != 1:
        return None
    if file.block(made) is not file.block(file.statement(node)):
        return None
    if uses == [node]:
        return _written_out(file, made.value)._replace(gone=(made,))
    if len(uses) != 2 or not _is_empty(made.value):
        return None
    append = file.parents[next(use for use in uses if use is not node)]
    match file.parents[append]:
        case ast.Call(args=[added]) as call if getattr(append, "attr", "") == "append":
            filled = file.statement(call)
        case _:
            return None
    around = file.parents[filled]
    if isinstance(around, ast.If) and around.body == [filled] and not around.orelse:
        if file.block(around) is file.block(made):
            return _References([_reference(file, added)], around.test, gone=(made, around))
    elif isinstance(filled, ast.Expr) and file.block(filled) is file.block(made):
        return _References([_reference(file, added)], gone=(made, filled))
    return None


def _reference(file: File, node: ast.expr) -> tuple[str, ast.expr]:
    """The relation and the referenced context of `child_of(x)`, `follows_from(x)`, `Reference`."""
    if isinstance(node, ast.Call):
        symbol = file.symbol(node.func)
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        if symbol in ("opentracing.child_of", "opentracing.follows_from") and len(values) == 1:
            return symbol.rpartition(".")[2], values[0]
        if symbol == "opentracing.Reference" and len(values) == 2:
            kind = file.symbol(values[0]).rpartition(".")[2].lower()
            if kind in ("child_of", "follows_from"):
                return kind, values[1]
    raise CannotRewrite("its references are not written out as child_of(...) or follows_from(...)")


def _link(change: Change, relation: str, target: ast.expr) -> tuple[Part, ...]:
    trace = change.use("opentelemetry", "trace")
    tail = ")" if relation == "follows_from" else f', {{"opentracing.ref_type": "{relation}"}})'
    file = change.file
    kind, detail = file.kind(target), file.detail(target)
    if isinstance(target, ast.Attribute) and file.kind(target.value) == "span":
        return (f"{trace}.Link(", target, tail)
    if kind in ("span", "scope"):
        return (f"{trace}.Link(", target, ".get_span_context()", tail)
    if kind == "span_context" and detail == "of span":
        return (f"{trace}.Link(", target, tail)
    known = kind == "span_context" and detail in ("extracted", *MIXTURES)
    if not known and not change.unsafe:
        change.unsafe = f"`{file.text(target)}` is a span's context or what `extract` returned"
    return (f"{trace}.Link(", *span_context_of(change, target), tail)
