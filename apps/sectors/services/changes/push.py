"""Pushes the message of a batch of terminations or extensions."""

from __future__ import annotations

from dataclasses import replace

import structlog

from apps.core.errors import DomainError
from apps.core.live import Change, publish
from apps.core.reasons import refused
from apps.core.transitions import advance
from apps.messages.errors import BadMessage
from apps.messages.services.push import message_push
from apps.miners.selectors.miners import miner_principal
from apps.sectors.models import Batch
from apps.sectors.onchain.deadline_windows import Windows
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.messages import batch_mark_sent
from apps.sectors.services.changes.messages import MESSAGE_KINDS
from apps.sectors.services.changes.steps import change_step
from apps.users.rules.principals import Principal
from apps.users.selectors.principals import actors_people
from poolsite.wire.pipeline.changes import OPEN_CHANGES, ChangeEvent, ChangeKind

log = structlog.get_logger(__name__)


def change_batch_push(batch: Batch, *, work: SealingContext) -> None:
    """Push a batch's message; harmless to repeat.

    A termination that gets no nonce while its deadlines take it is given up by the messager.  A batch whose
    parameters it never takes, as they are too many, fails.
    """
    try:
        message_push(
            principal=_requester(batch),
            id=batch.message_id,
            to=batch.miner.address,
            from_=batch.sender,
            method=batch.method,
            params=bytes(batch.params),
            kind=batch.kind,
            expire_epoch=change_last_epoch_compute(batch, work=work),
        )
    except DomainError as error:
        log.warning("change_batch_not_pushed", batch=str(batch.uuid), reason=error.reason)
        if isinstance(error, BadMessage) and error.field == "params":
            change_batch_fail(batch, error=refused(error), exit_code=None, work=work)
        else:
            Batch.objects.filter(pk=batch.pk).update(error=refused(error))
        return
    batch_mark_sent(batch)


def _requester(batch: Batch) -> Principal:
    """Return the miner's principal, with the people who asked for the batch's changes behind it."""
    actors = batch.changes.order_by("actor").values_list("actor", flat=True).distinct()
    return replace(miner_principal(batch.miner), people=actors_people(actors))


def change_batch_fail(batch: Batch, *, error: str, exit_code: int | None, work: SealingContext) -> None:
    """End a batch whose message did nothing: each of its changes has failed."""
    for change in batch.changes.filter(state__in=OPEN_CHANGES).order_by("sector_id"):
        change_step(
            change, event=ChangeEvent.FAIL, now=work.now, note=error, error=error, exit_code=exit_code
        )
    advance(batch, "FAIL", error=error, exit_code=exit_code, updated_at=work.now)
    publish(Change("batch", batch.pk, batch.miner.tenant_id))


def change_last_epoch_compute(batch: Batch, *, work: SealingContext) -> int | None:
    """Return the last epoch at which the chain takes a batch's message; None: any.

    An extension's is that of the sector that ends first.  What has ended already sets none: the chain
    says what becomes of it.
    """
    if batch.kind == MESSAGE_KINDS[ChangeKind.EXTEND]:
        ends = batch.changes.filter(old_expiration__gte=work.head.height)
        first = ends.order_by("old_expiration").first()
        return None if first is None else first.old_expiration
    windows = Windows.read(work.client, batch.miner.address, key=work.head.key, height=work.head.height)
    rows = batch.changes.exclude(sector__deadline=None)
    deadlines = rows.order_by().values_list("sector__deadline", flat=True).distinct()
    return min((windows.closes_at(index) for index in deadlines if index is not None), default=None)
