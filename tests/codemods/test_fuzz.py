"""Generated programs: never a crash, output that compiles, a second run that changes nothing."""

from __future__ import annotations

import os
import textwrap
from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codemods import Fate, Options, Unreadable, is_candidate, module_facts, rewrite

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

IMPORTS = st.sampled_from(
    [
        "import opentracing",
        "import opentracing as ot",
        "from opentracing import Format, Span, Tracer, tags, child_of, follows_from",
        "from opentracing import global_tracer, set_global_tracer",
        "from opentracing.ext import tags as ext_tags",
        "from opentracing.ext.tags import *",
        "from opentracing.propagation import Format as F",
        "from jaeger_client import Config",
        "import jaeger_client, os",
        "try:\n    import opentracing\nexcept ImportError:\n    opentracing = None",
        "import time; import opentracing  # both",
        "if True:\n    from opentracing import (\n        Format,  # why\n        Scope,\n    )",
        "import os",
    ]
)
NAMES = st.sampled_from(["span", "scope", "tracer", "parent", "ctx", "value", "e", "self"])
TRACERS = st.sampled_from(
    [
        "opentracing.tracer",
        "opentracing.global_tracer()",
        "global_tracer()",
        "tracer",
        "self.tracer",
        "ot.tracer",
        "get_tracer()",
        "(opentracing.tracer)",
    ]
)
VALUES = st.sampled_from(
    [
        "1",
        "'x'",
        "value",
        "f(value)",
        "f'{value}'",
        'f"{span.context.trace_id:x}"',
        "None",
        "not value",
        "value.attr[0]",
        "tags.ERROR",
        "{'a': 1}",
        "[value]",
        "lambda: span",
        "(yield)",
        "a if b else c",
        "opentracing.tags.COMPONENT",
        "tracer.active_span",
        "scope.span.context",
        "(\n    value\n)",
    ]
)
KEYS = st.sampled_from(
    [
        "'key'",
        "tags.SPAN_KIND",
        "tags.ERROR",
        "'error'",
        "'span.kind'",
        "key",
        "ext_tags.HTTP_URL",
        "tags.SAMPLING_PRIORITY",
        "f'{key}'",
    ]
)


OPTIONS = (
    "child_of=parent",
    "child_of=span.context",
    "child_of=ctx if ctx else None",
    "tags={'a': value}",
    "tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER,  # kind\n 'b': 2}",
    "tags=value",
    "references=[follows_from(ctx)]",
    "references=child_of(span)",
    "start_time=time.time()",
    "ignore_active_span=True",
    "finish_on_close=False",
    "**value",
)


@st.composite
def start_arguments(draw: st.DrawFn) -> str:
    parts = [draw(st.sampled_from(["'op'", "operation_name='op'", "name", "f'{name}'"]))]
    parts += [option for option in OPTIONS if draw(st.integers(0, 6)) == 0]
    trailing = draw(st.sampled_from(["", ",", ",\n"]))
    return draw(st.sampled_from([", ", ",\n  ", ",  # c\n  "])).join(parts) + trailing


@st.composite
def expressions(draw: st.DrawFn) -> str:
    tracer, key, value = draw(TRACERS), draw(KEYS), draw(VALUES)
    name = draw(NAMES)
    return draw(
        st.sampled_from(
            [
                f"{tracer}.start_span({draw(start_arguments())})",
                f"{tracer}.start_active_span({draw(start_arguments())})",
                f"{tracer}.start_active_span({draw(start_arguments())}).span",
                f"{name}.set_tag({key}, {value})",
                f"{name}.span.set_tag({key}, {value}).set_tag('more', {value})",
                f"{name}.log_kv({{'event': {value}, 'k': {value}}})",
                f"{name}.log_kv({{tags.ERROR: {value}}})",
                f"{name}.log_kv({value})",
                f"{name}.finish()",
                f"{name}.close()",
                f"{name}.context",
                f"{name}.set_baggage_item('k', {value})",
                f"{name}.get_baggage_item('k')",
                f"{tracer}.inject({name}, Format.HTTP_HEADERS, {value})",
                f"{tracer}.extract(Format.TEXT_MAP, {value})",
                f"{tracer}.scope_manager.activate({name}, {value})",
                f"{tracer}.scope_manager.active",
                f"{tracer}.active_span",
                f"{tracer}.close()",
                f"Config({{'sampler': {{'type': 'const', 'param': {value}}}}}, service_name='s')",
                "Config(config=value, service_name='s').initialize_tracer()",
                "config.initialize_tracer()",
                value,
            ]
        )
    )


@st.composite
def statements(draw: st.DrawFn, depth: int = 3) -> str:
    simple = st.sampled_from(
        [
            "{e}",
            "{n} = {e}",
            "return {e}",
            "{n} = {n} or {e}",
            "del {n}",
            "{n}: object = {e}",
            "self.{n} = {e}",
            "value['{n}'] = {e}",
            "{e}; {e}",
            "pass  # {n}",
            "assert {e}",
            "if {n} is None: {n} = {e}",
        ]
    )
    if depth == 0 or draw(st.integers(0, 2)):
        template = draw(simple)
        while "{e}" in template:
            template = template.replace("{e}", draw(expressions()), 1)
        return template.replace("{n}", draw(NAMES))
    head = draw(
        st.sampled_from(
            [
                "if {n}:",
                "if not {e}:",
                "for {n} in {n}:",
                "while {n} is not None:",
                "with {e} as {n}:",
                "with {e}:",
                "try:",
                "def f({n}, tracer=None):",
                "async def g({n}):",
                "class C(Tracer):",
                "with {e} as {n}, {e}:",
            ]
        )
    )
    while "{e}" in head:
        head = head.replace("{e}", draw(expressions()), 1)
    body = "\n".join(draw(st.lists(statements(depth - 1), min_size=1, max_size=3)))
    comment = draw(st.sampled_from(["", "  # comment", "\n    # own line"]))
    text = head.replace("{n}", draw(NAMES)) + comment + "\n" + textwrap.indent(body, "    ")
    if head == "try:":
        text += "\nexcept (ValueError, opentracing.InvalidCarrierException) as e:\n    pass"
    return text


@st.composite
def programs(draw: st.DrawFn) -> str:
    lines = ['"""Doc."""'] if draw(st.booleans()) else []
    lines += draw(st.lists(IMPORTS, min_size=1, max_size=4))
    lines += draw(st.lists(statements(), min_size=1, max_size=5))
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return newline.join("\n".join(lines).split("\n")) + draw(st.sampled_from(["", newline]))


def migrate(source: bytes, *, unsafe: bool) -> bytes:
    facts = module_facts(source, module="app", is_package=False, known={})
    result = rewrite(
        source,
        path="app.py",
        module="app",
        is_package=False,
        facts=facts,
        options=Options(unsafe=unsafe),
    )
    assert all(finding.fate in Fate for finding in result.findings)
    return result.source


@FUZZ
@given(programs(), st.booleans())
def test_output_compiles_and_is_stable(text: str, unsafe: bool) -> None:
    source = text.encode()
    try:
        once = migrate(source, unsafe=unsafe)
    except Unreadable:
        return
    if compiles(source):
        assert compiles(once), once.decode()
    assert migrate(once, unsafe=unsafe) == once


def compiles(source: bytes) -> bool:
    try:
        compile(source, "app.py", "exec")
    except SyntaxError:
        return False
    return True


@FUZZ
@given(st.lists(statements(), max_size=5))
def test_without_legacy_imports_nothing_of_a_facade_changes(body: list[str]) -> None:
    names = "opentracing, ot, tags, ext_tags, Format, tracer, span, scope, global_tracer, Tracer"
    text = f"from app.facade import {names}\nimport app.facade as Config\n" + "\n".join(body)
    source = text.replace("self.", "opentracing.").replace("get_tracer()", "tracer").encode()
    for word in (b"child_of=", b"parent", b"ctx", b"value.", b"e.", b"def f", b"with ", b"for "):
        if word in source:
            return
    with suppress(Unreadable):
        assert migrate(source, unsafe=True) == source


@FUZZ
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_left_or_refused(source: bytes) -> None:
    is_candidate(source)
    with suppress(Unreadable):
        assert migrate(source, unsafe=True) == source
