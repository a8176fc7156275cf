"""The names of the differences: what each means, and which are allowed unless said otherwise."""

from __future__ import annotations

from typing import NamedTuple


class Sort(NamedTuple):
    meaning: str
    allowed: bool = False  # by default, for what no program said and what Jaeger shows alike


CATALOGUE = {
    # the shape of the trace
    "missing-span": Sort("A span that only the old side reported."),
    "extra-span": Sort("A span that only the new side reported."),
    "renamed-span": Sort("The same place and content under another operation name."),
    "reparented-span": Sort("The span hangs below another span than before."),
    "split-trace": Sort("The span had a parent and now starts a trace of its own."),
    "joined-trace": Sort("The span started a trace and is now part of another."),
    "lost-parent": Sort("The span names a parent that nobody reported."),
    "changed-service": Sort("The span is reported by another service."),
    # the span
    "changed-kind": Sort("Server, client, producer, consumer or none became another."),
    "kind-as-attribute": Sort("The kind came too late: it is an attribute `span.kind` now."),
    "unset-kind": Sort("No kind against `internal`: Jaeger's searches and graphs agree.", True),
    "changed-status": Sort("The error mark came, went, or became OK with a meaning."),
    "derived-status": Sort(
        "Jaeger marked the old span as an error for its `http.status_code`; no program said so, "
        "and Jaeger does not do it for OTLP.",
        True,
    ),
    "ok-status": Sort(
        "Nothing, or `error=false`, against status OK: no red mark either way.", True
    ),
    "status-message": Sort("The new error status has a description; the old could not.", True),
    "changed-status-message": Sort("The description of the error changed or went."),
    "changed-time": Sort("Start or length differ by more than a day: seconds for nanoseconds?"),
    # attributes
    "lost-attribute": Sort("A tag without a counterpart."),
    "extra-attribute": Sort("An attribute that the old side did not have."),
    "changed-attribute": Sort("Another value under the same key."),
    "changed-type": Sort("The same value as another type: 5 against '5', a list against its text."),
    "renamed-attribute": Sort("The same value under another key."),
    "semconv-attribute": Sort("The key's new name in OpenTelemetry's conventions (--semconv)."),
    "sampler-attribute": Sort(
        "`sampler.type` and `sampler.param`, written by jaeger-client.", True
    ),
    "cut-value": Sort("jaeger-client cut the text (at 1024 by default); now it is whole.", True),
    "exporter-attribute": Sort(
        "OpenTelemetry's removed Jaeger exporter wrote resource and library on every span; the "
        "resource has it, or nobody said it.",
        True,
    ),
    "free-port": Sort("The same address on loopback with another free port.", True),
    # events
    "lost-event": Sort("A log without a counterpart."),
    "extra-event": Sort("An event that the old side did not have."),
    "renamed-event": Sort("The same fields under another event name."),
    "event-order": Sort("The same events in another order."),
    "unnamed-event": Sort("A log without `event` has no name in Jaeger and is `log` now.", True),
    "message-event": Sort("The old exporter had the event's name in the field `message`.", True),
    "lost-event-attribute": Sort("A field of a log without a counterpart."),
    "extra-event-attribute": Sort("A field of an event that the old log did not have."),
    "changed-event-attribute": Sort("Another value of an event's field."),
    "renamed-event-attribute": Sort("The same value under another field of the event."),
    "exception-form": Sort(
        "The same exception as OpenTracing's `error` log and as OpenTelemetry's `exception` "
        "event: type and message agree.",
        True,
    ),
    "changed-stack": Sort("A stack trace with other files and lines: the source was moved.", True),
    "exception-as-attribute": Sort("The exception is no event any more, only an attribute."),
    "baggage-event": Sort("jaeger-client logs every baggage item that is set.", True),
    # links
    "lost-link": Sort("A reference to another span is gone."),
    "extra-link": Sort("A link that the old side did not have."),
    "changed-link": Sort("The link's type (`opentracing.ref_type`) or attributes changed."),
    "parent-link": Sort("A second reference to the span's own parent.", True),
    # baggage between processes
    "lost-baggage": Sort("A baggage item no longer crosses the process border."),
    "extra-baggage": Sort("A baggage item crosses that did not before."),
    "changed-baggage": Sort("A baggage item crosses with another value."),
    # the service
    "lost-resource": Sort("A tag of the process without a counterpart."),
    "extra-resource": Sort("A resource attribute that the old process did not have."),
    "changed-resource": Sort("Another value of a resource attribute."),
    "renamed-resource": Sort("The same value under another resource attribute."),
    "client-resource": Sort("Written by the client library or SDK, not by the program.", True),
}

CLIENT_RESOURCES = (
    "telemetry.*",
    "service.instance.id",
    "opencensus.exporterversion",  # golden's name for jaeger.version
    "jaeger.version",
    "host.name",
    "hostname",
    "ip",
    "client-uuid",
)
EXPORTER_ATTRIBUTES = ("otel.library.*", "otel.scope.*", "telemetry.sdk.*")
SAMPLER_ATTRIBUTES = ("sampler.type", "sampler.param")
STACK_FIELDS = ("stack", "exception.stacktrace")
EXCEPTION_FIELDS = {
    "event",
    "message",
    "error.object",
    "error.kind",
    "stack",
    "exception.type",
    "exception.message",
    "exception.stacktrace",
    "exception.escaped",
}
