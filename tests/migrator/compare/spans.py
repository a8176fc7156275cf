"""Recordings for tests that need no program: a few words make a tree of spans."""

from __future__ import annotations

from itertools import count
from typing import Any

from migrator.compare.model import Recording, Span, family

_ids = count(1)


def span(name: str, *children: Span, **fields: Any) -> Span:
    """A span with its children; what is not given is empty."""
    made = Span(
        service=fields.pop("service", "shop"),
        name=name,
        kind=fields.pop("kind", "internal"),
        status=fields.pop("status", "unset"),
        status_message=fields.pop("status_message", ""),
        attributes=fields.pop("attributes", {}),
        events=fields.pop("events", []),
        links=fields.pop("links", []),
        start=fields.pop("start", 10**18 + next(_ids)),
        end=10**18 + next(_ids),
        trace_id=b"",
        span_id=next(_ids).to_bytes(8, "big"),
        parent_id=fields.pop("parent_id", b""),
    )
    assert not fields, fields
    made.children = list(children)
    return made


def recording(*roots: Span) -> Recording:
    """The spans as they would have been read, one trace for every root."""
    spans: list[Span] = []
    for root in roots:
        trace = next(_ids).to_bytes(16, "big")
        waiting = [root]
        while waiting:
            each = waiting.pop()
            each.trace_id = trace
            for child in each.children:
                child.parent_id = each.span_id
            waiting += each.children
            each.children = []
            spans.append(each)
    return family(spans, {})
