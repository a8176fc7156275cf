"""The same program on OpenTelemetry. Its argument names the one thing it then gets wrong."""

import sys
import threading
from contextlib import suppress

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

fault = sys.argv[1] if len(sys.argv) > 1 else ""
service = "store" if fault == "service" else "shop"
region = {} if fault == "resource" else {"region": "north"}
provider = TracerProvider(resource=Resource.create({"service.name": service, **region}))
exporter = OTLPSpanExporter(endpoint="https://collector.production.invalid:4317")
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer(__name__)


def pack(parent, number):
    with tracer.start_as_current_span("pack", context=trace.set_span_in_context(parent)) as span:
        if fault != "attribute":
            span.set_attribute("item", str(number) if fault == "type" else number)
        if fault != "event":
            span.add_event("packed", {"weight": number * 1.5})


def pay():
    name = "charge" if fault == "name" else "pay"
    kind = SpanKind.INTERNAL if fault == "kind" else SpanKind.CLIENT
    context = trace.set_span_in_context(trace.INVALID_SPAN) if fault == "trace" else None
    with tracer.start_as_current_span(name, kind=kind, context=context) as span:
        span.set_attribute("http.status_code", 404 if fault == "value" else 200)
        if fault not in ("child", "parent"):
            with tracer.start_as_current_span("sign"):
                pass
    if fault == "parent":
        with tracer.start_as_current_span("sign"):
            pass
    return span


def ship():
    recorded = fault not in ("exception", "message")
    with tracer.start_as_current_span(
        "ship", record_exception=recorded, set_status_on_exception=fault != "status"
    ) as span:
        span.add_event("log", {"message": "no driver yet"})
        error = LookupError("no driver")
        if fault == "exception":
            span.set_attribute("error.message", "LookupError: no driver")
        if fault == "message":
            span.record_exception(LookupError("something went wrong"))
        raise error


with tracer.start_as_current_span("order") as order:
    order.set_attribute("order.id", 7)
    order.set_attribute("client" if fault == "key" else "customer", "Ada")
    packers = [threading.Thread(target=pack, args=(order, n)) for n in range(4)]
    for packer in reversed(packers):
        packer.start()
    for packer in packers:
        packer.join()
    paid = pay()
    with suppress(LookupError):
        ship()
    links = [] if fault == "link" else [Link(paid.get_span_context())]
    with tracer.start_as_current_span("thank", links=links):
        pass
    if fault == "extra":
        with tracer.start_as_current_span("audit"):
            pass
    if fault == "join":
        with tracer.start_as_current_span("sweep"):
            pass
    if fault == "ok":
        order.set_status(Status(StatusCode.OK))
if fault != "join":
    with tracer.start_as_current_span("sweep", start_time=1 if fault == "time" else None):
        pass
