"""Stores that several sealing hosts have: new sectors begin only where all that is begun finds room."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connection

from apps.messages.services.recovery.detect import restore_check
from apps.sectors.models import Job, Sector, Worker
from apps.sectors.selectors.shared_stores import SharedRoom, shared_room, stores_are_shared
from apps.sectors.services.jobs import claims
from poolsite.wire.stores import StoreCondition
from tests import factories
from tests.unit.apps.sectors.sealing import NOON, claim, host
from tests.unit.apps.sectors.stores import beat, told

pytestmark = pytest.mark.django_db
EACH = 4096
"""What a sector of 2 KiB takes in a store."""


def with_stores(uid: str, **rooms: int) -> Worker:
    """A host that tells of these stores, by name, and for how many sectors each has room."""
    stores = (told(name, free_bytes=EACH * room, total_bytes=EACH * 99) for name, room in rooms.items())
    return beat(host(uid), *stores)


def sectors(count: int) -> None:
    miner = factories.miner()
    for _ in range(count):
        factories.sector(miner)


def begun(worker: Worker, **change: Any) -> int:
    return len(claim(worker, **change))


def test_hosts_of_one_store_begin_no_more_sectors_than_it_has_room_for() -> None:
    sectors(20)
    one, other = with_stores("u1", nas=5), with_stores("u2", nas=5)

    assert [begun(one, max=3), begun(other), begun(one), begun(other)] == [3, 2, 0, 0]


def test_stored_sector_no_longer_counts_as_coming_to_its_store() -> None:
    sectors(20)
    one, other = with_stores("u1", nas=5), with_stores("u2", nas=5)
    begun(one)
    Sector.objects.exclude(job__sticky_worker=None).update(state="PERSISTED", store="nas")
    Job.objects.exclude(sticky_worker=None).update(state="WAITING", worker=None)

    assert begun(beat(other, told("nas", free_bytes=EACH * 2, total_bytes=EACH * 99))) == 2


def test_sectors_of_a_host_with_another_store_leave_the_shared_one_free() -> None:
    sectors(20)
    one, other = with_stores("u1", nas=3), with_stores("u2", nas=3, own=9)
    assert begun(other, max=9) == 9

    assert begun(one) == 3
    assert begun(other) == 0, "both stores together are full now"


def test_host_that_shares_no_store_begins_as_many_as_it_asks_for() -> None:
    sectors(20)
    with_stores("u1", nas=1)

    assert begun(with_stores("u2", own=1)) == 9, "it counts its own room itself"


def test_work_in_progress_goes_on_while_a_shared_store_is_full() -> None:
    sectors(3)
    one, other = with_stores("u1", nas=2), with_stores("u2", nas=2)
    assert begun(one) == 2
    Job.objects.filter(sticky_worker=one).update(state="READY", worker=None, stage="PC1")

    assert [job.seal.stage for job in claim(one) if job.seal] == ["PC1", "PC1"]
    assert begun(other) == 0


def test_store_that_refuses_sectors_offers_no_room() -> None:
    sectors(20)
    nas = told("nas", free_bytes=EACH * 5, total_bytes=EACH * 99)
    full = told("old", free_bytes=EACH * 5, total_bytes=EACH * 99, condition=StoreCondition.READ_ONLY)
    one = beat(host("u1"), nas, full)
    beat(host("u2"), nas, full)

    room = shared_room(one)

    assert room is not None
    assert (room.stores, room.left_bytes) == (("nas",), EACH * 5)


def test_stores_of_another_tenant_are_not_named() -> None:
    nas = told("nas", free_bytes=EACH, total_bytes=EACH * 99)
    full = told("theirs", free_bytes=0, total_bytes=EACH * 99)
    beat(host("u2", of="bob"), told("their-nas", uid=nas.uid, free_bytes=EACH, total_bytes=EACH * 99), full)
    one = beat(host("u1"), nas)

    room = shared_room(one)

    assert room is not None
    assert (room.stores, room.left_bytes) == (("nas",), EACH)


@pytest.mark.django_db(transaction=True)
def test_two_claims_at_once_do_not_both_get_the_last_room(monkeypatch: pytest.MonkeyPatch) -> None:
    sectors(8)
    hosts = with_stores("u1", nas=1), with_stores("u2", nas=1)
    restore_check(now=NOON)  # the next claims hold no locks but those of their jobs
    both, found = threading.Barrier(2), list[int]()
    is_shared, room_of = stores_are_shared, shared_room

    def shared(worker: Worker) -> bool:
        both.wait(10)
        return is_shared(worker)

    def room(worker: Worker) -> SharedRoom | None:
        counted = room_of(worker)
        time.sleep(0.3)
        return counted

    monkeypatch.setattr(claims, "stores_are_shared", shared)
    monkeypatch.setattr(claims, "shared_room", room)

    def work(worker: Worker) -> None:
        try:
            found.append(begun(worker, max=1))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(one,)) for one in hosts]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)

    assert sorted(found) == [0, 1]
