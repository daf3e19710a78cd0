"""What a scan lists where there is more than it has room for."""

from __future__ import annotations

import pytest

from apps.sectors.models import Sector, Worker
from apps.sectors.services.stores import scan_comparison
from poolsite.wire.store_checks import ScannedSectors, ScannedStore
from tests import factories
from tests.unit.apps.sectors.store_scans import findings, scanned, worker

pytestmark = pytest.mark.django_db
__all__ = ["worker"]


def test_sectors_that_lie_nowhere_are_listed_beside_others_second_copies(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_comparison, "FINDINGS_MAX", 1)
    other = factories.miner(2000)
    factories.sector(other, number=7, state="PROVING", store="", comm_r=bytes(32))
    assert Sector.objects.filter(miner__actor_id=1000, store="b").count() == 2
    here = (
        ScannedSectors(miner_id=1000, whole=(3, 3)),  # 3 and 4 are of b, 5 of none
        ScannedSectors(miner_id=2000, whole=(7, 1)),
    )

    store = scanned(worker, ScannedStore(command="", miners=here))

    names = {name for name, _ in findings("ELSEWHERE")}
    assert names == {"s-t01000-3", "s-t01000-5", "s-t02000-7"}
    assert store.scans.get().counts["ELSEWHERE"] == 4
