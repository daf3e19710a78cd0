"""The files phase of an adoption dies at each of its queries, and where its scans are compared."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from apps.sectors.models import JobEvent, Sector, SectorAdoption, Store, StoreScan, Worker
from apps.sectors.selectors.store_scans import scan_get
from apps.sectors.services.adoptions import rows as adoption_files
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.sectors.services.stores import scan_comparison
from apps.sectors.services.stores.scan_comparison import scans_compare
from tests import factories
from tests.unit.apps.sectors import store_scans as scan_steps
from tests.unit.apps.sectors.adoptions import Killed, at_head, chain_of
from tests.unit.apps.sectors.sealing import NOON
from tests.unit.apps.sectors.store_scans import FOUND, beat

worker = scan_steps.worker
LOST = (5, 8)
"""Sectors that lie in the stores, and whose rows name none."""


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_query_files_are_named_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_comparison, "FINDINGS_MAX", 1)  # a scan lists one sector, the next one the other
    monkeypatch.setattr(adoption_files, "FINDINGS_MAX", 1)
    miner = Sector.objects.get(number=5).miner
    Sector.objects.filter(number=3).update(store="a")
    factories.sector(miner, number=8, state="PROVING", store="", comm_r=bytes(32))
    SectorAdoption.objects.create(miner=miner, total=2, written=2, state="FILES", actor="ann")
    # Compared by the head that is killed, not where the host's heartbeats are sent.
    monkeypatch.setattr(scan_steps, "scans_compare", lambda **_: None)
    kills = 0
    while True:
        left = kills

        def die(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(die):
                scans_compare(now=NOON)
                adoptions_follow(at_head(chain_of()))
        except Killed:
            kills += 1
            assert kills < 1_000
        if SectorAdoption.objects.get().state == "DONE":
            break
        if worker.commands.filter(done_at=None).exists():
            beat(worker, FOUND)

    assert kills > 20
    row = SectorAdoption.objects.get()
    assert (row.unplaced, row.unread) == (0, [])
    assert set(Sector.objects.filter(number__in=LOST).values_list("store", flat=True)) <= {"a", "b"}
    for number in LOST:
        assert JobEvent.objects.filter(job__sector__number=number, event="ADOPTED").count() == 1
    assert not StoreScan.objects.filter(state="RUNNING").exists()
    assert StoreScan.objects.count() > 2, "a store is scanned again for what the first scan did not list"
    assert not worker.commands.filter(done_at=None).exists()


@pytest.mark.django_db
def test_a_scan_that_ends_while_it_is_read_is_not_begun_again(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another task compares it at the same head: an adoption scanned its stores again and again."""
    miner = Sector.objects.get(number=5).miner
    SectorAdoption.objects.create(miner=miner, total=1, written=1, state="FILES", actor="ann")
    adoptions_follow(at_head(chain_of()))
    begun, real = StoreScan.objects.count(), scan_get

    def read_while_it_is_compared(store: Store, uuid: str) -> StoreScan:
        scan = real(store, uuid)
        StoreScan.objects.filter(pk=scan.pk).update(state="DONE")
        return scan

    monkeypatch.setattr(adoption_files, "scan_get", read_while_it_is_compared)
    adoptions_follow(at_head(chain_of()))

    assert begun
    assert StoreScan.objects.count() == begun
