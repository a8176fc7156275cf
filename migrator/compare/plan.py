"""What to run on each side: from two arguments, or from a TOML file for several processes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from migrator.compare.programs import CouldNotRun, Program, free_port
from migrator.compare.rules import Rule, from_table
from migrator.problem import from_error

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

TOP = {"run", "service", "before", "after", "allow", "timeout", "env"}
SIDE = {"run", "service", "folder", "python", "env"}
SERVICE = {"name", "run", "ready", "env"}
_PLACEHOLDER = re.compile(r"\{(python|port:[\w-]+|udp|http|otlp_grpc|otlp_http)\}")


@dataclass(frozen=True, slots=True)
class Side:
    """One side's processes. Commands may hold {python}, {port:NAME}, and the capture's ports."""

    label: str
    driver: Program
    services: tuple[Program, ...] = ()

    def filled(self, ports: Mapping[str, int]) -> Side:
        """The side with the capture's ports written where it asks for them."""
        words = {name: str(port) for name, port in ports.items()}
        return replace(
            self,
            driver=_filled(self.driver, words),
            services=tuple(_filled(service, words) for service in self.services),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    before: Side
    after: Side
    rules: tuple[Rule, ...] = ()
    timeout: float | None = None


def from_arguments(
    before: str, after: str, pythons: tuple[str | None, str | None], arguments: Sequence[str]
) -> Plan:
    """Two scripts, `-m MODULE`s or command lines, run in the current folder."""
    sides = []
    for source, given, label in zip((before, after), pythons, ("before", "after"), strict=True):
        python = interpreter(given)
        words = (*command(source, python), *arguments)
        sides.append(Side(source, Program(label, words, Path.cwd(), path_of(python))))
    return Plan(sides[0], sides[1])


def from_file(
    path: Path,
    pythons: tuple[str | None, str | None] = (None, None),
    arguments: Sequence[str] = (),
    folders: tuple[str, str] | None = None,
) -> Plan:
    """The plan of a TOML file; `folders`, where given, replace those of [before] and [after].

    Raises:
        CouldNotRun: the file cannot be read, or says something that no plan can say.
    """
    table = read_toml(path)
    _known(table, TOP, str(path))
    ports: dict[str, str] = {}
    sides = []
    for index, label in enumerate(("before", "after")):
        side: dict[str, Any] = {key: table[key] for key in ("run", "service") if key in table}
        side.update(table.get(label, {}))
        _known(side, SIDE, f"{path} [{label}]")
        if folders is not None:
            side["folder"] = str(Path(folders[index]).resolve())
        python = interpreter(pythons[index] or _python(side, path))
        side["env"] = {**path_of(python), **table.get("env", {}), **side.get("env", {})}
        sides.append(_side(label, side, path, python, ports, arguments))
    return Plan(sides[0], sides[1], rules_in(table, str(path)), table.get("timeout"))


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The [[allow]] tables of a TOML file.

    Raises:
        CouldNotRun: the file cannot be read.
        BadRule: a rule cannot be meant.
    """
    return rules_in(read_toml(path), str(path))


def rules_in(table: Mapping[str, Any], origin: str) -> tuple[Rule, ...]:
    return tuple(from_table(rule, origin) for rule in table.get("allow", []))


def read_toml(path: Path) -> dict[str, Any]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return table
    except OSError as error:
        raise CouldNotRun(f"{path}: {from_error(str(path), error).message}") from error
    except ValueError as error:
        raise CouldNotRun(f"{path}: {error}") from error


def command(source: str | Sequence[str], python: str) -> tuple[str, ...]:
    """The command line of a script, of `-m MODULE`, or the command line itself.

    Raises:
        CouldNotRun: there is nothing to run.
    """
    try:
        words = shlex.split(source) if isinstance(source, str) else list(source)
    except ValueError as error:
        raise CouldNotRun(f"{source}: {error}") from error
    if isinstance(source, str) and Path(source).is_file() and not _is_executable(source):
        words = [source]
    if not words:
        raise CouldNotRun("an empty command line")
    if Path(words[0]).is_dir():
        raise CouldNotRun(f"{words[0]} is a folder; --plan names what to run in it")
    if words[0].endswith(".py") or words[0] == "-m":
        return (python, *words)
    if words[0] in ("python", "python3", "{python}"):
        return (python, *words[1:])
    if words[0] == "jaeger2otlp":
        return (python, "-m", "migrator", *words[1:])
    return tuple(words)


def interpreter(given: str | None) -> str:
    """The interpreter's path, absolute: programs run in folders of their own."""
    if given is None:
        return sys.executable
    return os.path.abspath(given) if os.sep in given else shutil.which(given) or given


def path_of(python: str) -> dict[str, str]:
    """PATH as an activated environment has it: `python`, `gunicorn` and so on are its own."""
    return {"PATH": os.pathsep.join([os.path.dirname(python), os.environ.get("PATH", "")])}


def _is_executable(source: str) -> bool:
    return not source.endswith(".py") and Path(source).stat().st_mode & 0o111 != 0


def _python(side: Mapping[str, Any], path: Path) -> str | None:
    given = side.get("python")
    return os.path.abspath(path.parent / given) if given else None


def _side(
    label: str,
    side: Mapping[str, Any],
    path: Path,
    python: str,
    ports: dict[str, str],
    arguments: Sequence[str],
) -> Side:
    where = f"{path} [{label}]"
    if "run" not in side:
        raise CouldNotRun(f"{where}: `run` names the program to run")
    in_folders = any((path.parent / name).is_dir() for name in ("before", "after"))
    folder = path.parent / side.get("folder", label if in_folders else ".")
    if not folder.is_dir():
        raise CouldNotRun(f"{where}: {folder} is no folder")

    def program(name: str, table: Mapping[str, Any], more: Sequence[str] = ()) -> Program:
        env = {**side["env"], **table.get("env", {})}
        words = (*command(table["run"], python), *more)
        return _ported(
            Program(f"{label}: {name}", words, folder, env, str(table.get("ready", ""))), ports
        )

    services = []
    for service in side.get("service", []):
        _known(service, SERVICE, f"{where} [[service]]")
        if not service.keys() >= {"name", "run"}:
            raise CouldNotRun(f"{where}: a [[service]] needs a `name` and a `run`")
        services.append(program(service["name"], service))
    return Side(str(folder), program("run", {"run": side["run"]}, arguments), tuple(services))


def _ported(program: Program, ports: dict[str, str]) -> Program:
    """{port:NAME} is one free port, the same in every program of both sides."""
    said = " ".join([*program.command, *program.env.values(), program.ready])
    for name in re.findall(r"\{(port:[\w-]+)\}", said):
        ports.setdefault(name, str(free_port()))
    return _filled(program, ports)


def _filled(program: Program, words: Mapping[str, str]) -> Program:
    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda match: words.get(match[1], match[0]), str(text))

    return replace(
        program,
        command=tuple(fill(word) for word in program.command),
        env={key: fill(value) for key, value in program.env.items()},
        ready=fill(program.ready),
    )


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(table.keys() - keys)
    if unknown:
        raise CouldNotRun(
            f"{where}: unknown {', '.join(unknown)}; known: {', '.join(sorted(keys))}"
        )
