"""Config takes every key and variable that jaeger_client's took, and where spans then go."""

from __future__ import annotations

import asyncio
import logging

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

import shim
from shim.endpoint import Endpoint, endpoint
from shim.jaeger_client import Config, ConstSampler, RemoteControlledSampler
from shim.jaeger_client.metrics.prometheus import PrometheusMetricsFactory
from shim.pipeline import make_exporter, resource_of
from shim.startup import config_from_environment, service_name_from

CONST = {"sampler": {"type": "const", "param": 1}}


class TestKeys:
    def test_every_key(self):
        config = Config(
            {
                **CONST,
                "logging": True,
                "enabled": False,
                "reporter_batch_size": 5,
                "reporter_queue_size": 50,
                "reporter_flush_interval": 2,
                "propagation": "b3",
                "max_tag_value_length": 10,
                "max_traceback_length": 20,
                "sampling_refresh_interval": 30,
                "trace_id_header": "x-trace",
                "baggage_header_prefix": "x-ctx-",
                "debug_id_header": "x-debug",
                "generate_128bit_trace_id": True,
                "tags": {"a": "b"},
                "throttler": {"port": 1, "refresh_interval": 2},
                "local_agent": {"reporting_host": "h", "reporting_port": 3, "sampling_port": 4},
                "max_operations": 9,
                "metrics": False,
                "service_name": "in the dict",
            },
            service_name="as argument",
        )
        tracer = config.new_tracer()
        assert tracer.service_name == "in the dict"
        assert tracer.max_tag_value_length == 10
        assert tracer.max_trace_id_bits == 128
        assert tracer.debug_id_header == "x-debug"
        assert not config.enabled
        carrier = {}
        tracer.inject(tracer.start_span("x"), "text_map", carrier)
        assert "x-trace" in carrier
        queue = tracer.reporter.reporters[0]._queue
        assert (queue._capacity, queue._wake_at, queue._flush_interval) == (50, 5, 2)

    @pytest.mark.parametrize("key", ["unknown", "metrics", "debug_id_header", "max_operations"])
    def test_validate_rejects_what_jaeger_client_rejected(self, key):
        with pytest.raises(ValueError, match=key):
            Config({key: 1}, service_name="x", validate=True)
        Config({key: 1}, service_name="x")

    def test_no_service_name(self):
        with pytest.raises(ValueError, match="service_name"):
            Config({})

    def test_without_a_sampler_it_is_remote_at_one_in_a_thousand(self):
        tracer = Config({}, service_name="x").new_tracer()
        assert isinstance(tracer.sampler, RemoteControlledSampler)
        assert tracer.sampler.is_sampled(1)[1] == {
            "sampler.type": "probabilistic",
            "sampler.param": 0.001,
        }
        tracer.close()

    def test_tags_of_the_environment_win(self, monkeypatch):
        monkeypatch.setenv("JAEGER_TAGS", "a=env, b = x=y ,broken")
        assert Config({"tags": {"a": 1}}, service_name="x").tags == {"a": "env", "b": "x=y"}

    def test_prometheus_metrics_have_the_old_names(self):
        from prometheus_client import REGISTRY

        factory = PrometheusMetricsFactory(namespace="shim")
        tracer = Config(CONST, service_name="x", metrics_factory=factory).new_tracer()
        tracer.start_span("x").finish()
        sample = REGISTRY.get_sample_value
        assert sample("shim_jaeger:finished_spans_total") == 1
        assert sample("shim_jaeger:started_spans_total", {"sampled": "y"}) == 1
        assert sample("shim_jaeger:traces_total", {"sampled": "y", "state": "started"}) == 1

    def test_logging_reports_each_span(self, receiver, caplog):
        tracer = Config({**CONST, "logging": True}, service_name="svc").new_tracer()
        with caplog.at_level(logging.INFO, "jaeger_tracing"):
            span = tracer.start_span("op")
            span.finish()
        assert f"Reporting span {span.trace_id:x}:{span.span_id:x}:0:1 svc.op" in caplog.text


class TestClose:
    def test_in_a_thread(self, receiver):
        tracer = Config(CONST, service_name="x").new_tracer()
        tracer.start_span("x").finish()
        assert tracer.close().result(10) is True
        assert len(receiver.spans) == 1

    def test_in_asyncio_and_after_it(self, receiver):
        tracer = Config(CONST, service_name="x").new_tracer()

        async def main():
            tracer.start_span("x").finish()
            await tracer.close()

        asyncio.run(main())
        assert len(receiver.spans) == 1
        tracer.close()

    def test_in_tornado(self, receiver):
        gen = pytest.importorskip("tornado.gen")
        ioloop = pytest.importorskip("tornado.ioloop")
        tracer = Config(CONST, service_name="x").new_tracer()

        @gen.coroutine
        def main():
            tracer.start_span("x").finish()
            yield tracer.close()

        async def run():
            await main()

        loop = ioloop.IOLoop(make_current=False)
        loop.run_sync(run)
        loop.close()
        assert len(receiver.spans) == 1


@pytest.mark.parametrize(
    ("agent_host", "environ", "expected"),
    [
        (None, {}, Endpoint("http/protobuf", "http://localhost:4318/v1/traces")),
        ("jaeger", {}, Endpoint("http/protobuf", "http://jaeger:4318/v1/traces")),
        ("::1", {}, Endpoint("http/protobuf", "http://[::1]:4318/v1/traces")),
        (
            None,
            {"JAEGER_AGENT_HOST": "agent"},
            Endpoint("http/protobuf", "http://agent:4318/v1/traces"),
        ),
        (
            "jaeger",
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            Endpoint("grpc", "http://jaeger:4317"),
        ),
        (
            "jaeger",
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "carrier pigeon"},
            Endpoint("http/protobuf", "http://jaeger:4318/v1/traces"),
        ),
        ("jaeger", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, Endpoint("http/protobuf", None)),
        (
            "jaeger",
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            Endpoint("grpc", None),
        ),
    ],
)
def test_endpoint(agent_host, environ, expected):
    assert endpoint(agent_host, environ) == expected


def test_a_protocol_the_code_names_goes_before_the_environments():
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert endpoint("jaeger", environ, protocol="grpc") == Endpoint("grpc", "http://jaeger:4317")


def test_a_derived_endpoint_is_logged_once(caplog):
    with caplog.at_level(logging.INFO, "jaeger_tracing"):
        make_exporter("jaeger-host").shutdown()
    assert len([r for r in caplog.records if "jaeger-host:4318" in r.message]) == 1


class TestExporters:
    def test_console(self, monkeypatch):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
        assert isinstance(make_exporter(None), ConsoleSpanExporter)

    def test_none(self, monkeypatch):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
        make_exporter(None).export([])

    def test_an_unknown_one_is_logged_and_left_out(self, monkeypatch, caplog):
        monkeypatch.setenv("OTEL_TRACES_EXPORTER", "pigeon")
        make_exporter(None).export([])
        assert "pigeon" in caplog.text


def test_process_tags_have_their_old_and_their_new_names():
    tags = {"hostname": "h", "ip": "1.2.3.4", "jaeger.version": "Python-4.8.0", "odd": [1]}
    attributes = resource_of("svc", tags).attributes
    assert attributes["service.name"] == "svc"
    assert attributes["hostname"] == attributes["host.name"] == "h"
    assert attributes["ip"] == "1.2.3.4"
    assert attributes["jaeger.version"] == "Python-4.8.0"
    assert attributes["opencensus.exporterversion"] == "Jaeger-Python-4.8.0"
    assert attributes["odd"] == "[1]"


class TestEnvironment:
    def test_nothing_set_samples_everything(self):
        assert config_from_environment({}) == CONST

    def test_the_variables_of_all_languages(self):
        environ = {
            "JAEGER_SAMPLER_TYPE": "probabilistic",
            "JAEGER_SAMPLER_PARAM": "0.5",
            "JAEGER_SAMPLER_MANAGER_HOST_PORT": "agent:1234",
            "JAEGER_PROPAGATION": "B3",
            "JAEGER_REPORTER_LOG_SPANS": "true",
            "JAEGER_REPORTER_MAX_QUEUE_SIZE": "77",
            "JAEGER_REPORTER_FLUSH_INTERVAL": "500",
        }
        config = Config(config_from_environment(environ), service_name="x")
        assert config.sampler.rate == 0.5
        assert config.local_agent_sampling_port == 1234
        assert len(config.propagation) == 1
        assert config.logging
        assert config.reporter_queue_size == 77
        assert config.reporter_flush_interval == 0.5

    def test_remote_is_the_absent_sampler(self):
        environ = {"JAEGER_SAMPLER_TYPE": "remote"}
        assert Config(config_from_environment(environ), service_name="x").sampler is None

    def test_service_name(self, monkeypatch):
        for variable in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"):
            monkeypatch.delenv(variable, raising=False)
        assert service_name_from({"JAEGER_SERVICE_NAME": "old"}) == "old"
        monkeypatch.setenv("OTEL_SERVICE_NAME", "new")
        assert service_name_from({"JAEGER_SERVICE_NAME": "old"}) == "new"


class TestInstall:
    def test_native_spans_share_the_pipeline_and_the_sampler(self, receiver):
        tracer = shim.install("both", CONST)
        native = trace.get_tracer("native")
        with tracer.start_active_span("legacy"), native.start_as_current_span("native"):
            pass
        native.start_span("root").end()
        tracer.sampler = ConstSampler(False)
        native.start_span("unsampled").end()
        tracer.close().result(10)
        spans = {span.name: span for span in receiver.spans}
        assert set(spans) == {"legacy", "native", "root"}
        assert spans["native"].parent_span_id == spans["legacy"].span_id
        assert "sampler.type" in {a.key for a in spans["root"].attributes}

    def test_sets_the_global_tracer(self, receiver):
        tracer = shim.install("x", CONST)
        assert opentracing.global_tracer() is tracer


class TestConfigure:
    """What migrated code gets for a Config that is made at run time."""

    @pytest.fixture(autouse=True)
    def propagators(self):
        before = propagate.get_global_textmap()
        yield
        propagate.set_global_textmap(before)

    def test_a_plain_provider(self, receiver):
        provider = shim.configure({**CONST, "tags": {"release": "7"}}, service_name="svc")
        assert trace.get_tracer_provider() is provider
        with trace.get_tracer("app").start_as_current_span("x"):
            carrier = {}
            propagate.inject(carrier)
        assert {"uber-trace-id", "traceparent"} <= set(carrier)
        provider.force_flush()
        (span,) = receiver.wait_for_spans(1)
        assert {a.key for a in span.attributes} == {"sampler.type", "sampler.param"}
        resource = receiver.resource_spans[0].resource.attributes
        assert {"service.name", "release"} <= {a.key for a in resource}
        provider.shutdown()

    def test_without_touching_globals(self):
        before = propagate.get_global_textmap()
        provider = shim.configure(CONST, "x", set_global=False)
        assert trace._TRACER_PROVIDER is None
        assert propagate.get_global_textmap() is before
        provider.shutdown()

    @pytest.mark.parametrize(
        ("sampler", "description"),
        [
            ({"type": "const", "param": 0}, "ConstSampler(False)"),
            ({"type": "probabilistic", "param": 0.25}, "ProbabilisticSampler(0.25)"),
            ({"type": "ratelimiting", "param": 3}, "RateLimitingSampler(3.0)"),
            ({}, "JaegerRemoteSampler(http://localhost:5778/sampling"),
        ],
    )
    def test_samplers(self, sampler, description):
        provider = shim.configure({"sampler": sampler}, "x", set_global=False)
        assert description in provider.sampler.get_description()
        provider.shutdown()

    def test_the_protocol_that_the_code_names(self, receiver, monkeypatch):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
        provider = shim.configure(CONST, "x", set_global=False, protocol="grpc")
        provider.get_tracer("app").start_span("x").end()
        provider.force_flush()
        assert [span.name for span in receiver.wait_for_spans(1)] == ["x"]
        provider.shutdown()

    def test_no_service_name(self):
        with pytest.raises(ValueError, match="service_name"):
            shim.configure({})
