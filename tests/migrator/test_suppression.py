"""`# jaeger2otlp: ignore[CODE]`: where it counts, and where it held nothing back."""

from __future__ import annotations

import pytest

from codemods import Fate, Finding, Options
from migrator.suppression import EVERY, UNKNOWN, UNUSED, suppressions, unused


def codes(text: str) -> list[tuple[int, str]]:
    return [(one.line, one.code) for one in suppressions(text.encode())]


def finding(line: int, code: str, *, end: int | None = None, fate: Fate = Fate.SUPPRESSED):
    return Finding(code, line, 1, end or line, fate, "opentracing.Tracer", "")


def test_no_comment():
    assert codes("x = 1  # type: ignore[x]\n") == []


def test_string_is_no_comment():
    assert codes('x = "# jaeger2otlp: ignore[JO101]"\n') == []


def test_one_code():
    assert codes("a\nx = 1  # jaeger2otlp: ignore[JO101]\n") == [(2, "JO101")]


def test_several_codes_and_another_tools_comment():
    line = "x = 1  # noqa: E501  # jaeger2otlp: ignore[JO101, JO205]\n"
    assert codes(line) == [(1, "JO101"), (1, "JO205")]


def test_without_a_code_every_rule_is_meant():
    assert codes("x = 1  # jaeger2otlp: ignore\n") == [(1, EVERY)]


@pytest.mark.parametrize("text", ["ignore-file", "ignor", "ignored", "ignore[]", "ignore[JO1", ""])
def test_comment_that_is_spelled_otherwise_is_told(text):
    asked = suppressions(f"x = 1  # jaeger2otlp: {text}\n".encode())
    assert [one.code for one in asked] == [UNKNOWN]
    (report,) = unused(asked, [finding(1, "JO101")], Options())
    assert "not understood" in report.message


def test_codes_in_small_letters():
    assert codes("x = 1  # jaeger2otlp: ignore[jo101]\n") == [(1, "JO101")]


def test_file_that_cannot_be_decoded_has_none():
    assert codes("# coding: nonsense\nx = 1  # jaeger2otlp: ignore\n") == []


def test_used_on_any_line_of_the_statement():
    asked = suppressions(b"f(\n    1,  # jaeger2otlp: ignore[JO101]\n)\n")
    assert unused(asked, [finding(1, "JO101", end=3)], Options()) == []


def test_unused_is_a_finding_of_its_own():
    asked = suppressions(b"x = 1  # jaeger2otlp: ignore[JO101]\n")
    (report,) = unused(
        asked, [finding(1, "JO205"), finding(1, "JO101", fate=Fate.REPORTED)], Options()
    )
    assert (report.code, report.line, report.column) == (UNUSED, 1, 8)
    assert "JO101" in report.message


@pytest.mark.parametrize("comment", ["ignore", "ignore[JO101]"])
@pytest.mark.parametrize(
    "options",
    [
        Options(select=frozenset({"JO2"})),
        Options(ignore=frozenset({"JO101"})),
        Options(ignore=frozenset({"JO009"})),
    ],
)
def test_comment_for_a_rule_that_was_not_asked_for_is_not_judged(comment, options):
    asked = suppressions(f"x = 1  # jaeger2otlp: {comment}\n".encode())
    assert unused(asked, [], options) == []
