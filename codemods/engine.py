"""From the bytes of one file to a `Rewrite`."""

from __future__ import annotations

from codemods.model import Facts, Options, Rewrite


def is_candidate(source: bytes) -> bool:
    """Whether the file may hold legacy code: a byte search without a parse."""
    return any(needle in source for needle in NEEDLES)


def imported_modules(source: bytes, *, module: str, is_package: bool) -> frozenset[str]:
    """The absolute names of the modules this file may import (`from a import b` gives a and a.b).

    Raises `Unreadable`.
    """
    return frozenset()


def module_facts(source: bytes, *, module: str, is_package: bool, known: Facts) -> Facts:
    """What this file tells the others: which names are tracers, spans and their wrappers.

    Raises `Unreadable`.
    """
    return {}


def rewrite(
    source: bytes, *, path: str, module: str, is_package: bool, facts: Facts, options: Options
) -> Rewrite:
    """Rewrite one file. Raises `Unreadable` where the text is no Python we can change safely."""
    return Rewrite(source, ())


NEEDLES = (
    b"opentracing",
    b"jaeger_client",
    b"exporter.jaeger",
    b"exporter import jaeger",
    b"ext.jaeger",
    b"ext import jaeger",
    b"start_active_span",
    b"log_kv",
    b"scope_manager",
    b"set_baggage_item",
    b"uber-trace-id",
    b"global_tracer",
    b"jaeger_tracing",
)
