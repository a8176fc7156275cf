"""A legacy library that may be missing: the name that is then None, and who else binds it."""

from __future__ import annotations

from tests.codemods.helpers import check, check_noop, left, run


def test_a_global_statement_follows_the_name() -> None:
    result = check(
        """\
        try:
            import opentracing
        except ImportError:
            opentracing = None


        def switch_off():
            global enabled, opentracing
            opentracing = None


        def tag(value):
            if opentracing is not None:
                opentracing.tracer.active_span.set_tag("size", len(value))
        """,
        """\
        try:
            from opentelemetry import trace
        except ImportError:
            trace = None


        def switch_off():
            global enabled, trace
            trace = None


        def tag(value):
            if trace is not None:
                trace.get_current_span().set_attribute("size", len(value))
        """,
    )
    assert left(result) == []


def test_a_library_imported_when_it_is_needed_is_asked_for_as_before() -> None:
    result = check(
        """\
        opentracing = None


        def switch_on():
            global opentracing
            import opentracing


        def tag(value):
            if opentracing is not None:
                opentracing.tracer.active_span.set_tag("size", len(value))
        """,
        """\
        from opentelemetry import trace

        opentracing = None


        def switch_on():
            global opentracing
            import opentracing


        def tag(value):
            if opentracing is not None:
                trace.get_current_span().set_attribute("size", len(value))
        """,
    )
    assert left(result) == ["6: opentracing", "10: opentracing"]


def test_the_configuration_that_is_none_without_the_library() -> None:
    result = check(
        """\
        try:
            from jaeger_client import Config
            import opentracing
        except ImportError:
            Config = None


        def start(name):
            if Config is None:
                return None
            config = Config({"sampler": {"type": "const", "param": 1}}, service_name=name)
            return config.new_tracer()
        """,
        """\
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            trace = None


        def start(name):
            if trace is None:
                return None
            provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            return provider.get_tracer(__name__)
        """,
    )
    assert left(result) == []


def test_a_configuration_that_stays_is_asked_for_as_before() -> None:
    before = """\
        try:
            from jaeger_client import Config
        except ImportError:
            Config = None


        def start(settings):
            if Config is None:
                raise RuntimeError("no jaeger_client")
            return Config(**settings).initialize_tracer()
        """
    check_noop(before)


def test_a_quoted_annotation_is_no_use_that_an_optional_import_waits_for() -> None:
    result = run(
        "try:\n    import opentracing\nexcept ImportError:\n    opentracing = None\n\n\n"
        'def tag(span: "opentracing.Span"):\n'
        "    if opentracing:\n        span.set_tag('k', 1)\n"
    )
    assert b"    if trace:\n        span.set_attribute('k', 1)" in result.source


def test_a_module_that_stands_in_for_the_library_is_noted() -> None:
    result = run(
        "try:\n    import opentracing\nexcept ImportError:\n    import ours as opentracing\n\n"
        "opentracing.tracer.start_span('a').finish()\n"
    )
    assert any("stood in for a library" in one.advice for one in result.findings)
