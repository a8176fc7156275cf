"""What metrics cost: recording with exemplars, pushing and scraping, beside the libraries alone.

CPU time of this process. The contenders of a row take turns, and a ratio is the median of the
rounds' ratios, so a busy machine moves both sides. `BENCH_SERIES=1000,10000` shortens the run,
and so do names of parts: `python -m benchmarks.metrics counter`.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    enable_created_metrics,
)
from prometheus_client.openmetrics.exposition import generate_latest

from bridge.metrics import install_exemplars, uninstall_exemplars
from bridge.metrics.encoder import Encoder, Resource
from bridge.metrics.exposition import OPENMETRICS, render
from bridge.metrics.points import Scope
from bridge.metrics.problems import Problems
from bridge.metrics.sdk import BridgeReader
from bridge.metrics.to_prometheus import Options, Shown, Translator
from bridge.metrics.walk import Walk, proven

SERIES = [int(n) for n in os.environ.get("BENCH_SERIES", "1000,10000,100000").split(",")]
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
RECORDINGS = 5000
BUCKETS_AND_SUMS = 17  # series of one histogram with prometheus_client's default buckets
SCOPE, RESOURCE = Scope("bench"), Resource((("service.name", "bench"),))

TRACER = TracerProvider().get_tracer("bench")
Contender = Callable[[], Any]
missed: list[str] = []


def ratios(contenders: Mapping[str, Contender], base: str, rounds: int) -> dict[str, float]:
    """The median ratio of each contender's CPU time to the base's, and "us" for the base."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            switch = install_exemplars if isinstance(run, WithExemplars) else uninstall_exemplars
            switch()
            gc.collect()
            began = time.process_time()
            run()
            times[name].append(time.process_time() - began)
    found = {
        name: statistics.median(
            own / theirs for own, theirs in zip(times[name], times[base], strict=True)
        )
        for name in contenders
    }
    return {**found, "seconds": min(times[base])}


def say(what: str, ratio: float, goal: float | None = None) -> None:
    verdict = ""
    if goal is not None:
        verdict = f"goal {goal:.2f}: {'met' if ratio <= goal else 'MISSED'}"
        if ratio > goal:
            missed.append(what)
    print(f"  {what:54} {ratio:7.3f}x  {verdict}")


def repeat(operation: Contender) -> Contender:
    def run() -> None:
        for _ in range(RECORDINGS):
            operation()

    return run


class Recorders:
    """The same counter and histogram, in both libraries."""

    def __init__(self) -> None:
        meter = MeterProvider(
            metric_readers=[InMemoryMetricReader()], shutdown_on_exit=False
        ).get_meter("bench")
        self.counter = Counter("jobs", "", ["a", "b"], registry=None)
        self.histogram = Histogram("t", "", ["a", "b"], registry=None)
        self.otel_counter = meter.create_counter("jobs")
        self.otel_histogram = meter.create_histogram("t")
        self.attributes = {"a": "x", "b": "y"}

    def contenders(self, kind: str) -> dict[str, Contender]:
        labels, attributes = ("x", "y"), self.attributes
        if kind == "counter":
            prom, otel = self.counter, self.otel_counter.add
            return {
                "prometheus_client": lambda: prom.labels(*labels).inc(),
                "OpenTelemetry": lambda: otel(1, attributes),
                "both by hand": lambda: (
                    prom.labels(*labels).inc(1, by_hand()), otel(1, attributes)
                ),
            }  # fmt: skip
        prom_h, otel_h = self.histogram, self.otel_histogram.record
        return {
            "prometheus_client": lambda: prom_h.labels(*labels).observe(0.3),
            "OpenTelemetry": lambda: otel_h(0.3, attributes),
            "both by hand": lambda: (
                prom_h.labels(*labels).observe(0.3, by_hand()), otel_h(0.3, attributes)
            ),
        }  # fmt: skip


def by_hand() -> dict[str, str] | None:
    """What people write to have an exemplar."""
    context = trace.get_current_span().get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


def recording() -> None:
    print("Recording, 2 labels; ratios to prometheus_client alone")
    for place in ("outside of a span", "in a sampled span"):
        for kind in ("counter", "histogram"):
            recorders = Recorders()
            contenders = {n: repeat(run) for n, run in recorders.contenders(kind).items()}
            plain = recorders.contenders(kind)["prometheus_client"]
            child = recorders.counter.labels("x", "y")
            bucket = recorders.histogram.labels("x", "y")
            cached = (
                (lambda c=child: c.inc())
                if kind == "counter"
                else (lambda b=bucket: b.observe(0.3))
            )
            contenders["cached child"] = repeat(cached)
            contenders["ours"] = WithExemplars(repeat(plain))
            contenders["ours, cached child"] = WithExemplars(repeat(cached))
            if place == "in a sampled span":
                with TRACER.start_as_current_span("s"):
                    found = ratios(contenders, "prometheus_client", ROUNDS * 3)
            else:
                found = ratios(contenders, "prometheus_client", ROUNDS * 3)
            each = found["seconds"] / RECORDINGS * 1e9
            print(f" {kind} {place} (prometheus_client {each:.0f} ns)")
            say("OpenTelemetry alone", found["OpenTelemetry"])
            say("both by hand, with exemplars", found["both by hand"])
            say(f"{kind} {place}: ours, with exemplars", found["ours"], 1.25)
            say(
                f"{kind} {place}: ours, to its cached child",
                found["ours, cached child"] / found["cached child"],
                1.25,
            )


class WithExemplars:
    """A contender with automatic exemplars switched on around it, outside of its time."""

    def __init__(self, run: Contender) -> None:
        self.run = run

    def __call__(self) -> None:
        self.run()


class Registries:
    """As many series in a Prometheus registry as in an OpenTelemetry reader."""

    def __init__(self, kind: str, series: int) -> None:
        self.registry, self.series = CollectorRegistry(), series
        self.otel = InMemoryMetricReader()
        self.problems = Problems()
        self.bridge = BridgeReader(self.problems)
        provider = MeterProvider(metric_readers=[self.otel, self.bridge], shutdown_on_exit=False)
        meter = provider.get_meter("bench")
        children = series if kind == "counter" else series // BUCKETS_AND_SUMS
        for number in range(0, children, 1000):  # the SDK takes 2000 attribute sets for each
            self._fill(kind, meter, number, min(1000, children - number))

    def _fill(self, kind: str, meter: Any, first: int, count: int) -> None:
        labels = [(f"path{n}", f"kind{n % 10}") for n in range(count)]
        name = f"bench_{first}"
        with TRACER.start_as_current_span("s"):
            exemplar = by_hand()
            if kind == "counter":
                prom = Counter(name, "Jobs", ["a", "b"], registry=self.registry)
                otel = meter.create_counter(name, description="Jobs")
            else:
                prom = Histogram(name, "Time", ["a", "b"], registry=self.registry)
                bounds = list(Histogram.DEFAULT_BUCKETS[:-1])
                otel = meter.create_histogram(
                    name, description="Time", explicit_bucket_boundaries_advisory=bounds
                )
            for a, b in labels:
                child = prom.labels(a, b)
                if kind == "counter":
                    child.inc(3, exemplar)
                    otel.add(3, {"a": a, "b": b})
                else:
                    child.observe(0.3, exemplar)
                    otel.record(0.3, {"a": a, "b": b})

    def collect_and_encode(self) -> int:
        data = self.otel.get_metrics_data()
        return len(encode_metrics(data).SerializeToString())

    def public(self) -> Contender:
        encoder = Encoder(self.problems, scope=SCOPE)

        def push() -> int:
            now = time.time_ns()
            encoder.begin(now)
            for family in self.registry.collect():
                encoder.add_family(family, RESOURCE)
            sizes = [len(request.body()) for request in encoder.finish()]
            encoder.delivered()
            return sum(sizes)

        return push

    def walk(self) -> Contender:
        encoder = Encoder(self.problems, scope=SCOPE)
        walk = Walk(encoder, SCOPE)
        collectors = list(self.registry._collector_to_names)

        def push() -> int:
            now = time.time_ns()
            encoder.begin(now)
            walk.begin()
            taken = [walk.take(collector, now, RESOURCE) for collector in collectors]
            walk.finish()
            assert all(taken)
            sizes = [len(request.body()) for request in encoder.finish()]
            encoder.delivered()
            return sum(sizes)

        return push

    def scrape(self) -> Contender:
        translator = Translator(Options(), self.problems)

        def scrape() -> int:
            shown = Shown(self.problems)
            data = self.bridge.read()
            assert data is not None
            translator.show(data, shown, self.bridge.exemplars)
            return len(render(shown, OPENMETRICS, self.problems))

        return scrape

    def strip_exemplars(self) -> None:
        """A push of counters that were not all recorded in spans."""
        for collector in self.registry._collector_to_names:
            for child in collector._metrics.values():
                for holder in getattr(child, "_buckets", None) or [child._value]:
                    holder._exemplar = None


def without_created(run: Contender) -> Contender:
    def wrapped() -> Any:
        disable_created_metrics()
        try:
            return run()
        finally:
            enable_created_metrics()

    return wrapped


def peak_megabytes(run: Contender) -> float:
    run()
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def say_peaks(what: str, contenders: Mapping[str, Contender]) -> None:
    peaks = (f"{name} {peak_megabytes(run):.1f} MB" for name, run in contenders.items())
    print(f"  peak memory of a {what}: {', '.join(peaks)}")


def ways_out(kind: str) -> None:
    per_series: dict[str, dict[int, float]] = {}
    for series in SERIES:
        made = Registries(kind, series)
        rounds = ROUNDS if series < 100_000 else 3
        scrapes = {
            "prometheus_client": lambda m=made: generate_latest(m.registry),
            "without _created": without_created(lambda m=made: generate_latest(m.registry)),
            "ours": made.scrape(),
        }
        found = ratios(scrapes, "prometheus_client", rounds)
        print(f" {series} {kind} series")
        say(f"{kind} {series}: scrape of OTel, every one with exemplars", found["ours"], 1.0)
        plain = found["ours"] / found["without _created"]
        say("the same, to prometheus_client without _created", plain)
        per_series.setdefault("scrape", {})[series] = found["ours"] * found["seconds"] / series
        say_peaks("scrape", scrapes)
        pushes = {
            "OpenTelemetry": made.collect_and_encode,
            "public, all with exemplars": made.public(),
            "walk, all with exemplars": made.walk(),
        }
        with_ = ratios(pushes, "OpenTelemetry", rounds)
        made.strip_exemplars()
        pushes = {
            "OpenTelemetry": made.collect_and_encode,
            "public": made.public(),
            "public without _created": without_created(made.public()),
            "collect without _created": without_created(lambda m=made: list(m.registry.collect())),
            "walk": made.walk(),
            "walk without _created": without_created(made.walk()),
        }
        found = ratios(pushes, "OpenTelemetry", rounds)
        goals = (0.3, 0.1) if kind == "counter" and series == 10_000 else (None, None)
        say(f"{kind} {series}: push, public API, without _created",
            found["public without _created"], goals[0])  # fmt: skip
        floor = found["collect without _created"]
        say("the floor of that: prometheus_client's collect() alone", floor)
        say("what we add to it", found["public without _created"] - floor)
        say("the same push with _created", found["public"])
        say("the same with _created and an exemplar on each", with_["public, all with exemplars"])
        say(f"{kind} {series}: push, private walk", found["walk"], goals[1])
        say("the same without _created", found["walk without _created"])
        say("the same with an exemplar on each", with_["walk, all with exemplars"])
        per_series.setdefault("walk", {})[series] = found["walk"] * found["seconds"] / series
        say_peaks("push", {n: pushes[n] for n in ("OpenTelemetry", "public", "walk")})
    for name, costs in per_series.items():
        first, last = costs[min(SERIES)], costs[max(SERIES)]
        text = f"{kind}: {name} for each series, {max(SERIES)} to {min(SERIES)}"
        say(text, last / first, 1.5)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parts = ("recording", "counter", "histogram")
    parser.add_argument("part", nargs="*", help=f"{', '.join(parts)}; all of them by default")
    wanted = parser.parse_args().part or parts
    if unknown := set(wanted) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    print(f"private walk proven with this prometheus_client: {proven()}")
    if "recording" in wanted:
        recording()
    for kind in ("counter", "histogram"):
        if kind in wanted:
            print(
                f"Ways out, {kind}s: push to OTel collect + encode, scrape to prometheus_client's"
            )
            ways_out(kind)
    print(f"goals missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    main()
