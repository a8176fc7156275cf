"""JSON and GitHub annotations, for machines."""

from __future__ import annotations

import json

from codemods import Fate, Finding
from migrator.analysis import Analysis
from migrator.formats import as_github, as_json
from migrator.problem import Problem


def analysis(**changes) -> Analysis:
    found = Finding("JO101", 3, 5, 3, Fate.REPORTED, "opentracing.tracer", "50 % done\nmore", "Do.")
    found = Finding(**{**{n: getattr(found, n) for n in Finding.__slots__}, **changes})
    return Analysis(
        searched=1,
        sources={"a,b.py": b"x\n"},
        findings={"a,b.py": (found,)},
        problems=[Problem("c.py", "not Python")],
    )


def test_nothing_found():
    assert list(as_github(Analysis())) == []
    assert json.loads("".join(as_json(Analysis())))["files"] == []


def test_annotation_escapes_what_would_end_it():
    assert list(as_github(analysis())) == [
        "::warning title=jaeger2otlp (JO101),file=a%2Cb.py,line=3,col=5::50 %25 done%0Amore%0ADo.",
        "::error title=jaeger2otlp,file=c.py::not Python",
    ]


def test_annotation_of_several_lines_has_no_column():
    assert ",line=3::" in next(as_github(analysis(end_line=5)))


def test_suppressed_site_is_not_annotated():
    assert len(list(as_github(analysis(fate=Fate.SUPPRESSED)))) == 1


def test_json_counts_and_names_problems():
    document = json.loads("".join(as_json(analysis())))
    assert document["summary"]["reported"] == 1
    assert document["problems"] == [{"path": "c.py", "message": "not Python"}]
    (file,) = document["files"]
    assert (file["path"], file["changed"], file["diff"]) == ("a,b.py", False, "")
    assert file["findings"][0]["fate"] == "reported"
