"""The plain data that goes in and out of the rewrite engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias


class Fate(str, Enum):
    """What became of a site (one place in a file that uses a legacy name)."""

    REWRITTEN = "rewritten"
    HELD = "held"  # a rewrite exists, but its precondition is unproved: needs `unsafe`
    REPORTED = "reported"  # left as it was, with a reason and a recipe
    SUPPRESSED = "suppressed"  # left as it was, because a comment in the file says so


class Safety(str, Enum):
    """How sure a rule is of its rewrite."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Finding:
    """One site and its fate. Lines and columns count from 1, columns in characters."""

    code: str
    line: int
    column: int
    end_line: int
    fate: Fate
    construct: str  # the legacy name used here, fully qualified: "opentracing.Tracer.start_span"
    message: str  # what was done, or why it was not
    advice: str = ""  # the hand recipe; empty where nothing is left to do
    waits_for: str = ""  # why it is left, if for another site: "line 8", "the span made in line 4"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose. `select` and `ignore` hold rule codes or their prefixes.

    `suppressed` holds (line, code) of the file's `# jaeger2otlp: ignore[CODE]` comments, code ""
    standing for every rule. A finding that spans such a line is left as it was, as SUPPRESSED.
    """

    protocol: Literal["grpc", "http"] = "grpc"
    endpoint_from_env: bool = False
    propagation: Literal["w3c", "both"] = "w3c"
    semconv: bool = False
    unsafe: bool = False
    mark: bool = False
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    suppressed: frozenset[tuple[int, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Fact:
    """What one module tells the others about a name it binds (`kind` is the engine's word).

    `made` names the sites that may have made the value, as far as they are known: "module:12:8".
    `beside` names the project's classes of which an instance may be there instead: "app.NoSpan".
    """

    kind: str
    detail: str = ""
    made: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()


Facts: TypeAlias = Mapping[str, Fact]  # by qualified name: "app.tracing.tracer"


@dataclass(frozen=True, slots=True)
class Stays:
    """What stays legacy in one file or in several, by `Fact.made`.

    `left` are the makers of tracers, spans and the like that stay, HELD or REPORTED. `called` are
    makers, of other files, whose tracer a call that stays needs: "line 12 of app.views".
    """

    left: Mapping[str, Fate] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)


NOTHING_STAYS = Stays()


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The outcome for one file. `source` is the given bytes object when nothing changed.

    `seconds` is the time that each rule took to decide, by code.
    """

    source: bytes
    findings: tuple[Finding, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)
    stays: Stays = NOTHING_STAYS


@dataclass(frozen=True, slots=True)
class Rule:
    """What `jaeger2otlp rules` and `explain` show, and docs/rules is generated from."""

    code: str
    title: str
    url: str
    safety: Safety
    explanation: str
    examples: tuple[tuple[str, str], ...]  # before, after; they are tests too
    minutes: int = 5  # of hand work where the rule reports


class Unreadable(Exception):
    """The file cannot be rewritten at all; the text says why, for the user."""
