"""Starlette's and FastAPI's tracing middlewares."""

from __future__ import annotations

import pytest

from codemods import Fate
from tests.codemods.helpers import check, check_noop, run

OTEL = "from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware\n"


def test_a_middleware_that_is_derived_from_is_reported() -> None:
    check_noop(
        "from starlette_opentracing import StarletteTracingMiddleWare\n\n\n"
        "class Mine(StarletteTracingMiddleWare):\n    pass\n"
    )


def test_setup_opentracing_is_reported() -> None:
    check_noop(
        "from fastapi_contrib.tracing.utils import setup_opentracing\n\nsetup_opentracing(app)\n"
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("starlette_opentracing", "StarletteTracingMiddleWare"),
        ("fastapi_opentracing.middleware", "OpenTracingMiddleware"),
        ("fastapi_contrib.tracing.middlewares", "OpentracingMiddleware"),
    ],
)
def test_added_to_an_app(module: str, name: str) -> None:
    check(
        f"from {module} import {name}\n\napp.add_middleware({name})\n",
        f"{OTEL}\napp.add_middleware(OpenTelemetryMiddleware)\n",
    )


def test_its_tracer_goes_and_the_call_that_made_it_stays() -> None:
    check(
        "from starlette_opentracing import StarletteTracingMiddleWare\n\n"
        "app.add_middleware(StarletteTracingMiddleWare, tracer=init_tracer(), use_template=True)\n",
        f"{OTEL}\ninit_tracer()\napp.add_middleware(OpenTelemetryMiddleware)\n",
    )


def test_in_a_list_of_middleware() -> None:
    check(
        "from starlette_opentracing import StarletteTracingMiddleWare\n\n"
        "app = Starlette(middleware=[Middleware(StarletteTracingMiddleWare)])\n",
        f"{OTEL}\napp = Starlette(middleware=[Middleware(OpenTelemetryMiddleware)])\n",
    )


def test_a_tracer_of_its_own_needs_unsafe() -> None:
    before = (
        "from starlette_opentracing import StarletteTracingMiddleWare\n\n"
        "app.add_middleware(StarletteTracingMiddleWare, tracer=tracer)\n"
    )
    check_noop(before)
    check(before, f"{OTEL}\napp.add_middleware(OpenTelemetryMiddleware)\n", unsafe=True)


def test_the_headers_of_the_current_span() -> None:
    check(
        """\
        from fastapi_opentracing import get_opentracing_span_headers


        async def call(client):
            headers = await get_opentracing_span_headers()
            await client.get("/", headers=headers)
        """,
        """\
        from opentelemetry.propagate import inject


        async def call(client):
            headers = {}
            inject(headers)
            await client.get("/", headers=headers)
        """,
    )


def test_what_fastapi_contribs_middleware_kept_on_the_request_is_reported() -> None:
    result = run(
        "from fastapi_contrib.tracing.middlewares import OpentracingMiddleware\n\n\n"
        "def index(request):\n    one = request.scope['opentracing_span']\n"
        "    return one, request.state.opentracing_tracer\n"
    )
    told = {f.line: f.message for f in result.findings if f.fate is Fate.REPORTED}
    assert "kept on the request" in told[5]
    assert "outside of what was read" in told[6]
