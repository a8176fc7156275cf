"""Comments that tell us to leave a line alone: `# jaeger2otlp: ignore[JO101]`."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass

from codemods import Fate, Finding

MARK = b"jaeger2otlp:"
COMMENT = re.compile(r"#\s*jaeger2otlp:\s*ignore(?:\[(?P<codes>[^\]]*)\])?")
EVERY = ""  # the code that stands for every rule
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
                codes = match["codes"]
                found.extend(
                    Suppression(line, column + match.start() + 1, code.strip())
                    for code in ([EVERY] if codes is None else codes.split(","))
                )
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass  # the rewrite says what is wrong with the file
    return tuple(found)


def unused(asked: Iterable[Suppression], findings: Iterable[Finding]) -> list[Finding]:
    """A finding for every suppression that held nothing back."""
    held = [finding for finding in findings if finding.fate is Fate.SUPPRESSED]
    return [
        Finding(
            UNUSED,
            one.line,
            one.column,
            one.line,
            Fate.REPORTED,
            "jaeger2otlp: ignore",
            f"this comment suppresses nothing{f' ({one.code})' if one.code else ''}",
            "Delete the comment.",
        )
        for one in asked
        if not any(
            finding.line <= one.line <= finding.end_line and one.code in (EVERY, finding.code)
            for finding in held
        )
    ]
