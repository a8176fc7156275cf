"""From paths to outcomes: discover, exchange facts, rewrite in memory. Nothing is written here."""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import codemods
from codemods import Fate, Finding
from codemods.decision import is_selected
from migrator import discovery, manifests, project, rewriting, vcs
from migrator.problem import Problem, from_error
from migrator.settings import Settings

Progress = Callable[[int, int], None]  # files done, files in all


@dataclass(slots=True)
class Analysis:
    """What a run found. `sources` are the files as they were, `after` those that change."""

    searched: int = 0
    sources: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # in which to write `after`
    seconds: dict[str, float] = field(default_factory=dict)  # of CPU, by phase
    rule_seconds: Counter[str] = field(default_factory=Counter)

    def count(self, *fates: Fate) -> int:
        """How many findings have one of these fates."""
        return sum(f.fate in fates for findings in self.findings.values() for f in findings)

    def leave(self, path: str, cause: str) -> None:
        """Count a file's rewritten sites as left, because of `cause`."""
        self.after.pop(path, None)
        self.findings[path] = tuple(
            replace(f, fate=Fate.REPORTED, advice="", waits_for=cause)
            if f.fate is Fate.REWRITTEN
            else f
            for f in self.findings[path]
        )


def analyse(paths: Sequence[str], settings: Settings, progress: Progress | None = None) -> Analysis:
    """Look at everything under `paths`, in the light of the projects they belong to."""
    result = Analysis()
    jobs: list[rewriting.Job] = []
    for root, members in _by_root(paths, result.problems).items():
        with _Clock(result.seconds, "discover"):
            files, hits = _discover(root, members, settings.exclude, result)
            if not is_selected(manifests.CODE, settings.options()):
                result.findings.clear()
        with _Clock(result.seconds, "facts"):
            asked = [p for p in files if root in members or is_below(p, members)]
            loaded = project.load(root, files, hits, asked)
        jobs += _jobs(loaded, members, result)
        result.order += _writing_order(loaded)
    _rewrite(jobs, settings, result, progress)
    result.order = [path for path in result.order if path in result.after]
    result.problems = sorted(set(result.problems))
    return result


def analyse_text(source: bytes, filename: str, settings: Settings) -> Analysis:
    """Look at one file's text as if it stood in `filename`, with the facts of its project."""
    result = Analysis(searched=1)
    path = os.path.abspath(filename)
    root = project.root_of(path)
    files, hits = _discover(root, [root], settings.exclude, Analysis())
    hits.sources[path] = source
    loaded = project.load(root, sorted({*files, path}), hits, {path})
    jobs = _jobs(loaded, [path], result)
    _rewrite(jobs, settings, result, None)
    return result


class _Clock:
    """Adds the CPU seconds of a block, forked processes included, to a table."""

    def __init__(self, table: dict[str, float], name: str) -> None:
        self.table, self.name = table, name

    def __enter__(self) -> None:
        self.start = _cpu()

    def __exit__(self, *_: object) -> None:
        self.table[self.name] = self.table.get(self.name, 0.0) + _cpu() - self.start


def _cpu() -> float:
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _by_root(paths: Iterable[str], problems: list[Problem]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for path in paths:
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            problems.append(from_error(path, error))
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            problems.append(Problem(path, "neither a file nor a folder; not read"))
            continue
        real = os.path.realpath(path)
        root = real if vcs.ignored([real]) else project.root_of(real)  # asked for all the same
        grouped.setdefault(root, []).append(real)
    return grouped


def is_below(path: str, members: Iterable[str]) -> bool:
    """Whether a path is one of `members` or in one of these folders."""
    return any(path == m or path.startswith(m.rstrip(os.sep) + os.sep) for m in members)


def _discover(
    root: str, members: Sequence[str], exclude: Sequence[str], result: Analysis
) -> tuple[list[str], discovery.Hits]:
    """The files of the whole project, because their facts count, and those with a needle."""
    tree = discovery.walk(root, exclude)
    manifest = {path for path in tree.manifests if not path.endswith(".py")}
    named = [path for path in members if os.path.isfile(path) and path not in manifest]
    folders = [path for path in members if path != root and os.path.isdir(path)]
    given = root in members and bool(vcs.ignored([root]))  # ignored, but asked for all the same
    kept = tree.files if given else _kept(tree.files)
    files = {*kept, *named}
    for folder in folders:  # also where it is one that the walk skips, as it was asked for
        if not any(is_below(path, [folder]) for path in files):
            files.update(discovery.walk(folder, exclude).files)
    hits = discovery.search(sorted(files), codemods.is_candidate)
    problems = [p for p in (*tree.problems, *hits.problems) if is_below(p.path, members)]
    asked = {*hits.sources, *(p.path for p in problems)}
    dropped = set() if given else vcs.ignored(asked) - set(members)
    hits.sources = {path: s for path, s in hits.sources.items() if path not in dropped}
    result.problems += [p for p in problems if p.path not in dropped]
    result.searched += sum(is_below(path, members) for path in files)
    _read_manifests([path for path in tree.manifests if is_below(path, members)], result)
    return sorted(files - dropped), hits


def _read_manifests(paths: Sequence[str], result: Analysis) -> None:
    """Report the requirements that name a legacy distribution."""
    found = {
        path: tuple(manifests.findings(source.decode("utf-8", "replace"), path))
        for path, source in discovery.search(sorted(paths), manifests.is_candidate).sources.items()
    }
    dropped = vcs.ignored([path for path in found if found[path]])
    for path, findings in found.items():
        if findings and path not in dropped:
            result.findings[path] = findings


def _kept(files: Sequence[str]) -> list[str]:
    """The files outside of the folders that git ignores."""
    folders = {os.path.dirname(path) for path in files}
    dropped = vcs.ignored(folders)
    return [path for path in files if os.path.dirname(path) not in dropped]


def _jobs(loaded: project.Project, members: Sequence[str], result: Analysis) -> list[rewriting.Job]:
    """What to rewrite, and the other files whose tracers and the like it uses, or that use its."""
    jobs: dict[str, rewriting.Job] = {}
    asked = {name for name in loaded.sources if is_below(loaded.modules[name].path, members)}
    for name, source in loaded.sources.items():
        module = loaded.modules[name]
        if name not in loaded.problems:
            jobs[name] = rewriting.Job(
                module.path,
                source,
                name,
                module.is_package,
                loaded.facts_for(name),
                loaded.root,
                name in asked,
            )
        elif name in asked:
            result.problems.append(loaded.problems[name])
    return [jobs[name] for name in _together(jobs, asked)]


def _together(jobs: Mapping[str, rewriting.Job], asked: Set[str]) -> list[str]:
    """The files that are asked for, and those that hold one of them back, however indirectly."""
    if jobs.keys() <= asked:
        return list(jobs)
    near: dict[str, set[str]] = {name: set() for name in jobs}
    for name, job in jobs.items():
        for other in {rewriting.module_of(maker) for maker in job.makers} & jobs.keys():
            near[name].add(other)
            near[other].add(name)
    found: dict[str, None] = {}
    todo = [name for name in asked if name in jobs]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = None
            todo += near[name]
    return [name for name in jobs if name in found]


def _writing_order(loaded: project.Project) -> list[str]:
    """Importers first: a run that is cut off leaves the modules with the facts for the next."""
    order: list[str] = []
    seen: set[str] = set()
    for start in sorted(loaded.sources):
        stack = [(start, False)]
        while stack:
            name, done = stack.pop()
            if done:
                order.append(loaded.modules[name].path)
            elif name not in seen and name in loaded.sources:
                seen.add(name)
                stack.append((name, True))
                stack += [(other, False) for other in loaded.imports.get(name, {}).values()]
    return order[::-1]


def _rewrite(
    jobs: list[rewriting.Job], settings: Settings, result: Analysis, progress: Progress | None
) -> None:
    sources = {job.path: job.source for job in jobs}
    with _Clock(result.seconds, "rewrite"):
        for outcome in rewriting.settle(
            jobs, settings.options(), wanted=settings.jobs, done=progress or (lambda *_: None)
        ):
            if problem := rewriting.as_problem(outcome):
                result.problems.append(problem)
            result.rule_seconds.update(outcome.seconds)
            if outcome.findings:
                named = result.findings.get(outcome.path, ())  # in setup.py: its requirements
                result.findings[outcome.path] = (*named, *outcome.findings)
                result.sources[outcome.path] = sources[outcome.path]
            if outcome.source is not None:
                result.after[outcome.path] = outcome.source
                result.sources[outcome.path] = sources[outcome.path]
    result.findings = dict(sorted(result.findings.items()))
    result.after = dict(sorted(result.after.items()))
    result.problems.sort()
