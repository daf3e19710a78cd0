"""Costs of a sector's messages: each sector of a batch has an equal share of its gas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from apps.messages.models import Message
from apps.sectors.models import Sector, SectorChange
from apps.sectors.selectors.sector_messages import SectorMessage
from apps.sectors.states import BatchKind


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
    """Return the costs of a sector's messages, in three queries at most."""
    batches = {one.batch.pk for one in sent}
    counts: dict[int, int] = {}
    if any(one.kind == BatchKind.PRE_COMMIT for one in sent):
        precommits = Sector.objects.filter(precommit_batch__in=batches).order_by().values("precommit_batch")
        counts |= dict(precommits.annotate(many=Count("pk")).values_list("precommit_batch", "many"))
    if any(one.kind == BatchKind.COMMIT for one in sent):
        commits = Sector.objects.filter(commit_batch__in=batches).order_by().values("commit_batch")
        counts |= dict(commits.annotate(many=Count("pk")).values_list("commit_batch", "many"))
    if any(one.kind not in (BatchKind.PRE_COMMIT, BatchKind.COMMIT) for one in sent):
        changes = SectorChange.objects.filter(batch__in=batches).order_by().values("batch")
        counts |= dict(changes.annotate(many=Count("pk")).values_list("batch", "many"))
    return [
        SectorCost(one.kind, one.message, max(counts.get(one.batch.pk, 1), 1))
        for one in sent
        if one.message is not None
    ]
