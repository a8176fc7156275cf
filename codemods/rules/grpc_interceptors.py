"""grpcio-opentracing's interceptors become those of the gRPC instrumentation."""

from __future__ import annotations

import ast

from codemods.emit import moved, rewrite_arguments
from codemods.instrumenting import check_global, current_span, is_empty, kept_calls
from codemods.model import Safety
from codemods.provider import set_up_in
from codemods.registry import define
from codemods.site import CannotRewrite, Change, Site

rule = define(
    code="JO903",
    title="grpcio-opentracing to the gRPC instrumentation",
    url="https://opentelemetry-python-contrib.readthedocs.io/en/latest/instrumentation/grpc/grpc.html",
    safety=Safety.SAFE,
    explanation="""\
A channel is intercepted with the `intercept_channel` and the `client_interceptor()` of
OpenTelemetry's instrumentation. A server takes `server_interceptor()` when it is made, so
`intercept_server` goes where the server is made in the same function. A servicer's
`context.get_active_span()` is the current span. `log_payloads`, `span_decorator` and
`active_span_source` have no counterpart and are reported.
""",
    examples=(
        (
            """\
from concurrent import futures

import grpc
from grpc_opentracing import open_tracing_server_interceptor
from grpc_opentracing.grpcext import intercept_server


def serve(tracer):
    server = grpc.server(futures.ThreadPoolExecutor())
    server = intercept_server(server, open_tracing_server_interceptor(tracer))
    server.start()
""",
            """\
from concurrent import futures

import grpc
from opentelemetry.instrumentation.grpc import server_interceptor


def serve(tracer):
    server = grpc.server(futures.ThreadPoolExecutor(), interceptors=[server_interceptor()])
    server.start()
""",
        ),
    ),
    minutes=15,
)

CLIENT = "grpc_opentracing.open_tracing_client_interceptor"
SERVER = "grpc_opentracing.open_tracing_server_interceptor"
INTERCEPT_CHANNEL = "grpc_opentracing.grpcext.intercept_channel"
INTERCEPT_SERVER = "grpc_opentracing.grpcext.intercept_server"
_INSTALL = "Add to the requirements: opentelemetry-instrumentation-grpc."


@rule.symbol(CLIENT)
def client_interceptor(site: Site) -> Change:
    change = _interceptor(site, "tracer", "active_span_source", "log_payloads", "span_decorator")
    assert site.call is not None
    name = change.use("opentelemetry.instrumentation.grpc", "client_interceptor")
    return change.replace(site.call, f"{name}()")


@rule.symbol(SERVER)
def server_interceptor(site: Site) -> Change:
    change = _interceptor(site, "tracer", "log_payloads", "span_decorator")
    assert site.call is not None
    name = change.use("opentelemetry.instrumentation.grpc", "server_interceptor")
    return change.replace(site.call, f"{name}()")


def _interceptor(site: Site, *parameters: str) -> Change:
    arguments = site.arguments(*parameters)
    for name in parameters[1:]:
        if not is_empty(arguments.get(name)):
            raise CannotRewrite(f"{name} has no counterpart in the gRPC instrumentation")
    check_global(site.file, arguments.get("tracer"))
    change = site.change("OpenTelemetry's interceptor", advice=_INSTALL)
    for line in kept_calls(site, arguments.get("tracer")):
        change.before(site.statement, line)
    return change.depends_on(*_users(site), *set_up_in(site.file))


def _users(site: Site) -> list[ast.AST]:
    """The `intercept_...` that take the interceptor, here or by the name it is bound to."""
    file, parent = site.file, site.parent
    takers: list[ast.AST] = [parent]
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        takers = [
            file.parents[use]
            for use in file.uses(parent.targets[0].id, file.function(parent))
            if isinstance(use.ctx, ast.Load)
        ]
    return [
        taker.func
        for taker in takers
        if isinstance(taker, ast.Call)
        and file.symbol(taker.func) in (INTERCEPT_CHANNEL, INTERCEPT_SERVER)
    ]


@rule.symbol(INTERCEPT_CHANNEL)
def intercept_channel(site: Site) -> Change:
    if site.call is None:
        raise CannotRewrite("the function is passed on without being called")
    change = site.change(
        "the instrumentation's intercept_channel; gRPC's takes no such interceptor"
    )
    change.depends_on(*_interceptors(site, site.call.args[1:]))
    return moved(site, change, "opentelemetry.instrumentation.grpc.grpcext", "intercept_channel")


@rule.symbol(INTERCEPT_SERVER)
def intercept_server(site: Site) -> Change:
    """`server = intercept_server(server, i)`: `i` goes into the call that made the server."""
    statement, call = site.statement, site.call
    match statement:
        case ast.Assign(
            targets=[target],
            value=ast.Call(
                args=[ast.Name() | ast.Attribute() as server, *interceptors], keywords=[]
            ),
        ) if statement.value is call:
            pass
        case _:
            raise CannotRewrite("what it gives is not kept in a name of its own")
    file = site.file
    made = _made(site, server)
    change = site.change("the server takes its interceptors when it is made", advice=_INSTALL)
    if any(keyword.arg in ("interceptors", None) for keyword in made.keywords):
        raise CannotRewrite("the server has interceptors already")
    if not all(
        isinstance(one, ast.Call) and site.file.symbol(one.func) == SERVER for one in interceptors
    ):
        interceptors = [_value_of(site, one) for one in interceptors]
    change.depends_on(*(one.func for one in interceptors if isinstance(one, ast.Call)))
    name = change.use("opentelemetry.instrumentation.grpc", "server_interceptor")
    listed = ", ".join(f"{name}()" for _ in interceptors)
    rewrite_arguments(change, made, {}, [(f"interceptors=[{listed}]",)])
    if file.text(target) == file.text(server):
        return change.remove(statement)
    return change.replace(call, server)


def _interceptors(site: Site, nodes: list[ast.expr]) -> list[ast.AST]:
    """The sites that make the interceptors, which have to be rewritten too."""
    calls = [node if isinstance(node, ast.Call) else _value_of(site, node) for node in nodes]
    return [call.func for call in calls]


def _value_of(site: Site, node: ast.expr) -> ast.Call:
    """The call whose result an interceptor's name holds, in the same function."""
    if isinstance(node, ast.Name):
        file = site.file
        for bound in file.bound.get(node.id, ()):
            parent = file.parents[bound]
            if (
                isinstance(parent, ast.Assign)
                and isinstance(parent.value, ast.Call)
                and file.function(bound) is file.function(site.node)
                and file.symbol(parent.value.func) in (CLIENT, SERVER)
            ):
                return parent.value
    raise CannotRewrite("the interceptor comes from elsewhere")


def _made(site: Site, server: ast.expr) -> ast.Call:
    """The `grpc.server(...)` that made the server, in the same function, above."""
    file = site.file
    function = file.function(site.node)
    found = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and file.function(node) is function
        and any(file.text(target) == file.text(server) for target in node.targets)
        and isinstance(node.value, ast.Call)
        and file.text(node.value.func) == "grpc.server"
    ]
    if len(found) != 1:
        raise CannotRewrite("the server is not made by grpc.server(...) in the same function")
    return found[0]


@rule.member("grpc_context", "get_active_span")
def active_span(site: Site) -> Change:
    return current_span(site)
