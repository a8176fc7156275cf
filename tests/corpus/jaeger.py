"""Public programs before and after migration, as a real Jaeger's query API shows them.

    python -m tests.corpus.jaeger CHECKOUTS [--only NAME] [--unsafe] [--python PATH]

CHECKOUTS is a folder of `owner__name` folders. Both sides run with one interpreter, this one or
that at PATH; each gets a Jaeger of its own: the legacy one sends to its UDP port, the migrated one
to its OTLP port.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from tests.servers.jaeger import Jaeger, readable
from tests.servers.process import ServerProcess, free_ports, wait_until

TUTORIAL = "yurishkuro__opentracing-tutorial/python"
BOOK = "PacktPublishing__Mastering-Distributed-Tracing/Chapter04/python"
HEADERS = "mizhexiaoxiao__fastapi-opentracing"
ACTORS = "asynkron__protoactor-python"
CHAIN = "blueswen__fastapi-jaeger/fastapi_app"
PI = "signalfx__tracing-examples/jaeger-python/pi_trace"
PORTS = {"8080": 0, "8000": 0, "8081": 1, "8082": 2}  # in the sources and below: their place
# On both sides: a database that is here, and no key that only a fork of jaeger-client knows.
EDITS = {
    "mysql+pymysql://root:mysqlpwd@localhost:3306/chapter04": "sqlite:///people.db",
    "'jaeger_endpoint': args.ingest,": "",
}
PERSON = ("Gru", "Felonius", "Where are the minions?")
QUIET_SECONDS = 2.5  # jaeger-client flushes each second
INTERNAL = "tag span.kind='internal'"
# What no program says: jaeger-client's sampler, OpenTelemetry's scope and its kind for no kind,
# and what OpenTelemetry's exporter for Jaeger called the scope.
CLIENT_ITEMS = (
    "tag sampler.type=",
    "tag sampler.param=",
    "tag otel.scope.name=",
    "tag otel.library.",
    "tag service.name=",
    INTERNAL,
    "process ",
)


class Program(NamedTuple):
    """What runs: services with the place of their port, and a driver, or a page that is asked."""

    label: str
    folder: str
    services: tuple[tuple[str, int], ...]  # what follows `python`
    driver: str  # the same, or a path


def tutorial(label: str, package: str, *arguments: str) -> Program:
    services = () if package < "lesson03" else (("formatter", 1), ("publisher", 2))
    return Program(
        f"tutorial, {label}",
        TUTORIAL,
        tuple((f"-m {package}.{module}", place) for module, place in services),
        " ".join((f"-m {package}.hello", *arguments)),
    )


def book(exercise: str, *others: str) -> Program:
    modules = (*others, "hello")
    return Program(
        f"book, exercise {exercise}",
        BOOK,
        tuple((f"-m exercise{exercise}.{m}", BOOK_MODULES.index(m)) for m in modules),
        "/sayHello/Gru",
    )


BOOK_MODULES = ("hello", "bigbrother", "formatter")  # by the place of their port
PROGRAMS = (
    tutorial("lesson 1", "lesson01.solution", "Bryan"),
    tutorial("lesson 2", "lesson02.solution", "Bryan"),
    tutorial("lesson 3, exercise", "lesson03.exercise", "Bryan"),
    tutorial("lesson 3", "lesson03.solution", "Bryan"),
    tutorial("lesson 4", "lesson04.solution", "Bryan", "Bonjour"),
    book("2"),
    book("3a"),
    book("3b"),
    book("4a", "bigbrother", "formatter"),
    book("4b", "bigbrother", "formatter"),
    book("5", "bigbrother", "formatter"),
    Program("pi", PI, (("pi_server.py -P 8080", 0),), "pi_client.py -P 8080 -p 6 -t 1000"),
    # These need an environment of their own, given as --python:
    # its requirements with OpenTelemetry 1.21, the last one with both exporters, and protobuf 3.20
    Program("chain", CHAIN, (("main.py", 0),), "/chain"),
    # its requirements
    Program("headers", HEADERS, (("-m fastapi_opentracing.example", 0),), "/"),
    # its requirements with protobuf 3.20
    Program("actors", ACTORS, (), "-m examples.lifecycle_events.lifecycle_events"),
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
    """A copy with free ports, and with what has to be another here."""
    shutil.copytree(checkouts / program.folder, folder, ignore=shutil.ignore_patterns(".git"))
    for path in folder.rglob("*.py"):
        text = path.read_text()
        for old, new in EDITS.items():
            text = text.replace(old, new)
        path.write_text(with_ports(text, ports))
    with sqlite3.connect(folder / "people.db") as database:
        database.execute("create table people (name primary key, title, description)")
        database.execute("insert into people values (?, ?, ?)", PERSON)
    database.close()


def with_ports(text: str, ports: list[int]) -> str:
    return re.sub("|".join(PORTS), lambda found: str(ports[PORTS[found[0]]]), text)


def migrate(folder: Path, *options: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "migrator",
            "migrate",
            "--write",
            "--allow-no-vcs",
            "--endpoint-from-env",
            *options,
            str(folder),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode > 1:  # 1: sites are left, maybe in a program that is not run
        raise RuntimeError(done.stderr[-2000:])


def run(program: Program, folder: Path, ports: list[int], python: str) -> tuple[list[Shown], str]:
    """The spans that a fresh Jaeger has of one run, and what the driver or the page said."""
    with Jaeger() as jaeger, ExitStack() as services:
        env = {
            "JAEGER_AGENT_HOST": "127.0.0.1",
            "JAEGER_AGENT_PORT": str(jaeger.ports["COMPACT"]),
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_grpc_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",  # `shim`, where a Config is built at run time
            "OTEL_BSP_SCHEDULE_DELAY": "200",  # a service ends by SIGTERM, without a last flush
            # What "chain" reads.
            "MODE": "thrift-agent",
            "AGENT_HOST_NAME": "127.0.0.1",
            "AGENT_PORT": str(jaeger.ports["COMPACT"]),
            "TARGET_ONE_HOST": "127.0.0.1",
            "TARGET_TWO_HOST": "127.0.0.1",
        }
        for number, (service, place) in enumerate(program.services):
            command = [python, *with_ports(service, ports).split()]
            process = ServerProcess(
                f"service{number}", command, _listens(ports[place]), env=env, folder=folder
            )
            services.enter_context(process)
        said = _drive(program, folder, ports, env, python)
        return _spans(jaeger), said


def _listens(port: int) -> Any:
    """A probe that makes no span: the path, or GET itself, is unknown to every program."""

    def probe() -> bool:
        try:
            urlopen(f"http://127.0.0.1:{port}/no-such-page", timeout=1)
        except OSError as error:
            return getattr(error, "code", 0) in (404, 501)
        return True

    return probe


def _drive(
    program: Program, folder: Path, ports: list[int], env: dict[str, str], python: str
) -> str:
    if program.driver.startswith("/"):
        with urlopen(f"http://127.0.0.1:{ports[0]}{program.driver}", timeout=20) as answer:
            return str(answer.read().decode())
    driver = subprocess.Popen(
        [python, *with_ports(program.driver, ports).split()],
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(QUIET_SECONDS)  # "actors" waits for a key, and does not flush then
    said, errors = driver.communicate("\n", timeout=60)
    if driver.returncode:
        raise RuntimeError(errors[-2000:])
    return said


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
        gone, new = span.items - other.items, other.items - span.items
        for item in [item for item in gone if item.startswith("tag ") and not _by_client(item)]:
            if twin := next((other for other in new if _name(other) == _name(item)), None):
                gone, new = gone - {item}, new - {twin}
                own[_changed(item, twin)] += 1
        for sign, items in (("-", gone), ("+", new)):
            for item in items:
                told = clients if _by_client(item) and not _second_kind(item, span) else own
                told[f"{sign} {_name(item) if told is clients else item}"] += 1
    return own, clients


def _name(item: str) -> str:
    return item.partition("=")[0]


def _changed(old: str, new: str) -> str:
    """A tag of both sides: the same text with another type, or another value."""
    value, _, kind = old.rpartition(":")
    text, _, new_kind = new.rpartition(":")
    if text.replace("'", "") == value.replace("'", ""):
        return f"{kind} shown as {new_kind}"
    return f"another value of {_name(old)}"


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
    parser.add_argument(
        "--unsafe", action="append_const", const="--unsafe", default=[], help="migrates so"
    )
    parser.add_argument("--python", default=sys.executable, help="runs the programs")
    chosen = parser.parse_args()
    clients: Counter[str] = Counter()
    print("| program | spans | in a real Jaeger's query API |\n|---|---|---|")
    for program in PROGRAMS:
        if chosen.only in program.label:
            try:
                clients += row(program, chosen.checkouts, chosen.python, chosen.unsafe)
            except RuntimeError as error:  # the next ones may run
                print(f"| {program.label} | | {error} |", flush=True)
    print("\nWritten by the clients, not by the programs, on so many spans:")
    for item, count in sorted(clients.items()):
        print(f"{count:4} {item}")


def row(program: Program, checkouts: Path, python: str, options: Sequence[str]) -> Counter[str]:
    """Prints one program's line of the table; returns what the clients wrote."""
    ports = free_ports(3)
    with tempfile.TemporaryDirectory() as temporary:
        sides, answers = [], []
        for side in ("before", "after"):
            folder = Path(temporary) / side
            prepare(program, checkouts, folder, ports)
            if side == "after":
                migrate(folder, *options)
            try:
                spans, said = run(program, folder, ports, python)
            except (OSError, RuntimeError) as error:
                raise RuntimeError(f"{side}: {str(error).strip().splitlines()[-1]}") from error
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
