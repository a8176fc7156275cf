"""What a log of an exception becomes, and what of it stays."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, run

BEFORE = """\
from opentracing import Span

def work(span: Span):
    try:
        pass
    except ValueError as e:
        span.log_kv({log})
"""
AFTER = """\
from opentelemetry import trace

def work(span: trace.Span):
    try:
        pass
    except ValueError as e:
        span.{call}
"""


@pytest.mark.parametrize(
    ("log", "call"),
    [
        ("{'event': 'error', 'error.object': e}", "record_exception(e)"),
        (
            "{'event': 'error', 'error.object': e, 'n': 1}",
            "record_exception(e, attributes={'n': 1})",
        ),
        (
            "{'event': 'retry', 'error.object': e, 'n': 1}",
            "add_event('retry', {'error.object': str(e), 'n': 1})",
        ),
        (
            "{'event': 'error', 'error.object': e, 'message': str(e), 'error.kind': type(e)}",
            "record_exception(e)",
        ),
        (
            "{'event': 'error', 'error.object': e, 'message': e.args[0]}",
            "record_exception(e)",
        ),
        (
            "{'event': 'error', 'error.object': e, 'message': 'no order', 'error.kind': 'Db'}",
            "record_exception(e, attributes={'message': 'no order', 'error.kind': 'Db'})",
        ),
    ],
)
def test_an_exception_is_recorded_with_what_it_does_not_say_itself(log: str, call: str) -> None:
    check(BEFORE.replace("{log}", log), AFTER.replace("{call}", call))


def test_fields_of_a_dict_call_are_written_out_and_what_is_spread_needs_unsafe() -> None:
    before = BEFORE.replace("{log}", "dict(event='mark', n=1, **more)")
    after = AFTER.replace("{call}", "add_event('mark', {\"n\": 1, **more})")
    check(before, after, unsafe=True)
    assert b"log_kv" in run(before).source


def test_fields_that_are_spread_into_others_wait_for_unsafe() -> None:
    before = "def f(span, more):\n    span.log_kv({'level': 'info', **more})\n"
    assert any("holds no `event`" in one.message + one.advice for one in run(before).findings)


def test_a_payload_of_none_is_none() -> None:
    after = run("def f(span):\n    span.log_event('a', None)\n").source.decode()
    assert "span.add_event('a')\n" in after


def test_a_time_before_the_fields_stands_behind_the_name() -> None:
    log = "span.log_kv(timestamp=1, key_values={'event': 'a', 'b': 2})"
    after = run(f"def f(span):\n    {log}\n").source.decode()
    assert "span.add_event('a', {'b': 2}, timestamp=1000000000)" in after
