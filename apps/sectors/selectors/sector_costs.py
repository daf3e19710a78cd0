"""Costs of a sector's messages: each sector of a batch has an equal share of its gas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count

from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.sectors.models import Batch, Sector, SectorChange
from apps.sectors.rules.batches import COMMIT, COMMIT_NI, PRE_COMMIT
from apps.sectors.selectors.sector_messages import SectorMessage
from apps.sectors.states import BatchKind, BatchState
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_sectors import (
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
)

FAILED_MAX: Final = 100
"""Failed batches of a miner in which a sector is looked for, the newest."""


@dataclass(frozen=True, slots=True)
class SectorCost:
    """A sector's share of a message's gas."""

    kind: str
    message: Message
    members: int
    """Sectors in it."""

    @property
    def share(self) -> int | None:
        """Return attoFIL, rounded down; None while it has not landed."""
        return int(self.message.gas_cost) // self.members if self.message.landed_at is not None else None


def sector_costs(sent: Sequence[SectorMessage]) -> list[SectorCost]:
    """Return the costs of a sector's messages, those that failed before among them."""
    batches = {one.batch.pk for one in sent}
    counts: dict[int, int] = {}
    if any(one.kind not in (BatchKind.PRE_COMMIT, BatchKind.COMMIT) for one in sent):
        changes = SectorChange.objects.filter(batch__in=batches).order_by().values("batch")
        counts |= dict(changes.annotate(many=Count("pk")).values_list("batch", "many"))
    return [
        SectorCost(one.kind, one.message, counts.get(one.batch.pk) or max(len(batch_numbers(one.batch)), 1))
        for one in sent
        if one.message is not None
    ]


def earlier_messages(sector: Sector) -> list[SectorMessage]:
    """Return the messages with a sector's pre-commit or commit that landed and failed: they have cost gas.

    The sector went with another batch since, and only their parameters still name it.
    """
    failed = Batch.objects.filter(
        miner=sector.miner_id,
        kind__in=[BatchKind.PRE_COMMIT, BatchKind.COMMIT],
        state=BatchState.FAILED,
        created_at__gte=sector.created_at,
    ).exclude(exit_code=None)
    failed = failed.exclude(
        pk__in=[key for key in (sector.precommit_batch_id, sector.commit_batch_id) if key]
    )
    rows = [one for one in failed.order_by("-pk")[:FAILED_MAX] if sector.number in batch_numbers(one)]
    messages = messages_by_ids([one.message_id for one in rows])
    return [SectorMessage(one.kind, one, messages.get(one.message_id)) for one in reversed(rows)]


def batch_numbers(batch: Batch) -> list[int]:
    """Return the numbers of the sectors in the message of a pre-commit or commit."""
    if not (params := bytes(batch.params)):
        return []
    if batch.method == COMMIT_NI.method:
        return [one.sector_number for one in params_read(ProveCommitSectorsNIParams, params).sectors]
    if batch.method == COMMIT.method:
        return [
            one.sector_number for one in params_read(ProveCommitSectors3Params, params).sector_activations
        ]
    if batch.method == PRE_COMMIT.method:
        return [one.sector_number for one in params_read(PreCommitSectorBatch2Params, params).sectors]
    return []
