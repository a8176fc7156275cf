"""Forks and prefork servers: every process counts once, one of them pushes the sums."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from bridge.metrics.multiprocess import STATE_NAME, Folder, merged_registry
from bridge.otlp.receiver import OtlpReceiver
from tests.bridge.metrics.helpers import attributes_of
from tests.servers.process import ServerProcess, free_port, http_ok, wait_until


@pytest.fixture
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


def last_by_instance(receiver, name: str) -> dict[str, float]:
    """The last value of a metric's only series, by the instance that sent it."""
    found: dict[str, float] = {}
    for resource in receiver.resource_metrics:
        instance = attributes_of(resource.resource)["service.instance.id"]
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == name:
                    data = getattr(metric, metric.WhichOneof("data"))
                    point = data.data_points[0]
                    found[instance] = getattr(point, "count", None) or (
                        point.as_double or point.as_int
                    )
    return found


def run(program: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


FORK = """
import os, sys, time, threading
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import Counter, Histogram, Gauge
from bridge.metrics import MetricsBridge

bridge = MetricsBridge(endpoint=sys.argv[1], protocol=sys.argv[2], interval=0.1).start()
jobs, seconds = Counter("jobs", "", ["a"]), Histogram("t", "")
orders = bridge.meter_provider.get_meter("m").create_counter("orders")

def work(count):
    for _ in range(count):
        jobs.labels("x").inc()
        seconds.observe(1)
        orders.add(1)

work(100)
if sys.argv[3] == "pushed":
    assert bridge.flush()
children = []
for number in (1, 2):
    pid = os.fork()
    if not pid:
        work(10 * number)
        ok = bridge.shutdown()
        os._exit(0 if ok and not bridge.problems() else 1)
    children.append(pid)
work(5)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
assert bridge.shutdown(), bridge.problems()
print(codes)
"""


@pytest.mark.parametrize("when", ["fresh", "pushed"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_forked_child_pushes_its_own_counts_under_its_own_name(receiver, protocol, when):
    endpoint = receiver.http_endpoint if protocol == "http" else receiver.grpc_endpoint
    result = subprocess.run(
        [sys.executable, "-c", FORK, endpoint, protocol, when],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout) == (0, "[0, 0]\n"), result.stderr
    for name in ("jobs_total", "t", "orders"):
        assert sorted(last_by_instance(receiver, name).values()) == [10, 20, 105], name


def test_a_child_of_a_process_whose_instance_was_named_gets_a_name_of_its_own(receiver):
    result = subprocess.run(
        [sys.executable, "-c", FORK, receiver.http_endpoint, "http", "pushed"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=pod-1"},
    )
    assert result.returncode == 0, result.stderr
    found = last_by_instance(receiver, "orders")
    assert found["pod-1"] == 105
    assert sorted(found.values()) == [10, 20, 105]
    assert last_by_instance(receiver, "jobs_total") == found


def test_a_fork_while_threads_scrape_and_push_leaves_no_lock_behind(receiver):
    program = f"""
import os, threading, time
from prometheus_client import Counter
from bridge.metrics import MetricsBridge
bridge = MetricsBridge(
    endpoint={receiver.http_endpoint!r}, protocol="http", interval=0.01).start()
jobs = Counter("jobs", "")
orders = bridge.meter_provider.get_meter("m").create_counter("orders")
stop = []
def scrape():
    while not stop:
        list(bridge.wsgi_app({{"REQUEST_METHOD": "GET"}}, lambda s, h: None))
        jobs.inc(); orders.add(1)
for _ in range(3):
    threading.Thread(target=scrape, daemon=True).start()
codes = []
for _ in range(20):
    pid = os.fork()
    if not pid:
        jobs.inc(); orders.add(1)
        list(bridge.wsgi_app({{"REQUEST_METHOD": "GET"}}, lambda s, h: None))
        os._exit(0 if bridge.shutdown(5) else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
stop.append(1)
print(codes)
"""
    result = run(program)
    assert result.stdout == str([0] * 20) + "\n", result.stderr


def test_the_folder_gives_all_processes_one_name_and_start(tmp_path):
    first, second = Folder(str(tmp_path)), Folder(str(tmp_path))
    assert first.identity() == second.identity()
    assert json.loads((tmp_path / STATE_NAME).read_text())["instance_id"]
    assert [p.name for p in tmp_path.iterdir()] == [STATE_NAME]


def test_one_process_leads_until_it_resigns_or_dies(tmp_path):
    folder = Folder(str(tmp_path))
    program = (
        "import sys, time; from bridge.metrics.multiprocess import Folder; "
        f"f = Folder({str(tmp_path)!r}); print(f.leads(), flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"
    assert not folder.leads()
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert folder.leads()
    assert folder.leads()
    folder.resign()
    third = Folder(str(tmp_path))
    assert third.leads()
    third.resign()


def test_units_come_back_to_the_merged_registry(tmp_path):
    program = """
from prometheus_client import Counter
Counter("sent", "Sent", unit="bytes").inc(3)
"""
    assert run(program, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)).returncode == 0
    local = CollectorRegistry()
    Counter("sent", "Sent", unit="bytes", registry=local)
    (family,) = merged_registry(str(tmp_path), local).collect()
    assert (family.name, family.unit, family.samples[0].value) == ("sent_bytes", "bytes", 3)


APP = """
import os
from flask import Flask
from prometheus_client import Counter, Histogram
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from bridge.metrics import MetricsBridge

bridge = MetricsBridge(interval=0.2).start()
jobs = Counter("jobs", "Jobs", ["a"])
seconds = Histogram("t_seconds", "Time", unit="seconds")
orders = bridge.meter_provider.get_meter("m").create_counter("orders")
app = Flask(__name__)

@app.get("/")
def index():
    jobs.labels("x").inc()
    seconds.observe(0.1)
    orders.add(1)
    return str(os.getpid())

app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": bridge.wsgi_app})
"""


@pytest.mark.parametrize("preload", [True, False], ids=["preload", "no preload"])
def test_gunicorn_prefork_with_a_multiprocess_folder(receiver, tmp_path, preload):
    """Real workers: some are killed, others take over, and at the end every request counts once."""
    (tmp_path / "prefork_app.py").write_text(APP, "utf-8")
    folder = tmp_path / "multiproc"
    folder.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "--workers=3", f"--bind=127.0.0.1:{port}"]
    if preload:
        command.append("--preload")
    server = ServerProcess(
        "gunicorn",
        [*command, "--chdir", str(tmp_path), "prefork_app:app"],
        lambda: http_ok(f"{url}/metrics"),
        env={
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
            "PYTHONPATH": str(Path.cwd()),
        },
        folder=tmp_path,
    )
    with server:
        asked, pids = until_two_answer(f"{url}/")
        os.kill(int(min(pids)), signal.SIGTERM)
        wait_until(lambda: http_ok(f"{url}/metrics"), 20)
        asked += len([get(f"{url}/") for _ in range(39)])
        assert value_in(get(f"{url}/metrics"), 'jobs_total{a="x"}') == asked
        assert "orders" not in get(f"{url}/metrics")
        time.sleep(0.5)
    pushed = last_by_instance(receiver, "jobs_total")
    assert list(pushed.values()) == [asked], server.log()[-3000:]
    assert list(last_by_instance(receiver, "t_seconds").values()) == [asked]
    assert sum(last_by_instance(receiver, "orders").values()) == asked
    assert "Traceback" not in server.log()


def until_two_answer(url: str) -> tuple[int, set[str]]:
    """Asks from several threads until two workers have answered; how often, and their pids."""
    answers: list[str] = []
    with ThreadPoolExecutor(6) as pool:
        for _ in range(50):
            answers.extend(pool.map(get, [url] * 12))
            if len(set(answers)) > 1:
                return len(answers), set(answers)
            time.sleep(0.1)
    raise AssertionError(f"one worker answered {len(answers)} times")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def value_in(text: str, series: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(series)).split()[-1])
