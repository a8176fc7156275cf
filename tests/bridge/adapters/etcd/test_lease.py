"""Leases on a real etcd: kept alive, lost, revoked."""

from __future__ import annotations

import time

import pytest
from aetcd import rpc

from bridge.adapters.errors import Unavailable
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Lease
from bridge.adapters.worker import State
from tests.bridge.adapters.canaries import Canaries
from tests.bridge.adapters.etcd.conftest import Connect
from tests.servers.etcd import Etcd
from tests.servers.process import wait_until
from tests.servers.watchers import Telemetry, no_leftovers


def revoke(connection: EtcdConnection, lease: int) -> None:
    """What an operator or another client may do to our lease."""
    connection.invoke("revoke", "Lease.LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))


def test_a_lease_outlives_its_time_while_it_is_renewed(
    etcd: EtcdConnection, telemetry: Telemetry
) -> None:
    with Lease(etcd, ttl=2) as lease:
        EtcdStore(etcd).put("lease/alive", "1", lease=lease.id)
        time.sleep(4.5)
        assert EtcdStore(etcd).get("lease/alive") is not None
        assert not lease.lost.is_set()
    assert sum(telemetry.metric("adapter.heartbeats").values()) >= 5


def test_heartbeats_make_no_spans(etcd: EtcdConnection, telemetry: Telemetry) -> None:
    with Lease(etcd, ttl=2):
        time.sleep(2.5)
    assert [span.name for span in telemetry.spans()] == [
        "lease grant",
        "etcd lease stopped",
        "lease revoke",
    ]


def test_close_takes_the_keys_away_at_once(etcd: EtcdConnection) -> None:
    lease = Lease(etcd, ttl=60)
    EtcdStore(etcd).put("lease/closed", "1", lease=lease.id)
    lease.close()
    assert EtcdStore(etcd).get("lease/closed") is None
    lease.close()


def test_a_revoked_lease_is_noticed_at_the_next_heartbeat(etcd: EtcdConnection) -> None:
    lease = Lease(etcd, ttl=3)
    revoke(etcd, lease.id)
    assert lease.lost.wait(3)
    lease.close()


def test_a_server_that_hangs_for_the_lease_time_loses_it(own_etcd: Etcd, connect: Connect) -> None:
    lease = Lease(connect(own_etcd.address), ttl=2)
    own_etcd.pause()
    started = time.monotonic()
    assert lease.lost.wait(5)
    assert time.monotonic() - started < 3.5
    own_etcd.resume()
    lease.close()


def test_a_short_crash_does_not_lose_the_lease(own_etcd: Etcd, connect: Connect) -> None:
    connection = connect(own_etcd.address)
    lease = Lease(connection, ttl=8)
    states = []
    own_etcd.restart()
    wait_until(lambda: states.append(lease.state.value) or lease.state.value == "up", 8)
    assert not lease.lost.is_set()
    lease.close()


def test_it_tells_its_states_each_in_a_linked_span(
    own_etcd: Etcd, connect: Connect, telemetry: Telemetry
) -> None:
    states: list[str] = []
    connection = connect(own_etcd.address)
    with telemetry.tracer.start_as_current_span("main") as main:
        lease = Lease(connection, ttl=6, on_state=lambda change: states.append(change.state.value))
    assert lease.state is State.UP
    own_etcd.pause()
    wait_until(lambda: states == ["lost"], 8)
    own_etcd.resume()
    wait_until(lambda: states == ["lost", "up"], 8)
    revoke(connection, lease.id)
    assert lease.lost.wait(5)
    wait_until(lambda: states == ["lost", "up", "failed"])
    spans = [span for span in telemetry.spans() if span.name.startswith("etcd lease ")]
    assert [span.name.removeprefix("etcd lease ") for span in spans] == states
    assert all(span.parent is None for span in spans)
    assert {link.context.span_id for span in spans for link in span.links} == {
        main.get_span_context().span_id
    }


def test_a_lease_is_not_granted_by_a_dead_server(own_etcd: Etcd, connect: Connect) -> None:
    own_etcd.kill()
    with pytest.raises(Unavailable):
        Lease(connect(own_etcd.address))


def test_the_lease_id_is_looked_for_in_telemetry(etcd: EtcdConnection, canaries: Canaries) -> None:
    with Lease(etcd) as lease:
        assert canaries.knows(str(lease.id))
        assert canaries.knows(f"{lease.id:x}")
        assert str(lease.id) not in repr(lease)


def test_nothing_is_left_after_close(shared_etcd: Etcd) -> None:
    with (
        no_leftovers(),
        EtcdConnection([shared_etcd.address]) as connection,
        Lease(connection, ttl=2),
    ):
        time.sleep(1)
