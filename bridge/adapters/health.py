"""Health checks of a service, and the page that Consul (or a load balancer) asks.

Checks run in parallel, each with its own timeout; a check that hangs is not started a second time
before it has ended. The answer says which check failed and how long it took, never what the
failure said.

Probes come every few seconds and mostly say the same, so they make no spans, nor do the clients
that a check uses: only a check whose outcome changed does (or, if you ask, every failure or every
probe). A web framework's own SERVER span for the page is dropped by `ProbeSampler`.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeAlias, cast

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, TraceState
from opentelemetry.util.types import Attributes

from bridge.adapters import conventions as c
from bridge.adapters.redaction import place_of
from bridge.adapters.tracing import SUPPRESS

# A check fails by raising, or by returning False. It may be a coroutine function.
CheckFunction: TypeAlias = Callable[[], object]
Wsgi: TypeAlias = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Asgi: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]
]

_UNTRACED = Context({SUPPRESS: True})
_log = logging.getLogger(__name__)


class Outcome(str, Enum):
    """What became of a check, and of all of them: the worst counts."""

    PASS = "pass"
    WARN = "warn"  # only checks that are not critical failed
    FAIL = "fail"


class Record(Enum):
    """Which checks make spans."""

    CHANGES = "changes"
    FAILURES = "failures"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check. `reason` is empty, "failed", "timeout" or "hanging"; times are Unix ns."""

    name: str
    outcome: Outcome
    started: int
    ended: int
    reason: str = ""
    error_type: str = ""
    place: str = ""  # of the exception, for the log

    @property
    def milliseconds(self) -> float:
        return round((self.ended - self.started) / 1e6, 1)


@dataclass(frozen=True, slots=True)
class Report:
    """All checks together."""

    results: tuple[CheckResult, ...]

    @property
    def outcome(self) -> Outcome:
        found = {result.outcome for result in self.results}
        return next((o for o in (Outcome.FAIL, Outcome.WARN) if o in found), Outcome.PASS)

    @property
    def status(self) -> HTTPStatus:
        """200, or 503 when a critical check failed."""
        failed = self.outcome is Outcome.FAIL
        return HTTPStatus.SERVICE_UNAVAILABLE if failed else HTTPStatus.OK

    def body(self) -> bytes:
        checks = {
            result.name: {
                "status": result.outcome.value,
                "ms": result.milliseconds,
                **({"reason": result.reason} if result.reason else {}),
            }
            for result in self.results
        }
        return json.dumps({"status": self.outcome.value, "checks": checks}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class _Check:
    name: str
    function: CheckFunction
    timeout: float
    critical: bool

    def result(self, started: int, reason: str = "", error: object = None) -> CheckResult:
        outcome = (Outcome.FAIL if self.critical else Outcome.WARN) if reason else Outcome.PASS
        kind, place = "", ""
        if isinstance(error, BaseException):
            kind, place = type(error).__qualname__, place_of(error)
        return CheckResult(self.name, outcome, started, time.time_ns(), reason, kind, place)


class _Run(Future[CheckResult]):
    """A check under way on its thread, which every probe that comes meanwhile waits for."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self.started = time.time_ns()
        self.deadline = time.monotonic() + timeout
        self.set_running_or_notify_cancel()

    @property
    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


class HealthChecker:
    """Named checks. `run()` does them now; `wsgi`, `asgi` and `handler` answer probes."""

    def __init__(
        self,
        *,
        timeout: float = 2.0,
        record: Record = Record.CHANGES,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        self._timeout = timeout
        self._record = record
        self._tracer = trace.get_tracer(
            "bridge.adapters.health", tracer_provider=tracer_provider, schema_url=c.SCHEMA_URL
        )
        self._checks: dict[str, _Check] = {}
        self._runs: dict[str, _Run] = {}
        self._before: dict[str, Outcome] = {}
        self._lock = threading.Lock()

    def add(
        self,
        name: str,
        function: CheckFunction,
        *,
        timeout: float | None = None,
        critical: bool = True,
    ) -> None:
        """Adds a check (`timeout` in s). When one that is not critical fails, that is a warning."""
        if name in self._checks:
            raise ValueError(f"there is a check {name!r} already")
        self._checks[name] = _Check(name, function, timeout or self._timeout, critical)

    def run(self) -> Report:
        """Does all checks at once; takes as long as the slowest, at most the longest timeout."""
        begun = [(check, *self._begin(check)) for check in self._checks.values()]
        return self._report([_wait(check, run, joined) for check, run, joined in begun])

    async def run_async(self) -> Report:
        """The same in an event loop; coroutine checks run in this loop, the others on threads."""
        return self._report(
            await asyncio.gather(*(self._await(check) for check in self._checks.values()))
        )

    def wsgi(self, app: Wsgi, path: str = "/health") -> Wsgi:
        """A WSGI application that answers `path` and passes the rest to `app`."""

        def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
            if environ.get("PATH_INFO") != path:
                return app(environ, start)
            method = environ["REQUEST_METHOD"]
            status, headers, body = _answer(method, self.run() if _reads(method) else None)
            start(f"{status.value} {status.phrase}", headers)
            return [body]

        return application

    def asgi(self, app: Asgi, path: str = "/health") -> Asgi:
        """An ASGI application that answers `path` and passes the rest to `app`."""

        async def application(
            scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
        ) -> None:
            if scope["type"] != "http" or scope["path"] != path:
                await app(scope, receive, send)
                return
            method = scope["method"]
            report = await self.run_async() if _reads(method) else None
            status, headers, body = _answer(method, report)
            raw = [(name.lower().encode(), value.encode()) for name, value in headers]
            await send({"type": "http.response.start", "status": status.value, "headers": raw})
            await send({"type": "http.response.body", "body": body})

        return application

    def handler(self, path: str = "/health") -> type[BaseHTTPRequestHandler]:
        """A request handler for `http.server` that answers `path`, and 404 to the rest."""
        checker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.partition("?")[0] != path:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                status, headers, body = _answer(self.command, checker.run())
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_HEAD(self) -> None:
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                _log.debug(format, *args)

        return Handler

    def _begin(self, check: _Check) -> tuple[_Run, bool]:
        """The check's run, and whether it had begun before."""
        with self._lock:
            run = self._runs.get(check.name)
            if run is not None and not run.done():
                return run, True
            run = self._runs[check.name] = _Run(check.timeout)
        threading.Thread(
            target=_do, args=(check, run), name=f"health {check.name}", daemon=True
        ).start()
        return run, False

    async def _await(self, check: _Check) -> CheckResult:
        if inspect.iscoroutinefunction(check.function):
            return await _do_async(check)
        run, joined = self._begin(check)
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(run)), run.left)
        except asyncio.TimeoutError:
            return check.result(run.started, "hanging" if joined else "timeout")

    def _report(self, results: Sequence[CheckResult]) -> Report:
        report = Report(tuple(results))
        with self._lock:
            before = self._before
            self._before = {result.name: result.outcome for result in results}
        changed = [r for r in results if r.outcome is not before.get(r.name, Outcome.PASS)]
        for result in changed:
            _log.log(
                logging.WARNING if result.reason else logging.INFO,
                "health check %s: %s", result.name, result.place or result.reason or "passes again",
            )  # fmt: skip
        self._trace(report, changed)
        return report

    def _trace(self, report: Report, changed: list[CheckResult]) -> None:
        shown = {
            Record.ALL: list(report.results),
            Record.FAILURES: [result for result in report.results if result.reason],
            Record.CHANGES: changed,
        }[self._record]
        if not shown:
            return
        probe = self._tracer.start_span(
            "health probe",
            Context(),
            attributes={c.HEALTH_STATUS: report.outcome.value},
            start_time=min(result.started for result in shown),
        )
        context = trace.set_span_in_context(probe, Context())
        for result in shown:
            self._check_span(result, context)
        if report.outcome is Outcome.FAIL:
            probe.set_status(Status(StatusCode.ERROR, "a critical check failed"))
        probe.end(max(result.ended for result in shown))

    def _check_span(self, result: CheckResult, context: Context) -> None:
        span = self._tracer.start_span(
            f"health check {result.name}",
            context,
            attributes={c.HEALTH_CHECK: result.name, c.HEALTH_STATUS: result.outcome.value},
            start_time=result.started,
        )
        if result.reason:
            span.set_attribute(c.ERROR_TYPE, result.error_type or result.reason)
            span.set_status(Status(StatusCode.ERROR, f"the check: {result.reason}"))
        span.end(result.ended)


class ProbeSampler(Sampler):
    """Drops the root SERVER spans of the health pages; leaves the rest to `delegate`.

    For services whose web framework is instrumented below or beside the checker.
    """

    _PATHS = ("url.path", "http.target", "http.route")

    def __init__(self, delegate: Sampler, paths: Sequence[str] = ("/health",)) -> None:
        self._delegate = delegate
        self._paths = frozenset(paths)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if kind is SpanKind.SERVER and attributes and self._is_probe(attributes):
            return SamplingResult(Decision.DROP)
        return self._delegate.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def _is_probe(self, attributes: Any) -> bool:
        given = (attributes.get(name) for name in self._PATHS)
        return any(
            isinstance(path, str) and path.partition("?")[0] in self._paths for path in given
        )

    def get_description(self) -> str:
        return f"ProbeSampler({self._delegate.get_description()})"


def _do(check: _Check, run: _Run) -> None:
    context_api.attach(_UNTRACED)
    try:
        outcome = check.function()
        if inspect.isawaitable(outcome):
            outcome = asyncio.run(_wait_for(outcome, check.timeout))
        run.set_result(check.result(run.started, "failed" if outcome is False else ""))
    except (asyncio.TimeoutError, TimeoutError) as error:
        run.set_result(check.result(run.started, "timeout", error))
    except BaseException as error:  # noqa: BLE001
        run.set_result(check.result(run.started, "failed", error))


async def _do_async(check: _Check) -> CheckResult:
    started = time.time_ns()
    token = context_api.attach(_UNTRACED)
    try:
        awaited = cast("Awaitable[object]", check.function())
        outcome = await asyncio.wait_for(awaited, check.timeout)
        return check.result(started, "failed" if outcome is False else "")
    except asyncio.TimeoutError as error:
        return check.result(started, "timeout", error)
    except Exception as error:  # noqa: BLE001
        return check.result(started, "failed", error)
    finally:
        context_api.detach(token)


async def _wait_for(awaitable: Awaitable[object], timeout: float) -> object:
    return await asyncio.wait_for(awaitable, timeout)


def _wait(check: _Check, run: _Run, joined: bool) -> CheckResult:
    try:
        return run.result(run.left)
    except FutureTimeout:
        return check.result(run.started, "hanging" if joined else "timeout")


def _reads(method: str) -> bool:
    return method in ("GET", "HEAD")


def _answer(method: str, report: Report | None) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    if report is None:
        allowed = [("Allow", "GET, HEAD"), ("Content-Length", "0")]
        return HTTPStatus.METHOD_NOT_ALLOWED, allowed, b""
    body = report.body()
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(body))),
    ]
    return report.status, headers, b"" if method == "HEAD" else body
