"""What the rules say of a site, and its fate as it becomes known."""

from __future__ import annotations

import ast
import re
import time
from dataclasses import dataclass
from functools import lru_cache

from codemods import sites
from codemods.model import Fate, Options
from codemods.registry import Handler, Registered, registered
from codemods.site import CannotRewrite, Change, Report, Site
from codemods.source import last_name

UNKNOWN_CODE = "JO000"
IMPORT_CODE = "JO001"


@dataclass(slots=True)
class Decision:
    """A site with what its rule said, and its fate as it becomes known."""

    site: Site
    rule: Registered | None
    outcome: Change | Report
    applied: bool = False
    waits_for: str = ""  # the site that is the reason, where it is another one
    note: str = ""  # to be told with the advice
    consumed: Decision | None = None
    seconds: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the site is rewritten, by its own change or by one around it."""
        return self.applied or self.consumed is not None

    @property
    def code(self) -> str:
        if self.rule is not None:
            return self.rule.rule.code
        return IMPORT_CODE if isinstance(self.site.node, ast.alias) else UNKNOWN_CODE

    @property
    def fate(self) -> Fate:
        return self.told[0]

    @property
    def told(self) -> tuple[Fate, str, str]:
        """Its fate, and the message and advice that a finding has."""
        outcome = self.outcome
        if self.is_suppressed:
            return Fate.SUPPRESSED, "left as it is, because a comment says so", ""
        if self.consumed is not None:
            if isinstance(self.site.node, ast.alias):
                message = "import removed: nothing uses it any more"
                return Fate.REWRITTEN, message, _stand_in(self.site)
            other = self.consumed.outcome
            message = (
                other.message if isinstance(other, Change) else "rewritten with what is around it"
            )
            return Fate.REWRITTEN, message, ""
        if self.applied:
            assert isinstance(outcome, Change)
            return Fate.REWRITTEN, outcome.message, outcome.advice
        if isinstance(outcome, Report):
            return Fate.REPORTED, outcome.message, outcome.advice
        if outcome.unsafe:
            return (
                Fate.HELD,
                outcome.message,
                f"Applied with --unsafe if this holds: {outcome.unsafe}.",
            )
        return (
            Fate.REPORTED,
            "not rewritten: it overlaps another rewrite",
            "Run again; the second run rewrites it.",
        )

    @property
    def is_suppressed(self) -> bool:
        """Whether a comment on one of the site's lines, or of its call's, says to leave it."""
        options, source = self.site.file.options, self.site.file.source
        if not options.suppressed:
            return False
        start, end = sites.call_span(self.site)
        lines = range(source.position(start)[0], source.position(end)[0] + 1)
        return any(line in lines and code in ("", self.code) for line, code in options.suppressed)


def is_selected(code: str, options: Options) -> bool:
    """Whether a rule code is among those the user asked for."""
    chosen = not options.select or any(code.startswith(prefix) for prefix in options.select)
    return chosen and not any(code.startswith(prefix) for prefix in options.ignore)


# Which rule speaks for a site.


@dataclass(frozen=True, slots=True)
class _Handlers:
    members: dict[tuple[str, str], tuple[Registered, Handler]]
    symbols: dict[str, tuple[Registered, Handler]]
    guards: dict[str, tuple[Registered, Handler]]
    strings: tuple[tuple[re.Pattern[str], Registered, Handler], ...]


@lru_cache(maxsize=1)
def _handlers() -> _Handlers:
    members: dict[tuple[str, str], tuple[Registered, Handler]] = {}
    symbols: dict[str, tuple[Registered, Handler]] = {}
    guards: dict[str, tuple[Registered, Handler]] = {}
    strings: list[tuple[re.Pattern[str], Registered, Handler]] = []
    for rule in registered():
        members.update({key: (rule, handler) for key, handler in rule.members.items()})
        symbols.update({key: (rule, handler) for key, handler in rule.symbols.items()})
        guards.update({key: (rule, handler) for key, handler in rule.guards.items()})
        strings.extend(
            (re.compile(pattern, re.IGNORECASE), rule, handler)
            for pattern, handler in rule.strings.items()
        )
    strings.sort(key=lambda one: len(one[0].pattern), reverse=True)  # the most telling first
    return _Handlers(members, symbols, guards, tuple(strings))


def _handler(site: Site) -> tuple[Registered, Handler] | None:
    handlers = _handlers()
    if isinstance(site.node, ast.alias):
        return None
    if site.construct[:1] == '"' and isinstance(site.node, ast.Constant):
        value = str(site.node.value)
        for pattern, rule, handler in handlers.strings:
            if pattern.fullmatch(value):
                return rule, handler
        return None
    if site.member == "(tested)":
        return handlers.guards.get(site.file.kind(site.node))
    if site.owner is not None:
        kind = site.file.flow.members[site.node].kind
        kinds = (kind, "span") if kind == "scope" else (kind,)  # a scope is the span afterwards
        found = next((f for k in kinds if (f := handlers.members.get((k, site.member)))), None)
        return found or handlers.members.get((kind, "*"))
    return _symbol_handler(handlers, site.construct)


def _symbol_handler(handlers: _Handlers, qualified: str) -> tuple[Registered, Handler] | None:
    found = handlers.symbols.get(qualified)
    head = qualified
    while found is None and head:
        found = handlers.symbols.get(f"{head}.*")
        head = head.rpartition(".")[0]
    return found


def decide(site: Site) -> Decision:
    fact = site.file.flow.members.get(site.node)
    if fact is not None and fact.detail == "custom":
        return Decision(site, None, _CUSTOM)
    if fact is not None and fact.detail == "foreign":
        return Decision(site, None, _FOREIGN)
    if site.member == sites.AT_RUN_TIME:
        return Decision(site, None, _AT_RUN_TIME)
    found = _handler(site)
    if found is None:
        return Decision(site, None, _unknown(site))
    rule, handler = found
    started = time.perf_counter()
    try:
        named = _named(site) if isinstance(site.node, ast.Call) and fact is not None else None
        outcome = named or handler(site)
    except CannotRewrite as error:
        recipe = f"By hand: {rule.rule.title} (jaeger2otlp explain {rule.rule.code})."
        outcome = Report(f"not rewritten: {error}", recipe)
    seconds = time.perf_counter() - started
    return Decision(site, rule, outcome or _unknown(site), seconds=seconds)


_NAMES = {
    ("span", "finish"): "end",
    ("span", "log_kv"): "add_event",
    ("span", "set_operation_name"): "update_name",
    ("span", "set_tag"): "set_attribute",
    ("tracer", "start_active_span"): "start_as_current_span",
    ("tracer", "start_span"): "start_span",
}


def _named(site: Site) -> Change | None:
    """`hasattr(span, "set_tag")`; what sets or patches a method goes on with legacy arguments."""
    node = site.node
    assert isinstance(node, ast.Call)
    kind = site.file.flow.members[node].kind
    if site.call is not None:
        raise CannotRewrite("the method is found with `getattr`")
    function = last_name(node.func)
    ruled = {(kind, site.member), ("span", site.member)} & _handlers().members.keys()
    if function == "getattr" or not ruled:
        return None
    if function != "hasattr":
        raise CannotRewrite("something else is put in the place of the legacy name")
    change = site.change("asks for the name that OpenTelemetry has")
    if (kind, site.member) == ("tracer", "close"):
        provider = f"{change.use('opentelemetry', 'trace')}.get_tracer_provider()"
        return change.replace(node.args[0], provider).replace(node.args[1], '"shutdown"')
    if (kind, site.member) not in _NAMES:
        raise CannotRewrite("`hasattr` asks for the legacy name")
    return change.replace(node.args[1], f'"{_NAMES[kind, site.member]}"')


def _stand_in(site: Site) -> str:
    """Advice where `except ImportError` imports a module of the program's own instead."""
    around = site.file.parents.get(site.file.parents[site.node])
    assert isinstance(site.node, ast.alias)
    name = site.node.asname or site.node.name
    imported = (
        alias.asname or alias.name
        for handler in getattr(around, "handlers", ())
        for alias in ast.walk(handler)
        if isinstance(alias, ast.alias)
    )
    if name not in imported:
        return ""
    return (
        f"The `{name}` that stood in for a library that is missing is not used any more: require "
        "opentelemetry-api, or let it stand in for that."
    )


_CUSTOM = Report(
    "the class derives from a legacy class, so this is its own method or the legacy one",
    "Decide what the class is for: an OpenTelemetry SDK processor, sampler or propagator usually "
    "replaces it.",
)


_FOREIGN = Report(
    "it looks like OpenTracing, but what made the object is outside of what was read",
    "If it is a legacy tracer or span, migrate the place that makes it, then this one.",
)


_AT_RUN_TIME = Report(
    "which method or attribute `getattr` finds is known at run time only",
    "Give it OpenTelemetry's names: set_attribute, add_event, end.",
)


def _unknown(site: Site) -> Report:
    if isinstance(site.node, ast.alias):
        return Report(
            f"the import of {site.construct} stays, because uses of it are left",
            "Rewrite the uses reported below, then delete the import.",
        )
    return Report(
        f"no rule rewrites {site.construct}",
        "Look for its OpenTelemetry counterpart and rewrite it by hand.",
    )
