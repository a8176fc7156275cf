"""Elections on a real etcd."""

from __future__ import annotations

import threading

import pytest

from bridge.adapters.etcd import Election, EtcdConnection, LockBusy, NotHeld


def test_without_candidates_nobody_leads(etcd: EtcdConnection) -> None:
    assert Election(etcd, "election/none").leader() is None


def test_the_first_candidate_leads_and_is_known(etcd: EtcdConnection) -> None:
    with Election(etcd, "election/one") as election:
        term = election.campaign("node-1")
        leader = election.leader()
        assert leader is not None
        assert (leader.text, leader.create_revision) == ("node-1", term)
    assert not election.leads


def test_the_second_leads_when_the_first_resigns(etcd: EtcdConnection) -> None:
    first, second = Election(etcd, "election/two"), Election(etcd, "election/two")
    term = first.campaign("node-1")
    with pytest.raises(LockBusy):
        second.campaign("node-2", timeout=0.2)
    won = threading.Event()
    thread = threading.Thread(target=lambda: (second.campaign("node-2"), won.set()))
    thread.start()
    assert not won.wait(0.3)
    first.resign()
    assert won.wait(5)
    assert second.term > term
    thread.join()
    second.resign()


def test_who_does_not_lead_has_no_term(etcd: EtcdConnection) -> None:
    with pytest.raises(NotHeld):
        _ = Election(etcd, "election/no-term").term
