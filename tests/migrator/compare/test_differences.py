"""Each difference by its name, on spans made by hand: what equal programs never show."""

from __future__ import annotations

import pytest

from migrator.compare.catalogue import CATALOGUE
from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.model import Event, Link, Recording, Span
from tests.migrator.compare.spans import recording, span


def names(before: Span, after: Span, semconv: dict[str, str] | None = None) -> list[str]:
    outcome = compare_recordings(recording(before), recording(after), semconv=semconv)
    return sorted(difference.name for difference in outcome.differences)


def test_equal_spans_have_no_difference():
    assert names(span("a", attributes={"n": 1}), span("a", attributes={"n": 1})) == []


def test_not_a_number_is_equal_to_itself():
    nan = float("nan")
    assert names(span("a", attributes={"n": nan}), span("a", attributes={"n": nan})) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("internal", "unset", ["unset-kind"]),
        ("server", "internal", ["changed-kind"]),
        ("unset", "client", ["changed-kind"]),
    ],
)
def test_kind(before: str, after: str, found: list[str]):
    assert names(span("a", kind=before), span("a", kind=after)) == found


def test_a_kind_set_too_late_is_an_attribute():
    after = span("a", attributes={"span.kind": "server"})
    assert names(span("a", kind="server"), after) == ["kind-as-attribute"]


@pytest.mark.parametrize(
    ("kind", "code", "found"),
    [
        ("server", 500, ["derived-status"]),
        ("server", 404, ["changed-status"]),
        ("client", 404, ["derived-status"]),
        ("unset", "404", ["derived-status"]),
        ("server", "none", ["changed-status"]),
    ],
)
def test_a_status_that_jaeger_derived(kind: str, code: object, found: list[str]):
    attributes = {"http.status_code": code}
    before = span("a", kind=kind, status="error", attributes=attributes)
    assert names(before, span("a", kind=kind, attributes=attributes)) == found


def test_a_status_that_the_program_said_is_not_derived():
    attributes = {"http.status_code": 500}
    before = span("a", status="error", attributes=attributes)
    before.said_error = True
    assert names(before, span("a", attributes=attributes)) == ["changed-status"]


def test_a_lost_status_description_counts():
    before = span("a", status="error", status_message="boom")
    assert names(before, span("a", status="error")) == ["changed-status-message"]


def test_error_false_against_ok():
    before = span("a", attributes={"error": False})
    assert names(before, span("a", status="ok")) == ["ok-status"]
    assert names(before, span("a")) == ["lost-attribute"]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (5, "5", ["changed-type"]),
        (5, 5.0, ["changed-type"]),
        (True, 1, ["changed-attribute"]),
        ("[1, 2]", [1, 2], ["changed-type"]),
        ("b'x'", b"x", ["changed-type"]),
        ("a", "b", ["changed-attribute"]),
        ("x" * 1024, "x" * 2000, ["cut-value"]),
        ("x" * 10, "x" * 20, ["changed-attribute"]),
        ("http://localhost:40001/a", "http://localhost:50002/a", ["free-port"]),
        ("http://localhost:8080/a", "http://localhost:9090/a", ["changed-attribute"]),
        ("http://shop:40001/a", "http://shop:50002/a", ["changed-attribute"]),
    ],
)
def test_values(before: object, after: object, found: list[str]):
    assert names(span("a", attributes={"k": before}), span("a", attributes={"k": after})) == found


def test_a_key_renamed_by_todays_conventions_has_a_name_of_its_own():
    before, after = {"http.method": "GET"}, {"http.request.method": "GET"}
    assert names(
        span("a", attributes=before),
        span("a", attributes=after),
        {"http.method": "http.request.method"},
    ) == ["semconv-attribute"]


def events(*told: tuple[str, dict[str, object]]) -> list[Event]:
    return [Event(name, dict(fields), index) for index, (name, fields) in enumerate(told)]


def test_events_in_another_order():
    before = events(("a", {}), ("b", {}))
    after = events(("b", {}), ("a", {}))
    assert names(span("s", events=before), span("s", events=after)) == ["event-order"]


def test_an_event_under_another_name():
    before, after = events(("packed", {"n": 1})), events(("packing", {"n": 1}))
    assert names(span("s", events=before), span("s", events=after)) == ["renamed-event"]


def test_a_field_that_an_exception_event_leaves_out():
    before = events(("error", {"message": "no", "error.kind": "KeyError", "order": 7}))
    after = events(("exception", {"exception.message": "no", "exception.type": "KeyError"}))
    assert names(span("s", events=before), span("s", events=after)) == [
        "exception-form",
        "lost-event-attribute",
    ]


def test_an_exception_of_another_type():
    before = events(("error", {"message": "no", "error.kind": "<class 'KeyError'>"}))
    after = events(("exception", {"exception.message": "no", "exception.type": "ValueError"}))
    assert names(span("s", events=before), span("s", events=after)) == [
        "changed-event-attribute",
        "exception-form",
    ]


def test_stack_traces_differ_because_the_source_moved():
    before = events(("error", {"stack": "line 1"}))
    after = events(("error", {"stack": "line 2"}))
    assert names(span("s", events=before), span("s", events=after)) == ["changed-stack"]


def test_an_event_whose_name_was_its_message():
    before = events(("", {"message": "read", "n": 1}))
    after = events(("read", {"n": 1}))
    assert names(span("s", events=before), span("s", events=after)) == ["message-event"]


def test_what_the_removed_exporter_wrote_on_every_span():
    before = {"otel.library.name": "x", "service.name": "shop", "region": "north", "lost": 1}
    sides = recording(span("a", attributes=before)), recording(span("a"))
    sides[1].resources["shop"] = {"service.name": "shop", "region": "north", "lost": 2}
    assert found(*sides) == [*["exporter-attribute"] * 4, "extra-resource", "lost-attribute"]


def linked(ref_type: str | None, to_parent: bool = False) -> Recording:
    first, second = span("first"), span("second")
    root = span("root", first, second)
    target = root if to_parent else first
    side = recording(root)
    attributes = {"opentracing.ref_type": ref_type} if ref_type else {}
    second.links = [Link(target.trace_id, target.span_id, attributes)]
    return side


def found(before: Recording, after: Recording) -> list[str]:
    return sorted(d.name for d in compare_recordings(before, after).differences)


def test_a_link_without_a_type_is_follows_from():
    assert found(linked("follows_from"), linked(None)) == []


def test_a_link_of_another_type():
    assert found(linked("child_of"), linked(None)) == ["changed-link"]


def test_a_link_to_another_span():
    assert found(linked(None), linked(None, to_parent=True)) == ["lost-link", "parent-link"]


def test_a_parent_that_nobody_reported():
    after = span("a", parent_id=b"12345678")
    assert names(span("a"), after) == ["lost-parent"]


def test_a_missing_layer_is_one_difference():
    before = span("a", span("layer", span("b"), span("c")))
    assert names(before, span("a", span("b"), span("c"))) == ["missing-span"]


def test_every_span_has_one_row():
    before = recording(span("a", span("b"), span("c")), span("z"))
    after = recording(span("a", span("c", span("new"))), span("other", span("below")))
    outcome: Comparison = compare_recordings(before, after)
    rows = [(r.before and r.before.name, r.after and r.after.name) for r in outcome.rows]
    assert rows == [
        ("a", "a"),
        ("b", None),
        ("c", "c"),
        (None, "new"),
        ("z", None),
        (None, "other"),
        (None, "below"),
    ]


def test_every_difference_has_a_meaning():
    assert all(sort.meaning.endswith((".", "?")) for sort in CATALOGUE.values())
