"""Whatever a program's addresses, delays and ends: the capture gets every span it reports."""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import pytest

from migrator.compare.capture import HOOK
from migrator.compare.plan import Side
from migrator.compare.programs import Program, Running
from migrator.compare.sides import SideRun, run_side
from tests.legacy import needs_jaeger_client
from tests.migrator.compare.interpreters import old_opentelemetry

PROGRAMS = Path(__file__).parent / "programs"
JAEGER = """
from jaeger_client import Config
config = {config}
tracer = Config(config, service_name="s").initialize_tracer()
"""
OTEL = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.{protocol}.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter({arguments})))
tracer = provider.get_tracer("t")
"""
CONST = '{"sampler": {"type": "const", "param": 1}}'


@pytest.fixture
def run(tmp_path: Path):
    def start(*parts: str, env: dict[str, str] | None = None, sampling: str = "every") -> SideRun:
        script = tmp_path / "program.py"
        script.write_text("".join(textwrap.dedent(part) for part in parts))
        program = Program("program", (sys.executable, str(script)), tmp_path, env or {})
        return run_side(Side("side", program), sampling)

    return start


def jaeger(config: str = CONST) -> str:
    return JAEGER.format(config=config)


def otel(protocol: str = "grpc", arguments: str = "") -> str:
    return OTEL.format(protocol=protocol, arguments=arguments)


def names(side: SideRun) -> list[str]:
    return sorted(span.name for span in side.recording.spans)


def test_a_program_without_telemetry_is_left_alone(run):
    side = run("import sys; print('socket' in sys.modules, len(sys.meta_path))")
    assert side.recording.spans == []
    assert side.output.startswith("False")


def test_a_hard_coded_agent_on_another_host(run):
    config = CONST[:-1] + ', "local_agent": {"reporting_host": "jaeger.invalid"}}'
    assert names(run(jaeger(config), "tracer.start_span('a').finish()")) == ["a"]


def test_a_batch_on_an_ipv6_socket(run):
    config = CONST[:-1] + ', "local_agent": {"reporting_host": "::1"}}'
    assert names(run(jaeger(config), "tracer.start_span('a').finish()")) == ["a"]


def test_other_datagrams_go_where_they_should(run):
    side = run(
        jaeger(),
        """
        import socket
        door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        door.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"mine", door.getsockname())
        print(door.recv(10))
        tracer.start_span("a").finish()
        """,
    )
    assert "b'mine'" in side.output


def test_a_thrift_collector_over_http(run):
    side = run(
        """
        from jaeger_client.thrift_gen.jaeger.ttypes import Batch, Process, Span
        from thrift.protocol import TBinaryProtocol
        from thrift.transport import THttpClient
        client = THttpClient.THttpClient("http://collector.invalid:14268/api/traces?format=x")
        span = Span(traceIdLow=1, traceIdHigh=0, spanId=2, parentSpanId=0, operationName="a",
                    flags=1, startTime=1, duration=1)
        batch = Batch(process=Process(serviceName="s"), spans=[span])
        batch.write(TBinaryProtocol.TBinaryProtocol(client))
        client.flush()
        """
    )
    assert names(side) == ["a"]


@pytest.mark.parametrize("transport", ["agent", "http", "grpc"])
def test_the_exporters_that_opentelemetry_removed(transport: str):
    command = (old_opentelemetry(), str(PROGRAMS / "jaeger_exporters.py"), transport)
    side = run_side(Side("side", Program("program", command, PROGRAMS)))
    order, pack = side.recording.spans
    assert (order.service, order.name, order.kind) == ("shop", "order", "server")
    assert {"n": 1, "x": 2.5, "yes": True}.items() <= order.attributes.items()
    assert (pack.parent, pack.status, pack.status_message) == (order, "error", "too heavy")
    assert [event.attributes for event in pack.events] == [{"message": "packed", "weight": 3}]
    assert [link.span_id for link in pack.links] == [order.span_id]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_hard_coded_otlp_endpoint(run, protocol: str):
    program = otel(protocol, 'endpoint="https://collector.invalid:4317", headers={"key": "secret"}')
    assert names(run(program, "tracer.start_span('a').end()")) == ["a"]


def test_an_otlp_endpoint_from_the_environment(run):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.invalid:4317"}
    assert names(run(otel(), "tracer.start_span('a').end()", env=env)) == ["a"]


def test_a_burst_larger_than_the_clients_queue(run):
    burst = "for n in range(1000): tracer.start_span('a').finish()"
    assert len(run(jaeger(), burst).recording.spans) == 1000


@needs_jaeger_client
def test_a_program_that_closes_its_tracer_and_leaves_at_once(run):
    assert names(run(jaeger(), "tracer.start_span('a').finish(); tracer.close()")) == ["a"]


@pytest.mark.parametrize("start", [jaeger() + "end = 'finish'", otel() + "end = 'end'"])
def test_a_child_process_that_is_terminated(run, start: str):
    child = (
        start
        + "\ngetattr(tracer.start_span('a'), end)()\nprint('ready', flush=True)\nwhile 1: pass"
    )
    side = run(
        f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        child.terminate()
        print(child.wait())
        """
    )
    assert names(side) == ["a"]
    assert side.output.strip() == "-15"


def test_a_child_that_outlives_its_parent(run):
    child = "import time; time.sleep(1)\n" + otel("http") + "tracer.start_span('late').end()"
    side = run(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])")
    assert names(side) == ["late"]
    assert side.remarks == []


def test_a_child_that_never_ends_is_stopped_and_told(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Running.wait_for_the_rest, "__defaults__", (0.5,))
    side = run("import subprocess; print(subprocess.Popen(['sleep', '60']).pid)")
    assert side.remarks == ["the program left processes behind, which were stopped"]
    state = Path(f"/proc/{int(side.output)}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"  # ended, if not yet reaped


def test_the_hook_can_be_read_by_old_interpreters():
    ast.parse((HOOK / "sitecustomize.py").read_text(), feature_version=(3, 7))


def test_a_forked_child(run):
    side = run(
        otel("http"),
        """
        import os
        if os.fork() == 0:
            tracer.start_span("child").end()
            provider.shutdown()
            os._exit(0)
        os.wait()
        """,
    )
    assert names(side) == ["child"]


@pytest.mark.parametrize(
    "sampler", ['"probabilistic", "param": 0.001', '"ratelimiting", "param": 1']
)
def test_a_sampler_left_to_chance_samples_all_and_says_so(run, sampler: str):
    config = f'{{"sampler": {{"type": {sampler}}}}}'
    side = run(jaeger(config), "for n in range(20): tracer.start_span('a').finish()")
    assert len(side.recording.spans) == 20
    assert "every trace was sampled" in side.remarks[0]
    assert {span.attributes["sampler.type"] for span in side.recording.spans} <= {
        "probabilistic",
        "ratelimiting",
    }


def test_the_default_remote_sampler_samples_all(run):
    side = run(jaeger("{}"), "tracer.start_span('a').finish()")
    assert names(side) == ["a"]


def test_a_ratio_sampler_samples_all(run):
    env = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.0001"}
    side = run(otel(), "tracer.start_span('a').end()", env=env)
    assert names(side) == ["a"]
    assert "TraceIdRatioBased{0.0001}" in side.remarks[0]


def test_the_programs_own_sampling_on_request(run):
    config = '{"sampler": {"type": "probabilistic", "param": 0.000001}}'
    side = run(jaeger(config), "tracer.start_span('a').finish()", sampling="program")
    assert names(side) == []


def test_a_sampler_that_says_never_is_obeyed(run):
    config = '{"sampler": {"type": "const", "param": 0}}'
    assert names(run(jaeger(config), "tracer.start_span('a').finish()")) == []


def test_the_programs_own_sitecustomize_runs_too(run, tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('mine ran')")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setenv("PYTHONPATH", str(own))
        side = run(otel(), "tracer.start_span('a').end()")
    assert names(side) == ["a"]
    assert "mine ran" in side.output


def test_a_program_with_a_python_path_of_its_own(run, tmp_path: Path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("name = 'a'")
    env = {"PYTHONPATH": str(tmp_path / "own")}
    side = run(otel("http"), "import mine; tracer.start_span(mine.name).end()", env=env)
    assert names(side) == ["a"]


def test_a_start_up_hook_that_puts_itself_first_and_execs(run, tmp_path: Path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('mine ran')")
    (tmp_path / "inner.py").write_text(otel() + "tracer.start_span('a').end()")
    side = run(
        f"""
        import os, sys
        os.environ["PYTHONPATH"] = {str(own)!r} + os.pathsep + os.environ["PYTHONPATH"]
        os.execl(sys.executable, sys.executable, {str(tmp_path / "inner.py")!r})
        """
    )
    assert names(side) == ["a"]
    assert "mine ran" in side.output


def test_a_batch_too_large_for_udp_is_told(run):
    side = run(
        jaeger(),
        """
        span = tracer.start_span("a")
        for n in range(100):
            span.set_tag(f"k{n}", "x" * 1000)
        span.finish()
        """,
    )
    assert side.recording.spans == []
    assert "the program lost a batch of" in side.remarks[0]
