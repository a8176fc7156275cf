"""The removed Jaeger exporters of OpenTelemetry, of all five eras."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_noop, check_untouched, left, run

GRPC = "from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter"
HTTP = "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter"
THRIFT = "from opentelemetry.exporter.jaeger.thrift import JaegerExporter"
PROTO = "from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter"


def test_an_exporter_of_that_name_from_elsewhere_is_left_alone() -> None:
    check_untouched("""\
        from mycompany.tracing import JaegerExporter

        exporter = JaegerExporter(agent_host_name="jaeger")
        """)


def test_arguments_known_only_at_run_time_are_reported() -> None:
    result = check_noop(f"""\
        {THRIFT}

        exporter = JaegerExporter(**options)
        """)
    assert left(result)[-1] == "3: opentelemetry.exporter.jaeger.thrift.JaegerExporter"


def test_a_class_that_is_passed_on_is_reported() -> None:
    check_noop(f"""\
        {THRIFT}

        EXPORTERS = {{"jaeger": JaegerExporter}}
        """)


def test_a_class_loaded_by_name_is_reported() -> None:
    result = check_noop("""\
        import importlib

        module = importlib.import_module("opentelemetry.exporter.jaeger.thrift")
        """)
    assert "loaded by name" in result.findings[0].message


def test_no_arguments_leave_the_endpoint_to_the_environment() -> None:
    check(f"{THRIFT}\n\nx = JaegerExporter()\n", f"{GRPC}\n\nx = OTLPSpanExporter()\n")


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        ('agent_host_name="j", agent_port=6831', 'endpoint="http://j:4317", insecure=True'),
        ('"j", 6831', 'endpoint="http://j:4317", insecure=True'),
        ("agent_host_name=host", 'endpoint=f"http://{host}:4317", insecure=True'),
        (
            'agent_host_name="j", udp_split_oversized_batches=True, timeout=5',
            'endpoint="http://j:4317", insecure=True, timeout=5',
        ),
        ("timeout=5", "timeout=5"),
        (
            'collector_endpoint="http://j:14268/api/traces?format=jaeger.thrift"',
            'endpoint="http://j:4317", insecure=True',
        ),
        (
            'collector_endpoint=f"http://{host}:{port}/api/traces?format=jaeger.thrift"',
            'endpoint=f"http://{host}:4317", insecure=True',
        ),
        (
            'collector_endpoint="http://" + host + ":14268/api/traces"',
            'endpoint=f"http://{host}:4317", insecure=True',
        ),
        (
            'collector_endpoint="http://%s:%d/api/traces" % (host, port)',
            'endpoint=f"http://{host}:4317", insecure=True',
        ),
        (
            'collector_endpoint="http://{}:14268/api/traces".format(host)',
            'endpoint=f"http://{host}:4317", insecure=True',
        ),
        ('collector_endpoint="https://j/api/traces"', 'endpoint="https://j:4317"'),
    ],
)
def test_thrift(arguments: str, after: str) -> None:
    check(
        f"{THRIFT}\n\nx = JaegerExporter({arguments})\n",
        f"{GRPC}\n\nx = OTLPSpanExporter({after})\n",
    )


def test_protocol_http() -> None:
    check(
        f'{THRIFT}\n\nx = JaegerExporter(agent_host_name="j")\n',
        f'{HTTP}\n\nx = OTLPSpanExporter(endpoint="http://j:4318/v1/traces")\n',
        protocol="http",
    )


def test_endpoint_from_env() -> None:
    check(
        f'{THRIFT}\n\nx = JaegerExporter(agent_host_name="j", timeout=3)\n',
        f"{GRPC}\n\nx = OTLPSpanExporter(timeout=3)\n",
        endpoint_from_env=True,
    )


def test_user_and_password_become_a_header() -> None:
    check(
        f'{THRIFT}\n\nx = JaegerExporter(collector_endpoint="http://j/api/traces", '
        "username=user, password=password)\n",
        f"from base64 import b64encode\n{GRPC}\n\n"
        'x = OTLPSpanExporter(endpoint="http://j:4317", insecure=True, headers={"authorization": '
        '"Basic " + b64encode("{}:{}".format(user, password).encode()).decode()})\n',
    )


def test_a_collector_known_only_at_run_time_needs_unsafe() -> None:
    before = f"{THRIFT}\n\nx = JaegerExporter(collector_endpoint=settings.URL)\n"
    check_noop(before)
    check(
        before,
        f"{GRPC}\n\nx = OTLPSpanExporter(endpoint=settings.URL, insecure=True)\n",
        unsafe=True,
    )


def test_a_collector_whose_scheme_is_known_only_at_run_time_needs_unsafe() -> None:
    before = f'{THRIFT}\n\nx = JaegerExporter(collector_endpoint=f"{{BASE}}/api/traces")\n'
    check_noop(before)
    check(
        before,
        f"{GRPC}\n\nx = OTLPSpanExporter(endpoint=BASE, insecure=True)\n",
        unsafe=True,
    )
    result = run(before, unsafe=True, protocol="http")
    assert 'OTLPSpanExporter(endpoint=BASE + "/v1/traces")' in result.source.decode()


@pytest.mark.parametrize(
    ("arguments", "after"),
    [
        (
            'collector_endpoint="[::1]:14250", insecure=True',
            'endpoint="http://[::1]:4317", insecure=True',
        ),
        (
            'collector_endpoint="j:14250", insecure=True',
            'endpoint="http://j:4317", insecure=True',
        ),
        ('collector_endpoint="j:14250"', 'endpoint="https://j:4317"'),
        ('endpoint="http://j:14250", insecure=True', 'endpoint="http://j:4317", insecure=True'),
        (
            'collector_endpoint="j:14250", credentials=credentials',
            'endpoint="https://j:4317", credentials=credentials',
        ),
    ],
)
def test_grpc(arguments: str, after: str) -> None:
    check(
        f"{PROTO}\n\nx = JaegerExporter({arguments})\n",
        f"{GRPC}\n\nx = OTLPSpanExporter({after})\n",
    )


def test_credentials_need_grpc() -> None:
    check_noop(f"{PROTO}\n\nx = JaegerExporter(credentials=c)\n", protocol="http")


def test_two_exporters_under_aliases() -> None:
    check(
        """\
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter as GrpcJaegerExporter
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter as ThriftJaegerExporter

        if mode == "grpc":
            exporter = GrpcJaegerExporter(collector_endpoint="j:14250", insecure=True)
        else:
            exporter = ThriftJaegerExporter(agent_host_name="j")
        """,
        f"""\
        {GRPC}

        if mode == "grpc":
            exporter = OTLPSpanExporter(endpoint="http://j:4317", insecure=True)
        else:
            exporter = OTLPSpanExporter(endpoint="http://j:4317", insecure=True)
        """,
    )


def test_the_old_exporters_service_name_moves_to_the_resource() -> None:
    check(
        """\
        from opentelemetry import trace
        from opentelemetry.ext import jaeger
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchExportSpanProcessor

        trace.set_tracer_provider(TracerProvider())
        exporter = jaeger.JaegerSpanExporter(
            service_name="a", agent_host_name="j", agent_port=6831
        )
        trace.get_tracer_provider().add_span_processor(BatchExportSpanProcessor(exporter))
        """,
        f"""\
        from opentelemetry import trace
        {GRPC}
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        trace.set_tracer_provider(TracerProvider(resource=Resource.create({{"service.name": "a"}})))
        exporter = OTLPSpanExporter(endpoint="http://j:4317", insecure=True)
        trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))
        """,
    )


def test_a_service_name_without_a_provider_is_reported() -> None:
    check_noop("""\
        from opentelemetry.exporter.jaeger import JaegerSpanExporter

        exporter = JaegerSpanExporter(service_name="shop")
        """)


def test_methods_of_the_exporter_stay() -> None:
    check(
        f"{THRIFT}\n\nx = JaegerExporter()\nx.shutdown()\n",
        f"{GRPC}\n\nx = OTLPSpanExporter()\nx.shutdown()\n",
    )


def test_names_of_environment_variables_stay_what_they_are() -> None:
    check(
        """\
        import os

        from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_JAEGER_AGENT_HOST
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter

        host = os.environ[OTEL_EXPORTER_JAEGER_AGENT_HOST]
        """,
        """\
        import os

        host = os.environ["OTEL_EXPORTER_JAEGER_AGENT_HOST"]
        """,
    )


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        ('agent_host_name="jaeger", agent_port=settings.PORT', "`settings.PORT` is not asked"),
        ('collector_endpoint=f"http://jaeger:{PORT}/api/traces"', "`PORT` is not asked"),
        (
            'collector_endpoint=f"http://jaeger:{PORT}/api/traces", max_tag_value_length=9',
            "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT to what max_tag_value_length was. `PORT`",
        ),
        ("", "OTEL_EXPORTER_OTLP_ENDPOINT is"),
        ('agent_host_name="jaeger", agent_port=6831', ""),
    ],
)
def test_what_is_set_elsewhere_and_no_longer_asked_for_is_said(arguments: str, note: str) -> None:
    result = run(
        "from opentelemetry.exporter.jaeger.thrift import JaegerExporter\n\n"
        f"exporter = JaegerExporter({arguments})\n"
    )
    (call,) = (finding for finding in result.findings if finding.line == 3)
    assert call.fate is Fate.REWRITTEN
    assert note in call.advice if note else not call.advice


def test_a_service_name_that_is_read_where_the_provider_is_known_moves() -> None:
    check(
        """\
        import os
        from opentelemetry.ext.jaeger import JaegerSpanExporter
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider()
        exporter = JaegerSpanExporter(service_name=os.getenv("NAME"), agent_host_name="j")
        """,
        f"""\
        import os
        {GRPC}
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider(resource=Resource.create({{"service.name": os.getenv("NAME")}}))
        exporter = OTLPSpanExporter(endpoint="http://j:4317", insecure=True)
        """,
    )


@pytest.mark.parametrize(
    "between",
    [
        'name = os.environ["NAME"]',
        'load_dotenv()\nname = "a"',
        'def name(): return "a"',
    ],
)
def test_a_service_name_that_the_provider_is_made_before_is_reported(between: str) -> None:
    service = "os.getenv('NAME')" if "dotenv" in between else "name"
    check_noop(
        "from opentelemetry.ext.jaeger import JaegerSpanExporter\n"
        "from opentelemetry.sdk.trace import TracerProvider\n\n"
        f"provider = TracerProvider()\n{between}\n"
        f'exporter = JaegerSpanExporter(service_name={service}, agent_host_name="j")\n'
    )


def test_two_services_of_one_provider_are_reported() -> None:
    result = check_noop("""\
        from opentelemetry.ext.jaeger import JaegerSpanExporter
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider()
        exporters = [JaegerSpanExporter("a"), JaegerSpanExporter("b")]
        """)
    assert "name two services" in result.findings[-1].message


RESOURCE = """\
{imports}
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

resource = {resource}
provider = TracerProvider(resource=resource)
exporter = {exporter}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('Resource({"service.name": "a", "b": 1})', 'Resource({"service.name": "a", "b": 1})'),
        ('Resource(labels={SERVICE_NAME: "a"})', 'Resource(attributes={SERVICE_NAME: "a"})'),
        ('Resource.create({"b": 1})', 'Resource.create({"service.name": "a", "b": 1})'),
        ("Resource.create(attributes={})", 'Resource.create(attributes={"service.name": "a"})'),
    ],
)  # fmt: skip
def test_a_service_name_goes_into_a_resource_that_is_made_of_a_dict(
    before: str, after: str
) -> None:
    beta = "from opentelemetry.exporter.jaeger import JaegerSpanExporter"
    otlp = 'OTLPSpanExporter(endpoint="http://j:4317", insecure=True)'
    check(
        RESOURCE.format(
            imports=beta, resource=before, exporter='JaegerSpanExporter("a", agent_host_name="j")'
        ),
        RESOURCE.format(imports=GRPC, resource=after, exporter=otlp),
    )


@pytest.mark.parametrize(
    "resource",
    ['Resource.create({"service.name": "other"})', "Resource.create({**some})", "made(resource)"],
)
def test_a_resource_that_names_another_service_or_is_not_seen_is_reported(resource: str) -> None:
    check_noop(
        RESOURCE.format(
            imports="from opentelemetry.exporter.jaeger import JaegerSpanExporter",
            resource=resource,
            exporter='JaegerSpanExporter("a", agent_host_name="j")',
        )
    )


def test_a_service_that_two_exporters_name_is_given_to_the_provider_once() -> None:
    check(
        """\
        from opentelemetry.ext.jaeger import JaegerSpanExporter
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider()
        exporters = [JaegerSpanExporter("a", "h"), JaegerSpanExporter("a", "i")]
        """,
        f"""\
        {GRPC}
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        provider = TracerProvider(resource=Resource.create({{"service.name": "a"}}))
        exporters = [OTLPSpanExporter(endpoint="http://h:4317", insecure=True), """
        """OTLPSpanExporter(endpoint="http://i:4317", insecure=True)]
        """,
    )


def test_the_first_betas_set_up_becomes_todays() -> None:
    check(
        """\
        from opentelemetry import trace
        from opentelemetry.ext.flask import instrument_app
        from opentelemetry.ext.jaeger import JaegerSpanExporter
        from opentelemetry.sdk.trace import Tracer
        from opentelemetry.sdk.trace.export import SimpleExportSpanProcessor

        trace.set_preferred_tracer_implementation(lambda T: Tracer())
        tracer = trace.tracer()
        instrument_app(app)
        tracer.add_span_processor(SimpleExportSpanProcessor(JaegerSpanExporter("a", "j")))
        with tracer.start_as_current_span("work"):
            pass
        """,
        f"""\
        from opentelemetry import trace
        {GRPC}
        from opentelemetry.instrumentation.flask import FlaskInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import Tracer, TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        trace.set_tracer_provider(TracerProvider(resource=Resource.create({{"service.name": "a"}})))
        tracer = trace.get_tracer(__name__)
        FlaskInstrumentor().instrument_app(app)
        trace.get_tracer_provider().add_span_processor("""
        """SimpleSpanProcessor(OTLPSpanExporter(endpoint="http://j:4317", insecure=True)))
        with tracer.start_as_current_span("work"):
            pass
        """,
    )


def test_sources_of_tracers_become_providers() -> None:
    check(
        """\
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerSource

        trace.set_preferred_tracer_source_implementation(lambda T: TracerSource())
        trace.tracer_source().add_span_processor(processor)
        """,
        """\
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        trace.set_tracer_provider(TracerProvider())
        trace.get_tracer_provider().add_span_processor(processor)
        """,
    )


@pytest.mark.parametrize(
    "source",
    [
        "from opentelemetry.ext import http_requests\n\nhttp_requests.enable(provider)\n",
        "from opentelemetry.trace.status import StatusCanonicalCode\n\nx = StatusCanonicalCode\n",
        "from opentelemetry import propagators\n\npropagators.inject(dict.__setitem__, headers)\n",
        "from opentelemetry import trace\n\n"
        "trace.set_preferred_tracer_implementation(lambda T: chosen)\n",
    ],
)
def test_what_went_with_the_beta_is_reported(source: str) -> None:
    assert check_noop(source).findings[-1].fate is Fate.REPORTED


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("class Mine(JaegerExporter): pass", "derives"),
        ('logging.getLogger("opentelemetry.exporter.jaeger.thrift.send")', "logger"),
    ],
)
def test_a_report_says_what_the_exporter_is_there_for(use: str, said: str) -> None:
    assert said in run(f"import logging\n\n{THRIFT}\n\n{use}\n").findings[-1].message


OPTIONAL = """\
    try:
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter
    except ImportError:
        JaegerExporter = None


    def make(cfg):
        if JaegerExporter is None:
            return None
        return JaegerExporter({arguments})
    """


def test_an_optional_exporter_is_asked_for_under_its_new_name() -> None:
    check(
        OPTIONAL.format(arguments="agent_host_name=cfg.host"),
        """\
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        except ImportError:
            OTLPSpanExporter = None


        def make(cfg):
            if OTLPSpanExporter is None:
                return None
            return OTLPSpanExporter(endpoint=f"http://{cfg.host}:4317", insecure=True)
        """,
    )


def test_an_optional_exporter_that_stays_is_asked_for_as_before() -> None:
    check_noop(OPTIONAL.format(arguments="**cfg"))


@pytest.mark.parametrize(
    "line",
    [
        'os.environ["OTEL_TRACES_EXPORTER"] = "jaeger_thrift"',
        'os.environ.setdefault("OTEL_TRACES_EXPORTER", "jaeger")',
        'SETTINGS = {"A": "b", "OTEL_TRACES_EXPORTER": "jaeger_proto"}',
        'run(OTEL_TRACES_EXPORTER="jaeger")',
        'EXPORTERS = {"jaeger": "opentelemetry.exporter.jaeger.thrift:JaegerExporter"}',
    ],
)
def test_an_exporter_that_is_named_by_its_entry_point_is_reported(line: str) -> None:
    result = check_noop(f"import os\n\n{line}\n")
    assert [finding.code for finding in result.findings] == ["JO801"]


def test_the_word_jaeger_alone_names_no_exporter() -> None:
    check_untouched('NAMES = {"jaeger": 1, "OTEL_TRACES_EXPORTER": "otlp", "b": "jaeger"}\n')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("span.get_context().trace_id", "span.get_span_context().trace_id"),
        ("span.is_recording_events()", "span.is_recording()"),
        ("tracer.get_current_span()", "trace.get_current_span()"),
        ("tracer.use_span(span, end_on_exit=True)", "trace.use_span(span, end_on_exit=True)"),
        (
            "trace.get_tracer_provider().resource.labels",
            "trace.get_tracer_provider().resource.attributes",
        ),
    ],
)
def test_methods_of_the_beta_have_todays_names(before: str, after: str) -> None:
    head = (
        "from opentelemetry import trace\n\ntracer = trace.get_tracer(__name__)\n"
        "span = tracer.start_span('a')\n"
    )
    check(f"{head}print({before})\n", f"{head}print({after})\n")


def test_what_the_first_tracer_of_the_beta_gives_is_opentelemetrys() -> None:
    result = run(
        "from opentelemetry import trace\n\ntracer = trace.tracer()\n"
        "with tracer.start_as_current_span('a') as span:\n    print(span.get_context())\n"
    )
    assert b"print(span.get_span_context())" in result.source
