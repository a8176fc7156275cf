"""Chained setters become statements, however the chain is written."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, run

HEAD = """\
import opentracing


def work(name):
    span = opentracing.tracer.active_span
"""
AFTER = """\
from opentelemetry import trace


def work(name):
    span = trace.get_current_span()
"""


def test_a_chain_in_parentheses_that_begins_with_a_name_on_its_own_line() -> None:
    check(
        f"{HEAD}    (span\n        .set_operation_name(name)\n        .set_tag('a', 1))\n",
        f"{AFTER}    span.update_name(name)\n    span.set_attribute('a', 1)\n",
    )


def test_a_rename_at_the_end_of_a_chain() -> None:
    check(
        f"{HEAD}    span.set_tag('a', 1).set_operation_name(name)\n",
        f"{AFTER}    span.set_attribute('a', 1)\n    span.update_name(name)\n",
    )


def test_a_rename_that_is_returned() -> None:
    check(
        f"{HEAD}    return span.set_operation_name(name)\n",
        f"{AFTER}    span.update_name(name)\n    return span\n",
    )


def test_a_chain_with_a_comment_inside_is_left() -> None:
    chain = "    (span.set_tag('a', 1)  # why\n        .set_tag('b', 2))\n"
    result = run(f"{HEAD}{chain}")
    assert result.source.decode().endswith(chain)
    assert any("comment" in finding.message for finding in result.findings)


@pytest.mark.parametrize(
    "written",
    [
        "name and {}",
        "name and (name or {})",
        "{} if name else None",
        "[{} for one in name]",
    ],
)
def test_a_call_whose_result_an_expression_drops_is_rewritten(written: str) -> None:
    before, after = "span.set_tag('a', 1)", "span.set_attribute('a', 1)"
    check(f"{HEAD}    {written.format(before)}\n", f"{AFTER}    {written.format(after)}\n")


@pytest.mark.parametrize(
    "written", ["x = name and {}", "[one for one in name if {}]", "{} and name", "print({})"]
)
def test_a_call_whose_result_is_wanted_is_left(written: str) -> None:
    text = HEAD + "    " + written.format("span.set_tag('a', 1)") + "\n"
    assert "span.set_tag" in run(text).source.decode()


def test_a_key_that_is_no_text_becomes_one() -> None:
    result = run("import opentracing\n\nopentracing.tracer.active_span.set_tag(1, 2)\n")
    assert b'.set_attribute("1", 2)' in result.source
