"""From the bytes of one file to a `Rewrite`: find the sites, ask the rules, edit, verify."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable
from functools import lru_cache

from codemods import imports, sites
from codemods.bindings import absolute
from codemods.decision import Decision, decide, is_selected
from codemods.edits import Edit, Editor
from codemods.model import NOTHING_STAYS, Facts, Fate, Finding, Options, Rewrite, Stays
from codemods.parsed import parsed
from codemods.site import Change, File, Report
from codemods.source import Span
from codemods.waiting import stays, supported, warn

# What remains without these comes to us through an import of a module that has them.
LONG_NEEDLES = (
    b"opentracing",
    b"OPENTRACING_TRAC",
    b"uber-trace-id",
    b"start_active_span",
    b".finished_spans",
)
SHORT_NEEDLES = (b"jaeger", b"log_kv")
NEEDLES = (*LONG_NEEDLES, *SHORT_NEEDLES)


def is_candidate(source: bytes) -> bool:
    """Whether the file may hold legacy code: a byte search without a parse."""
    for needle in LONG_NEEDLES:
        if needle in source:
            return True
    # A quarter faster from the end: their first letter, which is compared then, is the rarer one.
    return any(source.rfind(needle) >= 0 for needle in SHORT_NEEDLES)


_IMPORT = re.compile(
    r"(?:^|[;:])[ \t]*(?:import[ \t]+(?P<plain>[^\n;]+)"
    r"|from[ \t]+(?P<dots>\.*)[ \t]*(?P<base>[\w.]*)[ \t]+import[ \t]*"
    r"(?P<names>\([^)]*\)|[^\n;]+))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"#[^\n]*")


@lru_cache(maxsize=4096)
def imported_modules(source: bytes, *, module: str, is_package: bool) -> frozenset[str]:
    """The absolute names of the modules this file may import (`from a import b` gives a and a.b).

    A search, no parse: what a docstring says is taken for an import too.
    """
    package = module if is_package else module.rpartition(".")[0]
    text = _COMMENT.sub("", source.decode("utf-8", "replace").replace("\r\n", "\n"))
    found: set[str] = set()
    for match in _IMPORT.finditer(text.replace("\\\n", " ")):
        if plain := match["plain"]:
            found.update(name.split()[0] for name in plain.split(",") if name.strip())
            continue
        base = absolute(match["base"], len(match["dots"]), package)
        found.add(base)
        names = match["names"].strip("() \t\n").split(",")
        words = (name.split()[0] for name in names if name.strip())
        found.update(f"{base}.{word}" if base else word for word in words)
    return frozenset(found)


def module_facts(source: bytes, *, module: str, is_package: bool, known: Facts) -> Facts:
    """What this file tells the others: which names are tracers, spans and their wrappers.

    Raises `Unreadable`.
    """
    return parsed(source).flow(module=module, is_package=is_package, known=known).told()


def rewrite(
    source: bytes,
    *,
    path: str,
    module: str,
    is_package: bool,
    facts: Facts,
    options: Options,
    elsewhere: Stays = NOTHING_STAYS,
) -> Rewrite:
    """Rewrite one file. Raises `Unreadable` where the text is no Python we can change safely.

    `elsewhere` is what other files' `Rewrite.stays` said that concerns this one.
    """
    read = parsed(source)
    text = read.source
    flow = read.flow(module=module, is_package=is_package, known=facts)
    has_scopes = any(fact.kind == "scope" for fact in flow.kinds.values())
    patches = b"patch" in source  # legacy names in strings, with no other use
    if not (flow.symbols or flow.members or has_scopes or patches or is_candidate(source)):
        return Rewrite(source, ())
    text.place_f_string_fields()
    file = File(text, flow, path=path, options=options)
    decided = [decide(site) for site in sites.find(file)]
    if not decided:
        return Rewrite(source, (), stays=stays(file, decided))
    result = _apply(file, decided, elsewhere)
    _warn_of_loss(file, result, decided)
    if options.mark:
        marks = _marks(file, decided)
        result = _attempt(file, decided, [one for one in decided if one.applied], marks)
    findings = _findings(file, decided, options)
    changed = source if result == text.text else text.encode(result)
    return Rewrite(changed, findings, _seconds(decided), stays(file, decided))


def _seconds(decided: list[Decision]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for one in decided:
        seconds[one.code] = seconds.get(one.code, 0.0) + one.seconds
    return seconds


# Applying.


def _apply(file: File, decided: list[Decision], elsewhere: Stays) -> str:
    """Make all changes that may be made; returns the new text."""
    candidates = [one for one in decided if _wanted(one, file.options)]
    while True:
        result = _attempt(file, decided, candidates)
        kept = supported(file, decided, candidates, elsewhere)
        if len(kept) == len(candidates):
            if not candidates or compiles(result):
                break
            in_strings = _in_f_strings(file, candidates)
            for one in in_strings or candidates:
                one.outcome = _NO_QUOTES if in_strings else _WOULD_NOT_COMPILE
            kept = [one for one in candidates if isinstance(one.outcome, Change)]
        candidates = kept
    warn(file, decided, elsewhere)
    return result


_NO_QUOTES = Report(
    "the f-string around it leaves no quotes that its rewrite needs",
    "Give what stands in the f-string a name before it, then run again.",
)
_WOULD_NOT_COMPILE = Report(
    "the rewritten file would not compile",
    "Rewrite the reported places around it first, then run again.",
)


def _in_f_strings(file: File, candidates: Iterable[Decision]) -> list[Decision]:
    """The changes that write into an f-string."""
    strings = [file.source.span(node) for node in file.nodes if isinstance(node, ast.JoinedStr)]
    return [
        one
        for one in candidates
        if isinstance(one.outcome, Change)
        and any(
            start < edit.span.start < end for edit in one.outcome.edits for start, end in strings
        )
    ]


def _warn_of_loss(file: File, text: str, decided: Iterable[Decision]) -> None:
    """Say it at the first site that is left, where no later run would look at the file."""
    if is_candidate(text.encode()) or not is_candidate(file.source.text.encode()):
        return
    for one in decided:
        is_left = one.fate in (Fate.HELD, Fate.REPORTED) and not isinstance(
            one.site.node, ast.alias
        )
        if is_left and not one.waits_for:
            one.note = f"{one.note} {_LAST_CHANCE}".strip()
            return


_LAST_CHANCE = "Do it now: with the last import gone, a later run does not find this file."


def _wanted(one: Decision, options: Options) -> bool:
    return (
        isinstance(one.outcome, Change)
        and not one.is_suppressed
        and (options.unsafe or not one.outcome.unsafe)
        and is_selected(one.code, options)
    )


def _attempt(
    file: File,
    decided: list[Decision],
    candidates: list[Decision],
    marks: Iterable[Edit] = (),
) -> str:
    editor = Editor(file.source)
    editor.add(marks)
    for one in decided:
        one.applied, one.consumed = False, None
    removed: set[ast.stmt] = set()
    for one in candidates:
        assert isinstance(one.outcome, Change)
        edits = one.outcome.edits
        if not editor.fits(edits):
            continue
        editor.add(edits)
        removed.update(one.outcome.removed)
        one.applied = True
    editor.add(_removals(file, removed))
    editor.render()
    for one in candidates:
        assert isinstance(one.outcome, Change)
        shown = editor.made(one.outcome.edits) or one.outcome.removed
        one.applied = one.applied and bool(shown)
    _mark_consumed(editor, decided)
    outcomes = (one.outcome for one in decided if one.applied)
    changes = [one for one in outcomes if isinstance(one, Change)]
    editor.add_ahead(imports.edits(file, editor, changes, removed))
    text = editor.render()
    _mark_consumed(editor, decided)
    return text


MARK = "# TODO(jaeger2otlp): "


def _marks(file: File, decided: list[Decision]) -> list[Edit]:
    """A comment above each statement with a site that is left, unless it has one."""
    source = file.source
    made: dict[int, Edit] = {}
    reasons_first = sorted(decided, key=lambda one: bool(one.waits_for))
    for one in reasons_first:
        fate, message, _ = one.told
        if fate not in (Fate.HELD, Fate.REPORTED) or not is_selected(one.code, file.options):
            continue
        start = source.span(one.site.statement).start
        at = source.line_start(start)
        indentation = source.text[at:start]
        above = source.text[:at].rstrip().rpartition("\n")[2]
        if at in made or indentation.strip() or MARK in above:
            continue
        text = f"{indentation}{MARK}{one.code} {message}{source.newline}"
        made[at] = Edit(Span(at, at), (text,))
    return list(made.values())


def _mark_consumed(editor: Editor, decided: Iterable[Decision]) -> None:
    """Sites whose text another change took away are rewritten by that change."""
    for one in decided:
        if one.applied or editor.kept(sites.anchor(one.site)) or _is_asked_still(editor, one):
            continue
        one.consumed = next(
            (other for other in decided if other.applied and _covers(other, one)), one
        )


def _is_asked_still(editor: Editor, one: Decision) -> bool:
    """Whether a test that no rule rewrites is of what another change rewrote in its place."""
    is_left = one.site.member == "(tested)" and isinstance(one.outcome, Report)
    return is_left and editor.made([Edit(Span(*sites.file_span(one.site)), ())])


def _covers(other: Decision, one: Decision) -> bool:
    assert isinstance(other.outcome, Change)
    at = sites.anchor(one.site)
    spans = [edit.span for edit in other.outcome.edits]
    spans += [other.site.file.source.span(statement) for statement in other.outcome.removed]
    return any(span.start <= at < span.end for span in spans)


def _removals(file: File, removed: set[ast.stmt]) -> list[Edit]:
    """Delete statements; where a block would be empty, leave `pass`."""
    edits = []
    for statement in removed:
        span = file.source.span(statement)
        block = file.block(statement)
        empties = all(other in removed for other in block) and statement is block[-1]
        if empties and not isinstance(file.parents[statement], ast.Module):
            edits.append(Edit(span, ("pass",)))
        else:
            edits.append(Edit(_line_span(file, span), ()))
    return edits


def _line_span(file: File, span: Span) -> Span:
    """The whole lines of a statement, or just the statement where it shares its line."""
    source = file.source
    start, end = source.line_start(span.start), source.line_end(span.end)
    head, tail = source.text[start : span.start], source.text[span.end : end]
    if head.strip() == "" and (tail.strip() == "" or tail.lstrip().startswith("#")):
        return Span(start, end)
    after = re.compile(r"[ \t]*;[ \t]*").match(source.text, span.end)
    if after and source.text[after.end() : end].strip():
        return Span(span.start, after.end())
    before = re.compile(r";[ \t]*$").search(head)
    if before:
        return Span(start + before.start(), span.end)
    return Span(span.start, span.end)


def compiles(text: str | bytes) -> bool:
    """Whether Python takes it, as a whole: more than the parser is asked."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<rewritten>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


# Findings.


def _findings(file: File, decided: list[Decision], options: Options) -> tuple[Finding, ...]:
    found = [_finding(file, one) for one in decided if is_selected(_shown_code(one), options)]
    return tuple(found)


def _shown_code(one: Decision) -> str:
    if one.consumed is not None and one.consumed is not one:
        return one.consumed.code
    return one.code


def _finding(file: File, one: Decision) -> Finding:
    start, end = sites.file_span(one.site)
    at = start
    if isinstance(one.site.node, ast.Attribute):
        at = end - len(one.site.node.attr)
    line, column = file.source.position(at)
    fate, message, advice = one.told
    if fate is Fate.SUPPRESSED:
        _, end = sites.call_span(one.site)
    end_line, _ = file.source.position(max(at, end - 1))
    return Finding(
        code=_shown_code(one),
        line=line,
        column=column,
        end_line=end_line,
        fate=fate,
        construct=one.site.construct,
        message=message,
        advice=" ".join(filter(None, (advice, one.note))),
        waits_for=one.waits_for if fate in (Fate.HELD, Fate.REPORTED) else "",
    )
