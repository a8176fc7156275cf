"""What tests read of finished spans."""

from __future__ import annotations

import sys

import pytest

from tests.codemods.helpers import run

HEAD = """\
from opentracing.ext import tags
from opentracing.mocktracer import MockTracer

tracer = MockTracer()
span = tracer.finished_spans()[0]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("span.tags", "span.attributes"),
        ("span.tags['a']", "span.attributes['a']"),
        ("json.dumps(span.tags)", "json.dumps(dict(span.attributes))"),
        ("sorted(span.tags)", "sorted(span.attributes)"),
        ("span.tags[tags.ERROR]", "(span.status.status_code is StatusCode.ERROR)"),
        ("span.tags[tags.SPAN_KIND]", "span.kind.name.lower()"),
        ("span.operation_name", "span.name"),
        ("len(span.logs)", "len(span.events)"),
        ("span.logs[0].key_values['a']", "span.events[0].attributes['a']"),
        ("span.logs[0].key_values == {'a': 1}", "span.events[0].attributes == {'a': 1}"),
        (
            "span.logs[0].key_values == {'event': 'b'}",
            "{\"event\": span.events[0].name, **span.events[0].attributes} == {'event': 'b'}",
        ),
        ("[e.key_values['a'] for e in span.logs]", "[e.attributes['a'] for e in span.events]"),
        (
            "[e.key_values['a'] == x for e, x in zip(span.logs, [1])]",
            "[e.attributes['a'] == x for e, x in zip(span.events, [1])]",
        ),
        ("[e.timestamp for e in span.logs[1:]]", "[(e.timestamp / 1e9) for e in span.events[1:]]"),
        ("span.logs[i].key_values['event']", "span.events[i].name"),
        ("span.start_time", "(span.start_time / 1e9)"),
        ("span.finish_time", "(span.end_time / 1e9)"),
        ("span.finished", "(span.end_time is not None)"),
        ("span.context.trace_id", "span.get_span_context().trace_id"),
        ("span.parent_id", "(span.parent.span_id if span.parent else None)"),
        ("span.logs[0].timestamp", "(span.events[0].timestamp / 1e9)"),
        ("str(span.logs)", "str(span.logs)"),
        ("[x.timestamp for x in xs if span.logs]", "[x.timestamp for x in xs if span.logs]"),
    ],
)
def test_reading(before: str, after: str) -> None:
    result = run(f"{HEAD}print({before})\n").source.decode()
    assert result.splitlines()[-1] == f"print({after})"


@pytest.mark.parametrize(
    "asked",
    [
        "span.logs[0].key_values['event'] == 'error'",
        "case.assertEqual('error', span.logs[0].key_values['event'])",
        "span.logs[0].key_values['error.kind']",
    ],
)
def test_the_event_of_an_exception_is_said_to_have_another_name(asked: str) -> None:
    result = run(f"{HEAD}print({asked})\n")
    assert any("exception.type" in finding.advice for finding in result.findings)


def test_a_span_from_elsewhere_needs_unsafe() -> None:
    source = (
        "import opentracing\n\n\ndef show(span: opentracing.Span):\n    return span.tags['a']\n"
    )
    assert "span.tags" in run(source).source.decode()
    assert "span.attributes" in run(source, unsafe=True).source.decode()


def test_logs_are_followed_through_names() -> None:
    body = """\
logs = span.logs
assert len(logs) == 2
first = logs[0]
print(first.key_values["event"], first.key_values)
for log in logs:
    print(log.timestamp)
"""
    after = """\
logs = span.events
assert len(logs) == 2
first = logs[0]
print(first.name, {"event": first.name, **first.attributes})
for log in logs:
    print((log.timestamp / 1e9))
"""
    assert run(HEAD + body).source.decode().endswith(after)


def test_a_mock_of_a_span_is_reported() -> None:
    result = run("import opentracing\n\n\ndef test_it(span):\n    span.finish.assert_called()\n")
    assert "span.finish.assert_called()" in result.source.decode()
    assert any("mock" in finding.message for finding in result.findings)


def test_the_name_of_a_span_from_elsewhere_needs_unsafe() -> None:
    source = "import opentracing\n\n\ndef show(span):\n    return span.operation_name\n"
    assert "span.operation_name" in run(source).source.decode()
    assert "span.name" in run(source, unsafe=True).source.decode()


def test_times_are_put_into_seconds_once() -> None:
    source = (
        "from jaeger_client.reporter import NullReporter\n\n\nclass Mine(NullReporter):\n"
        "    def report_span(self, span):\n        print(span.end_time - span.start_time)\n"
    )
    once = run(source, unsafe=True).source.decode()
    assert "print((span.end_time / 1e9) - (span.start_time / 1e9))" in once
    assert run(once, unsafe=True).source.decode() == once


def test_a_time_that_is_compared_with_none_is_not_divided() -> None:
    source = "import opentracing\n\n\ndef show(span):\n    return span.finish_time is not None\n"
    once = run(source, unsafe=True).source.decode()
    assert once.endswith("return span.end_time is not None\n")
    assert run(once, unsafe=True).source.decode() == once


def test_a_tag_that_is_asked_for_with_get_is_found_where_it_is_now() -> None:
    body = """\
print(span.tags.get("error"), span.tags.get("span.kind"), span.tags.get("size"))
print(span.tags.get(key))
"""
    result = run(HEAD + body)
    assert result.source.decode().endswith(
        "print((span.status.status_code is StatusCode.ERROR), span.kind.name.lower(), "
        'span.attributes.get("size"))\nprint(span.attributes.get(key))\n'
    )
    assert [f.line for f in result.findings if "its `kind`" in f.advice] == [HEAD.count("\n") + 2]


@pytest.mark.parametrize(
    "use",
    ["[tag.key for tag in span.tags]", "span.tags[-1].vStr", "span.tags[2:]",
     "isinstance(span.tags, list)"],
)  # fmt: skip
def test_the_list_that_jaegers_own_spans_have_is_reported(use: str) -> None:
    result = run(f"import opentracing\n\n\ndef report(span):\n    return {use}\n", unsafe=True)
    assert use in result.source.decode()
    assert any("a mapping" in finding.message for finding in result.findings)


def test_the_fields_of_a_log_stay_a_field_of_an_f_string() -> None:
    body = "for log in span.logs:\n    print(f'log is {log.key_values}')\n"
    after = run(HEAD + body).source.decode()
    assert after.endswith("print(f'log is { {\"event\": log.name, **log.attributes}}')\n")


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="quotes in f-strings may be the same there")
def test_an_f_string_that_leaves_no_quotes_holds_only_what_stands_in_it() -> None:
    body = 'for log in span.logs:\n    print(f"log is {log.key_values}")\n'
    more = "with opentracing.tracer.start_active_span('a'):\n    pass\n"
    result = run(f"import opentracing\n{HEAD}{body}{more}")
    assert b"start_as_current_span" in result.source
    assert any("leaves no quotes" in finding.message for finding in result.findings)


def test_tags_under_names_that_are_bound_to_each_other_end() -> None:
    result = run(HEAD + "one = span.tags\nother = one\none = other\nprint(one)\n")
    assert b"one = span.attributes\n" in result.source
