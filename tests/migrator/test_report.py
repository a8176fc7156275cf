"""What a person reads: libraries, the effort, notes said once."""

from __future__ import annotations

import pytest

from codemods import Fate, Finding
from migrator.analysis import Analysis
from migrator.report import count, effort, hint, library_of, notes


def finding(fate: Fate, *, advice: str = "", line: int = 1) -> Finding:
    return Finding("JO201", line, 1, line, fate, "opentracing.Tracer.start_span", "said", advice)


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


def test_hint_only_while_something_is_held():
    analysis = Analysis()
    assert list(hint(analysis, unsafe=False)) == []
    analysis.findings = {"a.py": (finding(Fate.HELD),)}
    assert list(hint(analysis, unsafe=False)) == ["1 more site can be rewritten with --unsafe."]
    assert list(hint(analysis, unsafe=True)) == []


def test_count_has_its_plural():
    assert (count(1, "site"), count(1200, "site")) == ("1 site", "1,200 sites")
