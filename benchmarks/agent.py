"""What the agent costs beside jaeger-client and beside Jaeger's own receiver: `make bench-agent`.

CPU time in one run. The codec is compared with jaeger-client's encoding of the same spans; the
agent and, where one is on PATH, Jaeger as a Collector are whole processes that get the same load
and forward it to the same sink.
"""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import jaeger_client
from jaeger_client import thrift as jaeger_thrift
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.thrift_gen.agent import Agent as AgentService
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TMessageType
from thrift.transport.TTransport import TMemoryBuffer

from bridge.jaeger.agent import Options
from bridge.jaeger.collector_config import collector_config
from bridge.jaeger.thrift import Protocol, decode_packet
from bridge.jaeger.translate import translate
from bridge.jaeger.udp import kernel_drops
from bridge.otlp.settings import Signal, read_settings

ROUNDS = 15
PACKET_SPANS = 10  # jaeger-client's batches
HTTP_SPANS = 100
RATE = 20_000  # spans a second
SECONDS = float(os.environ.get("BENCH_SECONDS", "5"))
GOAL_CODEC = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Prints the figures; 1 when a goal is missed."""
    spans = make_spans(PACKET_SPANS)
    print(f"CPU time, spans with 3 tags and a log; {len(os.sched_getaffinity(0))} cores\n")
    met = [codec("compact", spans, goal=True), codec("binary", spans, goal=False)]
    packet, body = encode_packet(spans, TCompactProtocol), encode_body(make_spans(HTTP_SPANS))
    targets: dict[str, Any] = {"agent": run_agent}
    if shutil.which("jaeger"):
        targets["Jaeger"] = run_jaeger
    else:
        print("no jaeger on PATH: its receiver is not measured\n")
    for load, spans_of_one in ((packet, PACKET_SPANS), (body, HTTP_SPANS)):
        way = "UDP" if load is packet else "HTTP"
        print(f"\n{way}, {RATE:,} spans/s for {SECONDS:g} s, the process on one core")
        for name, run in targets.items():
            figure = whole(run, way, load, spans_of_one)
            print(f"  {name:8} {figure}")
            if name == "agent" and way == "UDP":
                met.append(figure.complete)
    return 0 if all(met) else 1


# The codec


def make_spans(count: int) -> list[Any]:
    """Finished spans of jaeger-client."""
    reporter = InMemoryReporter()
    tracer = jaeger_client.Tracer("bench", reporter, jaeger_client.ConstSampler(True))
    for number in range(count):
        with tracer.start_span("get_user") as span:
            span.set_tag("http.method", "GET")
            span.set_tag("http.status_code", 200)
            span.set_tag("component", "flask")
            span.log_kv({"event": "cache miss", "key": f"user:{number}"})
    return list(reporter.get_spans())


def client_batch(spans: list[Any]) -> Any:
    """What jaeger-client's reporter does with spans before it encodes them."""
    tags = {"hostname": "host", "ip": "10.0.0.1", "jaeger.version": "Python-4.8.0"}
    process = jaeger_thrift.make_process("bench", tags, 1024)
    return jaeger_thrift.make_jaeger_batch(spans=spans, process=process)


def encode_packet(spans: list[Any], protocol: Any) -> bytes:
    transport = TMemoryBuffer()
    writer = protocol(transport)
    writer.writeMessageBegin("emitBatch", TMessageType.ONEWAY, 0)
    AgentService.emitBatch_args(client_batch(spans)).write(writer)
    writer.writeMessageEnd()
    return bytes(transport.getvalue())


def encode_body(spans: list[Any]) -> bytes:
    transport = TMemoryBuffer()
    client_batch(spans).write(TBinaryProtocol(transport))
    return bytes(transport.getvalue())


def codec(name: str, spans: list[Any], *, goal: bool) -> bool:
    writer = {"compact": TCompactProtocol, "binary": TBinaryProtocol}[name]
    protocol = Protocol(name)
    packet = encode_packet(spans, writer)
    theirs, decode, ours = [], [], []
    for _ in range(ROUNDS):
        theirs.append(cost(lambda: encode_packet(spans, writer)))
        decode.append(cost(lambda: decode_packet(packet, protocol)))
        ours.append(cost(lambda: translate(decode_packet(packet, protocol))))
    ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
    print(f"{name} packets of {len(spans)} spans, us/span")
    print(f"  jaeger-client encodes               {statistics.median(theirs):7.2f}")
    print(f"  decode                              {statistics.median(decode):7.2f}")
    print(f"  decode, translate, encode           {statistics.median(ours):7.2f}")
    wanted = f"(goal: at most {GOAL_CODEC})" if goal else ""
    print(f"  ratio to jaeger-client              {ratio:7.2f}x {wanted}")
    for what, values in (("decode", decode), ("all three", ours)):
        print(f"  spans per CPU second, {what:9}     {1e6 / statistics.median(values):7,.0f}")
    print()
    return ratio <= GOAL_CODEC or not goal


def cost(work: Callable[[], Any], times: int = 100) -> float:
    """CPU microseconds per span."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times / PACKET_SPANS * 1e6


# Whole processes


class Figure(NamedTuple):
    sent: int
    arrived: int
    kernel_drops: int
    cpu_seconds: float
    wall_seconds: float

    @property
    def complete(self) -> bool:
        """Everything arrived, at the rate that was asked for."""
        on_time = self.wall_seconds < SECONDS * 1.1
        return self.arrived == self.sent and not self.kernel_drops and on_time

    def __str__(self) -> str:
        return (
            f"{self.arrived:,} of {self.sent:,} spans arrived, {self.kernel_drops} packets lost "
            f"at the socket; sent in {self.wall_seconds:.1f} s; "
            f"{self.cpu_seconds / max(self.arrived, 1) * 1e6:.1f} us CPU/span, "
            f"{self.arrived / max(self.cpu_seconds, 1e-9):,.0f} spans per CPU second"
        )


Running = tuple[subprocess.Popen[bytes], int]


def whole(run: Any, way: str, load: bytes, spans: int) -> Figure:
    with sink() as (endpoint, arrived), run(endpoint, way) as (process, port):
        send = udp_load if way == "UDP" else http_load
        before = cpu(process.pid)
        began = time.monotonic()
        sent = send(port, load, spans)
        wall = time.monotonic() - began
        deadline = time.monotonic() + 10
        while arrived.value < sent and time.monotonic() < deadline:
            time.sleep(0.05)
        drops = kernel_drops().get(port, 0) if way == "UDP" else 0
        return Figure(sent, arrived.value, drops, cpu(process.pid) - before, wall)


def udp_load(port: int, packet: bytes, spans: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        return paced(lambda: client.send(packet), spans)


def http_load(port: int, body: bytes, spans: int) -> int:
    headers = {"Content-Type": "application/vnd.apache.thrift.binary"}
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post() -> None:
        client.request("POST", "/api/traces", body, headers)
        answer = client.getresponse()
        answer.read()
        assert answer.status == 202, answer.status

    try:
        return paced(post, spans)
    finally:
        client.close()


def paced(send: Callable[[], Any], spans: int) -> int:
    """Calls `send`, which is worth so many spans, evenly at `RATE`; the spans sent."""
    total = int(RATE * SECONDS / spans)
    began = time.monotonic()
    for number in range(total):
        ahead = began + number * spans / RATE - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
        send()
    return total * spans


@contextmanager
def sink() -> Iterator[tuple[str, Any]]:
    """An OTLP receiver over gRPC in a process of its own that counts spans and forgets them."""
    context = get_context("spawn")
    port, arrived = context.Value("i", 0), context.Value("q", 0)
    process = context.Process(target=serve_sink, args=(port, arrived), daemon=True)
    process.start()
    while not port.value:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port.value}", arrived
    finally:
        process.terminate()
        process.join()


def serve_sink(port: Any, arrived: Any) -> None:
    import grpc
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    def export(body: bytes, _: Any) -> bytes:
        request = ExportTraceServiceRequest.FromString(body)
        count = sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
        with arrived.get_lock():
            arrived.value += count
        return b""

    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    options = [("grpc.max_receive_message_length", 64 * 1024 * 1024)]
    server = grpc.server(ThreadPoolExecutor(2), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port.value = server.add_insecure_port("127.0.0.1:0")
    server.start()
    server.wait_for_termination()


@contextmanager
def run_agent(endpoint: str, way: str) -> Iterator[Running]:
    ports = {"compact": free(socket.SOCK_DGRAM), "http": free(), "admin": free()}
    command = [sys.executable, "-m", "migrator", "agent", f"--otlp-endpoint={endpoint}"]
    command += [f"--{name}-port={port}" for name, port in ports.items()]
    command += ["--binary-port=off", "--zipkin-port=off", "--sampling-port=off"]
    yield from running(command, ports["compact" if way == "UDP" else "http"], ports["admin"])


@contextmanager
def run_jaeger(endpoint: str, way: str) -> Iterator[Running]:
    ports: dict[str, int | None] = {"compact": free(socket.SOCK_DGRAM), "http": free()}
    ports["admin"] = free()
    settings = read_settings(Signal.TRACES, endpoint=endpoint, environ={})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "collector.yaml"
        path.write_text(collector_config(Options(settings, ports=ports), "jaeger"))
        port = ports["compact" if way == "UDP" else "http"]
        assert port
        assert ports["admin"]
        yield from running(["jaeger", f"--config={path}"], port, ports["admin"])


def running(command: list[str], port: int, admin: int) -> Iterator[Running]:
    """The program on one core, once it listens."""
    core = max(os.sched_getaffinity(0))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        deadline = time.monotonic() + 30
        while not (answers(admin) and (answers(port) or port in kernel_drops())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    sys.exit(main())
