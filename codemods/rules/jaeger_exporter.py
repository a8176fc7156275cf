"""OpenTelemetry's removed Jaeger exporters become the OTLP exporter."""

from __future__ import annotations

import ast
import re

from codemods.edits import Part
from codemods.emit import rewrite_arguments
from codemods.model import Safety
from codemods.provider import (
    BETA_EXPORTERS,
    CHOOSERS,
    exporter_call,
    port_note,
    service_resource,
    services_named,
    url,
)
from codemods.registry import define
from codemods.rules.optional_import import tested_import
from codemods.setup import EXPORTERS
from codemods.site import CannotRewrite, Change, File, Report, Site, tight
from codemods.sites import is_tested
from codemods.source import Span, last_name
from codemods.values import is_none, literal_key

rule = define(
    code="JO801",
    title="the removed Jaeger exporters of OpenTelemetry",
    url="https://opentelemetry.io/blog/2022/jaeger-native-otlp/",
    safety=Safety.SAFE,
    explanation="""\
The Jaeger exporters left OpenTelemetry in 1.22 (2023); Jaeger takes OTLP itself since 1.35. The
host stays and the port becomes OTLP's: 4317 for gRPC, 4318 for HTTP (`--protocol`). The agent's
host is often a sidecar that is gone from Jaeger v2: check that a collector listens there.
A collector URL that is only known at run time is passed on with `--unsafe`, since it must then name
an OTLP endpoint. `max_tag_value_length` is OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT now, and a
`service_name` moves to the provider's resource.
""",
    examples=(
        (
            """\
from opentelemetry import trace
from opentelemetry.exporter.jaeger.thrift import JaegerExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = JaegerExporter(agent_host_name="jaeger", agent_port=6831)
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
""",
            """\
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
exporter = OTLPSpanExporter(endpoint="http://jaeger:4317", insecure=True)
provider.add_span_processor(BatchSpanProcessor(exporter))
trace.set_tracer_provider(provider)
""",
        ),
    ),
)

THRIFT = "opentelemetry.exporter.jaeger.thrift.JaegerExporter"
GRPC = "opentelemetry.exporter.jaeger.proto.grpc.JaegerExporter"

# The parameters of each in the order of their position.
PARAMETERS = {
    **dict.fromkeys(BETA_EXPORTERS, ("service_name", "agent_host_name", "agent_port")),
    THRIFT: ("agent_host_name", "agent_port", "collector_endpoint", "username", "password",
             "max_tag_value_length", "udp_split_oversized_batches", "timeout"),
    GRPC: ("collector_endpoint", "insecure", "credentials", "max_tag_value_length", "timeout"),
}  # fmt: skip
UNDERSTOOD = {
    "service_name", "agent_host_name", "agent_port", "collector_endpoint", "endpoint",
    "collector_host_name", "collector_port", "collector_protocol", "username", "password",
    "insecure", "credentials", "max_tag_value_length", "udp_split_oversized_batches", "timeout",
    "transport_format",
}  # fmt: skip

# A collector's URL with "\0" for what is only known at run time.
_URL = re.compile(
    r"(?:(https?)://)?(\[[^\]]+\]|[^:/@?[]+)(?::[^/?]*)?(?:/(?:api/traces)?)?(?:\?.*)?"
)

_ADDRESSES = {"agent_host_name", "collector_host_name", "collector_endpoint", "endpoint"}
_ENVIRONMENT = (
    "OTEL_EXPORTER_JAEGER_AGENT_HOST and OTEL_EXPORTER_JAEGER_ENDPOINT are not read any more, "
    "OTEL_EXPORTER_OTLP_ENDPOINT is."
)
_LIMIT = "Set OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT to what max_tag_value_length was."


@rule.symbol(*BETA_EXPORTERS, THRIFT, GRPC)
def exporter(site: Site) -> Change | Report:
    if site.call is None:
        return _reference(site)
    arguments = {
        name: value
        for name, value in site.arguments(*PARAMETERS[site.construct]).items()
        if not is_none(value)
    }
    if unknown := arguments.keys() - UNDERSTOOD:
        raise CannotRewrite(f"the exporter's argument {min(unknown)} is not known")
    change = site.change("exports by OTLP")
    if "max_tag_value_length" in arguments:
        change.advise(_LIMIT)
    change.advise(port_note(change, arguments.get("agent_port") or arguments.get("collector_port")))
    if not _ADDRESSES & arguments.keys() and not site.options.endpoint_from_env:
        change.advise(_ENVIRONMENT)
    target = _exporter(site, change, arguments)
    if service := arguments.get("service_name"):
        _name_service(site, change, service)
    return change.replace(site.call, *target)


def _exporter(site: Site, change: Change, arguments: dict[str, ast.expr]) -> tuple[Part, ...]:
    """The OTLP exporter's call, with what it has in common with the old one."""
    extra: list[Part] = []
    if "credentials" in arguments:
        if site.options.protocol != "grpc":
            raise CannotRewrite("credentials belong to gRPC: run with --protocol grpc")
        extra += [", credentials=", arguments["credentials"]]
    if "username" in arguments and "password" in arguments:
        encode = change.use("base64", "b64encode")
        user, password = arguments["username"], arguments["password"]
        extra += [
            ', headers={"authorization": "Basic " + ',
            f'{encode}("{{}}:{{}}".format(', user, ", ", password, ").encode()).decode()}",
        ]  # fmt: skip
    if "timeout" in arguments:
        extra += [", timeout=", arguments["timeout"]]
    call = list(_destination(site, change, arguments))
    if not extra:
        return tuple(call)
    head = "".join(part for part in call if isinstance(part, str))
    if head.endswith("()"):
        extra[0] = str(extra[0]).removeprefix(", ")
    assert isinstance(call[-1], str)
    return (*call[:-1], call[-1].removesuffix(")"), *extra, ")")


def _destination(site: Site, change: Change, arguments: dict[str, ast.expr]) -> tuple[Part, ...]:
    """`OTLPSpanExporter(endpoint=...)`."""
    endpoint = arguments.get("collector_endpoint") or arguments.get("endpoint")
    if "collector_host_name" in arguments:
        return exporter_call(change, arguments["collector_host_name"])
    if endpoint is None or site.options.endpoint_from_env:
        return exporter_call(change, arguments.get("agent_host_name"))
    return _collector(site, change, endpoint, arguments)


def _collector(
    site: Site, change: Change, endpoint: ast.expr, arguments: dict[str, ast.expr]
) -> tuple[Part, ...]:
    file, protocol = site.file, site.options.protocol
    name = change.use(EXPORTERS[protocol], "OTLPSpanExporter")
    insecure = _insecure(site, arguments)
    found = _host_of(file, endpoint)
    whole = _whole_url(site, found, arguments)
    if found is None or whole is not None:
        base = whole or endpoint
        port = "4317" if protocol == "grpc" else "4318"
        change.unsafe = f"`{file.text(base)}` names an OTLP endpoint (port {port})"
        if protocol == "grpc":
            return (f"{name}(endpoint=", base, ", insecure=", *insecure, ")")
        if whole is None:
            return (f"{name}(endpoint=", base, ")")
        return (f"{name}(endpoint=", *tight(file, base), ' + "/v1/traces")')
    scheme, host = found
    for part in _pieces(endpoint) or ():
        if isinstance(part, ast.expr) and part is not host:
            change.advise(port_note(change, part))
    if not scheme:
        scheme = "https" if _is_secure(insecure) else "http"
    tail = ":4317" if protocol == "grpc" else ":4318/v1/traces"
    option = (", insecure=True",) if protocol == "grpc" and scheme == "http" else ()
    if isinstance(host, str):
        return (f'{name}(endpoint="{scheme}://{host}{tail}"', *option, ")")
    parts = url(file, host, tail)
    if scheme == "https":
        parts = tuple(
            part.replace("http://", "https://", 1) if isinstance(part, str) else part
            for part in parts
        )
    return (f"{name}(endpoint=", *parts, *option, ")")


def _whole_url(
    site: Site, found: tuple[str, str | ast.expr] | None, arguments: dict[str, ast.expr]
) -> ast.expr | None:
    """What stands first and holds the scheme too, without which thrift over HTTP failed."""
    scheme, host = found or ("", "")
    over_http = site.construct != GRPC and "transport_format" not in arguments
    return host if over_http and not scheme and isinstance(host, ast.expr) else None


def _insecure(site: Site, arguments: dict[str, ast.expr]) -> tuple[Part, ...]:
    """What the gRPC exporter was told, or what a thrift URL without a scheme means."""
    if "insecure" in arguments:
        return (arguments["insecure"],)
    return ("False",) if site.construct == GRPC else ("True",)


def _is_secure(insecure: tuple[Part, ...]) -> bool:
    (said,) = insecure
    if isinstance(said, ast.Constant):
        return not said.value
    return said == "False"


# What a collector's URL says, however it is put together.


def _host_of(file: File, node: ast.expr) -> tuple[str, str | ast.expr] | None:
    """Scheme and host of a URL that is a literal or is put together here; None otherwise."""
    parts = _pieces(node)
    if parts is None:
        return None
    text = "".join(part if isinstance(part, str) else "\0" for part in parts)
    match = _URL.fullmatch(text)
    if match is None:
        return None
    scheme, host = match.group(1) or "", match.group(2)
    if host == "\0":
        inner = [part for part in parts if isinstance(part, ast.expr)]
        return scheme, inner[0]
    return (scheme, host) if "\0" not in host else None


def _pieces(node: ast.expr) -> list[str | ast.expr] | None:
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.JoinedStr(values=values):
            return [one for value in values for one in _field(value)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            one, other = _pieces(left) or [left], _pieces(right) or [right]
            return [*one, *other]
        case ast.BinOp(left=ast.Constant(value=str() as text), op=ast.Mod(), right=right):
            values = right.elts if isinstance(right, ast.Tuple) else [right]
            return _filled(re.split(r"%[sdr]", text), values)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str() as text), attr="format"),
            args=values,
            keywords=[],
        ):
            return _filled(re.split(r"\{\d?\}", text), values)
    return None


def _field(value: ast.expr) -> list[str | ast.expr]:
    if isinstance(value, ast.FormattedValue):
        return [value.value]
    return [str(value.value)] if isinstance(value, ast.Constant) else [value]


def _filled(texts: list[str], values: list[ast.expr]) -> list[str | ast.expr] | None:
    if len(texts) != len(values) + 1:
        return None
    found: list[str | ast.expr] = [texts[0]]
    for value, text in zip(values, texts[1:], strict=True):
        found += [value, text]
    return found


# The rest of the file.


def _name_service(site: Site, change: Change, service: ast.expr) -> None:
    """Give the service's name to the one provider of the file."""
    file = site.file
    named = services_named(file)
    if len({file.text(one) for one in named.values()}) > 1:
        raise CannotRewrite("the exporters name two services, and a provider has one name")
    first = next(iter(named))
    if site.call is not first:
        change.depends_on(first.func)
        return
    providers = [
        node
        for node in file.nodes
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) == "TracerProvider"
        and not isinstance(file.parents[node], ast.Lambda)
    ]
    preferred = [
        node
        for node in file.nodes
        if isinstance(node, ast.Call) and file.symbol(node.func) in CHOOSERS
    ]
    if len(providers) + len(preferred) != 1:
        raise CannotRewrite("its service_name belongs to a TracerProvider that is not in this file")
    (provider,) = [*providers, *preferred]
    if preferred:  # JO802 writes the provider, and asks for the name
        _check_known(site, service, provider)
        change.depends_on(provider.func)
        return
    spread = any(keyword.arg is None for keyword in provider.keywords)
    given = [keyword.value for keyword in provider.keywords if keyword.arg == "resource"]
    if provider.args or spread:
        raise CannotRewrite(_OWN_RESOURCE)
    if given:
        _name_in(site, change, service, given[0])
        return
    _check_known(site, service, provider)
    rewrite_arguments(change, provider, {}, [service_resource(change, service)])


_OWN_RESOURCE = "the provider has a resource of its own: merge SERVICE_NAME into that by hand"


def _name_in(site: Site, change: Change, service: ast.expr, resource: ast.expr) -> None:
    """Give the service's name to a resource that is made of a dict here, if it has none."""
    file = site.file
    match _value_of(file, resource):
        case ast.Call(func=func, args=[ast.Dict() as entries], keywords=[]):
            pass
        case ast.Call(
            func=func, args=[], keywords=[ast.keyword(value=ast.Dict() as entries) as one]
        ):
            if one.arg == "labels":  # until 0.15
                start = file.span(one).start
                change.replace(Span(start, start + len("labels")), "attributes")
        case _:
            raise CannotRewrite(_OWN_RESOURCE)
    if last_name(func) not in ("Resource", "create") or None in entries.keys:
        raise CannotRewrite(_OWN_RESOURCE)
    for key, value in zip(entries.keys, entries.values, strict=True):
        if literal_key(file, key) == "service.name" or last_name(key) == "SERVICE_NAME":
            if file.text(value) != file.text(service):
                raise CannotRewrite("the provider's resource names another service")
            return
    _check_known(site, service, entries)
    before, comma = file.span(entries).start + 1, ""
    if entries.keys and entries.keys[0] is not None:
        before, comma = file.span(entries.keys[0]).start, ", "
    change.replace(Span(before, before), '"service.name": ', *tight(file, service), comma)


def _value_of(file: File, node: ast.expr) -> ast.expr:
    """What a name stands for that is bound once, where it is used."""
    bound = file.bound.get(node.id, ()) if isinstance(node, ast.Name) else ()
    if len(bound) == 1 and isinstance(made := file.parents[bound[0]], ast.Assign):
        return made.value if file.function(made) is file.function(node) else node
    return node


def _check_known(site: Site, service: ast.expr, place: ast.AST) -> None:
    if not _is_known_at(site.file, service, site.node, place):
        raise CannotRewrite(
            f"`{site.file.text(service)}` is not known where the provider is made: give it "
            "resource=Resource.create({SERVICE_NAME: ...}) there"
        )


def _is_known_at(file: File, service: ast.expr, exporter: ast.AST, provider: ast.AST) -> bool:
    """Whether an expression can be evaluated at the provider, before the exporter."""
    scope = file.function(provider)
    moved = scope is file.function(exporter)
    made = file.span(provider).start
    start, end = sorted((made, file.span(exporter).start))
    for node in ast.walk(service):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") not in ("getenv", "get"):
            return False
        for bound in file.bound.get(node.id, ()) if isinstance(node, ast.Name) else ():
            inside = isinstance(bound, ast.arg) or file.function(bound) is not file.source.tree
            late = scope is file.function(bound) and file.span(bound).start > made
            if late or (inside and not moved):
                return False
    reads_environment = "env" in file.text(service)
    return not any(
        start < file.span(node).start < end
        and (
            file.text(node) in file.text(service)
            if isinstance(getattr(node, "ctx", None), ast.Store)
            else reads_environment and isinstance(node, ast.Call) and "env" in file.text(node.func)
        )
        for node in file.nodes
        if isinstance(node, ast.Call | ast.Attribute | ast.Subscript)
    )


def _reference(site: Site) -> Change | Report:
    """The class itself: in an annotation or `isinstance` it is the OTLP exporter's now."""
    parent = site.file.parents[site.node]
    annotation = isinstance(parent, ast.arg | ast.AnnAssign | ast.FunctionDef)
    checked = isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "isinstance"
    if isinstance(parent, ast.ClassDef):
        return Report(
            "a class derives from the exporter",
            f"Derive from OTLPSpanExporter of {EXPORTERS[site.options.protocol]}; it is made with "
            "endpoint, insecure, headers and timeout.",
        )
    if isinstance(site.node, ast.Name) and is_tested(site.file, site.node):
        return tested_import(site, site.node, EXPORTERS[site.options.protocol], "OTLPSpanExporter")
    if not (annotation or checked):
        return Report(
            "the exporter class is passed on without being called",
            "Build an OTLPSpanExporter where this class is instantiated.",
        )
    change = site.change("the OTLP exporter's type")
    return change.replace(
        site.node, change.use(EXPORTERS[site.options.protocol], "OTLPSpanExporter")
    )


@rule.member("jaeger_exporter", "export", "shutdown", "force_flush")
def method(site: Site) -> Change:
    return site.change("the OTLP exporter has it too").replace(site.node, site.node)


@rule.string(r"jaeger(_proto|_thrift)?")
def by_entry_point(site: Site) -> Report:
    return Report(
        "the exporter is chosen by its entry point, which is gone",
        'OTEL_TRACES_EXPORTER is "otlp" now; where it sends is OTEL_EXPORTER_OTLP_ENDPOINT.',
    )


@rule.string(r"opentelemetry\.exporter\.jaeger(\.\w+)*(:\w+)?")
def by_name(site: Site) -> Report:
    called = getattr(site.file.parents[site.node], "func", None)
    if last_name(called) == "getLogger":
        return Report(
            "the name of the Jaeger exporter's logger",
            'The OTLP exporters log to "opentelemetry.exporter.otlp" and below.',
        )
    return Report(
        "the exporter is loaded by name at run time",
        "Load OTLPSpanExporter of opentelemetry.exporter.otlp.proto.grpc.trace_exporter instead; "
        "its arguments are endpoint, insecure, credentials, headers and timeout.",
    )
