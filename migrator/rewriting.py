"""Rewrite many files, each in a forked process: what kills one parse costs one file."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import codemods
from codemods import Fact, Fate, Finding, Options, Stays, Unreadable
from codemods.engine import compiles
from codemods.model import NOTHING_STAYS
from codemods.registry import registered
from migrator.problem import BUG, Problem, defect
from migrator.suppression import suppressions, unused

PAYS_FROM = 1_000_000  # bytes of hits; below, a second process costs more than it saves
SECONDS_PER_FILE = 120
MOST_ROUNDS = 10  # of files that wait for files; a longer chain is cut off


@dataclass(frozen=True, slots=True)
class Job:
    """One file to rewrite."""

    path: str
    source: bytes
    module: str
    is_package: bool
    facts: dict[str, Fact]
    root: str = ""  # of its project; modules of two projects may have one name
    asked: bool = True  # whether to rewrite it, or only to see what of it stays legacy
    elsewhere: Stays = NOTHING_STAYS  # of other files, what concerns this one

    @property
    def makers(self) -> set[str]:
        """The sites that made what this file has from others, see `Fact.made`."""
        made = {maker for fact in self.facts.values() for maker in fact.made}
        return {maker for maker in made if module_of(maker) != self.module}


def module_of(maker: str) -> str:
    """The module of a maker, see `Fact.made`."""
    return maker.rsplit(":", 2)[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. `source` is None where nothing changed."""

    path: str
    source: bytes | None = None
    findings: tuple[Finding, ...] = ()
    problem: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)  # by rule
    stays: Stays = NOTHING_STAYS


def rewrite_one(job: Job, options: Options) -> Outcome:
    """Rewrite one file in this process and check that the result still compiles."""
    asked = suppressions(job.source)
    if asked:
        options = replace(options, suppressed=frozenset((one.line, one.code) for one in asked))
    try:
        result = codemods.rewrite(
            job.source,
            path=job.path,
            module=job.module,
            is_package=job.is_package,
            facts=job.facts,
            options=options,
            elsewhere=job.elsewhere,
        )
    except Unreadable as error:
        return Outcome(job.path, problem=str(error))
    except Exception as error:  # noqa: BLE001 - one file's defect must not end the run
        return Outcome(job.path, problem=defect(error))
    changed = result.source if result.source != job.source else None
    if changed is not None and not compiles(changed) and compiles(job.source):
        return Outcome(job.path, problem=f"the rewrite would not compile, so it was dropped; {BUG}")
    findings = sorted(
        (*result.findings, *unused(asked, result.findings, options)),
        key=lambda f: (f.line, f.column),
    )
    return Outcome(
        job.path, changed, tuple(findings), seconds=dict(result.seconds), stays=result.stays
    )


def settle(
    jobs: Sequence[Job], options: Options, *, wanted: int | None, done: Callable[[int, int], None]
) -> Iterator[Outcome]:
    """Rewrite every job, and those anew of which another one turned out to leave a part legacy.

    `wanted` is how many processes the user wants; `done` is told how many jobs of how many are
    done. Outcomes of jobs that were not asked for are kept back.
    """
    outcomes: dict[str, Outcome] = {}
    todo = list(jobs)
    for _ in range(MOST_ROUNDS):
        for outcome in rewrite_all(todo, options, workers=workers_for(todo, wanted)):
            outcomes[outcome.path] = outcome
            done(len(outcomes), len(jobs))
        stays = _stays(jobs, outcomes)
        latest = {job.path: job for job in todo}
        jobs = [latest.get(job.path, job) for job in jobs]
        found = {job.path: _concerning(job, stays[job.root]) for job in jobs}
        todo = [
            replace(job, elsewhere=found[job.path])
            for job in jobs
            if outcomes[job.path].findings and found[job.path] != job.elsewhere
        ]
        if not todo:
            break
    yield from (outcomes[job.path] for job in jobs if job.asked)


def _stays(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> dict[str, Stays]:
    """What stays legacy in each project. Of a file with a problem that is everything."""
    left: dict[str, dict[str, Fate]] = {job.root: {} for job in jobs}
    called: dict[str, dict[str, str]] = {job.root: {} for job in jobs}
    broken = {(job.root, job.module) for job in jobs if outcomes[job.path].problem}
    for job in jobs:
        found = outcomes[job.path].stays
        left[job.root].update(found.left)
        called[job.root].update(found.called)
        for maker in job.makers if broken else ():
            if (job.root, module_of(maker)) in broken:
                left[job.root][maker] = Fate.REPORTED
    return {root: Stays(left[root], called[root]) for root in left}


def _concerning(job: Job, stays: Stays) -> Stays:
    """What of all that stays one file uses, or makes."""
    if stays == NOTHING_STAYS:
        return NOTHING_STAYS
    left = {maker: stays.left[maker] for maker in job.makers if maker in stays.left}
    called = {maker: use for maker, use in stays.called.items() if module_of(maker) == job.module}
    return Stays(left, called)


def workers_for(jobs: Sequence[Job], wanted: int | None) -> int:
    """How many processes pay; `wanted` is the user's choice."""
    if sum(len(job.source) for job in jobs) < PAYS_FROM and wanted is None:
        return 1
    return max(1, min(wanted or os.cpu_count() or 1, len(jobs)))


def rewrite_all(
    jobs: Sequence[Job], options: Options, *, workers: int, seconds: float = SECONDS_PER_FILE
) -> Iterator[Outcome]:
    """Rewrite every job, largest first; outcomes come as they are done.

    A file whose process dies, or takes longer than `seconds`, yields a problem.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        yield from (rewrite_one(job, options) for job in jobs)
        return
    registered()  # the rules, imported once and not by every process
    order = sorted(jobs, key=lambda job: len(job.source), reverse=True)
    pending = list(reversed(range(len(order))))
    pool: list[Worker] = []
    try:
        pool += (Worker(order, options) for _ in range(min(workers, len(order))))
        while True:
            for worker in pool:
                if worker.index is None and pending:
                    worker.give(pending.pop())
            busy = [worker for worker in pool if worker.index is not None]
            if not busy:
                return
            yield from _collect(busy, order, seconds)
    finally:
        for worker in pool:
            worker.stop()


class Worker:
    """A forked process that rewrites the jobs it is given the index of."""

    def __init__(self, jobs: Sequence[Job], options: Options) -> None:
        self.jobs = jobs
        self.options = options
        self.index: int | None = None
        self.since = 0.0
        self.start()

    def start(self) -> None:
        """Fork; the child inherits the jobs, so that none is ever sent."""
        context: Any = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(theirs, self.pipe, self.jobs, self.options), daemon=True
        )
        self.process.start()
        theirs.close()

    def give(self, index: int) -> None:
        """Hand over the next job."""
        self.index, self.since = index, time.monotonic()
        self.pipe.send(index)

    def take(self) -> Outcome | None:
        """The outcome of the job at hand, or None where the process died on it."""
        self.index = None
        try:
            outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        assert isinstance(outcome, Outcome)
        return outcome

    def stop(self) -> None:
        """End the process at once; it holds nothing that needs saving."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _collect(busy: Sequence[Worker], order: Sequence[Job], seconds: float) -> Iterator[Outcome]:
    now = time.monotonic()
    patience = min(seconds - (now - worker.since) for worker in busy)
    ready = wait([worker.pipe for worker in busy], timeout=max(0.0, patience))
    for worker in busy:
        index = worker.index
        assert index is not None
        path = order[index].path
        if worker.pipe in ready:
            outcome = worker.take()
            if outcome is None:
                _again(worker)
                outcome = Outcome(path, problem=f"left as it was: the parser crashed on it; {DEEP}")
            yield outcome
        elif time.monotonic() - worker.since >= seconds:
            _again(worker)
            yield Outcome(path, problem=f"left as it was: took longer than {seconds:g} s; {DEEP}")


DEEP = "it may be generated code, which --exclude leaves out"


def _again(worker: Worker) -> None:
    worker.stop()
    worker.index = None
    worker.start()


def _serve(pipe: Connection, theirs: Connection, jobs: Sequence[Job], options: Options) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    theirs.close()  # else the parent's death would go unnoticed
    while True:
        try:
            index = pipe.recv()
        except EOFError:
            return
        with contextlib.suppress(BrokenPipeError):  # the parent was killed
            pipe.send(rewrite_one(jobs[index], options))


def as_problem(outcome: Outcome) -> Problem | None:
    """The outcome's problem, if it has one."""
    return Problem(outcome.path, outcome.problem) if outcome.problem else None
