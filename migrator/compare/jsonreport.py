"""The comparison as JSON, for machines."""

from __future__ import annotations

import json
from typing import Any

from migrator.compare.comparison import Comparison, Row
from migrator.compare.differences import Difference
from migrator.compare.model import Span, text
from migrator.compare.sides import SideRun

VERSION = 1


def as_json(outcome: Comparison, old: SideRun, new: SideRun) -> str:
    """One JSON object; `version` changes when a key does."""
    return json.dumps(as_data(outcome, old, new), indent=2, ensure_ascii=False)


def as_data(outcome: Comparison, old: SideRun, new: SideRun) -> dict[str, Any]:
    return {
        "version": VERSION,
        "equal": outcome.equal,
        "counts": dict(outcome.counts),
        "allowed": dict(outcome.allowed),
        "before": _side(old),
        "after": _side(new),
        "services": [_difference(difference) for difference in outcome.services],
        "spans": [_row(row) for row in outcome.rows],
        "unused_rules": [rule.origin for rule in outcome.unused],
    }


def _side(run: SideRun) -> dict[str, Any]:
    return {
        "label": run.label,
        "command": run.command,
        "spans": len(run.recording.spans),
        "traces": len({span.trace_id for span in run.recording.spans}),
        "seconds": round(run.seconds, 2),
        "remarks": run.remarks,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "before": _span(row.before),
        "after": _span(row.after),
        "differences": [_difference(difference) for difference in row.differences],
    }


def _span(span: Span | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "service": span.service,
        "name": span.name,
        "path": span.path,
        "kind": span.kind,
        "status": span.status,
        "status_message": span.status_message,
        "attributes": {key: text(value) for key, value in span.attributes.items()},
        "events": [
            {"name": e.name, "attributes": {key: text(v) for key, v in e.attributes.items()}}
            for e in span.events
        ],
        "links": len(span.links),
        "baggage": span.baggage,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "name": difference.name,
        "path": difference.path,
        "key": difference.key,
        "before": difference.before,
        "after": difference.after,
        "allowed_by": difference.allowed_by,
        "reason": difference.reason,
    }
