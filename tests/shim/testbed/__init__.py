"""The scenarios of OpenTracing's testbed, on the shim: what concurrency does to parents.

Ten in threads, gevent and asyncio, eight more with contextvars: 48 in OpenTracing's counting
(its threads 10, asyncio 10, contextvars 18, gevent 10), and again with the shim's own manager.
"""

from __future__ import annotations

from shim.jaeger_client import ConstSampler, Tracer
from shim.jaeger_client.reporter import InMemoryReporter


def tracer_with(scope_manager):
    return Tracer("testbed", InMemoryReporter(), ConstSampler(True), scope_manager=scope_manager)


def finished(tracer):
    """Finished spans in the order of their ends."""
    return tracer.reporter.get_spans()


def names(tracer):
    return [span.operation_name for span in finished(tracer)]


def by_name(tracer):
    return {span.operation_name: span for span in finished(tracer)}


def is_child(child, parent):
    return child.parent_id == parent.span_id and child.trace_id == parent.trace_id


def is_root(span):
    return span.parent_id is None


def same_trace(*spans):
    return len({span.trace_id for span in spans}) == 1


class RequestHandler:
    """One for all requests of a client; `send` spans start and end in different callbacks."""

    def __init__(self, tracer, context=None, ignore_active_span=True):
        self.tracer = tracer
        self.context = context
        self.ignore_active_span = ignore_active_span

    def before(self, request):
        if self.ignore_active_span:
            span = self.tracer.start_span("send", child_of=self.context, ignore_active_span=True)
        else:
            span = self.tracer.start_span("send")
        request["span"] = span.set_tag("span.kind", "client")

    def after(self, request):
        request["span"].finish()


class Countdown:
    """Finishes a span when the last of several users is done with it."""

    def __init__(self, span, users):
        self.span = span
        self.users = users

    def done(self):
        self.users -= 1
        if not self.users:
            self.span.finish()
