"""Registration and discovery on a real etcd."""

from __future__ import annotations

import time

from aetcd import rpc

from bridge.adapters.errors import Unavailable
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Instance, ServiceRegistry
from tests.bridge.adapters.etcd.conftest import Connect
from tests.bridge.adapters.etcd.test_lease import revoke
from tests.servers.etcd import Etcd
from tests.servers.process import wait_until
from tests.servers.watchers import no_leftovers

SHOP = Instance("shop", "shop-1", "10.0.0.1", 8080, {"version": "2"})


def test_an_instance_is_found_until_it_closes(etcd: EtcdConnection) -> None:
    registry = ServiceRegistry(etcd, prefix="reg/found")
    with registry.register(SHOP):
        assert registry.discover("shop") == [SHOP]
        assert registry.discover("other") == []
    assert registry.discover("shop") == []


def test_what_is_no_instance_is_passed_over(etcd: EtcdConnection) -> None:
    registry = ServiceRegistry(etcd, prefix="reg/odd")
    EtcdStore(etcd).put_many(
        {"reg/odd/shop/a": b"\xff", "reg/odd/shop/b": "[]", "reg/odd/shop/c": '{"port": "x"}'}
    )
    with registry.register(SHOP):
        assert registry.discover("shop") == [SHOP]


def test_a_lost_lease_is_replaced_and_said(etcd: EtcdConnection) -> None:
    registry = ServiceRegistry(etcd, prefix="reg/lost")
    states = []
    with registry.register(SHOP, ttl=2, on_state=lambda change: states.append(change.state.value)):
        key = b"reg/lost/shop/shop-1"
        found, _ = etcd.invoke("look", "KV.Range", rpc.RangeRequest(key=key))
        revoke(etcd, found.kvs[0].lease)
        wait_until(lambda: registry.discover("shop") == [], 5)
        wait_until(lambda: registry.discover("shop") == [SHOP], 8)
    assert states[-3:] == ["lost", "up", "stopped"]


def test_a_watcher_sees_instances_come_and_go(etcd: EtcdConnection) -> None:
    registry = ServiceRegistry(etcd, prefix="reg/watch")
    lists: list[list[str]] = []
    with registry.watch("shop", lambda found: lists.append(sorted(i.id for i in found))):
        with registry.register(SHOP), registry.register(Instance("shop", "shop-2", "h", 1)):
            wait_until(lambda: len(lists) >= 3)
        wait_until(lambda: len(lists) >= 5)
    assert lists[0] == []
    assert lists[2] == ["shop-1", "shop-2"]
    assert lists[4] == []


def test_a_registration_outlives_a_crash_of_the_server(own_etcd: Etcd, connect: Connect) -> None:
    registry = ServiceRegistry(connect(own_etcd.address, timeout=2))
    with registry.register(SHOP, ttl=4):
        own_etcd.restart()
        wait_until(lambda: _registered(registry), 10)
        time.sleep(5)
        assert registry.discover("shop") == [SHOP]
    assert registry.discover("shop") == []


def _registered(registry: ServiceRegistry) -> bool:
    try:
        return registry.discover("shop") == [SHOP]
    except Unavailable:
        return False


def test_twenty_flaps_leave_one_registration_and_no_threads(own_etcd: Etcd) -> None:
    with no_leftovers(), EtcdConnection([own_etcd.address], timeout=1) as connection:
        registry = ServiceRegistry(connection)
        with registry.register(SHOP, ttl=2):
            for _ in range(20):
                own_etcd.pause()
                time.sleep(0.1)
                own_etcd.resume()
                time.sleep(0.05)
            wait_until(lambda: registry.discover("shop") == [SHOP], 10)
        assert registry.discover("shop") == []
