"""Who still sends legacy spans: the burn-down list of a migration.

A sender is a service, its client library with version, its host and the way it sends; all from
the process tags, cut to a length and bounded in number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from bridge.jaeger import thrift
from bridge.jaeger.thrift import Batch, Tag

MAX_SENDERS = 1000
MAX_TEXT_BYTES = 120
UNKNOWN = "unknown"


class Sender(NamedTuple):
    """What the list is kept by."""

    service: str
    client: str
    host: str
    transport: str


OTHERS = Sender("(others)", UNKNOWN, UNKNOWN, UNKNOWN)  # counts what finds no more room


@dataclass(slots=True)
class Seen:
    """How much a sender has sent, and when (seconds since the epoch)."""

    spans: int
    batches: int
    first_seen: float
    last_seen: float


class Inventory:
    """Bounded. One thread at a time may `note`; reading is safe beside it."""

    def __init__(self, limit: int = MAX_SENDERS) -> None:
        self._limit = limit
        self._seen: dict[Sender, Seen] = {}
        # Reading a process costs more than counting it, and the same bytes come again and again.
        self._known: dict[tuple[object, ...], Seen] = {}

    def note(self, batch: Batch, transport: str, peer: str, now: float) -> None:
        """Counts a batch. `peer` is the address it came from, for clients that name no host."""
        service, tags = batch.process.service_name, _telling(batch)
        values = [(tag.key, (tag.string or b"")[:MAX_TEXT_BYTES], tag.long) for tag in tags]
        key = (transport, peer, service[:MAX_TEXT_BYTES], *values)
        seen = self._known.get(key)
        if seen is None:
            seen = self._remember(key, _sender(service, tags, transport, peer), now)
        seen.spans += len(batch.spans)
        seen.batches += 1
        seen.last_seen = now

    def _remember(self, key: tuple[object, ...], sender: Sender, now: float) -> Seen:
        seen = self._seen.get(sender)
        if seen is None:
            if len(self._seen) >= self._limit:
                sender = OTHERS
            seen = self._seen.setdefault(sender, Seen(0, 0, now, now))
        if len(self._known) >= self._limit:
            self._known.clear()
        self._known[key] = seen
        return seen

    def senders(self) -> list[tuple[Sender, Seen]]:
        """The list, busiest first."""
        return sorted(self._seen.copy().items(), key=lambda item: (-item[1].spans, item[0]))

    def document(self) -> list[dict[str, Any]]:
        """The list as JSON has it."""
        return [{**sender._asdict(), **asdict(seen)} for sender, seen in self.senders()]


_VERSION, _HOSTS = b"jaeger.version", (b"hostname", b"host.name", b"ip")
_SDK_NAME, _SDK_LANGUAGE, _SDK_VERSION = (
    b"telemetry.sdk.name",
    b"telemetry.sdk.language",
    b"telemetry.sdk.version",
)
_TELLING = frozenset({_VERSION, *_HOSTS, _SDK_NAME, _SDK_LANGUAGE, _SDK_VERSION})


def _telling(batch: Batch) -> list[Tag]:
    """The tags that say who sent it. OpenTelemetry's exporters for Jaeger put them on spans."""
    found = [tag for tag in batch.process.tags or () if tag.key in _TELLING]
    if not found and batch.spans:
        found = [tag for tag in batch.spans[0].tags or () if tag.key in _TELLING]
    return found


def _sender(service: bytes, telling: list[Tag], transport: str, peer: str) -> Sender:
    tags = {tag.key: tag for tag in telling}
    host = next((_text(tags[key]) for key in _HOSTS if key in tags), peer)
    return Sender(_cut(service) or UNKNOWN, _client(tags), host or UNKNOWN, transport)


def _client(tags: Mapping[bytes, Tag]) -> str:
    """`jaeger.version`, or what OpenTelemetry's removed Jaeger exporters say of themselves."""
    if _VERSION in tags:
        return f"jaeger {_text(tags[_VERSION])}"
    if _SDK_NAME in tags:
        names = (_SDK_NAME, _SDK_LANGUAGE, _SDK_VERSION)
        return " ".join(_text(tags[name]) for name in names if name in tags)
    return UNKNOWN


def _text(tag: Tag) -> str:
    return _cut(tag.string or b"") if tag.kind == thrift.STRING else str(tag.long or "")


def _cut(text: bytes) -> str:
    return "".join(
        character if character.isprintable() else "?"
        for character in text[:MAX_TEXT_BYTES].decode("utf-8", "replace")
    )
