"""The endpoint inside Flask, FastAPI and Django, as docs/metrics.md says to mount it."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry, Counter
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from bridge.metrics import MetricsBridge


@pytest.fixture
def metrics(monkeypatch):
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    registry = CollectorRegistry()
    Counter("jobs", "Jobs done", registry=registry).inc(3)
    bridge = MetricsBridge(registry=registry).start()
    yield bridge
    bridge.shutdown()


def test_flask(metrics):
    from flask import Flask

    app = Flask("shop")
    app.add_url_rule("/", view_func=lambda: "hello")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": metrics.wsgi_app})
    client = app.test_client()
    assert client.get("/").text == "hello"
    assert "jobs_total 3.0" in client.get("/metrics").text


def test_fastapi(metrics):
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/metrics", metrics.asgi_app)
    assert "jobs_total 3.0" in asyncio.run(get(app, "/metrics/"))


def test_django(metrics, monkeypatch):
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path

    urls = ModuleType("urls_of_this_test")
    urls.urlpatterns = [path("", lambda request: HttpResponse("hello"))]
    monkeypatch.setitem(sys.modules, urls.__name__, urls)
    if not settings.configured:
        settings.configure(ROOT_URLCONF=urls.__name__, ALLOWED_HOSTS=["*"])
    django.setup()
    client = Client(DispatcherMiddleware(WSGIHandler(), {"/metrics": metrics.wsgi_app}))
    assert client.get("/").text == "hello"
    assert "jobs_total 3.0" in client.get("/metrics").text


async def get(app, path: str) -> str:
    """The body an ASGI application answers with."""
    body = b""

    async def send(message):
        nonlocal body
        body += message.get("body", b"")

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return body.decode()
