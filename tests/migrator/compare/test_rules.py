"""Rules allow differences by name and place; what they allow is still there to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.rules import BadRule, Rule, from_table, parse
from tests.migrator.compare.spans import recording, span


def outcome(*rules: Rule, strict: bool = False) -> Comparison:
    before = recording(span("a", attributes={"x.one": 1, "x.two": 2, "y": 3}, kind="unset"))
    return compare_recordings(before, recording(span("a")), rules, strict=strict)


def test_without_a_rule_a_difference_counts():
    assert outcome().counts == {"lost-attribute": 3}
    assert not outcome().equal


def test_a_rule_allows_by_name():
    judged = outcome(parse("lost-attribute"))
    assert judged.equal
    assert judged.allowed == {"lost-attribute": 3, "unset-kind": 1}


def test_a_plural_is_as_good():
    assert parse("lost-attributes").difference == "lost-attribute"


def test_a_rule_allows_by_attribute_pattern():
    assert outcome(parse("lost-attribute:x.*")).counts == {"lost-attribute": 1}


def test_a_rule_for_another_span_allows_nothing_and_is_told():
    rule = from_table({"difference": "lost-attribute", "span": "b", "reason": "r"}, "rules.toml")
    judged = outcome(rule)
    assert judged.counts == {"lost-attribute": 3}
    assert judged.unused == [rule]


def test_strict_leaves_out_the_default_rules():
    assert outcome(strict=True).counts == {"lost-attribute": 3, "unset-kind": 1}


def test_the_reason_goes_with_the_difference():
    table = {"difference": "*", "attribute": "y", "reason": "gone on purpose"}
    allowed = [d for d in outcome(from_table(table, "f")).differences if d.key == "y"]
    assert [(d.reason, d.allowed_by) for d in allowed] == [("gone on purpose", "f")]


def test_the_documentation_lists_every_difference_as_it_is():
    page = (Path(__file__).parents[3] / "docs" / "compare.md").read_text()
    for name, sort in CATALOGUE.items():
        assert f"| `{name}` | {sort.meaning} | {'yes' if sort.allowed else ''} |" in page


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ({"difference": "lost-atribute", "reason": "r"}, "no difference is called"),
        ({"difference": "lost-link"}, "needs a `difference` and a `reason`"),
        ({"difference": "lost-link", "reason": "r", "key": "x"}, "not key"),
        ({"difference": "lost-link", "reason": 5}, "is a string"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(table: dict[str, object], text: str):
    with pytest.raises(BadRule, match=text):
        from_table(table, "rules.toml")
