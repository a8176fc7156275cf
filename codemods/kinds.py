"""Facts about expressions: which of two is the better, what a container of them holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from codemods import legacy
from codemods.model import Fact

UNKNOWN = Fact("")
OTHER = Fact("other")  # known not to be legacy
OPENTELEMETRY = Fact("other", "opentelemetry")
FOREIGN = Fact("foreign")  # made by a function of which nothing is known
INSTANCES = frozenset(
    {*legacy.CALLS.values(), *legacy.ATTRIBUTES.values(), *legacy.METHODS.values(), "tracer"}
) - {"", "[]span"}

FIXTURE = Fact("function", "fixture")
CONFTEST = "conftest"  # the name under which a module knows the nearest conftest.py
MOCK_TRACER = "opentracing.mocktracer.MockTracer"
QUOTED = "opentracing.(quoted annotation)"  # a string in which a legacy name is one of several
OWN_PROVIDER = ("own", "jaeger_client.Tracer")  # details of tracers with a provider of their own
HANDED_OUT = "handed out"  # the detail of a MockTracer that a function of its file returns
ACTIVE_OR_NONE = "active or None"  # the active scope, as a function gives it
HOLDERS = ("manager", "tuple", "record", "callable")  # entered, indexed, called gives an instance


def name(qualified: str) -> Fact:
    """The fact that an expression denotes an importable thing."""
    return Fact("name", qualified)


def detail_of(owner: Fact, member: str) -> str:
    """Which representation a value has after rewriting, where its kind alone does not say."""
    if member in ("active_span", "active", "get_span"):
        return "active"
    if member in ("finished_spans", "get_spans"):
        return "finished"
    if member == "extract":
        return "extracted"
    if member == "context" and owner.kind == "span":
        return "of span"
    if member in ("new_tracer", "create_tracer"):
        return "own"  # of a provider that is not the global one
    return owner.detail if member == "span" and owner.kind == "scope" else ""


def is_legacy_fact(fact: Fact) -> bool:
    if fact.kind in INSTANCES or fact.kind in HOLDERS or fact.kind[:2] == "[]":
        return True
    if fact.kind == "name":
        return legacy.is_legacy(fact.detail)
    return fact.kind == "class" and any(legacy.is_legacy(b) for b in fact.detail.split(","))


def owners_of(key: str) -> Iterator[str]:
    """What a fact's key belongs to: a.B.f(0) to the method a.B.f and the class a.B."""
    path = key.partition("(")[0]
    yield path
    yield path.rpartition(".")[0]


def is_passed(key: str) -> bool:
    """Whether a fact's key is a parameter, of which each caller says what it passes."""
    return key.endswith(")") and not key.endswith("()")


def leads(key: str, fact: Fact, owners: set[str]) -> bool:
    """Whether a fact is on the way to a legacy one."""
    if fact.kind in ("function", "class"):
        return key in owners or any(base in owners for base in fact.detail.split(",") if base)
    if fact.kind == "name":
        return fact.detail in owners
    return fact.kind == "instance" and not is_passed(key) and fact.detail in owners


def prefer(one: Fact, other: Fact) -> Fact:
    """The better of two facts about one thing, which either of two places may have made."""
    if one is other:
        return one
    better = _better(one, other)
    made, beside = one.made | other.made, one.beside | other.beside
    if better.kind in INSTANCES:
        beside |= {fact.detail for fact in (one, other) if fact.kind == "instance"}
    if (better.made, better.beside) == (made, beside):
        return better
    return Fact(better.kind, better.detail, made, beside)


def _better(one: Fact, other: Fact) -> Fact:
    kinds = {one.kind, other.kind}
    if kinds == {"span", "span_context"} or (kinds == {"span_context"} and one != other):
        return Fact("span_context", _mixture(one, other))
    if one.kind == other.kind and one.detail != other.detail:
        return other if other.detail in ("active", HANDED_OUT) else one
    return one if _rank(one) >= _rank(other) else other


def _mixture(one: Fact, other: Fact) -> str:
    """What may be one of several things as a parent: each is handed on in a way of its own."""
    details = {"span" if fact.kind == "span" else fact.detail for fact in (one, other)}
    if len(details) == 1:
        return one.detail
    if details <= {"span", "extracted", "span or extracted"}:
        return "span or extracted"
    return "unclear" if details & {"span", "span or extracted", "unclear"} else "mixed"


_OF_PARTS = ("tuple", "record")  # what knows what each of its parts is
MIXTURES = frozenset({"mixed", "span or extracted", "unclear"})


def _rank(fact: Fact) -> int:
    if fact.kind in INSTANCES:
        return 5
    if fact.kind.startswith("[]") or fact.kind in HOLDERS:
        return 4
    if fact.kind == "name":
        return 3 if legacy.is_legacy(fact.detail) else 1
    return {"instance": 2, "class": 2, "function": 2, "other": 1}.get(fact.kind, 0)


def is_member(kind: str, attr: str) -> bool:
    return (kind, attr) in legacy.ATTRIBUTES or (kind, attr) in legacy.METHODS


def element_of(fact: Fact) -> Fact:
    """What a container holds; a tuple, where its parts are of one kind."""
    if fact.kind == "tuple" and len(set(fact.detail.split("|"))) == 1:
        return part_of(fact, 0)
    return Fact(fact.kind[2:], fact.detail, fact.made) if fact.kind.startswith("[]") else UNKNOWN


def held(value: Fact) -> Fact:
    """A container that holds a value of ours; of a tuple it knows the parts."""
    if value.kind not in INSTANCES and value.kind not in _OF_PARTS:
        return UNKNOWN
    return Fact("[]" + value.kind, value.detail if value.kind in _OF_PARTS else "", value.made)


def container_of(values: list[Fact]) -> Fact:
    kinds, details = {value.kind for value in values}, {value.detail for value in values}
    kind = kinds.pop() if len(kinds) == 1 else ""
    if kind in INSTANCES:
        kept = details == {"finished"} or (kind == "span_context" and len(details) == 1)
        return Fact("[]" + kind, details.pop() if kept else "", all_made(values))
    if kind in _OF_PARTS and len(details) == 1:
        return Fact("[]" + kind, details.pop(), all_made(values))
    return UNKNOWN


def all_made(facts: Iterable[Fact]) -> frozenset[str]:
    return frozenset().union(*(fact.made for fact in facts))


def container_call(container: Fact, method: str) -> Fact:
    if method in ("pop", "get", "get_nowait", "popleft", "setdefault"):
        return element_of(container)
    if method in ("values", "copy"):
        return container
    pair = tuple_of([UNKNOWN, element_of(container)])
    return {"items": held(pair), "popitem": pair}.get(method, UNKNOWN)


def tuple_of(values: list[Fact]) -> Fact:
    """A tuple that knows its parts: `span:|span_context:of span|`."""
    parts = (f"{one.kind}:{one.detail}" if one.kind in INSTANCES else "" for one in values)
    return Fact("tuple", "|".join(parts), all_made(values))


def record_of(values: dict[str, Fact]) -> Fact:
    """A dict that knows what it has under its keys: `handle=span:|count=`."""
    if not any(one.kind in INSTANCES for one in values.values()):
        return UNKNOWN
    parts = (
        f"{key}={one.kind}:{one.detail}" if one.kind in INSTANCES else f"{key}="
        for key, one in values.items()
    )
    return Fact("record", "|".join(parts), all_made(values.values()))


def entry_of(value: Fact, key: str) -> Fact:
    """What `value["key"]` is, of a dict that knows its entries."""
    for part in value.detail.split("|") if value.kind == "record" else ():
        name, _, found = part.partition("=")
        if name == key and found:
            kind, _, detail = found.partition(":")
            return Fact(kind, detail, value.made)
    return UNKNOWN


def part_of(value: Fact, index: int) -> Fact:
    """What `value[index]` is, of a tuple."""
    parts = value.detail.split("|")
    if index >= len(parts) or not parts[index]:
        return UNKNOWN
    kind, _, detail = parts[index].partition(":")
    return Fact(kind, detail, value.made)


def unpacked_as(value: Fact, count: int, starred: int | None = None) -> list[Fact]:
    """What each of `count` targets gets, of which one may be starred and get a list."""
    if starred is not None and (value.kind == "tuple" or value.kind.startswith("[]")):
        size = len(value.detail.split("|")) if value.kind == "tuple" else count
        rest = size - count + 1
        parts = unpacked_as(value, size)
        middle = parts[starred : starred + rest] if value.kind == "tuple" else [element_of(value)]
        return [*parts[:starred], container_of(middle), *parts[starred + rest :]]
    if value.kind == "tuple" and len(value.detail.split("|")) == count:
        return [part_of(value, index) for index in range(count)]
    if value.kind.startswith("[]"):
        return [element_of(value)] * count
    return [UNKNOWN] * count


def class_instance(what: str) -> Fact:
    if what.startswith("instance:"):
        return Fact("instance", what.removeprefix("instance:"))
    return Fact(what) if what.startswith("[]") else UNKNOWN
