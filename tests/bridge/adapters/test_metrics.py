import pytest

from bridge.adapters.errors import Unavailable
from bridge.adapters.metrics import Meters


@pytest.fixture
def meters(telemetry):
    return Meters("etcd", telemetry.meter_provider)


def test_no_sdk_no_error():
    Meters("etcd").heartbeat()


def test_heartbeats_count_by_outcome(meters, telemetry):
    meters.heartbeat()
    meters.heartbeat()
    meters.heartbeat(Unavailable("etcd keepalive", code="UNAVAILABLE"))
    assert telemetry.metric("adapter.heartbeats") == {
        (("adapter.system", "etcd"),): 2,
        (("adapter.system", "etcd"), ("error.type", "UNAVAILABLE")): 1,
    }


def test_renewals_and_watch_restarts_count(meters, telemetry):
    meters.renewal()
    meters.watch_restart(Unavailable("etcd watch"))
    assert telemetry.metric("adapter.renewals") == {(("adapter.system", "etcd"),): 1}
    assert sum(telemetry.metric("adapter.watch.restarts").values()) == 1


def test_lock_wait_says_whether_the_lock_was_got(meters, telemetry):
    meters.lock_wait(0.2, acquired=True)
    meters.lock_wait(5.0, acquired=False)
    assert set(telemetry.metric("adapter.lock.wait")) == {
        (("adapter.lock.acquired", True), ("adapter.system", "etcd")),
        (("adapter.lock.acquired", False), ("adapter.system", "etcd")),
    }
