"""Spans find their counterpart by structure, whatever the order, and moved ones elsewhere."""

from __future__ import annotations

from migrator.compare.model import Recording
from migrator.compare.pairing import pair
from tests.migrator.compare.spans import recording, span


def pairs(before: Recording, after: Recording) -> set[tuple[str, str]]:
    return {(old.path, new.path) for old, new in pair(before, after).after.items()}


def numbers(before: Recording, after: Recording) -> set[tuple[object, object]]:
    joined = pair(before, after).after.items()
    return {(old.attributes.get("n"), new.attributes.get("n")) for old, new in joined}


def test_nothing_pairs_with_nothing():
    assert pairs(recording(), recording()) == set()


def test_equal_traces_pair_span_by_span():
    def trace() -> Recording:
        return recording(span("a", span("b", span("c"))))

    assert {old == new for old, new in pairs(trace(), trace())} == {True}


def test_siblings_in_another_order_pair_by_content():
    before = recording(span("a", *(span("work", attributes={"n": n}) for n in range(9))))
    after = recording(span("a", *(span("work", attributes={"n": n}) for n in reversed(range(9)))))
    assert numbers(before, after) == {(None, None), *((n, n) for n in range(9))}


def test_siblings_pair_by_likeness_when_all_of_them_changed():
    before = recording(
        span("a", *(span("work", attributes={"n": n, "gone": True}) for n in range(9)))
    )
    after = recording(span("a", *(span("work", attributes={"n": n}) for n in reversed(range(9)))))
    assert numbers(before, after) == {(None, None), *((n, n) for n in range(9))}


def test_very_many_siblings_pair_by_what_only_they_hold():
    def wide(numbers: range, **extra: object) -> Recording:
        return recording(span("a", *(span("w", attributes={"n": n, **extra}) for n in numbers)))

    before, after = wide(range(500)), wide(range(499, -1, -1), more=True)
    assert numbers(before, after) == {(None, None), *((n, n) for n in range(500))}


def test_siblings_without_content_pair_by_what_is_below_them():
    before = recording(span("a", span("work", span("x")), span("work", span("y"))))
    after = recording(span("a", span("work", span("y")), span("work", span("x"))))
    assert ("shop: a > shop: work > shop: x", "shop: a > shop: work > shop: x") in pairs(
        before, after
    )
    assert len(pair(before, after).after) == 5


def test_a_missing_layer_leaves_what_is_below_paired():
    before = recording(span("a", span("layer", span("b", span("c")), span("d"))))
    after = recording(span("a", span("b", span("c")), span("d")))
    assert pairs(before, after) >= {
        ("shop: a > shop: layer > shop: b", "shop: a > shop: b"),
        ("shop: a > shop: layer > shop: b > shop: c", "shop: a > shop: b > shop: c"),
        ("shop: a > shop: layer > shop: d", "shop: a > shop: d"),
    }


def test_a_renamed_span_keeps_its_place_and_its_children():
    before = recording(span("a", span("old", span("x")), span("b")))
    after = recording(span("a", span("new", span("x")), span("b")))
    assert ("shop: a > shop: old", "shop: a > shop: new") in pairs(before, after)
    assert len(pair(before, after).after) == 4


def test_a_span_with_another_name_and_other_content_is_no_rename():
    before = recording(span("a", span("old", attributes={"x": 1})))
    after = recording(span("a", span("new", attributes={"y": 2})))
    assert pairs(before, after) == {("shop: a", "shop: a")}


def test_a_server_span_that_an_instrumentation_names_is_the_same_span():
    before = recording(
        span("greet", span("x"), kind="server", attributes={"component": "Flask"}),
        span("fail", kind="server"),
    )
    after = recording(
        span("GET /fail", kind="server", attributes={"http.route": "/fail"}),
        span("GET /greet", span("x"), kind="server", attributes={"http.route": "/greet"}),
    )
    assert pairs(before, after) == {
        ("shop: greet", "shop: GET /greet"),
        ("shop: greet > shop: x", "shop: GET /greet > shop: x"),
        ("shop: fail", "shop: GET /fail"),
    }


def test_a_moved_subtree_is_found_in_its_new_place():
    before = recording(span("a", span("b", span("c", span("d"))), span("e")))
    after = recording(span("a", span("b"), span("e", span("c", span("d")))))
    assert (
        "shop: a > shop: b > shop: c > shop: d",
        "shop: a > shop: e > shop: c > shop: d",
    ) in pairs(before, after)


def test_a_renamed_service_pairs_by_operation():
    before = recording(span("a", span("b")))
    after = recording(span("a", span("b", service="store"), service="store"))
    assert len(pair(before, after).after) == 2


def test_a_very_deep_trace_is_no_problem():
    def chain() -> Recording:
        bottom = span("bottom")
        for _ in range(3000):
            bottom = span("level", bottom)
        return recording(bottom)

    assert len(pair(chain(), chain()).after) == 3001


def test_many_equal_siblings_pair_in_order():
    def wide() -> Recording:
        return recording(span("a", *(span("tick") for _ in range(3000))))

    assert len(pair(wide(), wide()).after) == 3001


def test_broken_ids_that_name_a_circle_do_not_hang():
    before, after = recording(span("a", span("b"))), recording(span("a", span("b")))
    for side in (before, after):
        root, child = side.spans
        root.parent_id = child.span_id
    assert len(pair(before, after).after) == 2
