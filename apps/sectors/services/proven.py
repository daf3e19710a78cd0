"""Rows of proving sectors follow what other programs, or the chain itself, do with the sectors.

A miner that is moving has two programs, and the chain ends a sector that stays faulty.  Once in a proving
period each row is compared, a bounded number of them at a head.
"""

from __future__ import annotations

from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.chain.node.isolation import for_each_isolated
from apps.miners.onchain.partition_facts import live_field
from apps.miners.states import MinerState
from apps.sectors.models import ActiveSectors, PipelineRun, Sector, SectorChange
from apps.sectors.reasons import CHANGED_ON_CHAIN
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.readback.proven_compare import READ_MAX, proven_compare
from poolsite.wire.pipeline import SectorState, SnapState
from poolsite.wire.pipeline.changes import OPEN_CHANGES

AT_ONCE: Final = 5 * READ_MAX
"""Rows compared at one head, of all miners: 5 million of them within a proving period of mainnet."""


def proven_follow(work: SealingContext) -> None:
    """Go on with the comparisons that are under way; what goes wrong with one miner stops no other."""
    rows = ActiveSectors.objects.exclude(next_number=None).filter(miner__state=MinerState.ACTIVE)
    rows = rows.exclude(miner__in=miners_unrecovered()).select_related("miner__tenant")
    left = AT_ONCE

    def one(row: ActiveSectors) -> None:
        nonlocal left
        if left > 0:
            left -= _next_follow(row, limit=left, work=work)

    due = list(rows.defer("numbers", "each").order_by("pk"))
    for_each_isolated(due, one, event="proven_sectors_not_compared")


def _next_follow(row: ActiveSectors, *, limit: int, work: SealingContext) -> int:
    """Compare the next rows of a miner; return how many.  Raises NodeRefused, NodeUnavailable."""
    miner = row.miner
    proving = Sector.objects.filter(miner=miner, state=SectorState.PROVING)
    following = proving.filter(number__gte=row.next_number).order_by("number")
    numbers = list(following.values_list("number", flat=True)[:limit])
    if numbers:
        live = live_field(work.client, miner.address, work.network.proving.deadlines, work.head.key)
        among = proving.filter(number__range=(numbers[0], numbers[-1]))
        rows = _without_own(among, work)
        proven_compare(miner, live=live, rows=rows, note=CHANGED_ON_CHAIN(), work=work, waits_final=True)
    next_number = numbers[-1] + 1 if len(numbers) == limit else None
    ActiveSectors.objects.filter(pk=row.pk).update(next_number=next_number)
    return len(numbers)


def _without_own(rows: QuerySet[Sector], work: SealingContext) -> QuerySet[Sector]:
    """Return the rows without a message of the pool's own that may still land, or leave the chain again."""
    changes = SectorChange.objects.filter(sector=OuterRef("pk"))
    young = work.head.height - work.network.chain_finality
    changes = changes.filter(Q(state__in=OPEN_CHANGES) | Q(batch__landed_height__gte=young))
    sent = (SnapState.UPDATE_SENT, SnapState.UPDATE_LANDED)
    updates = PipelineRun.objects.filter(sector=OuterRef("pk"), state__in=sent)
    return rows.exclude(Exists(changes)).exclude(Exists(updates))
