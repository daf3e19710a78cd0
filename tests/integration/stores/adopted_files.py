"""Sectors that the pool forgot and the chain has, and heads until they are taken in."""

from __future__ import annotations

from typing import Any, cast

from django.utils.timezone import now

from apps.sectors.models import Job, JobEvent, Sector, SectorAdoption, WorkerCommand
from apps.sectors.services.adoptions.rows import adoptions_follow
from apps.sectors.services.stores.scan_comparison import scans_compare
from poolsite.filecoin.cids import commr_cid
from tests.integration.stores.conftest import Farm
from tests.unit.apps.sectors.adoptions import Chain
from tests.unit.apps.sectors.reconcile import work


class Known(Chain):
    """A chain that has given commitments."""

    comm_rs: dict[int, bytes]

    def state_miner_sectors(self, miner: str, numbers: Any, key: str) -> list[Any]:
        rows = super().state_miner_sectors(miner, numbers, key)
        return [row | {"SealedCID": {"/": str(commr_cid(self.comm_rs[row["SectorNumber"]]))}} for row in rows]


def forgotten(farm: Farm) -> Known:
    """The pool forgets its sectors, and the chain has them."""
    chain = Known(live={(1, 0): {one.number for one in farm.sectors}})
    chain.comm_rs = {one.number: bytes(one.comm_r or b"") for one in farm.sectors}
    JobEvent.objects.all().delete()
    Job.objects.all().delete()
    Sector.objects.all().delete()
    return chain


def heads(farm: Farm, chain: Known) -> SectorAdoption:
    """Let heads come and the host report until the adoption is over."""

    def over() -> bool:
        scans_compare(now=now())
        adoptions_follow(work(cast("Any", chain)))
        return SectorAdoption.objects.get().state == "DONE"

    farm.beats(over)
    return SectorAdoption.objects.get()


def is_idle() -> bool:
    return not WorkerCommand.objects.filter(done_at=None).exists()
