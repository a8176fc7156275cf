"""What a run found, as text for a person."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from codemods import Fate, Finding, Rule, registry
from migrator.analysis import Analysis, is_below
from migrator.diff import shown
from migrator.suppression import UNUSED

LIBRARIES = (  # by how the construct's name begins, first match; else its first component
    ("opentelemetry.exporter.jaeger", "opentelemetry.exporter.jaeger"),
    ("opentelemetry.ext.jaeger", "opentelemetry.ext.jaeger"),
    ("opentelemetry.", "opentelemetry (renamed since)"),
)
COLUMNS = {
    Fate.REWRITTEN: "rewritten",
    Fate.HELD: "--unsafe",
    Fate.REPORTED: "by hand",
    Fate.SUPPRESSED: "ignored",
}
HELD_MINUTES = 2  # to check the precondition of a rewrite that `--unsafe` would apply
REVIEW_MINUTES = 0.5  # to read one rewritten site in a diff
ROWS = 15


def library_of(construct: str) -> str:
    """The distribution-like name that a legacy construct belongs to."""
    for start, library in LIBRARIES:
        if construct.startswith(start):
            return library
    return construct.partition(".")[0]


def scan_text(analysis: Analysis, paths: Sequence[str]) -> Iterator[str]:
    """What there is, by folder, library, construct and file; what becomes of it; the effort."""
    sites = list(_sites(analysis))
    findings = [f for _, f in sites]
    if findings:
        yield from _by_path(analysis, paths)
        yield from _table("library", ((library_of(f.construct), f.fate) for f in findings))
        yield from _table("construct", ((f.construct, f.fate) for f in findings), ROWS)
        yield from _table("file", ((shown(path), f.fate) for path, f in sites), ROWS)
    yield from _reported(analysis)
    told = list(notes(analysis))
    if told:
        yield ""
        yield from told
    if any(f.fate is not Fate.SUPPRESSED for f in findings):
        yield ""
        yield from effort(findings)


def _sites(analysis: Analysis) -> Iterator[tuple[str, Finding]]:
    """The findings that are legacy uses, with their file."""
    for path, findings in analysis.findings.items():
        yield from ((path, finding) for finding in findings if finding.code != UNUSED)


def verdict(analysis: Analysis, *, wrote: bool = False, selected: bool = False) -> Iterator[str]:
    """What the run comes to, in a sentence; nothing where no file could be looked at.

    `selected` says that only some rules were asked for.
    """
    sites = list(_sites(analysis))
    if sites:
        yield _outcomes(sites, wrote=wrote)
    elif analysis.searched:
        what = "of the selected rules " if selected else ""
        but = ", apart from the errors below" if analysis.problems else ""
        yield f"No legacy use {what}in {count(analysis.searched, 'Python file')}{but}."
    elif not analysis.problems:
        yield "There is no Python file to look at."
    comments = sum(len(findings) for findings in analysis.findings.values()) - len(sites)
    if comments:
        yield f"{count(comments, 'suppression comment')} without effect."


def _outcomes(sites: Sequence[tuple[str, Finding]], *, wrote: bool) -> str:
    fates = Counter(finding.fate for _, finding in sites)
    outcomes = {
        Fate.REWRITTEN: "rewritten" if wrote else "would be rewritten",
        Fate.HELD: "more with --unsafe",
        Fate.REPORTED: "left for you",
        Fate.SUPPRESSED: "ignored by a comment",
    }
    told = ", ".join(f"{fates[fate]:,} {how}" for fate, how in outcomes.items() if fates[fate])
    files = count(len({path for path, _ in sites}), "file")
    return f"{count(len(sites), 'legacy site')} in {files}: {told}."


def effort(findings: Sequence[Finding]) -> Iterator[str]:
    """An estimate in hours, and what it counts."""
    minutes = {rule.code: rule.minutes for rule in registry.rules()}
    fates = Counter(f.fate for f in findings)
    by_hand = sum(minutes.get(f.code, 5) for f in findings if f.fate is Fate.REPORTED)
    saved = sum(minutes.get(f.code, 5) for f in findings if f.fate is Fate.REWRITTEN)
    review = fates[Fate.REWRITTEN] * REVIEW_MINUTES
    held = fates[Fate.HELD] * HELD_MINUTES
    rows = (
        (review, f"to review {count(fates[Fate.REWRITTEN], 'rewritten site')}"),
        (held, f"to check {count(fates[Fate.HELD], 'site')} before --unsafe"),
        (by_hand, f"by hand for {count(fates[Fate.REPORTED], 'reported site')}"),
        (saved, "that the rewrite saves"),
    )
    yield "Effort (an estimate):"
    yield from (f"  {_hours(time):>8}  {what}" for time, what in rows if time)


def finding_lines(analysis: Analysis, fates: Iterable[Fate]) -> Iterator[str]:
    """One line for each finding of these fates, and its advice below.

    Those of a file that wait for the same site are told together.
    """
    wanted = set(fates)
    for path, findings in analysis.findings.items():
        waiting: dict[str, list[Finding]] = {}
        for finding in findings:
            if finding.fate not in wanted:
                continue
            if finding.waits_for:
                waiting.setdefault(finding.waits_for, []).append(finding)
                continue
            place = f"{shown(path)}:{finding.line}:{finding.column}"
            yield f"{place}: {finding.code} {finding.message}"
            if finding.advice:
                yield f"    {finding.advice}"
        for cause, found in waiting.items():
            lines = ", ".join(str(line) for line in dict.fromkeys(f.line for f in found))
            yield f"{shown(path)}:{lines}: {count(len(found), 'site')} left because of {cause}"
            if all(finding.fate is Fate.HELD for finding in found):
                yield "    Applied with --unsafe if that may be rewritten too."


def notes(analysis: Analysis) -> Iterator[str]:
    """What to know about sites that were rewritten: each text once, with where it first applies."""
    places: dict[str, list[str]] = {}
    for path, findings in analysis.findings.items():
        for finding in findings:
            if finding.fate is Fate.REWRITTEN and finding.advice:
                place = f"{shown(path)}:{finding.line} ({finding.code})"
                places.setdefault(finding.advice, []).append(place)
    for advice, where in places.items():
        more = f" and {count(len(where) - 1, 'more site')}" if len(where) > 1 else ""
        yield f"note: {advice}"
        yield f"    {where[0]}{more}"


def statistics(analysis: Analysis, paths: Sequence[str]) -> Iterator[str]:
    """How much there is in each folder, and how often each rule spoke, by fate."""
    if not analysis.findings:
        return
    yield from _by_path(analysis, paths)
    titles = {rule.code: rule.title for rule in registry.rules()}
    rows = ((f.code, f.fate) for found in analysis.findings.values() for f in found)
    yield from _table("rule", ((_titled(code, titles), fate) for code, fate in rows))


def _by_path(analysis: Analysis, paths: Sequence[str]) -> Iterator[str]:
    """A line for each folder that was asked for, if there are several; also where nothing is."""
    folders = {path: [os.path.realpath(path)] for path in paths if os.path.isdir(path)}
    if len(folders) < 2:
        return
    rows = [
        (path, finding.fate)
        for path, real in folders.items()
        for file, finding in _sites(analysis)
        if is_below(file, real)
    ]
    yield from _table("folder", rows, keys=folders)


def problems(analysis: Analysis) -> Iterator[str]:
    """What could not be read or rewritten, one line each."""
    for problem in analysis.problems:
        yield f"{shown(problem.path)}: {problem.message}"


def timings(analysis: Analysis, writing: float = 0.0) -> Iterator[str]:
    """CPU seconds of each phase; seconds of each rule."""
    yield "CPU seconds:"
    for phase, seconds in {**analysis.seconds, "write": writing}.items():
        yield f"  {seconds:8.3f}  {phase}"
    yield "Seconds in each rule:"
    for code, seconds in analysis.rule_seconds.most_common():
        yield f"  {seconds:8.3f}  {code}"


def rule_table(rules: Sequence[Rule]) -> Iterator[str]:
    """One line a rule."""
    for rule in rules:
        yield f"{rule.code}  {rule.safety.value:<7} {rule.title}"


def rule_text(rule: Rule) -> Iterator[str]:
    """Everything that is known of a rule."""
    yield f"{rule.code}: {rule.title}"
    yield f"Safety: {SAFETY[rule.safety.value]}"
    yield f"See: {rule.url}"
    yield ""
    yield rule.explanation.strip()
    for before, after in rule.examples:
        yield ""
        yield from _indented("before", before)
        yield from _indented("after", after)


SAFETY = {
    "safe": "applied by `migrate --write`",
    "unsafe": "applied with `--unsafe`, because its precondition cannot be proved",
    "report": "reported only; a hand has to do it",
}


def _indented(name: str, code: str) -> Iterator[str]:
    yield f"  {name}:"
    for line in code.strip("\n").splitlines():
        yield f"    {line}".rstrip()


def _reported(analysis: Analysis) -> Iterator[str]:
    lines = list(finding_lines(analysis, (Fate.HELD, Fate.REPORTED)))
    if lines:
        yield ""
        yield "Left for you, and why:"
        yield from (f"  {line}" for line in lines)


def _table(
    name: str,
    rows: Iterable[tuple[str, Fate]],
    most: int | None = None,
    keys: Iterable[str] = (),
) -> Iterator[str]:
    """Sites by key and fate, most first; `keys` are shown even without a row."""
    counts: dict[str, Counter[Fate]] = {key: Counter() for key in keys}
    for key, fate in rows:
        counts.setdefault(key, Counter())[fate] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))
    shown_rows = ordered[:most]
    width = max(len(name), *(len(key) for key, _ in shown_rows)) if shown_rows else len(name)
    used = [fate for fate in COLUMNS if any(count[fate] for _, count in ordered)]
    yield ""
    yield f"{name:<{width}}  {'sites':>6}" + "".join(f"  {COLUMNS[fate]:>9}" for fate in used)
    for key, count in shown_rows:
        cells = "".join(f"  {count[fate]:>9}" for fate in used)
        yield f"{key:<{width}}  {count.total():>6}{cells}"
    if len(ordered) > len(shown_rows):
        yield f"... and {len(ordered) - len(shown_rows)} more"


def _titled(code: str, titles: Mapping[str, str]) -> str:
    return f"{code} {titles.get(code, '')}".rstrip()


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _hours(minutes: float) -> str:
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
