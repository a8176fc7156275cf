"""The tracer does what jaeger_client's did: sampling, debug, baggage, headers, errors."""

from __future__ import annotations

import logging

import opentracing
import pytest
from opentelemetry import trace
from opentracing import Format

from shim.jaeger_client import ConstSampler, ProbabilisticSampler, SpanContext, Tracer
from shim.jaeger_client.codecs import B3Codec, ZipkinSpanFormat
from shim.jaeger_client.reporter import InMemoryReporter
from shim.jaeger_client.throttler import Throttler


def make(**options):
    sampler = options.pop("sampler", ConstSampler(True))
    return Tracer("tracer", InMemoryReporter(), sampler, **options)


@pytest.fixture
def tracer():
    return make()


def tags(span):
    return {tag.key: tag for tag in span.tags}


class TestSampling:
    def test_roots_tell_why(self):
        span = make(sampler=ProbabilisticSampler(1.0)).start_span("x")
        assert tags(span)["sampler.type"].vStr == "probabilistic"
        assert tags(span)["sampler.param"].vDouble == 1.0

    def test_children_follow_and_do_not_tell(self, tracer):
        child = tracer.start_span("x", child_of=tracer.start_span("root"))
        assert child.is_sampled()
        assert "sampler.type" not in tags(child)

    def test_unsampled_is_not_reported(self):
        tracer = make(sampler=ConstSampler(False))
        tracer.start_span("x").set_tag("a", 1).finish()
        assert tracer.reporter.get_spans() == []

    def test_priority_makes_debug_and_children_inherit(self):
        tracer = make(sampler=ConstSampler(False))
        span = tracer.start_span("x").set_tag("sampling.priority", 1)
        child = tracer.start_span("y", child_of=span)
        assert span.is_debug()
        assert child.flags == 3
        assert tags(span)["sampling.priority"].vLong == 1

    def test_priority_zero_takes_out(self, tracer):
        span = tracer.start_span("x").set_tag("sampling.priority", 0)
        span.finish()
        assert not span.is_sampled()
        assert tracer.reporter.get_spans() == []

    def test_a_sampler_that_raises_samples_nothing(self, caplog):
        class Broken(ConstSampler):
            def is_sampled(self, trace_id, operation=""):
                raise RuntimeError

        assert not make(sampler=Broken(True)).start_span("x").is_sampled()
        assert "Sampler failed" in caplog.text


class TestDebugId:
    def test_makes_a_debug_root_with_the_tag(self):
        tracer = make(sampler=ConstSampler(False))
        context = tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": "case 7"})
        span = tracer.start_span("x", child_of=context)
        assert span.flags == 3
        assert tags(span)["jaeger-debug-id"].vStr == "case 7"

    def test_the_throttler_may_refuse(self):
        class Never(Throttler):
            def is_allowed(self, operation):
                return False

        tracer = make(throttler=Never())
        context = tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": "case 7"})
        assert tracer.start_span("x", child_of=context).flags == 0
        assert "client-uuid" in tracer.tags


class TestIds:
    @pytest.mark.parametrize(("wide", "bits"), [(False, 64), (True, 128)])
    def test_width(self, wide, bits):
        tracer = make(generate_128bit_trace_id=wide)
        ids = [tracer.start_span("x").trace_id for _ in range(20)]
        assert bits - 16 < max(ids).bit_length() <= bits

    def test_as_logs_print_them(self, tracer):
        context = SpanContext(0xAB, 0xCD, 0xEF, 1)
        span = tracer.start_span("x", child_of=context)
        assert repr(span) == f"ab:{span.span_id:x}:cd:1 tracer.x"

    def test_one_span_per_rpc_shares_the_clients(self):
        tracer = make(one_span_per_rpc=True)
        client = tracer.start_span("x")
        server = tracer.start_span("x", child_of=client, tags={"span.kind": "server"})
        assert server.span_id == client.span_id


class TestParents:
    def test_span_and_context_are_both_taken(self, tracer):
        parent = tracer.start_span("p")
        for given in (parent, parent.context):
            assert tracer.start_span("x", child_of=given).parent_id == parent.span_id

    @pytest.mark.parametrize(
        "foreign",
        [opentracing.Tracer().start_span(), opentracing.SpanContext(), trace.INVALID_SPAN, "x", 5],
    )
    def test_what_is_no_parent_makes_a_root(self, tracer, foreign):
        assert tracer.start_span("x", child_of=foreign).parent_id is None

    def test_a_native_context_is_one(self, tracer):
        native = trace.SpanContext(7, 8, True, trace.TraceFlags(1))
        for given in (native, trace.NonRecordingSpan(native)):
            assert tracer.start_span("x", child_of=given).parent_id == 8


class TestHeaders:
    def test_both_formats_are_written(self, tracer):
        carrier = {}
        tracer.inject(SpanContext(0xAB, 0xCD, 1, 1), Format.HTTP_HEADERS, carrier)
        assert carrier == {
            "uber-trace-id": "ab:cd:1:1",
            "traceparent": f"00-{0xAB:032x}-{0xCD:016x}-01",
        }

    def test_only_the_legacy_one_when_otel_propagators_says_so(self, monkeypatch):
        monkeypatch.setenv("OTEL_PROPAGATORS", "baggage,uber_trace_id")
        carrier = {}
        make().inject(SpanContext(1, 2, None, 1), Format.TEXT_MAP, carrier)
        assert carrier == {"uber-trace-id": "1:2:0:1"}

    @pytest.mark.parametrize("flags", [2, 3, 8, 9])
    def test_jaegers_flags_stay_out_of_traceparent(self, tracer, flags):
        carrier = {}
        tracer.inject(SpanContext(1, 2, None, flags), Format.TEXT_MAP, carrier)
        assert carrier["traceparent"].endswith(f"-0{flags & 1}")
        assert carrier["uber-trace-id"].endswith(f":{flags}")

    @pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
    def test_traceparent_alone_is_read(self, tracer, name):
        carrier = {name: f"00-{7:032x}-{8:016x}-01", "tracestate": "a=1"}
        context = tracer.extract(Format.HTTP_HEADERS, carrier)
        assert (context.trace_id, context.span_id, context.flags) == (7, 8, 1)
        onward = {}
        tracer.inject(tracer.start_span("x", child_of=context), Format.HTTP_HEADERS, onward)
        assert onward["tracestate"] == "a=1"

    def test_the_random_bit_is_not_debug(self, tracer):
        carrier = {"traceparent": f"00-{7:032x}-{8:016x}-03"}
        assert tracer.extract(Format.HTTP_HEADERS, carrier).flags == 1

    def test_the_legacy_header_wins(self, tracer):
        carrier = {"traceparent": f"00-{7:032x}-{8:016x}-01", "Uber-Trace-Id": "1%3A2%3A0%3A3"}
        context = tracer.extract(Format.HTTP_HEADERS, carrier)
        assert (context.trace_id, context.flags) == (1, 3)

    @pytest.mark.parametrize("carrier", [{}, {"other": "x"}])
    def test_nothing_is_none(self, tracer, carrier):
        assert tracer.extract(Format.HTTP_HEADERS, carrier) is None

    @pytest.mark.parametrize("value", ["", "1:2:3", "x:y:z:1", "0:0:0:0", "1" * 40 + ":1:0:1"])
    def test_a_broken_header_is_none(self, tracer, value):
        assert tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": value}) is None

    def test_only_the_first_broken_header_is_a_warning(self, tracer, caplog):
        with caplog.at_level(logging.DEBUG, "jaeger_tracing"):
            for value in ("first", "second", "third"):
                tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": value})
        said = [record for record in caplog.records if "extracted" in record.msg]
        assert [record.levelname for record in said] == ["WARNING", "DEBUG", "DEBUG"]
        assert "third" in said[-1].getMessage()

    def test_baggage_alone_makes_a_root_that_the_sampler_decides(self, tracer):
        context = tracer.extract(Format.HTTP_HEADERS, {"uberctx-user": "a%20b"})
        span = tracer.start_span("x", child_of=context)
        assert span.parent_id is None
        assert span.get_baggage_item("user") == "a b"
        assert span.is_sampled()

    def test_unknown_format(self, tracer):
        with pytest.raises(opentracing.UnsupportedFormatException):
            tracer.inject(tracer.start_span("x"), "morse", {})
        with pytest.raises(opentracing.UnsupportedFormatException):
            tracer.extract("morse", {})

    def test_a_codec_of_the_applications_own(self, tracer):
        tracer.codecs[Format.HTTP_HEADERS] = B3Codec()
        carrier = {}
        tracer.inject(SpanContext(1, 2, None, 1), Format.HTTP_HEADERS, carrier)
        assert carrier["X-B3-TraceId"] == "0000000000000001"
        assert tracer.extract(Format.HTTP_HEADERS, carrier).span_id == 2

    def test_tchannels_fields(self, tracer):
        carrier = {}
        tracer.inject(SpanContext(1, 2, 3, 1), ZipkinSpanFormat, carrier)
        assert tracer.extract(ZipkinSpanFormat, carrier).parent_id == 3


class TestBaggage:
    def test_is_logged_as_an_event(self, tracer):
        span = tracer.start_span("x").set_baggage_item("k", "1").set_baggage_item("k", "2")
        fields = [{field.key: field.vStr for field in log.fields} for log in span.logs]
        assert fields == [
            {"event": "baggage", "key": "k", "value": "1"},
            {"event": "baggage", "key": "k", "value": "2", "override": "true"},
        ]

    def test_a_later_item_is_not_seen_by_an_earlier_child(self, tracer):
        span = tracer.start_span("x")
        child = tracer.start_span("y", child_of=span)
        span.set_baggage_item("k", "v")
        assert child.get_baggage_item("k") is None


class TestFinish:
    def test_once(self, tracer, caplog):
        span = tracer.start_span("x")
        span.finish()
        span.finish()
        assert len(tracer.reporter.get_spans()) == 1
        assert "already been finished" in caplog.text

    def test_nothing_changes_a_finished_span(self, tracer):
        span = tracer.start_span("x")
        span.finish()
        span.set_tag("late", 1).log_kv({"event": "late"}).set_operation_name("late")
        assert "late" not in tags(span)
        assert span.logs == []
        assert span.operation_name == "x"

    @pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_leaving_by_an_exception_is_an_error(self, tracer, error):
        with pytest.raises(error), tracer.start_active_span("x") as scope:
            raise error("no")
        assert tags(scope.span)["error"].vBool is True
        (log,) = scope.span.logs
        fields = {field.key: field.vStr for field in log.fields}
        assert fields["message"] == fields["error.object"] == "no"
        assert fields["error.kind"] == f"<class '{error.__name__}'>"
        assert "raise error" in fields["stack"]

    def test_start_and_finish_times_are_unix_seconds(self, tracer):
        span = tracer.start_span("x", start_time=100.5)
        span.finish(101)
        assert (span.start_time_ns(), span.end_time_ns()) == (100_500_000_000, 101_000_000_000)


def test_a_reporter_that_raises_costs_the_span_only(caplog):
    class Broken(InMemoryReporter):
        def report_span(self, span):
            raise RuntimeError

    tracer = Tracer("x", Broken(), ConstSampler(True))
    tracer.start_span("x").finish()
    assert "span lost" in caplog.text
