"""Tags and logs mean what Jaeger's own thrift receiver makes of them."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentracing import child_of, follows_from

from shim.jaeger_client import ConstSampler, SpanContext, Tracer
from shim.jaeger_client.reporter import InMemoryReporter
from shim.meaning import ERROR, OK, UNSET, event_of, links_of, translate


@pytest.fixture
def tracer():
    return Tracer("meaning", InMemoryReporter(), ConstSampler(True))


@pytest.mark.parametrize(
    ("tags", "code", "left"),
    [
        ({}, UNSET, {}),
        ({"error": True}, ERROR, {}),
        ({"error": False}, UNSET, {"error": False}),
        ({"error": "true"}, UNSET, {"error": "true"}),
        ({"error": 1}, UNSET, {"error": 1}),
        ({"http.status_code": 200}, UNSET, {"http.status_code": 200}),
        ({"http.status_code": 404}, ERROR, {"http.status_code": 404}),
        ({"http.status_code": "404"}, ERROR, {"http.status_code": "404"}),
        ({"http.status_code": "no"}, UNSET, {"http.status_code": "no"}),
        ({"http.status_code": 404, "span.kind": "server"}, UNSET, {"http.status_code": 404}),
        ({"http.status_code": 404, "span.kind": "client"}, ERROR, {"http.status_code": 404}),
        ({"http.status_code": 500, "span.kind": "server"}, ERROR, {"http.status_code": 500}),
        ({"error": False, "http.status_code": 500}, ERROR, {"http.status_code": 500}),
        ({"otel.status_code": "ERROR"}, ERROR, {}),
        ({"otel.status_code": "ok", "http.status_code": 500}, OK, {"http.status_code": 500}),
        ({"otel.status_code": "OK", "error": True}, ERROR, {}),
    ],
)
def test_status(tags, code, left):
    meaning = translate(tags, None)
    assert (meaning.code, meaning.attributes) == (code, left)


def test_status_has_its_description():
    assert translate({"error": True, "otel.status_description": "d"}, None).description == "d"
    tags = {"http.status_code": 500, "http.status_message": "Oops"}
    assert translate(tags, None).description == "Oops"


def test_an_explicit_status_wins():
    status = trace.Status(trace.StatusCode.OK)
    assert translate({"http.status_code": 500}, status).code == OK


@pytest.mark.parametrize(
    ("kind", "number"),
    [("internal", 1), ("server", 2), ("client", 3), ("producer", 4), ("consumer", 5)],
)
def test_kind(kind, number):
    meaning = translate({"span.kind": kind, "a": 1}, None)
    assert (meaning.kind, meaning.attributes) == (number, {"a": 1})


@pytest.mark.parametrize("kind", ["CLIENT", "rpc", "", 3])
def test_another_kind_vanishes(kind):
    meaning = translate({"span.kind": kind}, None)
    assert (meaning.kind, meaning.attributes) == (0, {})


def test_kind_set_late_counts_and_the_last_wins(tracer):
    span = tracer.start_span("x", tags={"span.kind": "client"}).set_tag("span.kind", "server")
    assert translate(span._attributes, None).kind == 2


@pytest.mark.parametrize(
    ("fields", "name", "left"),
    [
        ({"event": "e", "a": 1}, "e", {"a": 1}),
        ({"a": 1}, "log", {"a": 1}),
        ({"event": 5}, "log", {"event": 5}),
        ({"event": ""}, "log", {}),
    ],
)
def test_event(fields, name, left):
    assert event_of(None, fields) == (name, left)


class TestReferences:
    def context(self, number):
        return SpanContext(1, number, None, 1)

    def links(self, span):
        return [
            (link.context.span_id, link.attributes["opentracing.ref_type"])
            for link in links_of(span.references, span.context)
        ]

    def test_child_of_alone_is_the_parent_and_no_link(self, tracer):
        span = tracer.start_span("x", references=child_of(self.context(5)))
        assert (span.parent_id, self.links(span)) == (5, [])

    def test_follows_from_alone_is_parent_and_link(self, tracer):
        span = tracer.start_span("x", references=[follows_from(self.context(5))])
        assert (span.parent_id, self.links(span)) == (5, [(5, "follows_from")])

    def test_the_rest_are_links(self, tracer):
        references = [child_of(self.context(5)), child_of(self.context(6))]
        span = tracer.start_span("x", references=[*references, follows_from(self.context(7))])
        assert span.parent_id == 5
        assert self.links(span) == [(6, "child_of"), (7, "follows_from")]

    def test_with_an_active_span_that_is_the_parent(self, tracer):
        with tracer.start_active_span("active") as scope:
            span = tracer.start_span("x", references=[follows_from(self.context(5))])
        assert span.parent_id == scope.span.span_id
        assert self.links(span) == [(5, "follows_from")]

    @pytest.mark.parametrize("nothing", [follows_from(None), [child_of(None)], [], None])
    def test_a_reference_to_nothing_is_a_root(self, tracer, nothing):
        assert tracer.start_span("x", references=nothing).parent_id is None
