"""Every example of every rule holds: as printed, compiling, and stable on a second run."""

from __future__ import annotations

import pytest

from codemods import Rule, Safety
from codemods.registry import rules
from tests.codemods.helpers import check, left

EXAMPLES = [
    pytest.param(rule, before, after, id=f"{rule.code}-{index}")
    for rule in rules()
    for index, (before, after) in enumerate(rule.examples, 1)
]


@pytest.mark.parametrize(("rule", "before", "after"), EXAMPLES)
def test_example(rule: Rule, before: str, after: str) -> None:
    result = check(before, after, unsafe=rule.safety is Safety.UNSAFE)
    assert rule.code in {finding.code for finding in result.findings}
    assert left(result) == []


def test_every_rule_that_rewrites_has_an_example() -> None:
    assert [rule.code for rule in rules() if rule.safety != "report" and not rule.examples] == []


def test_codes_are_unique() -> None:
    codes = [rule.code for rule in rules()]
    assert len(codes) == len(set(codes))
