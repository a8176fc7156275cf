"""A repository as its modules see each other: names, imports, and the facts they exchange."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import codemods
from codemods import Fact, Facts, Unreadable, legacy
from codemods.kinds import CONFTEST, MIXTURES, is_legacy_fact, is_passed, prefer
from migrator import importers
from migrator.discovery import Hits, search
from migrator.module import SOURCE_FOLDER, Module, module_of
from migrator.problem import Problem, defect

ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
LEGACY = frozenset(("jaeger_client", "opentelemetry", "opentracing"))
STRUCTURE = frozenset(("", "class", "function", "instance", "name"))  # kinds that are not legacy
MOST_ROUNDS = 20  # of facts; a chain of re-exports longer than this is cut off


def root_of(path: str) -> str:
    """The project's folder: the nearest one above `path` with `.git`, else with a build file.

    Without either it is `path` itself, or the folder of the file `path`.
    """
    start = os.path.realpath(path)
    if not os.path.isdir(start):
        start = os.path.dirname(start)
    parents = [start]
    while (parent := os.path.dirname(parents[-1])) != parents[-1]:
        parents.append(parent)
    for mark in ROOT_MARKS:
        for folder in parents:
            if os.path.exists(os.path.join(folder, mark)):
                return folder
    return start


@dataclass(slots=True)
class Project:
    """The modules of one root, which of them hold legacy code, and their facts.

    Everything is keyed by the modules' unique names; `facts_for` respells facts for one file.
    """

    root: str
    modules: dict[str, Module]
    sources: dict[str, bytes]  # of the modules worth a parse
    facts: dict[str, dict[str, Fact]] = field(default_factory=dict)  # module -> ".tracer" -> fact
    imports: dict[str, dict[str, str]] = field(default_factory=dict)  # as written -> module
    legacy: dict[str, set[str]] = field(default_factory=dict)  # the facts that are not structure
    words: dict[str, set[str]] = field(default_factory=dict)  # what importers may use of a module
    sought: dict[str, set[str]] = field(default_factory=dict)  # words that were searched for
    problems: dict[str, Problem] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)  # they see what is kept on foreign objects
    folders: dict[str, set[str]] = field(default_factory=dict)  # top package -> where it lies

    def facts_for(self, name: str) -> dict[str, Fact]:
        """The facts the module `name` can see, by the names it would write to reach them."""
        spelled = {**self.imports.get(name, {}), name: name}
        own = {written: Fact("name", written) for written in spelled if _is_own(written)}
        if name in self.strays:
            for module, facts in self.facts.items():
                own |= {module + tail: fact for tail, fact in facts.items() if tail[:2] == ".?"}
        return own | {
            written + tail: fact
            for written, module in spelled.items()
            for tail, fact in self.facts.get(module, {}).items()
        }


def _is_own(imported: str) -> bool:
    """Whether a module of the project has the name of a legacy library: the project is it."""
    return legacy.is_legacy(imported) and legacy.root(imported) not in LEGACY


def load(root: str, files: Iterable[str], hits: Hits, wanted: Collection[str]) -> Project:
    """Learn what the modules tell each other, beginning with `hits`, until nothing is new.

    `wanted` are the paths to be rewritten, hits or not; hits not related to them are left out
    where all of the relation can be seen.
    """
    if not hits.sources:
        return Project(root, {}, {})
    modules = {module.name: module for module in (module_of(path, root) for path in files)}
    sources = {module_of(path, root).name: source for path, source in hits.sources.items()}
    project = Project(root, modules, sources)
    asked = {module_of(path, root).name for path in wanted}
    if not asked.issuperset(sources) and not _may_see_more(project, asked):
        related = _related(project, asked & sources.keys())
        project.sources = {name: s for name, s in project.sources.items() if name in related}
    fresh = set(project.sources)
    told: set[str] = set()
    for _ in range(MOST_ROUNDS):
        news = _round(project, fresh)
        told |= news.told | news.lending
        fresh = _add_addressed(project, news.addressed)
        fresh.update(
            name
            for name in project.sources
            if not news.told.isdisjoint(_imports(project, name).values())
        )
        fresh |= _follow_re_exports(project)
        if not fresh:  # only now, because it reads all files once more
            fresh = _add_importers(project, told) or _add_strays(project)
            told.clear()
        if not fresh:
            break
    return project


def _related(project: Project, wanted: set[str]) -> set[str]:
    """The sources that `wanted` import, however indirectly, and those that import one of them."""
    imports = {name: set(_imports(project, name).values()) for name in project.sources}
    related = {name for name, found in imports.items() if not found.isdisjoint(wanted)}
    todo = [*wanted, *related]
    related |= wanted
    while todo:
        for name in imports.get(todo.pop(), ()):
            if name in imports and name not in related:
                related.add(name)
                todo.append(name)
    return related


def _may_see_more(project: Project, asked: set[str]) -> bool:
    """Whether a module asked for is no hit itself, or may see one through a module that is none."""
    hits = project.sources.keys()
    return not asked <= hits or any(
        not hits >= {*_imports(project, name).values()} for name in asked
    )


def _follow_re_exports(project: Project) -> set[str]:
    """The modules that turned out to see another one through one that imports its names.

    They see that module's facts from now on, as the one between would spell them.
    """
    lent = {name: _re_exported(project, name) for name in project.sources}
    found = set()
    for name in project.sources:
        seen = _imports(project, name)
        for between in {*seen.values()} & lent.keys():
            for written, module in lent[between].items():
                if seen.get(written) != module != name:
                    seen.setdefault(written, module)
                    found.add(name)
    return found


def _re_exported(project: Project, between: str) -> dict[str, str]:
    """The modules whose names a module imports for others, by the names it knows them under."""
    found = {}
    for fact in project.facts.get(between, {}).values() if between in project.imports else ():
        if fact.kind == "name" and not legacy.is_legacy(fact.detail):
            owner, tail = _owner(project, between, fact.detail)
            if owner != between:
                found[fact.detail.removesuffix(tail)] = owner
    return found


@dataclass(slots=True)
class _News:
    """The modules that something legacy was newly said of, and those that others said it of.

    `lending` are those that import a legacy name, which others may import from them.
    """

    told: set[str] = field(default_factory=set)
    addressed: set[str] = field(default_factory=set)
    lending: set[str] = field(default_factory=set)


def _round(project: Project, fresh: Iterable[str]) -> _News:
    """Ask the modules in `fresh` for their facts."""
    news = _News()
    for name in sorted(fresh):
        if name in project.problems:
            continue
        module = project.modules[name]
        _imports(project, name)
        try:
            said = codemods.module_facts(
                project.sources[name],
                module=name,
                is_package=module.is_package,
                known=project.facts_for(name),
            )
        except Unreadable as error:
            project.problems[name] = Problem(module.path, str(error))
            continue
        except Exception as error:  # noqa: BLE001 - one file's defect must not end the run
            project.problems[name] = Problem(module.path, defect(error))
            continue
        _learn(project, name, said, news)
    for name in sorted(news.addressed.union(fresh)):
        _learn(project, name, _forwarded(project, name), news)
    return news


def _forwarded(project: Project, name: str) -> dict[str, Fact]:
    """What was said of the parameters of functions that a module only re-exports."""
    facts = project.facts.get(name, {})
    found = {}
    for tail, fact in facts.items():
        function, bracket, parameter = tail.partition("(")
        if bracket and (target := facts.get(function)) is not None and target.kind == "name":
            found[f"{target.detail}({parameter}"] = fact
    return found


def _learn(project: Project, name: str, said: Facts, news: _News) -> None:
    for written, fact in said.items():
        owner, tail = _owner(project, name, written)
        known = project.facts.setdefault(owner, {})
        class_, bracket, parameter = tail.partition("(")
        if bracket and known.get(class_, fact).kind == "class":  # re-exported, so not known as one
            tail = f"{class_}.__init__({parameter}"
        before = known.get(tail, fact)
        heard = prefer(before, fact) if owner != name or is_passed(tail) else fact
        mixed = heard.detail in MIXTURES
        if before.kind != fact.kind and owner != name and not mixed:
            continue  # of two callers that disagree the first is heard, or it would never end
        if before.kind == fact.kind or mixed:
            fact = Fact(heard.kind, heard.detail, fact.made | before.made)
        if known.get(tail) == fact:
            continue
        known[tail] = fact
        if owner == name and fact.kind == "name" and "." in fact.detail and is_legacy_fact(fact):
            project.words.setdefault(owner, set()).add(_word(tail))
            news.lending.add(owner)
        if fact.kind not in STRUCTURE:
            project.legacy.setdefault(owner, set()).add(tail)
        elif owner != name or not _leads_to_legacy(project, name, tail, fact):
            continue
        project.words.setdefault(owner, set()).add(_word(tail))
        news.told.add(owner)
        if owner != name:
            news.addressed.add(owner)


def _leads_to_legacy(project: Project, name: str, tail: str, fact: Fact) -> bool:
    """Whether what a module binds is an object with something legacy, or a name of another one's.

    One step only: a large repository's objects all know each other somehow.
    """
    if not fact.detail or tail.endswith(")"):
        return False
    owner, of = _owner(project, name, fact.detail)
    known = project.legacy.get(owner, ())
    return any(one == of or one.startswith((of + ".", of + "(")) for one in known)


def _owner(project: Project, name: str, written: str) -> tuple[str, str]:
    """The module a fact is about, and the rest of its name, from how module `name` wrote it."""
    if _within(written, name):
        return _inside(project, name, written[len(name) :])
    prefix = written
    while prefix:
        module = project.imports[name].get(prefix)
        if module is not None:
            return _inside(project, module, written[len(prefix) :])
        prefix = prefix.rpartition(".")[0]
    return name, "." + written


def _inside(project: Project, module: str, tail: str) -> tuple[str, str]:
    """The submodule that a name in a package belongs to: packages re-export what is theirs."""
    while True:
        head, dot, rest = tail[1:].partition(".")
        if not dot or f"{module}.{head}" not in project.modules:
            return module, tail
        module, tail = f"{module}.{head}", f".{rest}"


def _imports(project: Project, name: str) -> dict[str, str]:
    """The project's modules that `name` imports, by the names it imports them under."""
    known = project.imports.get(name)
    if known is None:
        known = project.imports[name] = {}
        module = project.modules[name]
        try:
            written = codemods.imported_modules(
                project.sources[name], module=name, is_package=module.is_package
            )
        except Unreadable as error:
            project.problems.setdefault(name, Problem(module.path, str(error)))
            return known
        for imported in written:
            found = resolve(imported, module, project.modules) or _installed(project, imported)
            if found is not None:
                known[imported] = found
        if (conftest := _conftest(module, project.modules)) is not None:
            known.setdefault(CONFTEST, conftest)
    return known


def _installed(project: Project, imported: str) -> str | None:
    """The module of a package that lies anywhere in the repository: it is installed from there."""
    if not project.folders:
        for name, module in project.modules.items():
            folder, _, last = name.rpartition(".")
            if module.is_package and folder not in project.modules:
                project.folders.setdefault(last, set()).add(folder)
    top = imported.partition(".")[0]
    places = project.folders.get(top, set()) if top not in LEGACY else set()
    found = [f"{place}.{imported}" for place in places if place]
    return found[0] if len(found) == 1 and found[0] in project.modules else None


def _conftest(module: Module, modules: Mapping[str, Module]) -> str | None:
    """The nearest conftest.py, whose fixtures pytest passes to the functions of a module."""
    places = (f"{folder}.{CONFTEST}".strip(".") for folder in _upwards(module.folder))
    return next((place for place in places if place in modules and place != module.name), None)


def resolve(imported: str, importer: Module, modules: Mapping[str, Module]) -> str | None:
    """The module that `import imported` means in `importer`: what `sys.path` most likely finds.

    A script's own folder comes first, then every folder above it, each also with `src`. A package
    member sees its siblings that way only if nothing else has the name (it may be run as a script).
    """
    if imported in modules and _within(imported, importer.folder):
        return imported  # a relative import, already made absolute
    for place in _places(importer, modules, legacy=imported.partition(".")[0] in LEGACY):
        candidate = f"{place}.{imported}" if place else imported
        if candidate in modules:
            return candidate
    return None


def _places(importer: Module, modules: Mapping[str, Module], *, legacy: bool) -> Iterator[str]:
    above = list(_upwards(importer.folder))
    packages = [folder for folder in above if folder in modules]
    for folder in above:
        if folder not in packages:
            yield folder
            yield f"{folder}.{SOURCE_FOLDER}".strip(".")
    if not legacy:
        yield from packages


def _upwards(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition(".")[0]
    yield ""


def _within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def _add_importers(project: Project, told: set[str]) -> set[str]:
    """Read the files that may use what is known of `told`, and keep those that import it."""
    targets = {project.modules[name]: words for name in told if (words := _news_of(project, name))}
    unread = (one for name, one in project.modules.items() if name not in project.sources)
    added = set()
    for name, source in importers.search(unread, targets).items():
        project.sources[name] = source
        if told.isdisjoint(_imports(project, name).values()):
            del project.sources[name], project.imports[name]
            project.problems.pop(name, None)
        else:
            added.add(name)
    return added


def _add_strays(project: Project) -> set[str]:
    """Read the files that may use a span kept on an object of unknown class: `g.span.set_tag()`.

    They need not import anything of the project's, but are in one of its top folders with those
    that keep it.
    """
    keepers = {
        name: kept
        for name, facts in project.facts.items()
        if (kept := {tail[2:] for tail in facts if tail[:2] == ".?"})
    }
    tops = {_top(project.modules[name]) for name in keepers}
    wild = set().union(*keepers.values())
    quoted = (f"{quote}{one[1:-1]}{quote}]" for one in wild if one[0] == "[" for quote in "'\"")
    words = [one.encode() for one in (*quoted, *(one for one in wild if one[0] == "."))]
    unread = {
        one.path: name
        for name, one in project.modules.items()
        if name not in project.sources and ("" in tops or _top(one) in tops)
    }
    found = search(
        unread,
        lambda source: (
            any(use in source for use in _STRAY) and any(word in source for word in words)
        ),
    )
    project.sources.update((unread[path], source) for path, source in found.sources.items())
    added = {unread[path] for path in found.sources}
    project.strays |= added
    return added


def _top(module: Module) -> str:
    return module.folder.partition(".")[0]


_STRAY = (b".set_tag(", b"child_of=")  # the others are needles


def _news_of(project: Project, name: str) -> set[str]:
    """The words of a module that were not searched for before."""
    sought = project.sought.setdefault(name, set())
    fresh = project.words.get(name, set()) - sought
    sought |= fresh
    return fresh


def _word(tail: str) -> str:
    """The name by which a fact is reached: `attr` of `.Class.attr`, `Class` of its parameters."""
    names = [name for name in tail.partition("(")[0].split(".") if not name.startswith("__")]
    return names[-1] if names else ""


def _add_addressed(project: Project, addressed: Iterable[str]) -> set[str]:
    """Read the modules that another one told something about."""
    missing = {project.modules[n].path: n for n in addressed if n not in project.sources}
    for path, source in search(missing, lambda _: True).sources.items():
        project.sources[missing[path]] = source
    return set(addressed)
