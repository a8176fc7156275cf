"""Each way in: a legacy program, without jaeger-client, thrift and tornado, to a real receiver."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from bridge.otlp.receiver import OtlpReceiver
from tests.servers.process import free_port, wait_until
from tests.shim.programs import HERE, command, environment, python

LEGACY = (HERE / "legacy.py").read_text()
JAEGER2OTLP = str(Path(sys.executable).parent / "jaeger2otlp")


def settings(receiver: OtlpReceiver, protocol: str) -> dict[str, str]:
    grpc = protocol == "grpc"
    return {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint if grpc else receiver.http_endpoint,
    }


protocols = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


def check_order(receiver: OtlpReceiver) -> None:
    """What the legacy program's trace is, whichever way it came."""
    spans = {span.name: span for span in receiver.wait_for_spans(2)}
    order, pay = spans["order"], spans["pay"]
    assert pay.parent_span_id == order.span_id
    assert not order.parent_span_id
    assert order.kind == order.SPAN_KIND_SERVER
    assert {a.key for a in order.attributes} == {"items", "sampler.type", "sampler.param"}
    assert [event.name for event in order.events] == ["checked"]
    assert pay.status.code == pay.status.STATUS_CODE_ERROR
    resource = {a.key: a.value.string_value for a in receiver.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "shop"
    assert resource["release"] == "7"
    assert resource["jaeger.version"] == "Python-4.8.0"
    assert resource["host.name"] == resource["hostname"]


def test_without_the_shim_the_program_does_not_start():
    with pytest.raises(AssertionError, match="No module named 'jaeger_client'"):
        python(str(HERE / "legacy.py"))


@protocols
def test_one_added_import(receiver, tmp_path, protocol):
    program = tmp_path / "service.py"
    program.write_text("import shim.auto\n" + LEGACY)
    python(str(program), **settings(receiver, protocol))
    check_order(receiver)


@protocols
def test_no_change_at_all(receiver, protocol):
    words = (JAEGER2OTLP, "run", "--", sys.executable, str(HERE / "legacy.py"))
    without_click = {**settings(receiver, protocol), "PYTHONPATH": ""}
    command(*words, **without_click)
    check_order(receiver)


@protocols
def test_one_changed_line(receiver, tmp_path, protocol):
    program = tmp_path / "service.py"
    changed = LEGACY.replace("from jaeger_client", "from shim.jaeger_client")
    program.write_text(changed)
    python(str(program), **settings(receiver, protocol))
    check_order(receiver)


@protocols
def test_install_with_the_config(receiver, tmp_path, protocol):
    program = tmp_path / "service.py"
    body = LEGACY.partition("def main():")[2].replace("initialize()", "opentracing.tracer")
    program.write_text(
        "import shim, sys, time, opentracing\n"
        "from opentracing.ext import tags\n"
        "shim.install(service_name='shop', config={'sampler': {'type': 'const', 'param': 1},\n"
        "             'tags': {'release': '7'}})\n"
        "from jaeger_client.constants import TRACE_ID_HEADER\n"
        "def main():" + body
    )
    python(str(program), **settings(receiver, protocol))
    check_order(receiver)


def test_auto_gives_a_tracer_to_code_without_a_setup(receiver):
    words = (JAEGER2OTLP, "run", "--service-name", "bare", "--endpoint", receiver.http_endpoint)
    command(*words, "--", sys.executable, str(HERE / "opentracing_only.py"), PYTHONPATH="")
    spans = receiver.wait_for_spans(2)
    assert {span.name for span in spans} == {"order", "pay"}
    assert len({span.trace_id for span in spans}) == 1


class TestRun:
    def test_a_module(self, receiver):
        words = (JAEGER2OTLP, "run", "--endpoint", receiver.http_endpoint, "--")
        command(*words, sys.executable, "-m", "tests.shim.programs.legacy", PYTHONPATH=os.getcwd())
        check_order(receiver)

    def test_a_console_script(self, receiver, tmp_path):
        script = tmp_path / "shop"
        script.write_text(f"#!{sys.executable}\n{LEGACY}")
        script.chmod(0o755)
        words = (JAEGER2OTLP, "run", "--endpoint", receiver.http_endpoint, "--", str(script))
        command(*words, PYTHONPATH="")
        check_order(receiver)

    def test_an_existing_sitecustomize_still_runs(self, receiver, tmp_path):
        (tmp_path / "sitecustomize.py").write_text("import sys; sys.was_customized = True\n")
        check = "import sys, jaeger_client; print(sys.was_customized, jaeger_client.__name__)"
        words = (JAEGER2OTLP, "run", "--", sys.executable, "-c", check)
        done = command(*words, PYTHONPATH=str(tmp_path))
        assert done.stdout == "True shim.jaeger_client\n"

    def test_exit_status_is_the_programs(self):
        words = (JAEGER2OTLP, "run", "--", sys.executable, "-c", "raise SystemExit(7)")
        assert subprocess.run(words, check=False).returncode == 7

    def test_a_command_that_is_not_there(self):
        done = subprocess.run(
            (JAEGER2OTLP, "run", "--", "no-such-program"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "no-such-program" in done.stderr
        assert "Traceback" not in done.stderr

    def test_forked_children(self, receiver):
        words = (JAEGER2OTLP, "run", "--endpoint", receiver.http_endpoint, "--")
        command(*words, sys.executable, str(HERE / "prefork.py"), "3", PYTHONPATH="")
        spans = receiver.wait_for_spans(5)
        names = sorted(span.name for span in spans)
        assert names == ["child 0", "child 1", "child 2", "parent after", "parent before"]
        assert len({span.trace_id for span in spans}) == 5, "children drew the parent's ids"

    @pytest.mark.parametrize(
        "words",
        [
            ("gunicorn", "--workers", "2", "--bind", "{address}", "wsgi:application"),
            ("gunicorn", "--preload", "--workers", "2", "--bind", "{address}", "wsgi:application"),
            ("uvicorn", "--port", "{port}", "asgi:application"),
            ("uvicorn", "--workers", "2", "--port", "{port}", "asgi:application"),
        ],
        ids=["gunicorn", "gunicorn preloaded", "uvicorn", "uvicorn workers"],
    )
    def test_web_servers(self, receiver, words):
        port = free_port()
        filled = [word.format(port=port, address=f"127.0.0.1:{port}") for word in words]
        with _running(filled, receiver) as server:
            wait_until(lambda: _get(port), 30, f"{words[0]} answers")
            for _ in range(8):
                _get(port)
            receiver.wait_for_spans(9)
            server.send_signal(signal.SIGTERM)
            server.wait(20)
        assert {span.name for span in receiver.spans} == {"request"}

    def test_celery_workers(self, receiver, tmp_path):
        words = ["celery", "-A", "tasks", "worker", "--pool", "prefork", "-c", "2"]
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with _running(words, receiver, BROKER=str(tmp_path)):
            send = "import shim.auto, tasks\nfor n in range(6): tasks.work.delay(n)"
            python("-c", send, PYTHONPATH=str(HERE), BROKER=str(tmp_path))
            spans = receiver.wait_for_spans(6, 40)
        assert {span.name for span in spans} == {f"work {number}" for number in range(6)}


@contextlib.contextmanager
def _running(words, receiver, **extra):
    """A server of this environment under `jaeger2otlp run`, stopped by its pid."""
    program = shutil.which(words[0], path=os.path.dirname(sys.executable))
    if program is None:
        pytest.skip(f"{words[0]} is not installed; pip install -e '.[dev]'")
    server = subprocess.Popen(
        [JAEGER2OTLP, "run", "--endpoint", receiver.http_endpoint, "--", program, *words[1:]],
        env=environment(PYTHONPATH=str(HERE), **extra),
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _get(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        time.sleep(0.05)
        return False
