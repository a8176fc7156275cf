"""The events of two spans: paired by content, by name, by the exception they tell of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from migrator.compare.catalogue import EXCEPTION_FIELDS, STACK_FIELDS
from migrator.compare.found import Found
from migrator.compare.model import Event, Span, text
from migrator.compare.values import compare_values

NAMELESS = ("", "log")  # golden's name for a log without `event`, and OpenTelemetry's


def compare_events(before: Span, after: Span) -> Iterator[Found]:
    """Differences between the events of two spans; times count only as their order."""
    old, new = list(enumerate(before.events)), list(enumerate(after.events))
    pairs = [pair for match in MATCHES for pair in _take(old, new, match)]
    for (_, event), (_, other) in pairs:
        yield from _compare(event, other)
    yield from _order(pairs)
    for _, event in old:
        yield from _lost(event, before, after)
    for _, event in new:
        yield Found("extra-event", event.name, None, summary(event))


def summary(event: Event) -> str:
    """The event in one line."""
    return ", ".join(f"{key}={text(value)}" for key, value in event.attributes.items())


def event_facts(event: Event) -> set[tuple[str, str, str]]:
    """What an event tells, the same for both forms of an exception."""
    if is_exception(event):
        return {("exception", "", told) for told in _messages(event) | _types(event)}
    fields = event.attributes.items()
    return {(_name(event), k, text(v)) for k, v in fields if k not in STACK_FIELDS}


_Numbered = tuple[int, Event]


def _take(
    old: list[_Numbered], new: list[_Numbered], match: Callable[[Event, Event], bool]
) -> Iterator[tuple[_Numbered, _Numbered]]:
    """Pair in order, and take the paired off both lists."""
    for item in list(old):
        partner = next((other for other in new if match(item[1], other[1])), None)
        if partner is not None:
            old.remove(item)
            new.remove(partner)
            yield item, partner


def _equal(before: Event, after: Event) -> bool:
    return before.name == after.name and before.attributes == after.attributes


def _same_name(before: Event, after: Event) -> bool:
    return _name(before) == _name(after)


def _same_exception(before: Event, after: Event) -> bool:
    return is_exception(before) and is_exception(after)


def _same_fields(before: Event, after: Event) -> bool:
    return bool(before.attributes) and before.attributes == after.attributes


def _name_as_message(before: Event, after: Event) -> bool:
    return before.name in NAMELESS and before.attributes.get("message") == after.name


MATCHES = (_equal, _name_as_message, _same_name, _same_exception, _same_fields)


def _name(event: Event) -> str:
    return "log" if event.name in NAMELESS else event.name


def is_exception(event: Event) -> bool:
    return event.name == "exception" or (
        event.name == "error" and bool(EXCEPTION_FIELDS & event.attributes.keys())
    )


def _compare(before: Event, after: Event) -> Iterator[Found]:
    if before.name != after.name and is_exception(before) and is_exception(after):
        yield from _exceptions(before, after)
        return
    if _name_as_message(before, after):
        yield Found("message-event", after.name, "", after.name)
        before = replace(before, attributes={**before.attributes})
        del before.attributes["message"]
    elif before.name != after.name:
        unnamed = before.name in NAMELESS and after.name in NAMELESS
        name = "unnamed-event" if unnamed else "renamed-event"
        yield Found(name, after.name or "log", before.name, after.name)
    for found in compare_values(before.attributes, after.attributes, "event-attribute"):
        stack = found.name == "changed-event-attribute" and found.key in STACK_FIELDS
        name = "changed-stack" if stack else found.name
        yield found._replace(name=name, key=f"{before.name or 'log'}: {found.key}")


def _exceptions(before: Event, after: Event) -> Iterator[Found]:
    """One exception in OpenTracing's and in OpenTelemetry's words."""
    yield Found("exception-form", after.name, before.name, after.name)
    for key, says in (("exception.message", _messages), ("exception.type", _types)):
        old, new = says(before), says(after)
        if old and not old & new:
            yield Found(
                "changed-event-attribute",
                f"{after.name}: {key}",
                " / ".join(sorted(old)),
                " / ".join(new),
            )
    plain = [
        {key: value for key, value in event.attributes.items() if key not in EXCEPTION_FIELDS}
        for event in (before, after)
    ]
    yield from compare_values(plain[0], plain[1], "event-attribute")


def _messages(event: Event) -> set[str]:
    keys = ("message", "error.object", "exception.message")
    return {text(event.attributes[key]) for key in keys if key in event.attributes}


def _types(event: Event) -> set[str]:
    """The class without its module: "<class 'shop.Empty'>" and "shop.Empty" are both Empty."""
    keys = ("error.kind", "exception.type")
    told = (text(event.attributes[key]) for key in keys if key in event.attributes)
    return {name.removeprefix("<class '").removesuffix("'>").rpartition(".")[2] for name in told}


def _order(pairs: list[tuple[_Numbered, _Numbered]]) -> Iterator[Found]:
    ordered = [new[0] for _, new in sorted(pairs, key=lambda pair: pair[0][0])]
    if ordered != sorted(ordered):
        names = [_name(new[1]) for _, new in pairs]
        yield Found("event-order", "", None, ", ".join(names))


def _lost(event: Event, before: Span, after: Span) -> Iterator[Found]:
    if event.name == "baggage" and {"key", "value"} <= event.attributes.keys():
        yield Found("baggage-event", text(event.attributes["key"]), summary(event))
        return
    key = _kept_as_attribute(event, before, after) if is_exception(event) else ""
    if key:
        yield Found("exception-as-attribute", key, summary(event), text(after.attributes[key]))
    else:
        yield Found("lost-event", event.name or "log", summary(event))


def _kept_as_attribute(event: Event, before: Span, after: Span) -> str:
    said = {message for message in _messages(event) if message}
    for key, value in after.attributes.items():
        if key not in before.attributes and any(message in text(value) for message in said):
            return key
    return ""
