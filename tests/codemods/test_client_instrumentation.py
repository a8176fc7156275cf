"""Adapters of client libraries become instrumentations."""

from __future__ import annotations

import pytest

from tests.codemods.helpers import check, check_noop, run


@pytest.mark.parametrize(
    "call",
    [
        "redis_opentracing.init_tracing(tracer, start_span_cb=hook)",
        "redis_opentracing.init_tracing(tracer, trace_all_classes=ALL)",
        "redis_opentracing.trace_pipeline(pipe)",
    ],
)
def test_what_has_no_counterpart_is_reported(call: str) -> None:
    check_noop(f"import redis_opentracing\n\n{call}\n")


@pytest.mark.parametrize(
    ("module", "call", "target", "after"),
    [
        ("redis_opentracing", "init_tracing(tracer)", "redis", "RedisInstrumentor"),
        ("redis_opentracing", "init_tracing()", "redis", "RedisInstrumentor"),
        ("sqlalchemy_opentracing", "init_tracing(tracer)", "sqlalchemy", "SQLAlchemyInstrumentor"),
        ("tornado_opentracing", "init_tracing()", "tornado", "TornadoInstrumentor"),
        ("requests_opentracing", "monkeypatch_requests()", "requests", "RequestsInstrumentor"),
        ("opentracing_utils", "trace_requests()", "requests", "RequestsInstrumentor"),
    ],
)
def test_switched_on_for_all(module: str, call: str, target: str, after: str) -> None:
    check(
        f"import {module}\n\n{module}.{call}\n",
        f"from opentelemetry.instrumentation.{target} import {after}\n\n{after}().instrument()\n",
    )


def test_a_call_that_makes_the_tracer_is_kept() -> None:
    check(
        "import redis_opentracing\n\nredis_opentracing.init_tracing(init_tracer('shop'))\n",
        "from opentelemetry.instrumentation.redis import RedisInstrumentor\n\n"
        "init_tracer('shop')\nRedisInstrumentor().instrument()\n",
    )


def test_switched_on_for_one_engine() -> None:
    check(
        """\
        import sqlalchemy_opentracing

        sqlalchemy_opentracing.init_tracing(tracer, trace_all_engines=False)
        sqlalchemy_opentracing.register_engine(engine)
        """,
        """\
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

        SQLAlchemyInstrumentor().instrument(engine=engine)
        """,
    )


def test_a_session_that_traces_needs_unsafe() -> None:
    before = """\
        import requests_opentracing

        session = requests_opentracing.SessionTracing(tracer, propagate=True)
        """
    check_noop(before)
    check(
        before,
        """\
        import requests
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument()
        session = requests.Session()
        """,
        unsafe=True,
    )


def test_span_tags_are_reported() -> None:
    check_noop(
        "from requests_opentracing import SessionTracing\n\nSessionTracing(span_tags={'a': 1})\n"
    )


def test_a_listener_of_pymongo() -> None:
    check(
        """\
        import opentracing
        from pymongo import MongoClient
        from pymongo_opentracing import CommandTracing

        client = MongoClient(event_listeners=[CommandTracing(opentracing.tracer)])
        """,
        """\
        from opentelemetry import trace
        from opentelemetry.instrumentation.pymongo import CommandTracer
        from pymongo import MongoClient

        tracer = trace.get_tracer(__name__)

        client = MongoClient(event_listeners=[CommandTracer(tracer)])
        """,
    )


def test_a_celery_app_that_traces() -> None:
    check(
        """\
        from celery_opentracing import CeleryTracing

        app = CeleryTracing("shop", broker="redis://", tracer=tracer, propagate=True)
        """,
        """\
        from celery import Celery
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument()
        app = Celery("shop", broker="redis://")
        """,
    )


def test_a_greenlet_that_traces_is_a_greenlet() -> None:
    check(
        "from gevent_opentracing import TracedGreenlet\n\n\nclass Job(TracedGreenlet):\n    pass\n",
        "from gevent import Greenlet\n\n\nclass Job(Greenlet):\n    pass\n",
    )


@pytest.mark.parametrize(
    ("module", "call"),
    [
        ("requests_opentracing", "SessionTracing(propagate=False)"),
        ("celery_opentracing", "CeleryTracing('a', propagate=settings.SEND)"),
    ],
)
def test_a_context_that_was_not_sent_is_reported(module: str, call: str) -> None:
    name = call.partition("(")[0]
    check_noop(f"from {module} import {name}\n\nx = {call}\n", unsafe=True)


def test_what_is_done_with_a_session_in_a_with_statement_stays() -> None:
    check(
        """\
        from requests_opentracing import SessionTracing

        with SessionTracing() as session:
            session.get(url)
        """,
        """\
        import requests
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument()
        with requests.Session() as session:
            session.get(url)
        """,
        unsafe=True,
    )


@pytest.mark.parametrize(
    "calls",
    [
        "register_engine(a)\nregister_engine(b)\n",
        "for engine in engines:\n    register_engine(engine)\n",
        "def connect(url):\n    register_engine(create_engine(url))\n",
    ],
)
def test_several_engines_need_unsafe(calls: str) -> None:
    """A second instrument() warns and does nothing."""
    before = f"from sqlalchemy_opentracing import register_engine\n\n{calls}"
    check_noop(before)
    after = run(before, unsafe=True).source.decode()
    assert "SQLAlchemyInstrumentor().instrument(engine=" in after
