"""From the bytes of one file to a `Rewrite`: find the sites, ask the rules, edit, verify."""

from __future__ import annotations

import ast
import re
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from codemods import imports, origins, sites
from codemods.edits import Edit, Editor
from codemods.flow import absolute
from codemods.model import Facts, Fate, Finding, Options, Rewrite
from codemods.parsed import parsed
from codemods.registry import Handler, Registered, registered
from codemods.site import CannotRewrite, Change, File, Report, Site
from codemods.source import Span

# What remains without these comes to us through an import of a module that has them.
LONG_NEEDLES = (b"opentracing", b"uber-trace-id", b"start_active_span")
SHORT_NEEDLES = (b"jaeger", b"log_kv")
NEEDLES = (*LONG_NEEDLES, *SHORT_NEEDLES)
UNKNOWN_CODE = "JO000"
IMPORT_CODE = "JO001"


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
    left: origins.Left = MappingProxyType({}),
) -> Rewrite:
    """Rewrite one file. Raises `Unreadable` where the text is no Python we can change safely.

    `left` is what other files' `Rewrite.left` said of makers that `facts` name.
    """
    read = parsed(source)
    text = read.source
    flow = read.flow(module=module, is_package=is_package, known=facts)
    if not (flow.symbols or flow.members or is_candidate(source)):
        return Rewrite(source, ())
    text.place_f_string_fields()
    file = File(text, flow, path=path, options=options)
    decided = [_decide(site) for site in sites.find(file)]
    if not decided:
        return Rewrite(source, ())
    result = _apply(file, decided, left)
    if options.mark:
        marks = _marks(file, decided)
        result = _attempt(file, decided, [one for one in decided if one.applied], marks)
    findings = _findings(file, decided, options)
    changed = source if result == text.text else text.encode(result)
    return Rewrite(changed, findings, _seconds(decided), _left(file, decided))


def _seconds(decided: list[_Decision]) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for one in decided:
        seconds[one.code] = seconds.get(one.code, 0.0) + one.seconds
    return seconds


@dataclass(slots=True)
class _Decision:
    """A site with what its rule said, and its fate as it becomes known."""

    site: Site
    rule: Registered | None
    outcome: Change | Report
    applied: bool = False
    waits: bool = False  # for another site
    consumed: _Decision | None = None
    edits: list[Edit] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the site is rewritten, by its own change or by one around it."""
        return self.applied or self.consumed is not None

    @property
    def code(self) -> str:
        if self.rule is not None:
            return self.rule.rule.code
        return IMPORT_CODE if isinstance(self.site.node, ast.alias) else UNKNOWN_CODE


# Which rule speaks for a site.


@dataclass(frozen=True, slots=True)
class _Handlers:
    members: dict[tuple[str, str], tuple[Registered, Handler]]
    symbols: dict[str, tuple[Registered, Handler]]
    guards: dict[str, tuple[Registered, Handler]]
    strings: tuple[tuple[re.Pattern[str], Registered, Handler], ...]


@lru_cache(maxsize=1)
def _handlers() -> _Handlers:
    members: dict[tuple[str, str], tuple[Registered, Handler]] = {}
    symbols: dict[str, tuple[Registered, Handler]] = {}
    guards: dict[str, tuple[Registered, Handler]] = {}
    strings: list[tuple[re.Pattern[str], Registered, Handler]] = []
    for rule in registered():
        members.update({key: (rule, handler) for key, handler in rule.members.items()})
        symbols.update({key: (rule, handler) for key, handler in rule.symbols.items()})
        guards.update({key: (rule, handler) for key, handler in rule.guards.items()})
        strings.extend(
            (re.compile(pattern, re.IGNORECASE), rule, handler)
            for pattern, handler in rule.strings.items()
        )
    strings.sort(key=lambda one: len(one[0].pattern), reverse=True)  # the most telling first
    return _Handlers(members, symbols, guards, tuple(strings))


def _handler(site: Site) -> tuple[Registered, Handler] | None:
    handlers = _handlers()
    if isinstance(site.node, ast.alias):
        return None
    if site.construct[:1] == '"' and isinstance(site.node, ast.Constant):
        value = str(site.node.value)
        for pattern, rule, handler in handlers.strings:
            if pattern.fullmatch(value):
                return rule, handler
        return None
    if site.member == "(tested)":
        return handlers.guards.get(site.file.kind(site.node))
    if site.owner is not None:
        kind = site.file.flow.members[site.node].kind
        kinds = (kind, "span") if kind == "scope" else (kind,)  # a scope is the span afterwards
        found = next((f for k in kinds if (f := handlers.members.get((k, site.member)))), None)
        return found or handlers.members.get((kind, "*"))
    return _symbol_handler(handlers, site.construct)


def _symbol_handler(handlers: _Handlers, qualified: str) -> tuple[Registered, Handler] | None:
    found = handlers.symbols.get(qualified)
    head = qualified
    while found is None and head:
        found = handlers.symbols.get(f"{head}.*")
        head = head.rpartition(".")[0]
    return found


def _decide(site: Site) -> _Decision:
    fact = site.file.flow.members.get(site.node)
    if fact is not None and fact.detail == "custom":
        return _Decision(site, None, _CUSTOM)
    if fact is not None and fact.detail == "foreign":
        return _Decision(site, None, _FOREIGN)
    found = _handler(site)
    if found is None:
        return _Decision(site, None, _unknown(site))
    rule, handler = found
    started = time.perf_counter()
    try:
        outcome = handler(site)
    except CannotRewrite as error:
        outcome = Report(f"not rewritten: {error}", rule.rule.title)
    seconds = time.perf_counter() - started
    return _Decision(site, rule, outcome or _unknown(site), seconds=seconds)


_CUSTOM = Report(
    "the class derives from a legacy class, so this is its own method or the legacy one",
    "Decide what the class is for: an OpenTelemetry SDK processor, sampler or propagator usually "
    "replaces it.",
)


_FOREIGN = Report(
    "it looks like OpenTracing, but what made the object is outside of what was read",
    "If it is a legacy tracer or span, migrate the place that makes it, then this one.",
)


def _unknown(site: Site) -> Report:
    if isinstance(site.node, ast.alias):
        return Report(
            f"the import of {site.construct} stays, because uses of it are left",
            "Rewrite the uses reported below, then delete the import.",
        )
    return Report(
        f"no rule rewrites {site.construct}",
        "Look for its OpenTelemetry counterpart and rewrite it by hand.",
    )


# Applying.


def _apply(file: File, decided: list[_Decision], elsewhere: origins.Left) -> str:
    """Make all changes that may be made; returns the new text."""
    candidates = [one for one in decided if _wanted(one, file.options)]
    while True:
        result = _attempt(file, decided, candidates)
        kept = _supported(file, decided, candidates, elsewhere)
        if len(kept) == len(candidates):
            if not candidates or compiles(result):
                break
            for one in candidates:
                one.outcome = Report(
                    "the rewritten file would not compile",
                    "Rewrite the reported places around it first, then run again.",
                )
            kept = []
        candidates = kept
    _warn(file, decided, elsewhere)
    return result


def _wanted(one: _Decision, options: Options) -> bool:
    return (
        isinstance(one.outcome, Change)
        and not _is_suppressed(one, options)
        and (options.unsafe or not one.outcome.unsafe)
        and is_selected(one.code, options)
    )


def _is_suppressed(one: _Decision, options: Options) -> bool:
    """Whether a comment on one of the site's lines says to leave it."""
    if not options.suppressed:
        return False
    source = one.site.file.source
    start, end = sites.file_span(one.site)
    lines = range(source.position(start)[0], source.position(end)[0] + 1)
    return any(line in lines and code in ("", one.code) for line, code in options.suppressed)


def is_selected(code: str, options: Options) -> bool:
    """Whether a rule code is among those the user asked for."""
    chosen = not options.select or any(code.startswith(prefix) for prefix in options.select)
    return chosen and not any(code.startswith(prefix) for prefix in options.ignore)


def _supported(
    file: File, decided: list[_Decision], candidates: list[_Decision], elsewhere: origins.Left
) -> list[_Decision]:
    """The changes of which all that they depend on is rewritten with them; the others wait."""
    kept = {id(one): one for one in candidates}
    calls = _calls(file, decided)
    while True:
        left = {**elsewhere, **_left(file, decided)}
        waiting = {}
        for one in decided:
            by = one.consumed or one
            if id(by) in kept and (missing := _missing(one, decided, left, calls)):
                waiting[id(by)] = (by, missing)
        for by, missing in waiting.values():
            _hold(by, missing)
            del kept[id(by)]
        if not waiting:
            return list(kept.values())


def _left(file: File, decided: list[_Decision]) -> dict[str, Fate]:
    """The makers of this file that stay legacy, but for rules that the user did not select."""
    at = {one.site.node: one for one in decided if one.site.member != "(tested)"}
    found = ((maker, at.get(node)) for maker, node in file.flow.makers.items())
    return {
        maker: Fate.HELD if _fate(one)[0] is Fate.HELD else Fate.REPORTED
        for maker, one in found
        if one is not None and not one.done and is_selected(one.code, file.options)
    }


_Calls = dict[ast.AST | None, list[_Decision]]


def _calls(file: File, decided: list[_Decision]) -> _Calls:
    """The sites that call a tracer, by what makes it here, but for rules not selected."""
    calls: _Calls = {}
    for one in decided:
        for maker in origins.called(one.site) if is_selected(one.code, file.options) else ():
            calls.setdefault(file.flow.makers.get(maker), []).append(one)
    return calls


def _missing(
    one: _Decision, decided: list[_Decision], left: origins.Left, calls: _Calls
) -> list[tuple[Fate, str]]:
    """What a site depends on and is not rewritten, with its fate."""
    module = one.site.file.flow.module
    missing = [
        (left[maker], f"the {kind} made in {origins.place(maker, module)}")
        for kind, maker in origins.awaited(one.site, left)
    ]
    if one.site.member != "(tested)":
        missing += [
            (_fate(call)[0], f"what is done with it in line {_line(call)}")
            for call in calls.get(one.site.node, ())
            if not call.done
        ]
    needed = set(one.outcome.needs) if isinstance(one.outcome, Change) else ()
    if needed:
        missing += [
            (_fate(other)[0], f"what stands in line {_line(other)}")
            for other in decided
            if (other.site.node in needed or other.site.call in needed) and not other.done
        ]
    return missing


def _line(one: _Decision) -> int:
    """Where a reader finds a site: the line of its last word."""
    return getattr(one.site.node, "end_lineno", 0)


def _hold(one: _Decision, missing: list[tuple[Fate, str]]) -> None:
    """Let a change wait for what is missing: held back with it, or reported."""
    assert isinstance(one.outcome, Change)
    what = missing[0][1]
    if all(fate is Fate.HELD for fate, _ in missing):
        one.outcome.unsafe = f"{what} may be rewritten too"
    else:
        one.outcome = Report(
            f"{what} stays OpenTracing's, so this does too",
            "Rewrite that first, then run again.",
        )
    one.applied, one.waits = False, True


def _warn(file: File, decided: list[_Decision], elsewhere: origins.Left) -> None:
    """Say it where what is rewritten is also given something that stays legacy."""
    left = {**elsewhere, **_left(file, decided)}
    for one in decided:
        change = (one.consumed or one).outcome
        if one.done and isinstance(change, Change):
            for kind, maker in origins.also_passed(one.site, left)[:1]:
                where = origins.place(maker, file.flow.module)
                advice = f"The {kind} made in {where} comes here too: rewrite that by hand."
                change.advice = " ".join(filter(None, (change.advice, advice)))


def _attempt(
    file: File,
    decided: list[_Decision],
    candidates: list[_Decision],
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
    editor.add(imports.edits(file, editor, [one.outcome for one in decided if one.applied]))  # type: ignore[misc]
    text = editor.render()
    _mark_consumed(editor, decided)
    return text


MARK = "# TODO(jaeger2otlp): "


def _marks(file: File, decided: list[_Decision]) -> list[Edit]:
    """A comment above each statement with a site that is left, unless it has one."""
    source = file.source
    made: dict[int, Edit] = {}
    for one in sorted(decided, key=lambda one: one.waits):  # the reason before what it leads to
        fate, message, _ = _fate(one)
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


def _mark_consumed(editor: Editor, decided: Iterable[_Decision]) -> None:
    """Sites whose text another change took away are rewritten by that change."""
    for one in decided:
        if one.applied or editor.kept(sites.anchor(one.site)):
            continue
        one.consumed = next(
            (other for other in decided if other.applied and _covers(other, one)), one
        )


def _covers(other: _Decision, one: _Decision) -> bool:
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


def _findings(file: File, decided: list[_Decision], options: Options) -> tuple[Finding, ...]:
    found = [_finding(file, one) for one in decided if is_selected(_shown_code(one), options)]
    return tuple(found)


def _shown_code(one: _Decision) -> str:
    if one.consumed is not None and one.consumed is not one:
        return one.consumed.code
    return one.code


def _finding(file: File, one: _Decision) -> Finding:
    start, end = sites.file_span(one.site)
    at = start
    if isinstance(one.site.node, ast.Attribute):
        at = end - len(one.site.node.attr)
    line, column = file.source.position(at)
    end_line, _ = file.source.position(max(at, end - 1))
    fate, message, advice = _fate(one)
    return Finding(
        code=_shown_code(one),
        line=line,
        column=column,
        end_line=end_line,
        fate=fate,
        construct=one.site.construct,
        message=message,
        advice=advice,
    )


def _fate(one: _Decision) -> tuple[Fate, str, str]:
    outcome = one.outcome
    if _is_suppressed(one, one.site.file.options):
        return Fate.SUPPRESSED, "left as it is, because a comment says so", ""
    if one.consumed is not None:
        if isinstance(one.site.node, ast.alias):
            return Fate.REWRITTEN, "import removed: nothing uses it any more", ""
        other = one.consumed.outcome
        message = other.message if isinstance(other, Change) else "rewritten with what is around it"
        return Fate.REWRITTEN, message, ""
    if one.applied:
        assert isinstance(outcome, Change)
        return Fate.REWRITTEN, outcome.message, outcome.advice
    if isinstance(outcome, Report):
        return Fate.REPORTED, outcome.message, outcome.advice
    if outcome.unsafe:
        return Fate.HELD, outcome.message, f"Applied with --unsafe if this holds: {outcome.unsafe}."
    return (
        Fate.REPORTED,
        "not rewritten: it overlaps another rewrite",
        "Run again; the second run rewrites it.",
    )
