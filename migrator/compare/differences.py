"""What differs between two recordings, field by field, each difference with its stable name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from migrator.compare.catalogue import CLIENT_RESOURCES, EXPORTER_ATTRIBUTES, SAMPLER_ATTRIBUTES
from migrator.compare.events import compare_events
from migrator.compare.found import Found
from migrator.compare.model import Attributes, Link, Recording, Span, text
from migrator.compare.pairing import Pairing
from migrator.compare.values import compare_values, same

A_DAY = 86_400 * 10**9
REF_TYPE = "opentracing.ref_type"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, where it is, and the rule that allows it (empty: it counts)."""

    name: str  # a key of CATALOGUE
    service: str
    span: str  # empty where it concerns the service as a whole
    path: str
    key: str = ""
    before: str | None = None
    after: str | None = None
    allowed_by: str = ""
    reason: str = ""


class Comparer:
    """Compares the pairs of two recordings; the sides' recordings are needed to follow links."""

    def __init__(
        self,
        before: Recording,
        after: Recording,
        pairing: Pairing,
        semconv: Mapping[str, str],
    ) -> None:
        self.before = before
        self.after = after
        self.pairing = pairing
        self.semconv = semconv

    def span(self, before: Span | None, after: Span | None) -> list[Difference]:
        """The differences of one row: a pair, or a span that only one side has."""
        where = before or after
        assert where is not None
        if before is None:
            found = [Found("extra-span", after=where.name)]
        elif after is None:
            found = [Found("missing-span", before=where.name)]
        else:
            found = [item for check in CHECKS for item in check(self, before, after)]
        return [_placed(item, where) for item in found]

    def services(self) -> list[Difference]:
        """The differences of what services say of themselves."""
        examples = {old.service: (old, new) for old, new in self.pairing.after.items()}
        return [
            Difference(item.name, service, "", service, item.key, item.before, item.after)
            for service in sorted(examples)
            for item in self._service(*examples[service])
        ]

    def _service(self, before: Span, after: Span) -> Iterator[Found]:
        old = self.before.resources.get(before.service, {})
        new = self.after.resources.get(after.service, {})
        for found in _resource(old, new):
            on_span = found.name == "extra-resource" and found.key in before.attributes
            moved = on_span and same(before.attributes[found.key], new[found.key])
            yield found.called("exporter-attribute") if moved else found


def _placed(found: Found, span: Span) -> Difference:
    return Difference(
        found.name, span.service, span.name, span.path, found.key, found.before, found.after
    )


def _label(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    if before.name != after.name:
        yield Found("renamed-span", "", before.name, after.name)
    if before.service != after.service:
        yield Found("changed-service", "", before.service, after.service)


def _parent(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    pairing = comparer.pairing
    old = _nearest(before, pairing.after)
    new = _nearest(after, pairing.before)
    wanted = pairing.after[old] if old else None
    if new is not wanted:
        yield Found(
            _moved(before, after, old, new),
            "",
            old.path if old else "none",
            new.path if new else "none",
        )
    if after.lost_parent and not before.lost_parent:
        yield Found("lost-parent", "", "none" if old is None else old.path, after.parent_id.hex())


def _moved(before: Span, after: Span, old: Span | None, new: Span | None) -> str:
    if new is None and old is not None:
        return "split-trace"
    if old is None and new is not None and not before.lost_parent:
        return "joined-trace"
    return "reparented-span"


def _nearest(span: Span, partners: Mapping[Span, Span]) -> Span | None:
    """The closest ancestor that has a partner: a layer that is missing moves nobody."""
    above = span.parent
    while above is not None and above not in partners:
        above = above.parent
    return above


def _kind(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    if before.kind == after.kind:
        return
    if {before.kind, after.kind} == {"unset", "internal"}:
        name = "unset-kind"
    elif text(after.attributes.get("span.kind")) == before.kind:
        name = "kind-as-attribute"
    else:
        name = "changed-kind"
    yield Found(name, "", before.kind, after.kind)


def _status(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    if before.status != after.status:
        yield Found(_status_name(before, after), "", before.status, after.status)
    if before.status_message != after.status_message:
        known = before.status_message or before.status != "error"
        name = "changed-status-message" if known else "status-message"
        if after.status == "error" or before.status_message:
            yield Found(name, "", before.status_message, after.status_message)


def _status_name(before: Span, after: Span) -> str:
    if before.status == "error" and not before.said_error and _derives_error(before):
        return "derived-status"
    if (before.status, after.status) == ("unset", "ok"):
        return "ok-status"
    return "changed-status"


def _derives_error(span: Span) -> bool:
    """Golden: an error from 500 for servers, from 400 for clients and spans without a kind."""
    try:
        code = int(text(span.attributes.get("http.status_code")))
    except ValueError:
        return False
    return code >= 500 or (code >= 400 and span.kind in ("client", "unset"))


def _time(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    lengths = before.end - before.start, after.end - after.start
    if abs(before.start - after.start) > A_DAY:
        yield Found("changed-time", "start", str(before.start), str(after.start))
    if abs(lengths[0] - lengths[1]) > A_DAY:
        yield Found("changed-time", "length", str(lengths[0]), str(lengths[1]))


def _attributes(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    for found in compare_values(before.attributes, after.attributes, "attribute"):
        if found.key in SAMPLER_ATTRIBUTES:
            yield found.called("sampler-attribute")
        elif found.name == "renamed-attribute" and _is_semconv(found, comparer.semconv):
            yield found.called("semconv-attribute")
        elif found.name == "lost-attribute" and _by_exporter(comparer, found, before, after):
            yield found.called("exporter-attribute")
        elif _is_said_otherwise(found, before, after):
            continue
        else:
            yield found


def _is_semconv(found: Found, semconv: Mapping[str, str]) -> bool:
    old, _, new = found.key.partition(" -> ")
    return semconv.get(old) == new


def _by_exporter(comparer: Comparer, found: Found, before: Span, after: Span) -> bool:
    resource = comparer.after.resources.get(after.service, {})
    if any(fnmatchcase(found.key, pattern) for pattern in EXPORTER_ATTRIBUTES):
        return True
    return found.key in resource and same(before.attributes[found.key], resource[found.key])


def _is_said_otherwise(found: Found, before: Span, after: Span) -> bool:
    """Whether the status or kind's own difference tells this already."""
    if (found.name, found.key) == ("lost-attribute", "error"):
        return before.attributes["error"] is False and after.status == "ok"
    if (found.name, found.key) == ("extra-attribute", "span.kind"):
        return before.kind != after.kind and found.after == before.kind
    return False


def _events(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    return compare_events(before, after)


def _links(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    old = [(comparer.before.find(link.trace_id, link.span_id), link) for link in before.links]
    new = [(comparer.after.find(link.trace_id, link.span_id), link) for link in after.links]
    for target, link in old:
        wanted = comparer.pairing.after.get(target) if target else None
        partner = next(
            (item for item in new if item[0] is wanted and (target is None) == (item[0] is None)),
            None,
        )
        if partner is None:
            is_parent = target is not None and target is before.parent
            yield Found("parent-link" if is_parent else "lost-link", _target(target), _type(link))
        else:
            new.remove(partner)
            yield from _link(target, link, partner[1])
    for target, link in new:
        is_parent = target is not None and target is after.parent
        name = "parent-link" if is_parent else "extra-link"
        yield Found(name, _target(target), None, _type(link))


def _link(target: Span | None, before: Link, after: Link) -> Iterator[Found]:
    if _type(before) != _type(after):
        yield Found("changed-link", _target(target), _type(before), _type(after))
    plain = [
        {k: v for k, v in link.attributes.items() if k != REF_TYPE} for link in (before, after)
    ]
    for found in compare_values(plain[0], plain[1], "attribute"):
        yield Found("changed-link", f"{_target(target)}: {found.key}", found.before, found.after)


def _target(target: Span | None) -> str:
    return target.path if target else "a span outside"


def _type(link: Link) -> str:
    """Jaeger shows a link without a type as FOLLOWS_FROM."""
    return text(link.attributes.get(REF_TYPE, "follows_from"))


def _baggage(comparer: Comparer, before: Span, after: Span) -> Iterator[Found]:
    for way in ("sent", "received"):
        old, new = before.baggage.get(way, {}), after.baggage.get(way, {})
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                name = "lost" if key not in new else "extra" if key not in old else "changed"
                yield Found(f"{name}-baggage", f"{key} ({way})", old.get(key), new.get(key))


def _resource(before: Attributes, after: Attributes) -> Iterator[Found]:
    sides = [{k: v for k, v in side.items() if k != "service.name"} for side in (before, after)]
    for found in compare_values(sides[0], sides[1], "resource"):
        keys = found.key.split(" -> ")
        if any(fnmatchcase(key, pattern) for key in keys for pattern in CLIENT_RESOURCES):
            yield found.called("client-resource")
        else:
            yield found


CHECKS: tuple[Callable[[Comparer, Span, Span], Iterator[Found]], ...] = (
    _label,
    _parent,
    _kind,
    _status,
    _time,
    _attributes,
    _events,
    _links,
    _baggage,
)
