"""What a person reads: libraries, the effort, notes said once."""

from __future__ import annotations

import pytest

from codemods import Fate, Finding
from migrator.analysis import Analysis
from migrator.problem import Problem
from migrator.report import count, effort, finding_lines, library_of, notes, scan_text, verdict
from migrator.suppression import UNUSED


def finding(fate: Fate, *, advice: str = "", line: int = 1, waits_for: str = "") -> Finding:
    construct = "opentracing.Tracer.start_span"
    return Finding("JO201", line, 1, line, fate, construct, "said", advice, waits_for)


@pytest.mark.parametrize(
    ("construct", "library"),
    [
        ("opentracing.Tracer.start_span", "opentracing"),
        ("jaeger_client.Config", "jaeger_client"),
        (
            "opentelemetry.exporter.jaeger.thrift.JaegerExporter",
            "opentelemetry.exporter.jaeger",
        ),
        ("opentelemetry.trace.propagation", "opentelemetry (renamed since)"),
    ],
)
def test_library_of_a_construct(construct, library):
    assert library_of(construct) == library


def test_effort_counts_each_fate():
    lines = list(effort([finding(Fate.REPORTED)] * 30 + [finding(Fate.REWRITTEN)] * 4))
    assert any("2 min  to review 4 rewritten sites" in line for line in lines)
    assert any("h  by hand for 30 reported sites" in line for line in lines)


def test_note_is_said_once_with_its_first_place():
    analysis = Analysis()
    noted = finding(Fate.REWRITTEN, advice="Mind the peers.", line=7)
    analysis.findings = {"a.py": (noted, noted), "b.py": (noted,)}
    assert list(notes(analysis)) == ["note: Mind the peers.", "    a.py:7 (JO201) and 2 more sites"]


def test_sites_that_wait_for_the_same_one_are_told_together():
    cause = "the tracer made in line 3 of b"
    analysis = Analysis()
    analysis.findings = {
        "a.py": (
            finding(Fate.HELD, line=4, waits_for=cause),
            finding(Fate.REPORTED, line=5),
            *[finding(Fate.HELD, line=6, waits_for=cause)] * 2,
            finding(Fate.REPORTED, line=7, waits_for="line 5"),
        )
    }
    assert list(finding_lines(analysis, [Fate.HELD, Fate.REPORTED])) == [
        "a.py:5:1: JO201 said",
        f"a.py:4, 6: 3 sites left because of {cause}",
        "    Applied with --unsafe if that may be rewritten too.",
        "a.py:7: 1 site left because of line 5",
    ]


def test_effort_leaves_out_what_costs_nothing():
    assert len(list(effort([finding(Fate.REPORTED)]))) == 2


def test_verdict_says_what_becomes_of_the_sites():
    analysis = Analysis(searched=2)
    assert list(verdict(analysis)) == ["No legacy use in 2 Python files."]
    analysis.findings = {"a.py": (finding(Fate.REWRITTEN),)}
    assert list(verdict(analysis)) == ["1 legacy site in 1 file: 1 would be rewritten."]
    assert list(verdict(analysis, wrote=True)) == ["1 legacy site in 1 file: 1 rewritten."]
    analysis.findings["b.py"] = (finding(Fate.HELD), finding(Fate.REPORTED))
    assert list(verdict(analysis)) == [
        "3 legacy sites in 2 files: 1 would be rewritten, 1 more with --unsafe, 1 left for you."
    ]


def test_verdict_does_not_call_clean_what_could_not_be_read():
    assert list(verdict(Analysis(problems=[Problem("nowhere", "no such file or folder")]))) == []


def test_verdict_over_errors_selected_rules_and_an_empty_folder():
    broken = Analysis(searched=2, problems=[Problem("a.py", "no permission to read it")])
    (told,) = verdict(broken)
    assert told == "No legacy use in 2 Python files, apart from the errors below."
    (told,) = verdict(Analysis(searched=1), selected=True)
    assert told == "No legacy use of the selected rules in 1 Python file."
    assert list(verdict(Analysis())) == ["There is no Python file to look at."]


def test_comment_that_suppresses_nothing_is_no_legacy_site():
    comment = Finding(UNUSED, 1, 1, 1, Fate.REPORTED, "jaeger2otlp: ignore", "said")
    analysis = Analysis(searched=1, findings={"a.py": (comment,)})
    assert list(verdict(analysis)) == [
        "No legacy use in 1 Python file.",
        "1 suppression comment without effect.",
    ]
    told = list(scan_text(analysis, ["."]))
    assert told == ["", "Left for you, and why:", "  a.py:1:1: JO009 said"]


def test_nothing_but_suppressed_sites_costs_nothing():
    analysis = Analysis(findings={"a.py": (finding(Fate.SUPPRESSED),)})
    assert not any("Effort" in line for line in scan_text(analysis, ["."]))


def test_count_has_its_plural():
    assert (count(1, "site"), count(1200, "site")) == ("1 site", "1,200 sites")
