"""One side from start to end: capture open, services up, driver run, everything received."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from migrator.compare.capture import Capture, Sampling
from migrator.compare.model import Recording
from migrator.compare.plan import Plan, Side
from migrator.compare.programs import CouldNotRun, Program, Running

TIMEOUT = 60.0  # seconds for one side
SERVICE_QUIET = 0.7  # seconds without a packet; the hook flushes every 0.1
EXIT_QUIET = 0.2
LEFT_BEHIND = "the program left processes behind, which were stopped"


@dataclass(slots=True)
class SideRun:
    """What one side reported, what it printed, and what there is to say about the run."""

    label: str
    command: str
    recording: Recording
    seconds: float
    remarks: list[str]
    output: str


def run_plan(
    plan: Plan, sampling: Sampling, timeout: float | None, progress: Callable[[str], None]
) -> tuple[SideRun, SideRun]:
    """Run both sides, one after the other: they may want the same ports.

    Raises:
        CouldNotRun: a program of either side did not start, failed, or did not end.
    """
    limit = timeout or plan.timeout or TIMEOUT
    runs = []
    for side in (plan.before, plan.after):
        progress(f"running {side.label}")
        runs.append(run_side(side, sampling, limit))
    return runs[0], runs[1]


def run_side(side: Side, sampling: Sampling = "every", timeout: float = TIMEOUT) -> SideRun:
    """Run one side and return what it reported. Whatever it started is stopped on the way out.

    Raises:
        CouldNotRun: a program did not start, failed, or did not end within `timeout` seconds.
    """
    began = time.monotonic()
    deadline = began + timeout
    with ExitStack() as stack:
        capture = stack.enter_context(Capture(sampling))
        ready = side.filled(capture.ports())
        services = []
        for program in ready.services:
            services.append(_started(stack, capture, program))
            services[-1].wait_ready(deadline)
        driver = _started(stack, capture, ready.driver)
        if status := driver.wait(deadline):
            raise _failed(driver, status, services)
        ended = driver.wait_for_the_rest()
        capture.wait_until_quiet(SERVICE_QUIET if services else EXIT_QUIET)
        output = driver.output()
        for service in services:
            if service.status not in (None, 0):
                raise _failed(service, service.status or 0, [])
            output += service.output()
            service.end()
        capture.wait_until_quiet(EXIT_QUIET)
        recording = capture.recording()
        return SideRun(
            label=side.label,
            command=" ".join(ready.driver.command),
            recording=recording,
            seconds=time.monotonic() - began,
            remarks=[*_remarks(capture), *([] if ended else [LEFT_BEHIND])],
            output=output,
        )


def _started(stack: ExitStack, capture: Capture, program: Program) -> Running:
    running = Running(program, capture.environment(program.env))
    stack.callback(running.stop)
    return running


def _failed(program: Running, status: int, services: list[Running]) -> CouldNotRun:
    texts = [str(program.failure(f"ended with status {status}"))]
    texts += [str(service.failure("was running meanwhile")) for service in services]
    return CouldNotRun("\n".join(texts))


def _remarks(capture: Capture) -> list[str]:
    """What the user should know about how the side was run."""
    remarks: dict[str, None] = {}
    for note in capture.notes():
        if remark := _REMARKS.get(note["note"]):
            remarks[remark.format(**note)] = None
    for reason in capture.legacy.refused:
        remarks[f"a Jaeger packet was not understood: {reason}"] = None
    return list(remarks)


_REMARKS: dict[str, str] = {
    "sampling": "every trace was sampled; the program's {sampler} would have kept a part "
    "(--sampling program leaves it alone)",
    "lost": "the program lost {text}",
    "problem": "the start-up hook had a problem: {text}",
}
