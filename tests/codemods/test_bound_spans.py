"""Ways in which a span, or what gives one, is bound to a name, and its setters' results."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_noop, run

HEAD = "import opentracing\n\ntracer = opentracing.global_tracer()\n"
NEW_HEAD = "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n"
BEFORE = "{0}.set_tag('a', 1)\n{0}.finish()\n"
AFTER = "{0}.set_attribute('a', 1)\n{0}.end()\n"


@pytest.mark.parametrize(
    ("bound", "name"),
    [
        ("kept = {}\nkept['a'] = tracer.start_span('s')\n", "kept['a']"),
        ("make = lambda: tracer.start_span('s')\none = make()\n", "one"),
        (
            "def inner():\n    yield tracer.start_span('s')\n\n\n"
            "def outer():\n    yield from inner()\n\n\none = next(outer())\n",
            "one",
        ),
        (
            "current = None\n\n\ndef begin():\n    global current\n"
            "    current = tracer.start_span('s')\n\n\nbegin()\n",
            "current",
        ),
    ],
)
def test_a_span_is_known_by_its_name(bound: str, name: str) -> None:
    check(HEAD + bound + BEFORE.format(name), NEW_HEAD + bound + AFTER.format(name))


def test_a_span_that_an_inner_function_sets_is_known_in_the_outer_one() -> None:
    shape = (
        "def f():\n    one = None\n\n    def begin():\n        nonlocal one\n"
        "        one = tracer.start_span('s')\n\n    begin()\n    one.{}\n"
    )
    check(HEAD + shape.format("finish()"), NEW_HEAD + shape.format("end()"))


def test_what_else_a_dict_holds_is_no_span() -> None:
    shape = (
        "kept = {{}}\nkept['a'] = tracer.start_span('s')\nkept['b'] = open('x')\n"
        "kept['b'].finish()\nkept['a'].{}\n"
    )
    check(HEAD + shape.format("finish()"), NEW_HEAD + shape.format("end()"))


def test_the_scope_of_a_lambda_is_a_span() -> None:
    before = "begin = lambda: tracer.start_active_span('s')\nwith begin() as scope:\n    {}\n"
    after = before.replace("start_active_span", "start_as_current_span")
    check(
        HEAD + before.format("scope.span.set_tag('a', 1)"),
        NEW_HEAD + after.format("scope.set_attribute('a', 1)"),
    )


def test_a_scope_that_a_walrus_names_is_reported() -> None:
    done = check_noop(
        HEAD + "with (s := tracer.start_active_span('s')):\n    s.span.set_tag('a', 1)\n"
    )
    assert any("`:=` would keep the context manager" in one.message for one in done.findings)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("one = one.set_tag('a', 1)", "one.set_attribute('a', 1)"),
        ("two = one.set_tag('a', 1)", "one.set_attribute('a', 1)\ntwo = one"),
        ("two = one.log_kv({'event': 'e'})", "one.add_event('e')\ntwo = one"),
    ],
)
def test_the_result_of_a_setter_is_its_span(before: str, after: str) -> None:
    start = "one = tracer.start_span('s')\n"
    check(HEAD + start + before + "\n", NEW_HEAD + start + after + "\n")


def test_a_chain_that_begins_with_baggage_is_held_with_its_span() -> None:
    before = "one = tracer.start_span('s')\none.set_baggage_item('a', 'b').set_tag('c', 1)\n"
    done = check_noop(HEAD + before)
    assert any(one.code == "JO405" and one.fate is Fate.REPORTED for one in done.findings)


def test_a_kind_that_is_set_behind_two_branches_stays_an_attribute() -> None:
    shape = (
        "if tracer:\n    one = tracer.start_span('a')\nelse:\n    one = tracer.start_span('b')\n"
    )
    done = check(
        HEAD + shape + "one.set_tag('span.kind', 'client')\n",
        NEW_HEAD + shape + "one.set_attribute('span.kind', 'client')\n",
    )
    assert any("Give `kind=`" in one.advice for one in done.findings)


def test_a_provider_made_right_below_the_imports_finds_its_names() -> None:
    before = (
        "from jaeger_client import Config\n"
        "tracer = Config({'sampler': {'type': 'const', 'param': 1}}, 'a').initialize_tracer()\n"
    )
    after = run(before).source.decode()
    assert after.index("import TracerProvider") < after.index("provider = TracerProvider")
