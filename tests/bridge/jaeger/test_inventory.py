"""Who still sends: read from process tags, bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.jaeger.inventory import MAX_TEXT_BYTES, OTHERS, Inventory, Sender
from bridge.jaeger.thrift import Protocol, decode_packet
from tests.bridge.jaeger import packets


def noted(*processes: Any, limit: int = 10) -> Inventory:
    inventory = Inventory(limit)
    for moment, process in enumerate(processes):
        batch = packets.batch(*[packets.span()] * 5, of=process)
        inventory.note(batch, "compact", "10.0.0.1", float(moment))
    return inventory


def only(values: packets.Values) -> Sender:
    ((sender, _),) = noted(packets.process("shop", values)).senders()
    return sender


@pytest.mark.parametrize(
    ("values", "client", "host"),
    [
        ({}, "unknown", "10.0.0.1"),
        ({"jaeger.version": "Go-2.30.0", "hostname": "h", "ip": "1.1"}, "jaeger Go-2.30.0", "h"),
        ({"jaeger.version": "Java-1.8.1", "ip": "10.2.3.4"}, "jaeger Java-1.8.1", "10.2.3.4"),
        ({"ip": 167772161}, "unknown", "167772161"),
        (
            {
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.version": "1.21.0",
                "host.name": "h2",
            },
            "opentelemetry python 1.21.0",
            "h2",
        ),
    ],
    ids=str,
)
def test_client_and_host_come_from_the_process(values: Any, client: str, host: str) -> None:
    assert only(values) == Sender("shop", client, host, "compact")


def test_the_removed_exporters_of_opentelemetry_tell_it_on_their_spans() -> None:
    data = (Path(__file__).parent / "recorded" / "otel-compact.bin").read_bytes()
    inventory = Inventory()
    inventory.note(decode_packet(data, Protocol.COMPACT), "compact", "10.0.0.1", 0.0)
    ((sender, seen),) = inventory.senders()
    assert sender == Sender("otel-shop", "opentelemetry python 1.21.0", "10.0.0.1", "compact")
    assert seen.spans == 3


def test_counts_and_times_add_up() -> None:
    process = packets.process("shop", {"hostname": "h"})
    ((_, seen),) = noted(process, process, process).senders()
    assert (seen.spans, seen.batches, seen.first_seen, seen.last_seen) == (15, 3, 0.0, 2.0)


def test_other_tags_do_not_make_another_sender() -> None:
    one = packets.process("shop", {"hostname": "h", "client-uuid": "1"})
    two = packets.process("shop", {"client-uuid": "2", "hostname": "h"})
    assert len(noted(one, two).senders()) == 1


def test_the_busiest_comes_first() -> None:
    a, b = packets.process("a"), packets.process("b")
    assert [sender.service for sender, _ in noted(a, b, b).senders()] == ["b", "a"]


def test_the_list_is_bounded_and_nothing_goes_uncounted() -> None:
    inventory = noted(*(packets.process(f"s{number}") for number in range(100)), limit=10)
    senders = dict(inventory.senders())
    assert len(senders) == 11
    assert senders[OTHERS].spans == 90 * 5
    assert len(inventory._known) <= 10


def test_texts_are_cut_and_printable() -> None:
    sender = only({"hostname": "x" * 1000, "jaeger.version": "a\nb\x1b[31m"})
    assert len(sender.host) == MAX_TEXT_BYTES
    assert sender.client == "jaeger a?b?[31m"
