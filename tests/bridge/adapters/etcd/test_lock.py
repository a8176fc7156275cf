"""Locks on a real etcd: never two holders, first come first served, nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest

from bridge.adapters.errors import Unavailable
from bridge.adapters.etcd import EtcdConnection, EtcdStore, Lock, LockBusy, NotHeld
from tests.bridge.adapters.etcd.conftest import Connect
from tests.bridge.adapters.etcd.test_lease import revoke
from tests.servers.etcd import Etcd, three_etcds
from tests.servers.process import wait_until
from tests.servers.watchers import Telemetry


def waiting_keys(etcd: EtcdConnection, name: str) -> int:
    return len(EtcdStore(etcd).list(f"{name}/")[0])


def test_a_free_lock_is_taken_and_given_back(etcd: EtcdConnection) -> None:
    lock = Lock(etcd, "locks/free")
    with lock:
        assert lock.held
        assert waiting_keys(etcd, "locks/free") == 1
    assert not lock.held
    assert waiting_keys(etcd, "locks/free") == 0


def test_a_held_lock_is_busy_and_no_key_is_left(etcd: EtcdConnection, telemetry: Telemetry) -> None:
    with Lock(etcd, "locks/busy"):
        started = time.monotonic()
        with pytest.raises(LockBusy):
            Lock(etcd, "locks/busy").acquire(timeout=0.5)
        assert 0.4 < time.monotonic() - started < 2.5
        assert Lock(etcd, "locks/busy").try_acquire() is None
        assert waiting_keys(etcd, "locks/busy") == 1
    assert all(span.status.is_unset for span in telemetry.spans("lock locks/"))


def test_a_free_lock_is_had_without_waiting(etcd: EtcdConnection) -> None:
    lock = Lock(etcd, "locks/free")
    assert lock.try_acquire() == lock.fencing_token
    lock.release()
    assert waiting_keys(etcd, "locks/free") == 0


def test_it_is_not_reentrant(etcd: EtcdConnection) -> None:
    with Lock(etcd, "locks/twice") as lock, pytest.raises(RuntimeError, match="reentrant"):
        lock.acquire()


def test_releasing_what_is_not_held_says_so(etcd: EtcdConnection) -> None:
    with pytest.raises(NotHeld):
        Lock(etcd, "locks/never").release()


def test_ten_contenders_never_hold_it_together(etcd: EtcdConnection) -> None:
    inside, most, tokens = 0, 0, []
    guard = threading.Lock()

    def contend() -> None:
        nonlocal inside, most
        for _ in range(3):
            with Lock(etcd, "locks/ten") as lock:
                with guard:
                    inside += 1
                    most = max(most, inside)
                    tokens.append(lock.fencing_token)
                time.sleep(0.01)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=contend) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1
    assert len(tokens) == 30
    assert tokens == sorted(tokens)  # in the order of asking, and a token for every holder
    assert len(set(tokens)) == 30


def _hold_for_ever(address: str, ready: multiprocessing.synchronize.Event) -> None:
    Lock(EtcdConnection([address]), "locks/killed", ttl=3).acquire()
    ready.set()
    time.sleep(60)


def test_a_killed_holders_lock_is_free_after_its_time(
    shared_etcd: Etcd, etcd: EtcdConnection
) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    holder = spawn.Process(target=_hold_for_ever, args=(shared_etcd.address, ready))
    holder.start()
    assert ready.wait(30)
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    started = time.monotonic()
    with Lock(etcd, "locks/killed"):
        assert time.monotonic() - started < 8


def _hold_and_say_when_lost(
    address: str,
    ready: multiprocessing.synchronize.Event,
    lost: multiprocessing.synchronize.Event,
) -> None:
    lock = Lock(EtcdConnection([address]), "locks/frozen", ttl=2)
    lock.acquire()
    ready.set()
    lock.lost.wait(30)
    if not lock.held:
        lost.set()


def test_a_holder_that_was_frozen_learns_that_it_lost(
    shared_etcd: Etcd, etcd: EtcdConnection
) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, lost = spawn.Event(), spawn.Event()
    holder = spawn.Process(target=_hold_and_say_when_lost, args=(shared_etcd.address, ready, lost))
    holder.start()
    assert ready.wait(30)
    assert holder.pid
    os.kill(holder.pid, signal.SIGSTOP)
    with Lock(etcd, "locks/frozen"):  # entered after the lease's time
        os.kill(holder.pid, signal.SIGCONT)
        assert lost.wait(5)
    holder.join(10)


def test_a_revoked_lease_is_noticed_by_the_holder(etcd: EtcdConnection) -> None:
    lock = Lock(etcd, "locks/revoked", ttl=3)
    lock.acquire()
    lease = lock._turn._lease
    assert lease is not None
    revoke(etcd, lease.id)
    assert lock.lost.wait(3)
    assert not lock.held
    with pytest.raises(NotHeld):
        _ = lock.fencing_token
    with pytest.raises(NotHeld):
        lock.release()
    with lock:
        assert lock.held


def test_the_next_holder_has_a_higher_token(etcd: EtcdConnection) -> None:
    lock = Lock(etcd, "locks/token")
    first = lock.acquire()
    lock.release()
    assert lock.acquire() > first
    lock.release()


def test_a_cut_off_holder_notices_before_the_next_one_enters(
    own_etcd: Etcd, connect: Connect
) -> None:
    lock = Lock(connect(own_etcd.address), "locks/cut", ttl=2)
    lock.acquire()
    own_etcd.pause()
    assert lock.lost.wait(4)
    own_etcd.resume()
    with Lock(connect(own_etcd.address), "locks/cut") as other:
        assert other.held
    with pytest.raises(NotHeld):
        lock.release()


def test_losing_the_leader_neither_loses_nor_doubles_the_lock(connect: Connect) -> None:
    with three_etcds() as members:
        addresses = [member.address for member in members]
        holder = Lock(connect(*addresses, timeout=3), "locks/leader", ttl=10)
        holder.acquire()
        waiter = Lock(connect(*addresses, timeout=3), "locks/leader", ttl=10)
        entered = threading.Event()
        thread = threading.Thread(target=lambda: (waiter.acquire(), entered.set()))
        thread.start()
        looker = connect(*addresses, timeout=3)
        wait_until(lambda: waiting_keys(looker, "locks/leader") == 2)
        next(member for member in members if member.leads).kill()
        time.sleep(2)
        assert holder.held
        assert not entered.is_set()
        wait_until(lambda: _released(holder), 15)
        assert entered.wait(15)
        waiter.release()
        thread.join()


def _released(lock: Lock) -> bool:
    try:
        lock.release()
    except Unavailable:
        return False
    return True
