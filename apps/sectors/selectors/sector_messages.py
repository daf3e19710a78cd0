"""The messages by which sectors went to the chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.sectors.models import Batch, Sector, SectorChange
from apps.sectors.states import BatchKind


@dataclass(frozen=True, slots=True)
class SectorMessage:
    """A message by which a sector went to the chain."""

    kind: str
    batch: Batch
    message: Message | None
    """None while the batch has not been pushed."""


def sectors_messages(sectors: Iterable[Sector]) -> dict[int, list[SectorMessage]]:
    """Return the messages of sectors of `with_batches` by the sector's pk, in two queries for all."""
    batches: dict[int, list[tuple[str, Batch]]] = {}
    for sector in sectors:
        mine = batches.setdefault(sector.pk, [])
        if sector.precommit_batch is not None:
            mine.append((BatchKind.PRE_COMMIT, sector.precommit_batch))
        if sector.commit_batch is not None:
            mine.append((BatchKind.COMMIT, sector.commit_batch))
    changes = SectorChange.objects.filter(sector__in=list(batches)).exclude(batch=None)
    for change in changes.select_related("batch").defer("batch__params").order_by("pk"):
        if change.batch is not None:
            batches[change.sector_id].append((change.batch.kind, change.batch))
    ids = {batch.message_id for mine in batches.values() for _, batch in mine}
    messages = messages_by_ids(sorted(ids)) if ids else {}
    return {
        pk: [
            SectorMessage(kind=kind, batch=batch, message=messages.get(batch.message_id))
            for kind, batch in mine
        ]
        for pk, mine in batches.items()
    }
