"""The stand-in's other modules do what users of jaeger_client's reach for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentracing import InvalidCarrierException, SpanContextCorruptedException

from shim.jaeger_client import (
    ConstSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    RemoteControlledSampler,
    Span,
    SpanContext,
    Tracer,
)
from shim.jaeger_client.codecs import (
    B3Codec,
    BinaryCodec,
    TextCodec,
    ZipkinCodec,
    span_context_from_string,
    span_context_to_string,
)
from shim.jaeger_client.local_agent_net import LocalAgentSender, Loop, PeriodicCallback
from shim.jaeger_client.metrics import LegacyMetricsFactory, Metrics, MetricsFactory
from shim.jaeger_client.reporter import (
    BaseReporter,
    CompositeReporter,
    InMemoryReporter,
    LoggingReporter,
    NullReporter,
    Reporter,
)
from shim.jaeger_client.sampler import AdaptiveSampler, GuaranteedThroughputProbabilisticSampler
from shim.jaeger_client.throttler import RemoteThrottler
from shim.jaeger_client.utils import done
from tests.servers.process import wait_until
from tests.shim.programs import environment, python

IMPORTS = [
    "from jaeger_client import Config, Tracer, Span, SpanContext, ConstSampler",
    "from jaeger_client import ProbabilisticSampler, RateLimitingSampler, __version__",
    "from jaeger_client.config import DEFAULT_REPORTING_PORT, Config",
    "from jaeger_client.constants import SAMPLED_FLAG, DEBUG_FLAG, MAX_TAG_VALUE_LENGTH",
    "from jaeger_client.codecs import TextCodec, B3Codec, BinaryCodec, ZipkinSpanFormat",
    "from jaeger_client.reporter import NullReporter, InMemoryReporter, ReporterMetrics",
    "from jaeger_client.sampler import RemoteControlledSampler, SAMPLER_TYPE_TAG_KEY",
    "from jaeger_client.tracer import Reference, TracerMetrics",
    "from jaeger_client.metrics.prometheus import PrometheusMetricsFactory",
    "from jaeger_client.metrics.metrics import Metrics",
    "from jaeger_client.local_agent_net import LocalAgentSender, LocalAgentHTTP",
    "from jaeger_client.TUDPTransport import TUDPTransport",
    "from jaeger_client.utils import ErrorReporter, get_boolean, local_ip",
    "from jaeger_client.rate_limiter import RateLimiter",
    "from jaeger_client.ioloop_util import submit, future_result",
    "from jaeger_client.throttler import RemoteThrottler, Throttler",
    "from jaeger_client.thrift import make_jaeger_batch, make_process",
    "import jaeger_client.thrift_gen.jaeger.ttypes as ttypes",
    "from jaeger_client.thrift_gen.agent import Agent",
    "from jaeger_client.thrift_gen.sampling import SamplingManager",
]


@pytest.fixture(scope="module")
def import_errors():
    """All of them in one process that has no jaeger-client: statement to error."""
    program = (
        "import json, sys\nimport shim.auto\nerrors = {}\n"
        "for statement in json.loads(sys.argv[1]):\n"
        "    try: exec(statement)\n"
        "    except Exception as error: errors[statement] = repr(error)\n"
        "print(json.dumps(errors))"
    )
    return json.loads(python("-c", program, json.dumps(IMPORTS)).stdout)


@pytest.mark.parametrize("statement", IMPORTS)
def test_names_users_import(import_errors, statement):
    assert statement not in import_errors


def test_what_the_stand_in_has_not_is_an_import_error():
    program = "import shim.auto\nimport jaeger_client.no_such_module"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No module named 'jaeger_client.no_such_module'" in done.stderr


def test_importing_pulls_no_tool_of_the_command_line():
    program = (
        "import shim.auto, shim.samplers, sys\n"
        "assert not {'libcst', 'click', 'rich'} & set(sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


class TestSamplers:
    def test_const(self):
        assert ConstSampler(True).is_sampled(1) == (
            True,
            {"sampler.type": "const", "sampler.param": True},
        )

    def test_probabilistic_by_the_low_64_bits(self):
        sampler = ProbabilisticSampler(0.5)
        assert sampler.is_sampled((1 << 63) - 1)[0]
        assert not sampler.is_sampled(1 << 63)[0]
        assert sampler.is_sampled((7 << 64) + 5)[0]

    def test_rate_limiting_by_time(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(
            "shim.jaeger_client.rate_limiter.RateLimiter.timestamp", staticmethod(lambda: now[0])
        )
        sampler = RateLimitingSampler(2)
        sampler.rate_limiter.balance = 0.0
        assert not sampler.is_sampled(1)[0]
        now[0] += 0.5
        assert [sampler.is_sampled(1)[0] for _ in range(2)] == [True, False]
        now[0] -= 50  # the clock is set back: no credit, no debt
        assert not sampler.is_sampled(1)[0]
        now[0] += 10
        assert [sampler.is_sampled(1)[0] for _ in range(3)] == [True, True, False]

    def test_guaranteed_throughput(self):
        sampler = GuaranteedThroughputProbabilisticSampler("op", 1, 0.0)
        sampler.lower_bound_sampler.rate_limiter.balance = 1.0
        sampled, tags = sampler.is_sampled(1 << 63)
        assert (sampled, tags["sampler.type"]) == (True, "lowerbound")
        assert not sampler.is_sampled(1 << 63)[0]

    def test_adaptive_is_bounded(self):
        sampler = AdaptiveSampler({"defaultSamplingProbability": 1.0}, 2)
        for number in range(5):
            assert sampler.is_sampled(1, f"op{number}")[0]
        assert len(sampler.samplers) == 2

    @pytest.mark.parametrize(
        ("answer", "sampler"),
        [
            ({"strategyType": 0, "probabilisticSampling": {"samplingRate": 0.5}}, "0.5"),
            ({"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1}}, "1"),
            ({"strategyType": 1, "rateLimitingSampling": {"maxTracesPerSecond": 9}}, "9"),
            ({"strategyType": "nonsense"}, "0.001"),
            ({"strategyType": 0, "probabilisticSampling": {"samplingRate": 7}}, "0.001"),
            ([], "0.001"),
        ],
    )
    def test_remote(self, agent, answer, sampler):
        agent.answers["/sampling"] = answer
        channel = LocalAgentSender("127.0.0.1", agent.port, 6831)
        counted = []
        factory = LegacyMetricsFactory(Metrics(count=lambda key, _: counted.append(key)))
        remote = RemoteControlledSampler(
            channel, "svc", sampling_refresh_interval=0.05, metrics_factory=factory
        )
        wait_until(lambda: counted, 5, "the agent was asked")
        wait_until(lambda: f"({sampler})" in str(remote.sampler), 5, f"sampler is {sampler}")
        remote.close()
        assert agent.asked[0] == "/sampling?service=svc"

    def test_remote_without_an_agent_stays(self):
        remote = RemoteControlledSampler(
            LocalAgentSender("127.0.0.1", 1, 6831), "svc", sampling_refresh_interval=0.01
        )
        assert str(remote.sampler) == "ProbabilisticSampler(0.001)"
        remote.close()


@pytest.fixture
def agent():
    """An agent's HTTP port, answering JSON by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            body = json.dumps(server.answers.get(self.path.partition("?")[0])).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers, server.asked, server.port = {}, [], server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_throttler_allows_what_it_has_credit_for(agent):
    agent.answers["/credits"] = {"balances": [{"operation": "op", "balance": 2.0}]}
    channel = LocalAgentSender("127.0.0.1", 1, 6831, throttling_port=agent.port)
    throttler = RemoteThrottler(channel, "svc", refresh_interval=0.05)
    throttler.set_client_id(5)
    assert not throttler.is_allowed("op")
    wait_until(lambda: throttler.credits["op"] >= 2, 5, "credits came")
    throttler.close()
    assert throttler.is_allowed("op")
    assert not throttler.is_allowed("other")
    assert agent.asked[0] == "/credits?service=svc&uuid=5&operations=op"


class TestReporters:
    def tracer(self, reporter):
        return Tracer("svc", reporter, ConstSampler(True))

    def test_in_memory(self):
        reporter = InMemoryReporter()
        self.tracer(reporter).start_span("x").finish()
        assert [span.operation_name for span in reporter.get_spans()] == ["x"]

    def test_composite(self, caplog):
        kept = InMemoryReporter()
        composite = CompositeReporter(kept, LoggingReporter(), NullReporter())
        with caplog.at_level("INFO", "jaeger_tracing"):
            self.tracer(composite).start_span("x").finish()
        assert len(kept.get_spans()) == 1
        assert "Reporting span" in caplog.text
        assert composite.close().result(5) is True

    def test_one_of_the_applications_own(self):
        seen = []

        class Own(BaseReporter):
            def set_process(self, service_name, tags, max_length):
                seen.append((service_name, max_length))

            def report_span(self, span):
                seen.append(span.operation_name)

        tracer = self.tracer(Own())
        tracer.start_span("x").finish()
        assert seen == [("svc", 1024), "x"]
        assert tracer.close().result(5) is True

    def test_it_may_be_replaced_later(self):
        tracer = self.tracer(NullReporter())
        tracer.reporter = kept = InMemoryReporter()
        tracer.start_span("x").finish()
        assert len(kept.get_spans()) == 1

    def test_a_subclass_may_send_by_itself(self, receiver):
        sent = []

        class Own(Reporter):
            def _send(self, batch):
                sent.extend(batch.spans)
                return done()

        tracer = self.tracer(Own(channel=None, batch_size=1))
        tracer.start_span("x").finish()
        tracer.close().result(10)
        assert [span.name for span in sent] == ["x"]
        assert receiver.spans == []

    def test_a_queue_smaller_than_a_batch(self):
        with pytest.raises(ValueError, match="Queue capacity"):
            Reporter(channel=None, queue_capacity=1, batch_size=2)


class TestCodecs:
    context = SpanContext(0xAB, 0xCD, 0xEF, 3, {"key": "a b"})

    @pytest.mark.parametrize("codec", [TextCodec(), TextCodec(url_encoding=True)])
    def test_text(self, codec):
        carrier = {}
        codec.inject(self.context, carrier)
        found = codec.extract({key.title(): value for key, value in carrier.items()})
        assert (found.trace_id, found.span_id, found.parent_id) == (0xAB, 0xCD, 0xEF)
        assert (found.flags, found.baggage) == (3, {"key": "a b"})

    def test_binary(self):
        carrier = bytearray()
        BinaryCodec().inject(self.context, carrier)
        found = BinaryCodec().extract(carrier)
        assert (found.trace_id, found.baggage) == (0xAB, {"key": "a b"})
        with pytest.raises(SpanContextCorruptedException):
            BinaryCodec().extract(carrier[:20])

    @pytest.mark.parametrize("codec", [TextCodec(), BinaryCodec(), ZipkinCodec(), B3Codec()])
    def test_a_carrier_of_the_wrong_type(self, codec):
        with pytest.raises(InvalidCarrierException):
            codec.inject(self.context, [])
        with pytest.raises(InvalidCarrierException):
            codec.extract([])

    def test_strings(self):
        assert span_context_to_string(1, 2, None, 3) == "1:2:0:3"
        assert span_context_from_string(["1:2:0:3"]) == (1, 2, None, 3)
        with pytest.raises(SpanContextCorruptedException):
            span_context_from_string("1:2")


class TestThrift:
    def span(self):
        tracer = Tracer("svc", InMemoryReporter(), ConstSampler(True))
        parent = SpanContext((1 << 127) + 5, (1 << 64) - 1, None, 1)
        span = Span(parent, tracer, "op", {"s": "x", "b": True, "n": 3, "f": 0.5}, 100.0)
        span.log_kv({"event": "e"}, 100.5)
        span.finish(101.0)
        return span

    def test_tags_and_logs_as_objects(self):
        span = self.span()
        assert [(tag.key, tag.vStr, tag.vBool, tag.vLong, tag.vDouble) for tag in span.tags] == [
            ("s", "x", None, None, None),
            ("b", None, True, None, None),
            ("n", None, None, 3, None),
            ("f", None, None, None, 0.5),
        ]
        assert span.logs[0].timestamp == 100_500_000
        span.tags, span.logs = span.tags[:1], []
        assert [tag.key for tag in span.tags] == ["s"]

    def test_a_batch_reads_as_it_was_written(self):
        protocol = pytest.importorskip("thrift.protocol.TCompactProtocol")
        transport = pytest.importorskip("thrift.transport.TTransport")
        from shim.jaeger_client import thrift
        from shim.jaeger_client.thrift_gen.agent import Agent

        process = thrift.make_process("svc", {"a": 1}, 1024)
        batch = thrift.make_jaeger_batch([self.span()], process)
        buffer = transport.TMemoryBuffer()
        Agent.emitBatch_args(batch).write(protocol.TCompactProtocol(buffer))
        again = Agent.emitBatch_args()
        again.read(
            protocol.TCompactProtocol(transport.TFileObjectTransport(io.BytesIO(buffer.getvalue())))
        )
        assert again.batch == batch
        (span,) = again.batch.spans
        assert (span.traceIdHigh, span.spanId) == (-(1 << 63), -1)
        assert (span.startTime, span.duration) == (100_000_000, 1_000_000)


class TestLoop:
    def test_calls_in_time_and_survives_errors(self, caplog):
        loop, called, rung = Loop(), [], threading.Event()
        loop.call_later(0.05, lambda: (called.append("late"), rung.set()))
        loop.call_later(0.01, called.append, "early")
        loop.add_callback(lambda: 1 / 0)
        assert rung.wait(5)
        assert called == ["early", "late"]
        assert "Background call failed" in caplog.text

    def test_periodic_until_stopped(self):
        called = []
        periodic = PeriodicCallback(Loop(), lambda: called.append(1), 0.01)
        wait_until(lambda: len(called) > 2, 5, "called three times")
        periodic.stop()


def test_metrics_that_go_nowhere_cost_nothing():
    tracer = Tracer("x", NullReporter(), ConstSampler(True))
    assert not tracer._counting
    assert Tracer("x", NullReporter(), ConstSampler(True), metrics=Metrics(count=print))._counting
    assert MetricsFactory().create_counter("x")(1) is None
