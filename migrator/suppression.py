"""Comments that tell us to leave a line alone: `# jaeger2otlp: ignore[JO101]`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass

from codemods import Fate, Finding, Options
from codemods.decision import is_selected

MARK = b"jaeger2otlp:"
COMMENT = re.compile(r"#\s*jaeger2otlp:\s*(?P<known>ignore(?:\[(?P<codes>[^\]]*)\]|(?![\w\[-])))?")
EVERY = ""  # the code that stands for every rule
UNKNOWN = "?"  # the code that stands for a comment that is spelled otherwise
UNUSED = "JO009"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One code of one comment; EVERY where the comment names none. Counts from 1."""

    line: int
    column: int
    code: str


def suppressions(source: bytes) -> tuple[Suppression, ...]:
    """What the comments of a file ask for; text that only looks like a comment does not count."""
    if MARK not in source:
        return ()
    found: list[Suppression] = []
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if token.type == tokenize.COMMENT and (match := COMMENT.search(token.string)):
                line, column = token.start
                found.extend(
                    Suppression(line, column + match.start() + 1, code) for code in _codes(match)
                )
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass  # the rewrite says what is wrong with the file
    return tuple(found)


def _codes(match: re.Match[str]) -> list[str]:
    if not match["known"]:
        return [UNKNOWN]
    if match["codes"] is None:
        return [EVERY]
    return [code.strip().upper() or UNKNOWN for code in match["codes"].split(",")]


def unused(
    asked: Iterable[Suppression], findings: Iterable[Finding], options: Options
) -> list[Finding]:
    """A finding for every suppression that held nothing back, of the rules that are selected."""
    if not is_selected(UNUSED, options):
        return []
    held = [finding for finding in findings if finding.fate is Fate.SUPPRESSED]
    return [
        Finding(
            UNUSED,
            one.line,
            one.column,
            one.line,
            Fate.REPORTED,
            "jaeger2otlp: ignore",
            *_told(one.code),
        )
        for one in asked
        if _is_judged(one.code, options)
        and not any(
            finding.line <= one.line <= finding.end_line and one.code in (EVERY, finding.code)
            for finding in held
        )
    ]


def _is_judged(code: str, options: Options) -> bool:
    """Whether all that a code may hold back was looked for."""
    if code == EVERY:
        return not (options.select or options.ignore)
    return code == UNKNOWN or is_selected(code, options)


def _told(code: str) -> tuple[str, str]:
    if code == UNKNOWN:
        return (
            "this comment is not understood",
            "Write `# jaeger2otlp: ignore` or `# jaeger2otlp: ignore[CODE]`.",
        )
    return (
        f"this comment suppresses nothing{f' ({code})' if code else ''}",
        "Delete it, or move it to the line of the name that it is about.",
    )
