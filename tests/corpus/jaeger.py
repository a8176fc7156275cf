"""Public programs before and after migration, as a real Jaeger's query API shows them.

    python -m tests.corpus.jaeger CHECKOUTS [--only NAME]

CHECKOUTS is a folder of `owner__name` folders. Both sides run with this interpreter; each gets a
Jaeger of its own: the legacy one sends to its UDP port, the migrated one to its OTLP port.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from tests.servers.jaeger import Jaeger, readable
from tests.servers.process import ServerProcess, free_ports, wait_until

TUTORIAL = "yurishkuro__opentracing-tutorial/python"
BOOK = "PacktPublishing__Mastering-Distributed-Tracing/Chapter04/python"
PORTS = ("8080", "8081", "8082")  # in the sources; replaced by free ones
BIG_BROTHER, FORMATTER = ("bigbrother", 1), ("formatter", 2)
GREETER = (("formatter", 1), ("publisher", 2))
MYSQL = "mysql+pymysql://root:mysqlpwd@localhost:3306/chapter04"
PERSON = ("Gru", "Felonius", "Where are the minions?")
QUIET_SECONDS = 2.5  # jaeger-client flushes each second
INTERNAL = "tag span.kind='internal'"
# What no program says: jaeger-client's sampler, OpenTelemetry's scope and its kind for no kind.
CLIENT_ITEMS = (
    "tag sampler.type=",
    "tag sampler.param=",
    "tag otel.scope.name=",
    INTERNAL,
    "process ",
)


class Program(NamedTuple):
    """What runs: services with the place of their port, and a driver, or a page that is asked."""

    label: str
    folder: str
    package: str
    services: tuple[tuple[str, int], ...] = ()
    arguments: tuple[str, ...] = ()


HELLO = ("hello", 0)
PROGRAMS = (
    Program("tutorial, lesson 1", TUTORIAL, "lesson01.solution", (), ("Bryan",)),
    Program("tutorial, lesson 2", TUTORIAL, "lesson02.solution", (), ("Bryan",)),
    Program("tutorial, lesson 3, exercise", TUTORIAL, "lesson03.exercise", GREETER, ("Bryan",)),
    Program("tutorial, lesson 3", TUTORIAL, "lesson03.solution", GREETER, ("Bryan",)),
    Program("tutorial, lesson 4", TUTORIAL, "lesson04.solution", GREETER, ("Bryan", "Bonjour")),
    Program("book, exercise 2", BOOK, "exercise2", (HELLO,)),
    Program("book, exercise 3a", BOOK, "exercise3a", (HELLO,)),
    Program("book, exercise 3b", BOOK, "exercise3b", (HELLO,)),
    Program("book, exercise 4a", BOOK, "exercise4a", (BIG_BROTHER, FORMATTER, HELLO)),
    Program("book, exercise 4b", BOOK, "exercise4b", (BIG_BROTHER, FORMATTER, HELLO)),
    Program("book, exercise 5", BOOK, "exercise5", (BIG_BROTHER, FORMATTER, HELLO)),
)


@dataclass(frozen=True)
class Shown:
    """A span as the query API answers it, without ids and times."""

    path: tuple[str, ...]  # service/operation, from the root
    tags: frozenset[str]
    logs: tuple[str, ...]
    references: tuple[str, ...]
    warnings: str

    @property
    def items(self) -> frozenset[str]:
        """Everything but the place, as `what name=value`."""
        logs = (f"log {number} {log}" for number, log in enumerate(self.logs))
        references = (f"reference {reference}" for reference in self.references)
        return self.tags | {*logs, *references, f"warnings {self.warnings}"}


def prepare(program: Program, checkouts: Path, folder: Path, ports: list[int]) -> None:
    """A copy with free ports, and SQLite where the source wants MySQL."""
    shutil.copytree(checkouts / program.folder, folder)
    for path in folder.rglob("*.py"):
        text = path.read_text()
        for old, new in zip(PORTS, ports, strict=True):
            text = text.replace(old, str(new))
        path.write_text(text.replace(MYSQL, "sqlite:///people.db"))
    with sqlite3.connect(folder / "people.db") as database:
        database.execute("create table people (name primary key, title, description)")
        database.execute("insert into people values (?, ?, ?)", PERSON)
    database.close()


def migrate(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "migrator", "migrate", "--write", "--allow-no-vcs", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode > 1:  # 1: sites are left, maybe in a program that is not run
        raise RuntimeError(done.stderr[-2000:])


def run(program: Program, folder: Path, ports: list[int]) -> tuple[list[Shown], str]:
    """The spans that a fresh Jaeger has of one run, and what the driver or the page said."""
    with Jaeger() as jaeger, ExitStack() as services:
        env = {
            "JAEGER_AGENT_HOST": "127.0.0.1",
            "JAEGER_AGENT_PORT": str(jaeger.ports["COMPACT"]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_grpc_endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",  # a service ends by SIGTERM, without a last flush
        }
        for module, place in program.services:
            command = [sys.executable, "-m", f"{program.package}.{module}"]
            ready = _listens(ports[place])
            services.enter_context(ServerProcess(module, command, ready, env=env, folder=folder))
        said = _drive(program, folder, ports[0], env)
        return _spans(jaeger), said


def _listens(port: int) -> Any:
    """A probe that makes no span: the path is unknown to every program."""

    def probe() -> bool:
        try:
            urlopen(f"http://127.0.0.1:{port}/no-such-page", timeout=1)
        except OSError as error:
            return getattr(error, "code", 0) == 404
        return True

    return probe


def _drive(program: Program, folder: Path, port: int, env: dict[str, str]) -> str:
    if HELLO in program.services:
        with urlopen(f"http://127.0.0.1:{port}/sayHello/Gru", timeout=20) as answer:
            return str(answer.read().decode())
    done = subprocess.run(
        [sys.executable, "-m", f"{program.package}.hello", *program.arguments],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{program.label}: {done.stderr[-2000:]}")
    return done.stdout


def _spans(jaeger: Jaeger) -> list[Shown]:
    """All spans, once none has come for a while."""
    wait_until(jaeger.services, 20, "a first span")
    count, since = 0, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        now = sum(len(jaeger.spans(service)) for service in jaeger.services())
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.3)
    traces = {
        trace["traceID"]: trace for name in jaeger.services() for trace in jaeger.traces(name)
    }
    return [span for trace in traces.values() for span in _shown(readable(trace))]


def _shown(spans: list[dict[str, Any]]) -> Iterator[Shown]:
    by_id = {span["spanID"]: span for span in spans}
    for span in spans:
        path = tuple(_path(span, by_id))
        tags = {_item("tag", tag) for tag in span["tags"]}
        process = {_item("process", tag) for tag in span["process"]["tags"]}
        logs = sorted(span["logs"], key=lambda log: log["timestamp"])
        yield Shown(
            path,
            frozenset(tags | process),
            tuple(" ".join(_item("", field) for field in log["fields"]) for log in logs),
            tuple(_reference(reference, by_id) for reference in span["references"]),
            json.dumps(span.get("warnings")),
        )


def _path(span: dict[str, Any], by_id: dict[str, Any]) -> Iterator[str]:
    parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
    if parents:
        yield from _path(by_id[parents[0]], by_id) if parents[0] in by_id else ("?",)
    yield f"{span['process']['serviceName']}/{span['operationName']}"


def _item(what: str, tag: dict[str, Any]) -> str:
    return f"{what} {tag['key']}={tag['value']!r}:{tag['type']}".strip()


def _reference(reference: dict[str, Any], by_id: dict[str, Any]) -> str:
    target = by_id.get(reference["spanID"])
    return f"{reference['refType']} {target['operationName'] if target else '?'}"


def differences(before: list[Shown], after: list[Shown]) -> tuple[Counter[str], Counter[str]]:
    """What the program's reader would miss or see anew, and what only the clients wrote."""
    own: Counter[str] = Counter()
    clients: Counter[str] = Counter()
    places = Counter(span.path for span in before), Counter(span.path for span in after)
    for sign, lost in (("-", places[0] - places[1]), ("+", places[1] - places[0])):
        own.update({f"{sign} span {' > '.join(path)}": n for path, n in lost.items()})
    rest = sorted(after, key=_order)
    for span in sorted(before, key=_order):
        other = next((other for other in rest if other.path == span.path), None)
        if other is None:
            continue
        rest.remove(other)
        for sign, items in (("-", span.items - other.items), ("+", other.items - span.items)):
            for item in items:
                told = clients if _by_client(item) and not _second_kind(item, span) else own
                told[f"{sign} {item.partition('=')[0] if told is clients else item}"] += 1
    return own, clients


def _order(span: Shown) -> tuple[Any, ...]:
    return span.path, sorted(item for item in span.items if not _by_client(item))


def _by_client(item: str) -> bool:
    return item.startswith(CLIENT_ITEMS)


def _second_kind(item: str, legacy: Shown) -> bool:
    """Whether the default kind stands beside the one that the program sets."""
    return item.startswith(INTERNAL) and any(
        tag.startswith("tag span.kind=") for tag in legacy.tags
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", type=Path)
    parser.add_argument("--only", default="", help="only programs with this in their name")
    chosen = parser.parse_args()
    clients: Counter[str] = Counter()
    print("| program | spans | in a real Jaeger's query API |\n|---|---|---|")
    for program in PROGRAMS:
        if chosen.only in program.label:
            clients += row(program, chosen.checkouts)
    print("\nWritten by the clients, not by the programs, on so many spans:")
    for item, count in sorted(clients.items()):
        print(f"{count:4} {item}")


def row(program: Program, checkouts: Path) -> Counter[str]:
    """Prints one program's line of the table; returns what the clients wrote."""
    ports = free_ports(len(PORTS))
    with tempfile.TemporaryDirectory() as temporary:
        sides, answers = [], []
        for side in ("before", "after"):
            folder = Path(temporary) / side
            prepare(program, checkouts, folder, ports)
            if side == "after":
                migrate(folder)
            spans, said = run(program, folder, ports)
            sides.append(spans)
            answers.append(said)
    own, clients = differences(*sides)
    if answers[0] != answers[1]:
        own[f"the program said {answers[1]!r} instead of {answers[0]!r}"] += 1
    told = "; ".join(f"{count} x {item}" for item, count in sorted(own.items()))
    print(
        f"| {program.label} | {len(sides[0])}, {len(sides[1])} | {told or 'the same'} |", flush=True
    )
    return clients


if __name__ == "__main__":
    main()
