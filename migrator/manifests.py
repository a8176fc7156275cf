"""Requirements that still name a legacy distribution: reported, with what replaces it.

They are never edited: lock files and hashes belong to other tools, and what a service still needs
shows only when its code is done.
"""

from __future__ import annotations

import ast
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
    "opentelemetry-opentracing-shim": "",
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


def findings(text: str, path: str = "") -> Iterator[Finding]:
    """One for each requirement of a legacy distribution in a manifest's text.

    `path` tells a setup.py, which is read as Python; the others are read by lines.
    """
    places = _required(text) if path.endswith("setup.py") else None
    about = ""  # the entry of a table that a line belongs to
    for number, line in enumerate(text.splitlines(), start=1):
        if entry := _ENTRY.match(line):
            about = entry["key"] or ""
        if places is None and about.lower() in _METADATA:
            continue
        for match in _REQUIREMENT.finditer(line.partition("#")[0].rstrip()):
            at = (number, len(line[: match.start("name")].encode()))
            if places is None or any(start <= at < end for start, end in places):
                yield _finding(number, match)


# `key = value` and `[table]`; what is indented or in brackets goes on with the entry above.
_ENTRY = re.compile(r"(?P<key>[\w-]+)\s*[=:]|\[[^\"']*\]\s*$")
_METADATA = frozenset({"name", "keywords", "description", "summary", "classifiers", "url"})


def _finding(number: int, match: re.Match[str]) -> Finding:
    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
    instead = REPLACEMENTS[name]
    return Finding(
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


# What of a setup.py are requirements.

_REQUIRES = frozenset({"install_requires", "extras_require", "tests_require", "setup_requires"})
_Place = tuple[int, int]  # a line, and bytes into it


def _required(text: str) -> list[tuple[_Place, _Place]] | None:
    """Where the requirements of a setup.py stand, from and to; None if it is no Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    bound = _bound(tree)
    todo = [value for key, value in bound if key in _REQUIRES]
    seen: set[ast.AST] = set()
    while todo:
        value = todo.pop()
        if value in seen:
            continue
        seen.add(value)
        names = {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}
        todo.extend(other for key, other in bound if key in names)
    return [
        ((one.lineno, one.col_offset), (one.end_lineno or 0, one.end_col_offset or 0))
        for value in seen
        for one in ast.walk(value)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]


def _bound(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """What a setup.py gives to which name: variables, arguments, keys of dicts, functions."""
    found: list[tuple[str, ast.AST]] = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                found.extend((key, value) for target in targets if (key := _key(target)))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                found.append((_key(target), value))
            case ast.AugAssign(target=target, value=value):
                found.append((_key(target), value))
            case ast.keyword(arg=str(key), value=value):
                found.append((key, value))
            case ast.FunctionDef(name=key):
                found.append((key, node))
            case ast.Dict(keys=keys, values=values):
                found.extend((_key(k), v) for k, v in zip(keys, values, strict=True) if k)
            case ast.Call(func=ast.Attribute(value=target), args=args):
                found.extend((_key(target), value) for value in args)  # `requires.append("x")`
    return found


def _key(node: ast.expr) -> str:
    """The name that a value is bound to: of a variable, an attribute or an item."""
    match node:
        case ast.Name(id=key) | ast.Attribute(attr=key):
            return key
        case ast.Constant(value=str(key)):
            return key
        case ast.Subscript(value=value, slice=item):
            return _key(item) if _key(item) in _REQUIRES else _key(value)
    return ""
