"""Two arguments of a start call that bear on each other, and how arguments are written."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import run

HEAD = "import opentracing\n\n\ndef start(tracer: opentracing.Tracer, {}):\n    return "
EMPTY = "context=Context()"
HELD = "set_span_in_context(parent) if parent is not None else None"


def started(call: str, parameters: str = "parent: opentracing.Span = None", **options: bool) -> str:
    return run(HEAD.format(parameters) + call + "\n", **options).source.decode()


@pytest.mark.parametrize("none", ["None", "[]"])
def test_no_references_leave_the_active_span_ignored(none: str) -> None:
    for call in (
        f"tracer.start_span('a', references={none}, ignore_active_span=True)",
        f"tracer.start_span('a', ignore_active_span=True, references={none})",
    ):
        assert f"tracer.start_span('a', {EMPTY})" in started(call)


def test_a_parent_that_is_none_leaves_the_active_span_ignored() -> None:
    after = started("tracer.start_span('a', child_of=parent, ignore_active_span=True)")
    assert f"tracer.start_span('a', context=(trace.{HELD}) or Context())" in after


def test_a_parent_that_is_none_asks_whether_the_active_span_is_ignored() -> None:
    call = "tracer.start_span('a', ignore_active_span=alone, child_of=parent)"
    after = started(call, "alone, parent: opentracing.Span = None")
    wanted = f"context=(trace.{HELD}) or (Context() if alone else None))"
    assert f"tracer.start_span('a', {wanted}" in after


def test_what_is_extracted_holds_the_active_span_that_is_ignored() -> None:
    before = (
        "import opentracing\nfrom opentracing import Format\n\n\n"
        "def start(headers, tracer: opentracing.Tracer):\n"
        "    found = tracer.extract(Format.HTTP_HEADERS, headers)\n"
        "    return tracer.start_span('a', child_of=found, ignore_active_span=True)\n"
    )
    done = run(before)
    assert [one.fate for one in done.findings if one.code == "JO202"] == [Fate.HELD]
    assert "start_span('a', context=found)" in run(before, unsafe=True).source.decode()


def test_a_reference_to_a_span_waits_for_no_other_being_active() -> None:
    call = "tracer.start_span('a', references=[opentracing.child_of(parent.context)])"
    parameter = "parent: opentracing.Span"
    assert "references" in started(call, parameter)
    wanted = "tracer.start_span('a', context=trace.set_span_in_context(parent))"
    assert wanted in started(call, parameter, unsafe=True)


def test_a_start_at_zero_is_a_start_now() -> None:
    assert "tracer.start_span('a')" in started("tracer.start_span('a', start_time=0)")


def test_a_positional_argument_in_parentheses_gets_its_keyword_before_them() -> None:
    call = "tracer.start_span('a', (parent), (None), ({'b': 1}))"
    wanted = "tracer.start_span('a', context=trace.set_span_in_context(parent), attributes={'b': 1}"
    assert wanted in started(call, "parent: opentracing.Span")


def test_a_kind_that_is_no_literal_stays_an_attribute_and_says_so() -> None:
    call = "tracer.start_span('a', tags={'span.kind': parent})"
    done = run(HEAD.format("parent") + call + "\n")
    assert b"attributes={'span.kind': parent}" in done.source
    assert any("Give `kind=`" in one.advice for one in done.findings)


def test_a_parent_that_may_be_none_waits_beside_references() -> None:
    call = "tracer.start_span('a', child_of=parent, references=[opentracing.follows_from(one)])"
    assert "references=" in started(call, "one: opentracing.SpanContext, parent=None")


def test_a_time_that_is_unpacked_as_none_stays_none() -> None:
    before = (
        "import opentracing\n\n\ndef start(tracer: opentracing.Tracer):\n"
        "    when, name = None, 'a'\n"
        "    return tracer.start_span(name, start_time=when)\n"
    )
    assert "start_time=int(when * 1e9) if when is not None else None" in run(before).source.decode()


def test_references_that_may_be_none_wait_beside_an_ignored_active_span() -> None:
    chosen = "[opentracing.child_of(parent.context)] if parent else None"
    call = f"tracer.start_span('a', references={chosen}, ignore_active_span=True)"
    assert "references=" in started(call)


def test_references_stand_for_a_parent_of_none_where_the_active_span_is_ignored() -> None:
    refs = "references=[opentracing.follows_from(parent.context)]"
    call = f"tracer.start_span('a', child_of=None, {refs}, ignore_active_span=True)"
    after = started(call, "parent: opentracing.Span", unsafe=True)
    assert after.count("context=") == 1
    assert "links=[trace.Link(parent.get_span_context())]" in after


def test_a_comment_within_the_parentheses_of_an_argument_holds_the_call() -> None:
    result = run(
        "import opentracing\n\n"
        "opentracing.tracer.start_span('a', (\n    parent  # why\n)).finish()\n"
    )
    assert any("a comment stands within" in finding.message for finding in result.findings)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("span.finish((when))", "span.end(end_time=int(when * 1e9) if when is not None else None)"),
        (
            "tracer.start_span('a', ignore_active_span=(when if span else None)).finish()",
            "tracer.start_span('a', context=Context() if (when if span else None) else None).end()",
        ),
        (
            "tracer.start_span('a', tags={'b': ('c'), 'span.kind': ('client')}).finish()",
            "tracer.start_span('a', attributes={'b': ('c')}, kind=trace.SpanKind.CLIENT).end()",
        ),
        ("span.log_kv({('k'): 1, 'event': ('e')})", "span.add_event('e', {('k'): 1})"),
        (
            "with tracer.start_active_span('a', finish_on_close=(kept := when)): pass",
            "with tracer.start_as_current_span('a', end_on_exit=(kept := when)): pass",
        ),
    ],
)
def test_what_stands_in_parentheses_keeps_those_it_needs(before: str, after: str) -> None:
    assert after in started(f"when\n    {before}", "span: opentracing.Span, when")


def test_references_of_a_comprehension_are_links_and_the_first_is_the_parent() -> None:
    given = "[opentracing.follows_from(one.context) for one in spans if one]"
    after = started(f"tracer.start_span('a', references={given})", "spans: list", unsafe=True)
    assert "links=[trace.Link(" in after
    assert " for one in spans if one])" in after
    assert "context=next((" in after


def test_references_of_an_asynchronous_comprehension_stay() -> None:
    given = "[opentracing.follows_from(one) async for one in messages]"
    result = run(
        "import opentracing\n\n\nasync def f(tracer: opentracing.Tracer, messages):\n"
        f"    return tracer.start_span('a', references={given})\n"
    )
    assert any("asynchronous loop" in finding.message for finding in result.findings)


@pytest.mark.parametrize("named", [True, False])
def test_a_reference_is_held_with_the_start_call_it_is_given_to(named: bool) -> None:
    given = "[opentracing.follows_from(other.context)]"
    given = f"references=({given})" if not named else "references=refs"
    before = "" if not named else "refs = [opentracing.follows_from(other.context)]\n    "
    result = run(
        "import opentracing\n\n\ndef f(other: opentracing.Span):\n"
        f"    {before}return opentracing.tracer.start_span('a', {given})\n"
    )
    fates = {f.fate for f in result.findings if f.construct == "opentracing.follows_from"}
    assert fates == {Fate.HELD}


@pytest.mark.parametrize(
    ("made", "is_safe"),
    [("[{}]", True), ("({})", False), ("list({})", True), ("keep({})", False)],
)
def test_references_are_gone_through_twice_only_where_they_can_be(made: str, is_safe: bool) -> None:
    contexts = made.format("tracer.extract('text_map', c) for c in carriers")
    given = "[opentracing.follows_from(one) for one in contexts]"
    source = (
        "import opentracing\n\n\ndef start(tracer: opentracing.Tracer, carriers):\n"
        f"    contexts = {contexts}\n    tracer.start_span('a', references={given}).finish()\n"
    )
    assert (b"links=" in run(source).source) == is_safe
    assert b"links=" in run(source, unsafe=True).source
