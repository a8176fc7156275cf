"""Odd values: nothing raises into the application, and no batch is lost for one."""

from __future__ import annotations

import enum

import pytest

from shim.jaeger_client import ConstSampler, Tracer
from shim.jaeger_client.reporter import Reporter
from shim.values import nanoseconds, scalar, seconds, text


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Hopeless:
    def __str__(self):
        raise type("E", (Exception,), {"__str__": Unprintable.__str__})

    __repr__ = __str__


class Unequal(str):
    def __eq__(self, other):
        raise RuntimeError("no comparison")

    __hash__ = str.__hash__


class State(str, enum.Enum):
    NEW = "new"


class Level(enum.IntEnum):
    HIGH = 3


cyclic: list = []
cyclic.append(cyclic)
deep: list = []
for _ in range(100_000):
    deep = [deep]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        (None, "None"),
        (b"x", "b'x'"),
        ([1, 2], "[1, 2]"),
        ({"a": 1}, "{'a': 1}"),
        (State.NEW, "State.NEW"),
        (Level.HIGH, 3),
        (2**63, str(2**63)),
        (ValueError("no"), "no"),
        (cyclic, "[[...]]"),
        ("a\ud800b", "a?b"),
        (Unprintable(), "no text"),
        (Hopeless(), "<Hopeless whose text cannot be had>"),
    ],
)
def test_tags_as_jaeger_client_recorded_them(value, expected):
    if value is State.NEW:
        expected = str(State.NEW)  # Python 3.11 changed it
    made = scalar(value, 1024, 4096)
    assert made == expected
    assert type(made) is type(expected)


def test_long_values_are_cut():
    assert scalar("x" * 2000, 1024, 4096) == "x" * 1024
    assert len(scalar(["x"] * 2000, 1024, 4096)) == 1024
    assert text("é" * 5, 3) == "ééé"


@pytest.mark.parametrize("moment", ["soon", float("nan"), float("inf"), 1e30, object(), [], True])
def test_what_is_no_time_is_now(moment):
    assert seconds(moment) > 1 or moment is True


def test_times_before_the_epoch_are_the_epoch():
    assert nanoseconds(seconds(-5.0)) == 0


ODD = [
    None,
    b"bytes",
    "\ud800",
    "\x00",
    "",
    "x" * 100_000,
    Unequal("key"),
    Unprintable(),
    Hopeless(),
    cyclic,
    deep,
    {"a": {"b": {1, 2}}},
    10**5000,
    -(2**63) - 1,
    float("nan"),
    float("-inf"),
    object(),
    type,
    lambda: None,
    State.NEW,
    Level.HIGH,
]


def use_everywhere(tracer, odd):
    span = tracer.start_span(odd, tags={"a": odd})
    span.set_operation_name(odd)
    span.set_tag("value", odd).set_tag(odd, "key").set_tag("sampling.priority", odd)
    span.log_kv({"event": odd, "field": odd}).log_kv(odd)
    span.log_kv({"event": "e"}, odd if not isinstance(odd, (int, float)) else None)
    span.log_event(odd, odd)
    span.set_baggage_item("key", odd)
    span.set_baggage_item("key", None)
    span.set_attribute("native", odd)
    span.add_event(odd, {"a": odd})
    for extract in ("text_map", "http_headers", "binary"):
        tracer.extract(extract, odd)
        tracer.inject(span, extract, odd)
        tracer.extract(extract, {"uber-trace-id": odd})
    tracer.start_span("child", child_of=odd if odd else None, start_time=odd).finish(odd)
    with tracer.start_active_span("scope", references=odd, tags=odd, start_time=odd):
        pass
    repr(span)
    span.finish(odd)


@pytest.mark.parametrize("encoder", ["fast", "standard"])
def test_every_odd_value_everywhere_and_every_span_arrives(receiver, monkeypatch, encoder, caplog):
    monkeypatch.setenv("JAEGER2OTLP_FAST_ENCODER", "true" if encoder == "fast" else "false")
    tracer = Tracer("odd", Reporter(channel=None, flush_interval=0.05), ConstSampler(True))
    for odd in ODD:
        use_everywhere(tracer, odd)
    assert tracer.close().result(20)
    spans = receiver.wait_for_spans(3 * len(ODD))
    assert len(spans) == 3 * len(ODD)
    assert "lost" not in caplog.text


def test_an_exception_whose_text_raises_is_still_the_applications(receiver):
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    tracer = Tracer("odd", Reporter(channel=None, flush_interval=0.05), ConstSampler(True))
    with pytest.raises(Broken), tracer.start_active_span("x"):
        raise Broken
    with pytest.raises(Broken), tracer.start_span("y"):
        raise Broken
    assert len(receiver.wait_for_spans(2)) == 2


def test_a_million_logs_are_bounded(receiver):
    tracer = Tracer("odd", Reporter(channel=None, flush_interval=0.05), ConstSampler(True))
    span = tracer.start_span("loop")
    for number in range(10_000):
        span.log_kv({"n": number}).set_tag(f"tag{number}", number)
    span.finish()
    (made,) = receiver.wait_for_spans(1)
    assert len(made.events) == 4096
    assert made.dropped_events_count == 10_000 - 4096
    assert made.dropped_attributes_count > 0
