"""What the traced adapters cost beside the bare client on the same server: `make bench-adapters`.

Both sides call in alternating rounds of one run. CPU is this process's, the SDK's batch processor
included; the exporter drops the spans. "cpu" is what tracing adds per call in microseconds, in the
median over the rounds; "latency" is the ratio of the median call times.

Each system is one module `benchmarks/adapters_NAME.py` with `rows(rounds) -> Iterator[Row]`.
"""

from __future__ import annotations

import gc
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "20"))
SYSTEMS = sorted(
    path.stem.removeprefix("adapters_") for path in Path(__file__).parent.glob("adapters_*.py")
)

CPU_GOAL = 60.0  # us per traced call
LATENCY_GOAL = 1.05  # of the bare client's


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result; with a `goal`, at most that."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    def __str__(self) -> str:
        verdict = ""
        if self.goal is not None:
            verdict = f"  goal {self.goal:g}  {'ok' if self.value <= self.goal else 'MISSED'}"
        return f"{self.name:<52} {self.value:>10.2f} {self.unit:<5}{verdict}"


class Drop(SpanExporter):
    """Where the spans end."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """What a service has: a batch processor."""
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(Drop()))
    return made


@dataclass(frozen=True, slots=True)
class Round:
    """Per call: CPU and the median of the times, in us."""

    cpu: float
    latency: float


def measure(call: Callable[[], object], calls: int) -> Round:
    """One round of `calls` calls, one after the other."""
    times = []
    gc.collect()
    cpu = time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    spent = time.process_time() - cpu
    return Round(spent / calls * 1e6, statistics.median(times) * 1e6)


def beside(
    name: str,
    bare: Callable[[], object],
    traced: Callable[[], object],
    rounds: int,
    calls: int = 200,
    *,
    goals: bool = True,
) -> Iterator[Row]:
    """The two rows that every traced call has: added CPU and the ratio of latency."""
    for warm in (bare, traced):
        measure(warm, 20)
    pairs = [_pair(bare, traced, calls, number) for number in range(rounds)]
    added = statistics.median(ours.cpu - theirs.cpu for theirs, ours in pairs)
    ratio = statistics.median(ours.latency / theirs.latency for theirs, ours in pairs)
    bare_cpu = statistics.median(theirs.cpu for theirs, _ in pairs)
    yield Row(f"{name}: CPU of the bare client", bare_cpu, "us")
    yield Row(f"{name}: CPU added", added, "us", CPU_GOAL if goals else None)
    yield Row(f"{name}: latency ratio", ratio, "x", LATENCY_GOAL if goals else None)


def _pair(
    bare: Callable[[], object], traced: Callable[[], object], calls: int, number: int
) -> tuple[Round, Round]:
    if number % 2:
        ours = measure(traced, calls)
        return measure(bare, calls), ours
    theirs = measure(bare, calls)
    return theirs, measure(traced, calls)


def percentiles(name: str, seconds: list[float]) -> Iterator[Row]:
    """p50 and p99 in ms."""
    ordered = sorted(seconds)
    for percent in (50, 99):
        value = ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
        yield Row(f"{name} p{percent}", value * 1e3, "ms")


def main(arguments: list[str]) -> int:
    missed = 0
    for system in arguments or SYSTEMS:
        try:
            module = importlib.import_module(f"benchmarks.adapters_{system}")
            for row in module.rows(ROUNDS):
                print(row, flush=True)
                missed += row.goal is not None and row.value > row.goal
        except pytest.skip.Exception as reason:  # no server on this machine
            print(f"{system}: not measured: {reason}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
