"""The tags of a start call: kind, values, and what is not known before it runs."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import check_noop, run

HEAD = """\
import opentracing
from opentracing.ext import tags

tracer = opentracing.global_tracer()


def f(value, flag):
"""


def rewritten(body: str, **options: bool) -> str:
    source = HEAD + "".join(f"    {line}\n" for line in body.splitlines())
    return run(source, **options).source.decode().partition("flag):\n")[2]


@pytest.mark.parametrize(
    ("stored", "kept"),
    [
        ("rpc['a'] = value", "rpc['a'] = str(value)"),
        ("rpc['a'] = 'b'", "rpc['a'] = 'b'"),
        ("rpc[tags.HTTP_URL] = value", "rpc['http.url'] = str(value)"),
        ("rpc['a'] = value, 1", "rpc['a'] = str((value, 1))"),
        ("rpc['a'] = (value, 1)", "rpc['a'] = str((value, 1))"),
        ("if flag: rpc['a'] = value", "if flag: rpc['a'] = str(value)"),
    ],
)
def test_what_is_added_to_a_dict_of_tags_is_kept_from_being_dropped(stored: str, kept: str) -> None:
    text = rewritten(f"rpc = {{'b': 1}}\n{stored}\ntracer.start_span('x', tags=rpc).finish()")
    assert kept in text.replace('"http.url"', "'http.url'")
    assert "attributes=rpc" in text


@pytest.mark.parametrize(
    "changed",
    [
        "rpc[key()] = 1",
        "rpc['span.kind'] = 'server'",
        "rpc['a'] += 1",
        "del rpc['a']",
        "rpc.pop('a')",
        "fill(rpc)",
        "fill(into=rpc)",
    ],
)
def test_a_dict_of_tags_that_changes_otherwise_is_held_back(changed: str) -> None:
    check_noop(
        "import opentracing\n\n\ndef f():\n    rpc = {'a': 1}\n"
        f"    {changed}\n    opentracing.tracer.start_span('x', tags=rpc).finish()\n"
    )


@pytest.mark.parametrize(("value", "fate"), [("True", Fate.REWRITTEN), ("flag", Fate.HELD)])
def test_an_error_tag_of_the_start_is_not_taken_for_a_status(value: str, fate: Fate) -> None:
    body = f"    tracer.start_span('x', tags={{tags.ERROR: {value}}}).finish()\n"
    start = next(f for f in run(HEAD + body).findings if f.construct.endswith("start_span"))
    assert start.fate is fate
    assert "status" in start.advice


@pytest.mark.parametrize(
    "made",
    [
        "rpc = {tags.SPAN_KIND: 'server'} if flag else None",
        "rpc = {tags.SPAN_KIND: 'server'}\nif flag:\n    rpc = None",
        "rpc = {}\nrpc['span.kind'] = 'server'",
        "rpc = {**value, tags.SPAN_KIND: 'server'}",
    ],
)
def test_tags_that_are_seen_to_hold_what_is_no_attribute_are_not_for_unsafe(made: str) -> None:
    body = f"{made}\ntracer.start_span('x', tags=rpc).finish()"
    assert "tracer.start_span('x', tags=rpc).finish()" in rewritten(body, unsafe=True)


def test_tags_that_are_changed_later_give_their_kind_to_the_start() -> None:
    body = "rpc = {tags.SPAN_KIND: 'server'}\nfill(rpc)\ntracer.start_span('x', tags=rpc).finish()"
    assert "tracer.start_span('x', tags=rpc).finish()" in rewritten(body)
    text = rewritten(body, unsafe=True)
    assert text == (
        "    rpc = {}\n    fill(rpc)\n"
        "    tracer.start_span('x', attributes=rpc, kind=trace.SpanKind.SERVER).end()\n"
    )


@pytest.mark.parametrize(
    "before",
    [
        "kwargs = {'operation_name': 'a'}\ntracer.start_span(**kwargs)\n",
        "kwargs = dict(child_of=None)\ntracer.start_span('a', **kwargs)\n",
        "kwargs = {}\nkwargs['tags'] = {}\ntracer.start_span('a', **kwargs)\n",
        "def work(**kwargs):\n    tracer.start_span('a', **kwargs)\n\nwork(tags={})\n",
    ],
)
def test_arguments_that_surely_are_opentracings_are_left_with_unsafe_too(before: str) -> None:
    head = "import opentracing\n\ntracer = opentracing.tracer\n"
    result = run(head + before, unsafe=True)
    assert result.source.decode() == head + before
    reasons = [finding.message for finding in result.findings]
    assert any("`**kwargs` holds what only OpenTracing knows" in one for one in reasons)


def test_a_child_span_keeps_its_tags_and_its_start() -> None:
    result = run(
        "import opentracing\n\n"
        "def work(span):\n"
        "    return opentracing.start_child_span(span, 'a', {'span.kind': 'client', 'b': 1}, 5)\n"
    )
    assert (
        b".start_span('a', context=trace.set_span_in_context(span), attributes={'b': 1}, "
        b"start_time=5000000000, kind=trace.SpanKind.CLIENT)"
    ) in result.source


def test_what_follows_from_another_and_ignores_the_active_span_is_safe() -> None:
    result = run(
        "import opentracing\n\n"
        "one = opentracing.tracer.start_span('a')\n"
        "two = opentracing.tracer.start_span(\n"
        "    'b', references=[opentracing.follows_from(one.context)], ignore_active_span=True\n"
        ")\n"
    )
    assert b"opentracing" not in result.source


def test_a_time_that_is_none_stays_none() -> None:
    result = run(
        "import opentracing\n\n"
        "span = opentracing.tracer.start_span('a')\n"
        "span.finish(finish_time=None)\n"
    )
    assert b"span.end(end_time=None)" in result.source


def test_a_time_that_a_function_is_given_may_be_none() -> None:
    result = run(
        "import opentracing\n\n\ndef begin(at, until: float):\n"
        "    opentracing.tracer.start_span('a', start_time=at).finish(until)\n"
    )
    assert b"start_time=int(at * 1e9) if at is not None else None" in result.source
    assert b".end(end_time=int(until * 1e9))" in result.source


def test_the_active_span_beside_references_is_a_parent_only_if_there_is_one() -> None:
    result = run(
        "import opentracing\n\ntracer = opentracing.tracer\nq = tracer.start_span('q')\n"
        "tracer.start_span('a', child_of=tracer.active_span,\n"
        "    references=[opentracing.child_of(q.context)]).finish()\n"
    )
    assert any("is a parent, not None" in finding.advice for finding in result.findings)
