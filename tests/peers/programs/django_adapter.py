"""django_opentracing as middleware: a view of its own child and one that fails."""

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from django_opentracing import DjangoTracing
from legacy_tracer import CALLER, legacy_tracer

tracer = legacy_tracer("django-app")
settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of this test",
    MIDDLEWARE=["django_opentracing.OpenTracingMiddleware"],
    OPENTRACING_TRACE_ALL=True,
    OPENTRACING_TRACED_ATTRIBUTES=["path", "method"],
    OPENTRACING_TRACING=DjangoTracing(tracer),
    ROOT_URLCONF=__name__,
)
django.setup()


def hello(request):
    with tracer.start_active_span("work") as scope:
        scope.span.set_tag("user", scope.span.get_baggage_item("user"))
    settings.OPENTRACING_TRACING.get_span(request).set_tag("seen", True)
    return HttpResponse("hello")


def broken(request):
    raise ValueError("broken")


urlpatterns = [path("hello", hello), path("broken", broken)]

from django.test import Client  # noqa: E402 - Django wants its settings first

client = Client(raise_request_exception=False)
assert client.get("/hello", headers=CALLER).status_code == 200
assert client.get("/broken").status_code == 500
assert tracer.active_span is None
