"""Many files in forked processes: what kills one parse costs one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import codemods
from codemods import Options, Rewrite, Unreadable
from migrator.rewriting import PAYS_FROM, Job, rewrite_all, workers_for


def job(name: str, source: bytes = b"x = 1\n") -> Job:
    return Job(name, source, name, False, {})


def behave(source: bytes, **_: object) -> Rewrite:
    """A stand-in for the engine: the source says what shall happen to the process."""
    word = source.split()[0]
    if word == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == b"hang":
        time.sleep(60)
    if word == b"refuse":
        raise Unreadable("line 1: not Python")
    if word == b"raise":
        raise RuntimeError("a defect")
    return Rewrite(b"y = 1\n" if word == b"x" else source, ())


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    monkeypatch.setattr(codemods, "rewrite", behave)


def outcomes(jobs, *, workers=1, seconds=10.0):
    found = rewrite_all(jobs, Options(), workers=workers, seconds=seconds)
    return {outcome.path: outcome for outcome in found}


def test_no_jobs():
    assert outcomes([]) == {}


def test_unchanged_file_has_no_new_source():
    assert outcomes([job("a", b"same")])["a"].source is None


@pytest.mark.parametrize("workers", [1, 3])
def test_every_job_has_one_outcome(workers):
    jobs = [job(str(n)) for n in range(20)]
    found = outcomes(jobs, workers=workers)
    assert {outcome.source for outcome in found.values()} == {b"y = 1\n"}
    assert len(found) == 20


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"die", "parser crashed"),
        (b"refuse", "line 1: not Python"),
        (b"raise", "a defect"),
    ],
)
def test_one_bad_file_costs_only_itself(workers, source, said):
    jobs = [job("a"), job("bad", source), job("c")]
    found = outcomes(jobs, workers=workers)
    assert found["a"].source == found["c"].source == b"y = 1\n"
    assert said in found["bad"].problem
    assert found["bad"].source is None


def test_rewrite_that_would_not_compile_is_dropped(monkeypatch):
    monkeypatch.setattr(codemods, "rewrite", lambda *_, **__: Rewrite(b"x = (\n", ()))
    found = outcomes([job("a")])
    assert "would not compile" in found["a"].problem
    assert found["a"].source is None


def test_file_that_takes_too_long_is_given_up():
    start = time.monotonic()
    found = outcomes([job("slow", b"hang"), job("quick")], seconds=0.5)
    assert "took longer" in found["slow"].problem
    assert found["quick"].source == b"y = 1\n"
    assert time.monotonic() - start < 10


def test_processes_end_with_the_run():
    list(rewrite_all([job("a"), job("b")], Options(), workers=2))
    import multiprocessing

    assert multiprocessing.active_children() == []


ORPHAN = """
import os, signal
import codemods
from codemods import Options, Rewrite
from migrator.rewriting import rewrite_all
from tests.migrator.test_rewriting import job

codemods.rewrite = lambda source, **_: Rewrite(source, ())
for _ in rewrite_all([job(str(n)) for n in range(9)], Options(), workers=3):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_end_when_the_run_is_killed():
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, timeout=30, check=False
    )  # returns only once the last process has closed its end of the pipe
    assert done.returncode == -signal.SIGKILL


def test_small_work_is_done_by_one_process():
    assert workers_for([job("a"), job("b")], None) == 1


def test_large_work_is_shared_but_never_among_more_than_there_are_files():
    large = [job(str(n), b"#" * PAYS_FROM) for n in range(2)]
    assert workers_for(large, None) == min(2, os.cpu_count() or 1)
    assert workers_for(large, 8) == 2
    assert workers_for([job("a"), job("b")], 2) == 2
