"""What the codemod costs, as ratios in one run: `make bench-codemod`.

The corpus is 10,000 files of pinned packages, nearly one in a hundred with legacy use; it is
downloaded once, into `.cache/`. All times are CPU, user and system, of whole processes with their
children; discovery alone is a part of ours, so its line leaves Python's start-up out. The peers'
modules are installed with their bytecode, so ours may keep its own.
"""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from codemods import is_candidate
from codemods.engine import NEEDLES

CACHE = Path(".cache") / "bench-codemod"
PLAIN = (
    "Django==5.1.4",
    "ansible==10.7.0",
    "kubernetes==31.0.0",
    "sympy==1.13.3",
    "twisted==24.11.0",
)
LEGACY = ("jaeger-client==4.8.0", "opentracing==2.4.0", "opentracing_instrumentation==3.3.1")
FILES = 10_000
LEGACY_FILES = 100
SAMPLE = 500
ROUNDS = 5
MEGABYTE = 1e6

FLOOR = """
import sys
import libcst
from migrator.discovery import search, walk
from codemods import is_candidate
for source in search(walk(sys.argv[1]).files, is_candidate).sources.values():
    libcst.parse_module(source)
"""
NOOP = "benchmarks.noop.Noop"
# In the C locale grep looks at bytes, as we do.
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result. `goal` bounds the value from above, or below if `at_least`."""

    text: str
    value: float
    goal: float
    unit: str = "x"
    at_least: bool = False

    def __str__(self) -> str:
        met = self.value >= self.goal if self.at_least else self.value <= self.goal
        bound = "at least" if self.at_least else "at most"
        verdict = "" if met else "  MISSED"
        return f"{self.value:7.2f} {self.unit:<3} {bound:>8} {self.goal:<4g}  {self.text}{verdict}"


def main() -> None:
    mixed, plain, sample = corpus()
    size = f"{_count(mixed):,} Python files, {_bytes(mixed) / MEGABYTE:.1f} MB"
    legacy = sum(is_candidate(path.read_bytes()) for path in _files(mixed))
    print(f"{size}, {legacy} with legacy use; best of {ROUNDS} rounds\n")
    print("measured    goal           what (CPU time / CPU time of the peer)")
    for figure in figures(mixed, plain, sample):
        print(figure, flush=True)


def figures(mixed: Path, plain: Path, sample: Path) -> Iterator[Figure]:
    """Measure, each peer beside what it is the peer of."""
    discovery, grep = _best(lambda: _discover(mixed), lambda: _grep(mixed))
    text = f"find the files with legacy use {discovery:.2f} s / grep -rlE, same words {grep:.2f} s"
    yield Figure(text, discovery / grep, 1.5)

    migrate, floor = _best(
        lambda: _cpu("-m", "migrator", "migrate", str(mixed)),
        lambda: _cpu("-c", FLOOR, str(mixed)),
    )
    text = (
        f"migrate, all of it {migrate:.2f} s / find them and parse each with libcst {floor:.2f} s"
    )
    yield Figure(text, migrate / floor, 2)

    tool = _cpu("-m", "libcst.tool", "codemod", "-x", NOOP, "-j", "1", "--no-format", str(sample))
    scaled = tool * _bytes(mixed) / _bytes(sample)
    text = (
        f"libcst.tool codemod that changes nothing {scaled:.0f} s ({SAMPLE} files in {tool:.0f} s,"
        f" scaled by bytes) / migrate {migrate:.2f} s"
    )
    yield Figure(text, scaled / migrate, 50, at_least=True)

    yield Figure("most memory that migrate and its children held", _peak(mixed), 300, "MB")

    (scan,) = _best(lambda: _cpu("-m", "migrator", "scan", str(plain)))
    yield Figure(f"scan of {_count(plain):,} files without legacy use", scan, 1, "s")


def _best(*measures: Callable[[], float]) -> list[float]:
    """The least of each over the rounds, taken in turns so that all see the same machine."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def _discover(folder: Path) -> float:
    from migrator.discovery import search, walk

    start = time.process_time()
    search(walk(str(folder)).files, is_candidate)
    return time.process_time() - start


def _grep(folder: Path) -> float:
    words = "|".join(needle.decode().replace(".", r"\.") for needle in NEEDLES)
    return _children(["grep", "-rlE", "--include=*.py", words, str(folder)])


def _cpu(*arguments: str) -> float:
    return _children([sys.executable, *arguments])


def _children(command: list[str]) -> float:
    """CPU seconds of a command and everything it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _peak(folder: Path) -> float:
    """The most memory, in MB, that migrate and its children held together (shared pages once)."""
    command = [sys.executable, "-m", "migrator", "migrate", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        peak = 0.0
        waiter = threading.Thread(target=process.wait)
        waiter.start()
        while waiter.is_alive():
            peak = max(peak, sum(_proportional(pid) for pid in _family(process.pid)))
            time.sleep(0.02)
    return peak


def _family(pid: int) -> list[int]:
    family = [pid]
    for parent in family:
        try:
            family += map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        except OSError:
            continue
    return family


def _proportional(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / MEGABYTE


def corpus() -> tuple[Path, Path, Path]:
    """The folders: mixed (10,000 files), plain (without legacy use) and a sample of 500."""
    stamp = hashlib.sha256(repr((PLAIN, LEGACY, FILES, LEGACY_FILES, SAMPLE)).encode()).hexdigest()
    root = CACHE / stamp[:12]
    folders = root / "mixed", root / "plain", root / "sample"
    if not (root / ".complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        print("Building the corpus (once)...", flush=True)
        plain = [path for name in PLAIN for path in _unpacked(name, "--only-binary=:all:")]
        legacy = [path for name in LEGACY for path in _unpacked(name, "--no-binary=:all:")]
        _build(*folders, plain, legacy)
        (root / ".complete").touch()
    return folders


def _build(mixed: Path, plain: Path, sample: Path, others: list[Path], legacy: list[Path]) -> None:
    users = [path for path in legacy if is_candidate(path.read_bytes())][:LEGACY_FILES]
    free = [path for path in others if not is_candidate(path.read_bytes())]
    _copy(_spread(free, FILES - len(users)), mixed)
    _copy(users, mixed)
    _copy(_spread(free, FILES), plain)
    _copy(_spread(free, SAMPLE - 5) + users[:5], sample)


def _spread(paths: list[Path], count: int) -> list[Path]:
    """`count` of them, evenly over the whole list."""
    return [paths[n * len(paths) // count] for n in range(count)]


def _copy(paths: Iterable[Path], folder: Path) -> None:
    for path in paths:
        target = folder / path.relative_to(CACHE / "unpacked")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _unpacked(requirement: str, kind: str) -> list[Path]:
    downloads = CACHE / "downloads" / requirement
    folder = CACHE / "unpacked" / requirement
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind]
        subprocess.run([*pip, "--dest", str(downloads), requirement], check=True)
        for archive in downloads.iterdir():
            _extract(archive, folder)
    return sorted(folder.rglob("*.py"))


def _extract(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    else:
        with tarfile.open(archive) as source:
            source.extractall(folder, filter="data")


def _files(folder: Path) -> Iterator[Path]:
    return folder.rglob("*.py")


def _count(folder: Path) -> int:
    return sum(1 for _ in _files(folder))


def _bytes(folder: Path) -> int:
    return sum(os.path.getsize(path) for path in _files(folder))


if __name__ == "__main__":
    main()
