"""Real programs before and after: what is equal is called equal, and every loss has its name."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pytest

from migrator.compare.comparison import Comparison, compare_recordings
from migrator.compare.plan import Side, from_file
from migrator.compare.programs import Program
from migrator.compare.sides import SideRun, run_side

PROGRAMS = Path(__file__).parent / "programs"


def run(script: str, *arguments: str) -> SideRun:
    command = (sys.executable, str(PROGRAMS / script), *arguments)
    return run_side(Side(script, Program(script, command, PROGRAMS)))


@cache
def legacy_shop() -> SideRun:
    return run("shop_legacy.py")


def shop(fault: str = "") -> Comparison:
    return compare_recordings(
        legacy_shop().recording, run("shop_migrated.py", *([fault] if fault else [])).recording
    )


def test_threads_events_kinds_exceptions_and_links_are_equal():
    outcome = shop()
    assert outcome.counts == {}
    assert outcome.equal
    assert len(outcome.rows) == 10


def test_what_no_program_said_is_allowed_by_name():
    assert shop().allowed.keys() == {
        "unset-kind",
        "sampler-attribute",
        "status-message",
        "exception-form",
        "unnamed-event",
        "client-resource",
    }


def test_a_program_is_equal_to_itself_without_any_rule():
    side = legacy_shop().recording
    outcome = compare_recordings(side, run("shop_legacy.py").recording, strict=True)
    assert outcome.differences == [d for d in outcome.differences if d.name == "changed-stack"]


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("child", {"missing-span": 1}),
        ("extra", {"extra-span": 1}),
        ("parent", {"reparented-span": 1}),
        ("trace", {"split-trace": 1}),
        ("join", {"joined-trace": 1}),
        ("name", {"renamed-span": 1}),
        ("kind", {"changed-kind": 1}),
        ("attribute", {"lost-attribute": 4}),
        ("value", {"changed-attribute": 1}),
        ("type", {"changed-type": 4}),
        ("key", {"renamed-attribute": 1}),
        ("event", {"lost-event": 4}),
        ("exception", {"exception-as-attribute": 1, "extra-attribute": 1}),
        ("message", {"changed-event-attribute": 1}),
        ("status", {"changed-status": 1}),
        ("link", {"lost-link": 1}),
        ("service", {"changed-service": 10}),
        ("resource", {"lost-resource": 1}),
        ("time", {"changed-time": 2}),
    ],
)
def test_a_loss_is_found_and_named(fault: str, found: dict[str, int]):
    assert shop(fault).counts == found


def test_status_ok_where_the_old_program_said_nothing_is_allowed():
    assert shop("ok").allowed["ok-status"] == 1


@cache
def legacy_calls() -> SideRun:
    return run_side(from_file(PROGRAMS / "calls.toml").before)


def calls(lose: str, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.setenv("LOSE", lose)
    after = run_side(from_file(PROGRAMS / "calls.toml").after)
    return compare_recordings(legacy_calls().recording, after.recording)


def test_two_services_are_equal(monkeypatch: pytest.MonkeyPatch):
    outcome = calls("", monkeypatch)
    assert outcome.counts == {}
    assert [row.before.path for row in outcome.rows if row.before] == [
        "client: hello",
        "client: hello > server: greet",
    ]
    assert outcome.allowed["baggage-event"] == 1


def test_baggage_that_no_longer_crosses_is_named(monkeypatch: pytest.MonkeyPatch):
    outcome = calls("baggage", monkeypatch)
    assert outcome.counts == {"lost-baggage": 2}
    assert {d.key for d in outcome.differences if not d.allowed_by} == {
        "user (sent)",
        "user (received)",
    }


def test_headers_that_are_not_sent_split_the_trace(monkeypatch: pytest.MonkeyPatch):
    assert calls("headers", monkeypatch).counts["split-trace"] == 1
