"""OpenTelemetry's instrumentations, as data, and how rules turn one on."""

from __future__ import annotations

import ast

from codemods.edits import Part
from codemods.kinds import MOCK_TRACER, OWN_PROVIDER
from codemods.provider import set_up_in
from codemods.site import CannotRewrite, Change, File, Site

# What it instruments: module below opentelemetry.instrumentation, and the class.
INSTRUMENTORS = {
    "aiohttp_client": ("aiohttp_client", "AioHttpClientInstrumentor"),
    "boto3": ("botocore", "BotocoreInstrumentor"),
    "celery": ("celery", "CeleryInstrumentor"),
    "cassandra": ("cassandra", "CassandraInstrumentor"),
    "django": ("django", "DjangoInstrumentor"),
    "fastapi": ("fastapi", "FastAPIInstrumentor"),
    "flask": ("flask", "FlaskInstrumentor"),
    "mysqldb": ("mysqlclient", "MySQLClientInstrumentor"),
    "psycopg2": ("psycopg2", "Psycopg2Instrumentor"),
    "pymongo": ("pymongo", "PymongoInstrumentor"),
    "pyramid": ("pyramid", "PyramidInstrumentor"),
    "redis": ("redis", "RedisInstrumentor"),
    "requests": ("requests", "RequestsInstrumentor"),
    "sqlalchemy": ("sqlalchemy", "SQLAlchemyInstrumentor"),
    "starlette": ("starlette", "StarletteInstrumentor"),
    "tornado": ("tornado", "TornadoInstrumentor"),
    "urllib": ("urllib", "URLLibInstrumentor"),
}


def instrumentor(change: Change, library: str) -> str:
    """`XInstrumentor()`, imported: it works with the tracer that this file sets up, if it does."""
    change.depends_on(*set_up_in(change.file))
    module, name = INSTRUMENTORS[library]
    return f"{change.use(f'opentelemetry.instrumentation.{module}', name)}()"


def package(library: str) -> str:
    """The distribution to install."""
    module = INSTRUMENTORS[library][0].replace("_", "-")
    return f"opentelemetry-instrumentation-{module}"


def install(*libraries: str) -> str:
    """The advice that goes with every instrumentation."""
    return f"Add to the requirements: {', '.join(sorted({package(one) for one in libraries}))}."


def current_span(site: Site, *, unsafe: str = "") -> Change:
    """What gave the span of a request gives the current one, which the instrumentation made."""
    if site.call is None:
        raise CannotRewrite("the method is passed on without being called")
    change = site.change("the span of the request is the current one", unsafe=unsafe)
    return change.replace(site.call, f"{change.use('opentelemetry', 'trace')}.get_current_span()")


def call_statement(site: Site) -> ast.Expr | ast.Assign:
    """The statement that is the site's call, its value kept in a name or not."""
    statement = site.statement
    if isinstance(statement, ast.Expr | ast.Assign) and statement.value is site.call:
        return statement
    raise CannotRewrite("the call is part of a larger expression")


def kept_calls(site: Site, *values: ast.expr | None) -> list[tuple[Part, ...]]:
    """Statements for arguments that go but whose call does something: `init_tracer()`."""
    return [
        (value,)
        for value in values
        if isinstance(value, ast.Call)
        and site.file.symbol(value.func) not in ("opentracing.global_tracer", "opentracing.tracer")
    ]


def check_global(file: File, tracer: ast.expr | None) -> None:
    """Instrumentations use the global provider: refuse where the tracer is known to have its own.

    Raises:
        CannotRewrite: it has, and nothing in the file makes that the global one; or it is of a
            vendor's library, which sets up no provider.
    """
    if tracer is None:
        return
    fact = file.flow.kinds.get(tracer)
    if fact is not None and fact.kind in ("foreign", "other"):
        raise CannotRewrite(f"what makes `{file.text(tracer)}` is not known here")
    if file.detail(tracer) in (*OWN_PROVIDER, MOCK_TRACER) and not set_up_in(file):
        raise CannotRewrite(
            "the tracer has a provider of its own, which the instrumentation has to be given as "
            "tracer_provider="
        )


def is_true(node: ast.expr | None, default: bool) -> bool:
    """The truth of a literal argument; raises `CannotRewrite` when it is known at run time only."""
    if node is None:
        return default
    if isinstance(node, ast.Constant):
        return bool(node.value)
    raise CannotRewrite("whether everything is traced is known only at run time")


def is_empty(node: ast.expr | None) -> bool:
    """Whether an argument was left out, or is None or an empty display."""
    if node is None or (isinstance(node, ast.Constant) and not node.value):
        return True
    if isinstance(node, ast.Dict):
        return not node.keys
    return isinstance(node, ast.List | ast.Tuple | ast.Set) and not node.elts
