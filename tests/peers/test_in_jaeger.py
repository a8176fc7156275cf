"""One trace through every peer, as a real Jaeger v2 shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.peers.processes import Peers
from tests.peers.test_interop import OURS, THEIRS, chain
from tests.servers.jaeger import Jaeger
from tests.servers.process import wait_until

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def jaeger() -> Iterator[Jaeger]:
    with Jaeger() as server:
        yield server


@pytest.fixture(scope="module")
def reporting_peers(jaeger: Jaeger) -> Iterator[Peers]:
    peers = Peers(
        {
            "PEER_AGENT": f"127.0.0.1:{jaeger.ports['COMPACT']}",
            "PEER_AGENT_BINARY": f"127.0.0.1:{jaeger.ports['BINARY']}",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_grpc_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
    )
    yield peers
    peers.stop()


def parent_of(span: dict[str, Any]) -> str | None:
    parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
    assert len(parents) <= 1
    return parents[0] if parents else None


@pytest.mark.parametrize("propagation", ["uber", "b3"])
def test_all_services_are_one_chain_in_one_trace(
    jaeger: Jaeger, reporting_peers: Peers, propagation: str
) -> None:
    names = [OURS[0]]
    for theirs in THEIRS:
        names += [theirs, *OURS]
    hops = chain(reporting_peers, names, {}, propagation=propagation)
    trace_id = hops[0]["server"]["trace_id"].zfill(32)
    expected = 2 * len(names) - 1

    def arrived() -> int:
        trace = jaeger.trace(trace_id)
        return len(trace["spans"]) if trace else 0

    wait_until(lambda: arrived() >= expected, 20, f"{expected} spans in Jaeger")
    trace = jaeger.trace(trace_id)
    assert trace is not None
    children = {parent_of(span): span for span in trace["spans"]}
    assert len(children) == expected
    order, span = [], children[None]
    while True:
        order.append(trace["processes"][span["processID"]]["serviceName"])
        if span["spanID"] not in children:
            break
        span = children[span["spanID"]]
    assert order == [f"peer-{name}" for name in names for _ in (0, 1)][:-1]
