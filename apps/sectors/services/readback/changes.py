"""After a restore: terminations and extensions since the backup, read back from their messages."""

from __future__ import annotations

from django.db import transaction

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import Batch, Sector
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.changes.following import changes_follow
from apps.sectors.services.changes.messages import MESSAGE_KINDS
from apps.sectors.services.changes.steps import change_recover
from apps.sectors.services.readback.batches import batch_recover, unbatched_messages_find
from apps.sectors.services.readback.imports import NOTE
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_proving import TerminateSectorsParams
from poolsite.filecoin.actors.miner_sectors import ExtendSectorExpiration2Params
from poolsite.wire.pipeline import SectorState
from poolsite.wire.pipeline.changes import ChangeKind


def changes_import(miner: Miner, *, work: SealingContext) -> None:
    """Write the changes whose messages were read back; what they have done is followed as ever.

    Those that the backup has as sent are settled first: a sector has one change at a time.
    """
    own = Batch.objects.filter(miner=miner, kind__in=MESSAGE_KINDS.values()).select_related("miner__tenant")
    changes_follow(own, work=work)
    for kind in ChangeKind:
        for message in unbatched_messages_find(miner, kind=MESSAGE_KINDS[kind]):
            _changes_import(miner, kind, message, work)


@transaction.atomic
def _changes_import(miner: Miner, kind: ChangeKind, message: Message, work: SealingContext) -> None:
    """Write one message's batch with its changes, or nothing."""
    requests = _terminated(message) if kind is ChangeKind.TERMINATE else _extended(message)
    batch = batch_recover(miner, message=message, work=work)
    rows = Sector.objects.filter(miner=miner, number__in=requests, state=SectorState.PROVING)
    for row in rows.order_by("pk"):
        change_recover(row, kind=kind, expiration=requests[row.number], batch=batch, note=NOTE, now=work.now)


def _terminated(message: Message) -> dict[int, int | None]:
    params = params_read(TerminateSectorsParams, bytes(message.params))
    return {number: None for place in params.terminations for number in place.sectors}


def _extended(message: Message) -> dict[int, int | None]:
    """Return the new end of each sector."""
    params = params_read(ExtendSectorExpiration2Params, bytes(message.params))
    requests: dict[int, int | None] = {}
    for one in params.extensions:
        claimed = [sector.sector_number for sector in one.sectors_with_claims]
        requests |= dict.fromkeys([*one.sectors, *claimed], one.new_expiration)
    return requests
