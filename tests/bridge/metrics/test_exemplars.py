"""Exemplars of the current span, taken without being asked for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import opentracing
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics.exposition import generate_latest

from bridge.metrics import exemplars, install_exemplars, uninstall_exemplars
from tests.bridge.metrics.helpers import SPAN_ID, TRACE_ID, only

TRACER = TracerProvider().get_tracer("test")


@pytest.fixture(autouse=True)
def installed():
    install_exemplars()
    yield
    uninstall_exemplars()


@pytest.fixture(params=["fast", "public"])
def either_way(request, monkeypatch):
    """Both our own methods and, where those do not fit, prometheus_client's."""
    if request.param == "public":
        monkeypatch.setattr(exemplars, "copied_methods_fit", lambda: False)
    install_exemplars()
    yield
    monkeypatch.undo()


def exemplar_of(counter: Counter):
    return only(counter.collect()[0].samples[:1]).exemplar


def exemplars_of(histogram: Histogram) -> dict[str, object]:
    return {s.labels["le"]: s.exemplar for s in histogram.collect()[0].samples if s.exemplar}


def rested(*children) -> None:
    """As if the time between two exemplars had passed."""
    for child in children:
        child._exemplar_due = 0.0


def ids(span) -> dict[str, str]:
    context = span.get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def test_no_span_no_exemplar(either_way):
    counter = Counter("jobs", "", registry=None)
    counter.inc()
    assert exemplar_of(counter) is None


def test_a_counter_notes_the_current_span(either_way):
    counter = Counter("jobs", "", ["a"], registry=None).labels("x")
    with TRACER.start_as_current_span("s") as span:
        counter.inc(2)
    found = exemplar_of(counter)
    assert (found.labels, found.value) == (ids(span), 2)


def test_a_histogram_notes_it_in_the_bucket_of_the_value(either_way):
    histogram = Histogram("t", "", registry=None, buckets=(1, 5))
    with TRACER.start_as_current_span("s") as span:
        histogram.observe(1)
        rested(histogram)
        histogram.observe(7)
    found = exemplars_of(histogram)
    assert {le: item.labels for le, item in found.items()} == {"1.0": ids(span), "+Inf": ids(span)}


def test_a_span_that_is_not_sampled_is_not_noted(either_way):
    counter = Counter("jobs", "", registry=None)
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("t").start_as_current_span("s"):
        counter.inc()
    assert exemplar_of(counter) is None


def test_unless_asked_for():
    install_exemplars(only_sampled=False)
    counter = Counter("jobs", "", registry=None)
    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("t").start_as_current_span("s"):
        counter.inc()
    assert exemplar_of(counter) is not None


def test_the_old_label_name_when_asked_for():
    install_exemplars(trace_label="traceID")
    counter = Counter("jobs", "", registry=None)
    with TRACER.start_as_current_span("s"):
        counter.inc()
    assert set(exemplar_of(counter).labels) == {"traceID", "span_id"}


def test_labels_that_leave_no_room_are_refused():
    with pytest.raises(ValueError, match="128"):
        install_exemplars(trace_label="x" * 80)


def test_a_series_rests_between_two_exemplars(either_way):
    counter = Counter("jobs", "", registry=None)
    with TRACER.start_as_current_span("first") as first:
        counter.inc()
    with TRACER.start_as_current_span("second") as second:
        counter.inc()
        assert exemplar_of(counter).labels == ids(first)
        rested(counter)
        counter.inc()
        assert exemplar_of(counter).labels == ids(second)


def test_an_explicit_exemplar_wins(either_way):
    counter = Counter("jobs", "", registry=None)
    histogram = Histogram("t", "", registry=None, buckets=(1,))
    with TRACER.start_as_current_span("s"):
        counter.inc(exemplar={"mine": "1"})
        histogram.observe(1, {"mine": "2"})
    assert exemplar_of(counter).labels == {"mine": "1"}
    assert exemplars_of(histogram)["1.0"].labels == {"mine": "2"}


def test_prometheus_client_itself_can_write_them():
    registry = CollectorRegistry()
    counter = Counter("jobs", "", registry=registry)
    with TRACER.start_as_current_span("s") as span:
        counter.inc()
    assert ids(span)["trace_id"] in generate_latest(registry).decode()


class LegacyTracer(opentracing.Tracer):
    """A global tracer with an active span as jaeger_client has them."""

    def __init__(self, **context) -> None:
        super().__init__()
        self.active = SimpleNamespace(context=SimpleNamespace(**context))

    @property
    def active_span(self):
        return self.active


@pytest.fixture
def legacy():
    before = opentracing.global_tracer()
    yield opentracing.set_global_tracer
    opentracing.set_global_tracer(before)


def test_a_legacy_span_is_noted(legacy):
    legacy(LegacyTracer(trace_id=int(TRACE_ID, 16), span_id=int(SPAN_ID, 16), flags=1))
    counter = Counter("jobs", "", registry=None)
    counter.inc()
    assert exemplar_of(counter).labels == {"trace_id": TRACE_ID, "span_id": SPAN_ID}


def test_a_real_jaeger_span_is_noted(legacy):
    from jaeger_client import ConstSampler, Tracer
    from jaeger_client.reporter import InMemoryReporter

    tracer = Tracer("shop", InMemoryReporter(), ConstSampler(True))
    legacy(tracer)
    counter = Counter("jobs", "", registry=None)
    with tracer.start_active_span("s") as scope:
        counter.inc()
    assert exemplar_of(counter).labels["trace_id"] == f"{scope.span.trace_id:032x}"


def test_a_span_of_the_shim_is_noted(legacy):
    from shim.jaeger_client import ConstSampler, Tracer
    from shim.jaeger_client.reporter import InMemoryReporter

    tracer = Tracer("shop", InMemoryReporter(), ConstSampler(True))
    legacy(tracer)
    counter = Counter("jobs", "", registry=None)
    with tracer.start_active_span("s") as scope:
        counter.inc()
    assert exemplar_of(counter).labels["trace_id"] == f"{scope.span.trace_id:032x}"
    assert exemplar_of(counter).labels["span_id"] == f"{scope.span.span_id:016x}"


def test_an_opentelemetry_span_comes_before_a_legacy_one(legacy):
    legacy(LegacyTracer(trace_id=1, span_id=2, flags=1))
    counter = Counter("jobs", "", registry=None)
    with TRACER.start_as_current_span("s") as span:
        counter.inc()
    assert exemplar_of(counter).labels == ids(span)


@pytest.mark.parametrize(
    "context",
    [{}, {"trace_id": "text", "span_id": 1}, {"trace_id": 0, "span_id": 0}, {"trace_id": 1}],
)
def test_a_legacy_span_without_ids_is_none(legacy, context):
    legacy(LegacyTracer(flags=1, **context))
    counter = Counter("jobs", "", registry=None)
    counter.inc()
    assert exemplar_of(counter) is None


def test_a_tracer_that_fails_breaks_no_counter(legacy):
    class Broken(opentracing.Tracer):
        @property
        def active_span(self):
            raise RuntimeError

    legacy(Broken())
    counter = Counter("jobs", "", registry=None)
    counter.inc(3)
    assert counter._value.get() == 3


def test_our_methods_fit_this_prometheus_client():
    exemplars.copied_methods_fit.cache_clear()
    assert exemplars.copied_methods_fit()


def test_our_methods_are_not_used_where_they_do_not_fit(monkeypatch):
    def inc(self, amount=1, exemplar=None):
        self._value.inc(2 * amount)

    monkeypatch.setattr(exemplars, "_original_inc", inc)
    exemplars.copied_methods_fit.cache_clear()
    assert not exemplars.copied_methods_fit()
    exemplars.copied_methods_fit.cache_clear()


@pytest.mark.parametrize("wrong", ["parent", "negative"])
def test_errors_are_prometheus_clients_own(wrong):
    counter = Counter("jobs", "", ["a"], registry=None)
    with pytest.raises(ValueError, match=r"missing label values|non-negative"):
        counter.inc() if wrong == "parent" else counter.labels("x").inc(-1)


def test_nan_goes_where_prometheus_client_puts_it():
    histogram = Histogram("t", "", registry=None, buckets=(1,))
    histogram.observe(float("nan"))
    samples = {s.name: s.value for s in histogram.collect()[0].samples}
    assert samples["t_count"] == 0
    assert samples["t_sum"] != samples["t_sum"]


def test_uninstalling_puts_the_methods_back():
    uninstall_exemplars()
    assert (Counter.inc, Histogram.observe) == (
        exemplars._original_inc,
        exemplars._original_observe,
    )


def test_many_threads_lose_no_count():
    counter = Counter("jobs", "", registry=None)
    histogram = Histogram("t", "", registry=None, buckets=(1, 2))

    def work() -> None:
        with TRACER.start_as_current_span("s"):
            for i in range(5000):
                counter.inc()
                histogram.observe(i % 3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter._value.get() == 20_000
    samples = [s.value for s in histogram.collect()[0].samples if s.name == "t_bucket"]
    assert samples == [4 * 3334, 20_000, 20_000]
