"""What a change depends on: it is made with that, or waits for it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from codemods import origins
from codemods.decision import Decision, is_selected
from codemods.model import NOTHING_STAYS, Fate, Stays
from codemods.provider import SET_ONCE, set_up_in
from codemods.scopes import thrown_away
from codemods.site import Change, File, Report


def supported(
    file: File, decided: list[Decision], candidates: list[Decision], elsewhere: Stays
) -> list[Decision]:
    """The changes of which all that they depend on is rewritten with them; the others wait."""
    kept = {id(one): one for one in candidates}
    at = _by_node(decided)
    for stays_elsewhere in (NOTHING_STAYS, elsewhere):  # what is nearer is the better reason
        calls = _calls(file, decided, stays_elsewhere)
        while waiting := _waiting(file, decided, at, kept, calls, stays_elsewhere):
            for by, missing in waiting.values():
                _hold(by, missing)
                del kept[id(by)]
    return list(kept.values())


def _waiting(
    file: File,
    decided: list[Decision],
    at: _ByNode,
    kept: Mapping[int, Decision],
    calls: Mapping[ast.AST, _Calls],
    elsewhere: Stays,
) -> dict[int, tuple[Decision, list[_Missing]]]:
    left = {**elsewhere.left, **_left(file, decided)}
    waiting = {}
    for one in decided:
        by = one.consumed or one
        if id(by) in kept and (missing := _missing(one, at, left, calls)):
            waiting[id(by)] = (by, missing)
    return waiting


def stays(file: File, decided: list[Decision]) -> Stays:
    """What other files have to know of this one."""
    called: dict[str, str] = {}
    for one in decided:
        if not one.done and is_selected(one.code, file.options) and one.outcome is not SET_ONCE:
            who = "" if one.fate is Fate.HELD else " (by hand)"
            where = f"line {_line(one)} of {file.flow.module}{who}"
            called |= dict.fromkeys(origins.called(one.site) - file.flow.makers.keys(), where)
    for maker, line in thrown_away(file).items():  # it leaves the span active
        if maker not in file.flow.makers:
            called[maker] = f"line {line} of {file.flow.module} (by hand)"
    return Stays(_left(file, decided), called)


def _left(file: File, decided: list[Decision]) -> dict[str, Fate]:
    """The makers of this file that stay legacy, but for rules that the user did not select."""
    at = {one.site.node: one for one in decided if one.site.member != "(tested)"}
    found = ((maker, at.get(node)) for maker, node in file.flow.makers.items())
    return {
        maker: Fate.HELD if one.fate is Fate.HELD else Fate.REPORTED
        for maker, one in found
        if one is not None and not one.done and is_selected(one.code, file.options)
    }


@dataclass(slots=True)
class _Calls:
    """What is called on what a site makes: the sites here, and what stays elsewhere."""

    here: list[Decision] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


def _calls(file: File, decided: list[Decision], elsewhere: Stays) -> dict[ast.AST, _Calls]:
    """The calls of a tracer, by the node that makes it here, but for rules not selected.

    What stays elsewhere is the user's to rewrite with `unsafe`.
    """
    makers = file.flow.makers
    calls: dict[ast.AST, _Calls] = {}
    for one in decided:
        if one.outcome is SET_ONCE or not is_selected(one.code, file.options):
            continue  # a test's own tracer serves the test also where it cannot be the global one
        for maker in origins.called(one.site):
            if maker in makers:
                calls.setdefault(makers[maker], _Calls()).here.append(one)
    for maker, where in elsewhere.called.items() if not file.options.unsafe else ():
        if maker in makers:
            calls.setdefault(makers[maker], _Calls()).elsewhere.append(where)
    return calls


class _Missing(NamedTuple):
    """What a site depends on and is not rewritten, with its fate."""

    fate: Fate
    what: str
    cause: str  # the same, or what that waits for


_USE = "what is done with it in"


def _missing(
    one: Decision,
    at: _ByNode,
    left: origins.Left,
    calls: Mapping[ast.AST, _Calls],
) -> list[_Missing]:
    file = one.site.file
    missing = []
    for kind, maker in origins.awaited(one.site, left):
        what = f"the {kind} made in {origins.place(maker, file.flow.module)}"
        by = next(iter(at.get(file.flow.makers.get(maker), ())), None)
        missing.append(_Missing(left[maker], what, (by and by.waits_for) or what))
    if one.site.member != "(tested)" and (made := calls.get(one.site.node)) is not None:
        missing += [_by(call, _USE) for call in made.here if not call.done]
        missing += [_Missing(Fate.HELD, f"{_USE} {where}", where) for where in made.elsewhere]
    needed = dict.fromkeys(one.outcome.needs) if isinstance(one.outcome, Change) else ()
    others = (other for node in needed for other in at.get(node, ()) if not other.done)
    missing += [_by(other, "what stands in") for other in others]
    return missing


def _by(other: Decision, words: str) -> _Missing:
    line = f"line {_line(other)}"
    return _Missing(other.fate, f"{words} {line}", other.waits_for or line)


_ByNode = Mapping[ast.AST | None, list[Decision]]


def _by_node(decided: Iterable[Decision]) -> _ByNode:
    """The decisions on the site that a node is, and on the one that it calls."""
    found: dict[ast.AST | None, list[Decision]] = {}
    for one in decided:
        found.setdefault(one.site.node, []).append(one)
        if (call := one.site.call) is not None:
            found.setdefault(call, []).append(one)
    return found


def _line(one: Decision) -> int:
    """Where a reader finds a site: the line of its last word."""
    return getattr(one.site.node, "end_lineno", 0)


def _hold(one: Decision, missing: list[_Missing]) -> None:
    """Let a change wait for what is missing: held back with it, or reported."""
    assert isinstance(one.outcome, Change)
    what = missing[0].what
    if all(each.fate is Fate.HELD for each in missing):
        one.outcome.unsafe = f"{what} may be rewritten too"
    else:
        one.outcome = Report(
            f"{what} stays OpenTracing's, so this does too",
            "Rewrite that first, then run again.",
        )
    one.applied = False
    one.waits_for = missing[0].cause


def warn(file: File, decided: list[Decision], elsewhere: Stays) -> None:
    """Say it where legacy and rewritten code meet, and where spans are sent nowhere."""
    left = {**elsewhere.left, **_left(file, decided)}
    all_rules = not (file.options.select or file.options.ignore)  # else `left` is not all
    for one in decided:
        change = (one.consumed or one).outcome
        if one.done and isinstance(change, Change):
            for kind, maker in origins.also_passed(one.site, left)[:1]:
                where = origins.place(maker, file.flow.module)
                advice = f"The {kind} made in {where} comes here too: rewrite that by hand."
                change.advise(advice)
        is_left = one.fate in (Fate.HELD, Fate.REPORTED) and not one.waits_for
        if is_left and all_rules and (kind := origins.rewritten(one.site, left)):
            one.note = f"The {kind} is OpenTelemetry's now, so this fails until then."
    _warn_of_others(decided)
    for node in set_up_in(file):
        set_up = next((one for one in decided if one.site.node is node), None)
        if set_up is not None and set_up.fate in (Fate.HELD, Fate.REPORTED):
            set_up.note, set_up.waits_for = _SENT_NOWHERE, ""  # to be told for itself


def _warn_of_others(decided: list[Decision]) -> None:
    """Say once where an object of the project, a null span, still has the old methods only."""
    said = set()
    for one in decided:
        change, member = (one.consumed or one).outcome, one.site.member
        for cls in origins.also_called(one.site) if one.done else ():
            if isinstance(change, Change) and (cls, member) not in said:
                said.add((cls, member))
                name = cls.rpartition(".")[2]
                change.advise(
                    f"A {name} may come here too: give that class the new method as well."
                )


_SENT_NOWHERE = "Until this is rewritten, the spans of what was rewritten are sent nowhere."
