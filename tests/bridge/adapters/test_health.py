import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind

from bridge.adapters.consul import (
    ConfigStore,
    ConsulConnection,
    ConsulSettings,
    Health,
    HttpCheck,
    Service,
    ServiceRegistry,
)
from bridge.adapters.health import HealthChecker, Outcome, ProbeSampler, Record
from tests.servers import consul
from tests.servers.process import wait_until
from tests.servers.watchers import no_leftovers


def passes():
    return None


def fails():
    raise ConnectionError("db01:5432 password=hunter2")


@pytest.fixture
def checker(telemetry):
    return HealthChecker(timeout=1.0, tracer_provider=telemetry.tracer_provider)


def both(checker):
    """The report of the sync and of the async run."""
    return checker.run(), asyncio.run(checker.run_async())


def test_without_checks_a_service_that_answers_is_healthy(checker):
    for report in both(checker):
        assert (report.outcome, report.status) == (Outcome.PASS, 200)


def test_all_pass(checker, telemetry):
    checker.add("database", passes)
    checker.add("queue", lambda: True)
    for report in both(checker):
        assert report.status == 200
        assert json.loads(report.body())["checks"]["queue"]["status"] == "pass"
    assert telemetry.spans() == []


@pytest.mark.parametrize("check", [fails, lambda: False])
def test_one_fails(checker, check):
    checker.add("database", check)
    checker.add("queue", passes)
    for report in both(checker):
        assert (report.outcome, report.status) == (Outcome.FAIL, 503)
        shown = json.loads(report.body())
        assert shown["checks"]["database"]["status"] == "fail"
        assert shown["checks"]["database"]["reason"] == "failed"
        assert shown["checks"]["queue"]["status"] == "pass"


def test_one_that_is_not_critical_only_warns(checker):
    checker.add("cache", fails, critical=False)
    for report in both(checker):
        assert (report.outcome, report.status) == (Outcome.WARN, 200)


def test_nothing_of_what_a_failure_said_is_shown(checker, telemetry, canaries):
    secret = canaries.make("password")

    def check():
        raise ConnectionError(secret)

    checker.add("database", check)
    assert secret not in checker.run().body().decode()
    assert any("ConnectionError at" in line for line in telemetry.log.lines)


def test_a_name_is_taken_once(checker):
    checker.add("database", passes)
    with pytest.raises(ValueError, match="already"):
        checker.add("database", passes)


def test_checks_run_in_parallel(checker):
    for n in range(5):
        checker.add(f"slow{n}", lambda: time.sleep(0.2))
    for run in (checker.run, lambda: asyncio.run(checker.run_async())):
        began = time.monotonic()
        assert run().status == 200
        assert time.monotonic() - began < 0.6


def test_a_hanging_check_costs_its_timeout_and_one_thread(checker):
    gate = threading.Event()
    checker.add("database", lambda: gate.wait(30), timeout=0.1)
    with no_leftovers():
        began = time.monotonic()
        reasons = [checker.run().results[0].reason for _ in range(5)]
        assert time.monotonic() - began < 0.5
        assert reasons == ["timeout", "hanging", "hanging", "hanging", "hanging"]
        threads = [t for t in threading.enumerate() if t.name == "health database"]
        assert len(threads) == 1
        gate.set()
    assert checker.run().status == 200


def test_probes_at_the_same_time_share_a_run(checker):
    runs, reports = [], []

    def slow():
        runs.append(1)
        time.sleep(0.2)

    checker.add("database", slow)
    probes = [threading.Thread(target=lambda: reports.append(checker.run())) for _ in range(5)]
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.join()
    assert len(runs) == 1
    assert [report.status for report in reports] == [200] * 5


def test_a_coroutine_check_runs_in_the_service_s_loop(checker):
    loops = []

    async def check():
        loops.append(asyncio.get_running_loop())

    async def main():
        assert (await checker.run_async()).status == 200
        assert loops == [asyncio.get_running_loop()]

    checker.add("database", check)
    asyncio.run(main())
    assert checker.run().status == 200  # and without a loop in one of its own


def test_a_coroutine_check_is_bounded_too(checker):
    async def check():
        await asyncio.sleep(30)

    checker.add("database", check, timeout=0.1)
    for report in both(checker):
        assert report.results[0].reason == "timeout"


def test_only_a_change_makes_spans(checker, telemetry):
    outcome = [passes]
    checker.add("database", lambda: outcome[0]())
    checker.add("queue", passes)
    for step in (passes, passes, fails, fails, fails, passes, passes):
        outcome[0] = step
        checker.run()
    assert [span.name for span in telemetry.spans()] == [
        "health check database",
        "health probe",
        "health check database",
        "health probe",
    ]
    failed, probe, passed, _ = telemetry.spans()
    assert failed.attributes["error.type"] == "ConnectionError"
    assert not failed.status.is_ok
    assert failed.status.description == "the check: failed"
    assert failed.parent.span_id == probe.context.span_id
    assert probe.parent is None
    assert passed.status.is_unset


def test_every_failure_or_every_probe_on_demand(telemetry):
    for record, spans in ((Record.FAILURES, 2), (Record.ALL, 3)):
        telemetry.clear()
        checker = HealthChecker(record=record, tracer_provider=telemetry.tracer_provider)
        checker.add("database", fails)
        checker.add("queue", passes)
        checker.run()
        assert len(telemetry.spans()) == spans
        checker.run()
        assert len(telemetry.spans()) == 2 * spans


def test_what_a_check_calls_makes_no_spans(checker, telemetry):
    connection = ConsulConnection(ConsulSettings(port=1), tracer_provider=telemetry.tracer_provider)
    checker.add("consul", lambda: ConfigStore(connection).get("config/a"))
    with telemetry.tracer.start_as_current_span("request"):
        checker.run()
    connection.close()
    assert [span.name for span in telemetry.spans() if span.name.startswith("get")] == []


def test_a_check_does_not_disturb_the_current_span(checker, telemetry):
    async def main():
        with telemetry.tracer.start_as_current_span("request") as request:
            await checker.run_async()
            assert trace.get_current_span() is request

    async def check():
        pass

    checker.add("database", check)
    asyncio.run(main())


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ({"url.path": "/health"}, False),
        ({"http.target": "/health?full=1"}, False),
        ({"http.route": "/health"}, False),
        ({"url.path": "/healthy"}, True),
        ({"url.path": "/checkout"}, True),
        ({}, True),
    ],
)
def test_the_sampler_drops_a_framework_s_span_for_the_page(attributes, kept):
    provider = TracerProvider(sampler=ProbeSampler(ParentBased(ALWAYS_ON)))
    span = provider.get_tracer("t").start_span("GET", kind=SpanKind.SERVER, attributes=attributes)
    assert span.is_recording() is kept


def test_the_sampler_leaves_client_spans_alone():
    provider = TracerProvider(sampler=ProbeSampler(ALWAYS_ON))
    attributes = {"url.path": "/health"}
    span = provider.get_tracer("t").start_span("GET", kind=SpanKind.CLIENT, attributes=attributes)
    assert span.is_recording()


# --- the three kinds of server


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def page(environ, start):
    start("200 OK", [])
    return [b"the page"]


@pytest.fixture(params=["wsgi", "http.server"])
def served(request, checker):
    """A url under which the checker answers, served for real."""
    if request.param == "wsgi":
        server = make_server("127.0.0.1", 0, checker.wsgi(page), handler_class=Quiet)
    else:
        server = ThreadingHTTPServer(("127.0.0.1", 0), checker.handler())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(url, method="GET"):
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, dict(answer.headers), answer.read()


def test_a_page_for_probes(checker, served):
    state = [passes]
    checker.add("database", lambda: state[0]())
    status, headers, body = ask(served + "/health")
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert json.loads(body)["status"] == "pass"
    state[0] = fails
    status, _, body = ask(served + "/health")
    assert (status, json.loads(body)["status"]) == (503, "fail")


def test_head_has_no_body(served):
    status, headers, body = ask(served + "/health", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_other_pages_and_methods(checker):
    server = make_server("127.0.0.1", 0, checker.wsgi(page), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert ask(url + "/")[2] == b"the page"
    assert ask(url + "/health", "POST")[0] == 405
    server.shutdown()
    server.server_close()


def asgi(application, path, method="GET"):
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request"}

    scope = {"type": "http", "path": path, "method": method}
    asyncio.run(application(scope, receive, send))
    return sent


def test_asgi(checker):
    async def app(scope, receive, send):
        await send({"type": "page"})

    checker.add("database", passes)
    application = checker.asgi(app)
    start, body = asgi(application, "/health")
    assert start["status"] == 200
    assert (b"content-type", b"application/json") in start["headers"]
    assert json.loads(body["body"])["status"] == "pass"
    assert asgi(application, "/health", "HEAD")[1]["body"] == b""
    assert asgi(application, "/health", "POST")[0]["status"] == 405
    assert asgi(application, "/other") == [{"type": "page"}]


def test_a_real_consul_follows_the_page_and_sends_no_context(checker, telemetry):
    state, headers = [passes], []
    checker.add("database", lambda: state[0]())

    class Handler(checker.handler()):
        def do_GET(self):
            headers.append(dict(self.headers))
            super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/health"
    with consul.dev() as agent, ConsulConnection(ConsulSettings(port=agent.port)) as connection:
        registry = ServiceRegistry(connection)
        service = Service("shop", server.server_port, check=HttpCheck(url, interval=1.0))
        with registry.register(service):

            def health():
                return [i.health for i in registry.discover("shop", healthy=False)]

            wait_until(lambda: health() == [Health.PASSING])
            state[0] = fails
            wait_until(lambda: health() == [Health.CRITICAL])
            state[0] = passes
            wait_until(lambda: health() == [Health.PASSING])
    server.shutdown()
    server.server_close()
    assert headers[0]["User-Agent"] == "Consul Health Check"
    assert "traceparent" not in {name.lower() for name in headers[0]}
    probes = telemetry.spans("health probe")
    assert len(probes) == 2  # it failed, it passed; however many probes there were
