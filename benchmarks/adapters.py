"""What the traced adapters cost beside the bare client on the same server: `make bench-adapters`.

All sides call in turn, in short rounds of one run. CPU is this process's, the SDK's batch
processor included; the exporter drops the spans. "added" is the difference per call to the bare
client's round beside it, in the median over the rounds, "latency" the ratio of the median call
times. "by hand" is the floor: the bare call inside the same span, written with the SDK's
`start_as_current_span`.

Each system is one module `benchmarks/adapters_NAME.py` with `rows(rounds) -> Iterator[Row]`.
"""

from __future__ import annotations

import gc
import importlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "60"))
CALLS = 50  # in a round
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
        return f"{self.name:<60} {self.value:>10.2f} {self.unit:<5}{verdict}"


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
    *,
    by_hand: Callable[[], object] | None = None,
    goals: bool = True,
) -> Iterator[Row]:
    """The rows that every traced call has: added CPU and the ratio of latency."""
    sides = [bare, traced, *([by_hand] if by_hand else [])]
    for side in sides:
        measure(side, 20)
    table = [_round(sides, number) for number in range(rounds)]

    def added(side: int) -> float:
        return statistics.median(row[side].cpu - row[0].cpu for row in table)

    def slower(side: int) -> float:
        return statistics.median(row[side].latency / row[0].latency for row in table)

    bare_cpu = statistics.median(row[0].cpu for row in table)
    yield Row(f"{name}: CPU of the bare client", bare_cpu, "us")
    yield Row(f"{name}: CPU added", added(1), "us", CPU_GOAL if goals else None)
    if by_hand:
        yield Row(f"{name}: CPU added by hand", added(2), "us")
    yield Row(f"{name}: latency", slower(1), "x", LATENCY_GOAL if goals else None)
    if by_hand:
        yield Row(f"{name}: latency by hand", slower(2), "x")


def _round(sides: Sequence[Callable[[], object]], number: int) -> list[Round]:
    """Every side once; who begins changes from round to round."""
    order = [(number + step) % len(sides) for step in range(len(sides))]
    found = {side: measure(sides[side], CALLS) for side in order}
    return [found[side] for side in range(len(sides))]


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
