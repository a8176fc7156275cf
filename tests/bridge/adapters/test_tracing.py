import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
)

from bridge.adapters.conventions import SCHEMA_URL
from bridge.adapters.errors import Forbidden, NotFound
from bridge.adapters.tracing import Tracing, origin


@pytest.fixture
def tracing(telemetry):
    return Tracing("consul", tracer_provider=telemetry.tracer_provider)


def test_no_sdk_no_headers_and_no_error():
    headers = {}
    with Tracing("consul").call("get", {}) as call:
        call.set("consul.index", 3)
        call.inject(headers)
    assert headers == {}


def test_a_call_is_a_client_span_with_unset_status(tracing, telemetry):
    with tracing.call("get config/", {"db.system.name": "consul"}) as call:
        call.set("consul.index", 3)
    span = telemetry.span("get config/")
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {"db.system.name": "consul", "consul.index": 3}
    assert span.instrumentation_scope.name == "bridge.adapters.consul"
    assert span.instrumentation_scope.schema_url == SCHEMA_URL


def test_a_call_is_the_child_of_the_current_span_and_current_itself(tracing, telemetry):
    with telemetry.tracer.start_as_current_span("request") as request:
        with tracing.call("get", {}) as call:
            assert trace.get_current_span() is call.span
        assert trace.get_current_span() is request
    assert telemetry.span("get").parent.span_id == request.get_span_context().span_id


def test_an_error_gives_type_and_fixed_text(tracing, telemetry):
    with pytest.raises(Forbidden), tracing.call("get", {}):
        raise Forbidden("consul kv get", code="403")
    span = telemetry.span("get")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == Forbidden.text
    assert span.attributes["error.type"] == "403"
    assert not span.events


def test_not_found_is_an_answer_not_a_failure(tracing, telemetry):
    with pytest.raises(NotFound), tracing.call("get", {}):
        raise NotFound("consul kv get", code="404")
    assert telemetry.span("get").status.status_code is StatusCode.UNSET


def test_a_translated_error_leaves_the_library_s_text_behind(tracing, telemetry, canaries):
    secret = canaries.make("body")

    def translate(error):
        return Forbidden("consul kv get", code="403") if isinstance(error, OSError) else None

    with pytest.raises(Forbidden) as caught, tracing.call("get", {}, translate):
        raise OSError(secret)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_an_unknown_error_passes_and_its_text_is_not_recorded(tracing, telemetry, canaries):
    with pytest.raises(ZeroDivisionError), tracing.call("get", {}):
        raise ZeroDivisionError(canaries.make("text"))
    assert telemetry.span("get").attributes["error.type"] == "ZeroDivisionError"


def test_headers_and_metadata_carry_traceparent_and_never_baggage(tracing, telemetry, canaries):
    token = context_api.attach(baggage.set_baggage("user", canaries.make("baggage")))
    headers = {}
    try:
        with tracing.call("get", {}) as call:
            call.inject(headers)
            metadata = call.metadata()
    finally:
        context_api.detach(token)
    sent = telemetry.span("get").context
    flags = f"{sent.trace_flags & 1:02x}"  # never "random": old servers drop such a header
    assert headers == {"traceparent": f"00-{sent.trace_id:032x}-{sent.span_id:016x}-{flags}"}
    assert metadata == (("traceparent", headers["traceparent"]),)


def test_tracestate_goes_along_and_an_unsampled_parent_stays_so(telemetry):
    state = TraceState([("vendor", "1")])
    parent = SpanContext(0xA, 0xB, True, TraceFlags(0), state)
    tracing = Tracing("consul", tracer_provider=telemetry.tracer_provider)
    headers = {}
    with trace.use_span(NonRecordingSpan(parent)), tracing.call("get", {}) as call:
        call.inject(headers)
    assert headers["traceparent"].startswith(f"00-{0xA:032x}-")
    assert headers["traceparent"].endswith("-00")
    assert headers["tracestate"] == "vendor=1"


def test_transport_spans_are_suppressed_unless_wanted(telemetry):
    for wanted in (False, True):
        tracing = Tracing(
            "consul", tracer_provider=telemetry.tracer_provider, transport_spans=wanted
        )
        with tracing.call("get", {}):
            assert is_instrumentation_enabled() is wanted
        assert is_instrumentation_enabled()


def test_a_call_in_suppressed_work_makes_no_span_and_sends_no_context(tracing, telemetry):
    headers = {}
    with suppress_instrumentation(), tracing.call("get", {}) as call:
        call.inject(headers)
    assert telemetry.spans() == []
    assert headers == {}


def test_with_transport_spans_the_transport_sees_no_baggage(telemetry):
    tracing = Tracing("consul", tracer_provider=telemetry.tracer_provider, transport_spans=True)
    token = context_api.attach(baggage.set_baggage("user", "ada"))
    try:
        with tracing.call("get", {}):
            assert not baggage.get_all()
        assert baggage.get_all() == {"user": "ada"}
    finally:
        context_api.detach(token)


def test_background_work_is_a_new_root_linked_to_what_began_it(tracing, telemetry):
    with telemetry.tracer.start_as_current_span("register") as register:
        began = origin()
        with tracing.background("registration lost", began):
            pass
    span = telemetry.span("registration lost")
    assert span.parent is None
    assert span.context.trace_id != register.get_span_context().trace_id
    assert [link.context for link in span.links] == [register.get_span_context()]


def test_background_work_without_a_beginning_has_no_link(tracing, telemetry):
    with tracing.background("registration lost", origin()):
        pass
    assert not telemetry.span("registration lost").links
