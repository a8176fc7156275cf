"""Requirements that still name a legacy distribution: reported, with what replaces it.

They are never edited: lock files and hashes belong to other tools, and what a service still needs
shows only when its code is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from codemods import Fate, Finding

CODE = "JO010"
FILES = re.compile(
    r"(?:.*requirements.*|constraints.*)\.(?:txt|in)|setup\.(?:cfg|py)|pyproject\.toml|Pipfile"
    r"|tox\.ini|environment\.ya?ml",
    re.IGNORECASE,
)

# What to require instead. "" is nothing: OpenTelemetry needs no counterpart.
_SDK = "opentelemetry-sdk and opentelemetry-exporter-otlp"
REPLACEMENTS = {
    "basictracer": _SDK,
    "celery-opentracing": "opentelemetry-instrumentation-celery",
    "django-opentracing": "opentelemetry-instrumentation-django",
    "elasticsearch-opentracing": "",
    "fastapi-opentracing": "opentelemetry-instrumentation-fastapi",
    "flask-opentracing": "opentelemetry-instrumentation-flask",
    "gevent-opentracing": "",
    "grpcio-opentracing": "opentelemetry-instrumentation-grpc",
    "jaeger-client": _SDK,
    "logging-opentracing": "opentelemetry-instrumentation-logging",
    "opentelemetry-exporter-jaeger": "opentelemetry-exporter-otlp",
    "opentelemetry-exporter-jaeger-proto-grpc": "opentelemetry-exporter-otlp",
    "opentelemetry-exporter-jaeger-thrift": "opentelemetry-exporter-otlp",
    "opentelemetry-ext-jaeger": "opentelemetry-exporter-otlp",
    "opentracing": "opentelemetry-api",
    "opentracing-instrumentation": "the opentelemetry-instrumentation-... of each library in use",
    "opentracing-utils": "opentelemetry-api",
    "pymongo-opentracing": "opentelemetry-instrumentation-pymongo",
    "pyramid-opentracing": "opentelemetry-instrumentation-pyramid",
    "redis-opentracing": "opentelemetry-instrumentation-redis",
    "requests-opentracing": "opentelemetry-instrumentation-requests",
    "sanic-opentracing": "opentelemetry-instrumentation-asgi",
    "sfx-jaeger-client": _SDK,
    "sqlalchemy-opentracing": "opentelemetry-instrumentation-sqlalchemy",
    "starlette-opentracing": "opentelemetry-instrumentation-starlette",
    "tornado-opentracing": "opentelemetry-instrumentation-tornado",
    "types-opentracing": "",
}
_NAMES = "|".join(
    name.replace("-", "[-_.]") for name in sorted(REPLACEMENTS, key=len, reverse=True)
)
_REQUIREMENT = re.compile(
    rf"(?:^|[\s\"',(=])(?P<name>{_NAMES})\s*(?=$|[=<>!~;,\"'#\[@)])", re.IGNORECASE
)


def is_candidate(source: bytes) -> bool:
    """Whether a manifest may name a legacy distribution: a byte search."""
    lower = source.lower()
    return any(needle in lower for needle in (b"opentracing", b"jaeger", b"basictracer"))


def findings(text: str) -> Iterator[Finding]:
    """One for each requirement of a legacy distribution in a manifest's text."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in _REQUIREMENT.finditer(line.partition("#")[0].rstrip()):
            name = re.sub(r"[-_.]+", "-", match["name"]).lower()
            instead = REPLACEMENTS[name]
            yield Finding(
                code=CODE,
                line=number,
                column=match.start("name") + 1,
                end_line=number,
                fate=Fate.REPORTED,
                construct=f"{name} (requirement)",
                message=f"{name} is required",
                advice=(f"Require {instead} instead" if instead else "Take it out")
                + " when nothing uses it any more, and lock anew.",
            )
