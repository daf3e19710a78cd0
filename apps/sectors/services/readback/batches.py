"""After a restore: batches whose messages were read back, and batches that somebody else's overtook."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import QuerySet

from apps.core.errors import Conflict
from apps.core.uuids import is_uuid
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.services.cancel import message_withdraw
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.sectors.models import Batch, Sector, SectorProof
from apps.sectors.reasons import OVERTAKEN
from apps.sectors.rules.batches import COMMIT_NI, KINDS, PRE_COMMIT, BatchRules
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.messages import batch_fail
from apps.sectors.services.readback.imports import ORDER, row_move, row_write_without_files
from apps.sectors.services.sealing.placements import pieces_recover
from apps.sectors.states import READ_BACK, BatchKind, BatchState
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_sectors import (
    PieceActivationManifest,
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    ProveCommitSectorsNIParams,
)
from poolsite.filecoin.cids import cid_to_commr
from poolsite.wire.pipeline import FINAL_STATES, SectorState

log = structlog.get_logger(__name__)

NO_SEED: Final = -1
"""Seed epoch of a proof that was read back: where its message fails, the host makes it again."""


def batches_import(miner: Miner, *, kind: BatchRules, work: SealingContext) -> None:
    """Write the batches whose messages were made again from the signer's record, and move their sectors."""
    for message in unbatched_messages_find(miner, kind=kind.kind):
        _batch_import(miner, kind, message, work)


def messages_read_back(miner: Miner, *, kind: str) -> QuerySet[Message]:
    """Return the messages of a kind to a miner that got their rows back, in the order of their nonces."""
    return Message.objects.filter(pushed_by="recovered", kind=kind, to=miner.address).order_by("nonce")


def unbatched_messages_find(miner: Miner, *, kind: str) -> QuerySet[Message]:
    """Return those of which the database has no batch."""
    known = Batch.objects.filter(miner=miner, kind=kind).values("message_id")
    return messages_read_back(miner, kind=kind).exclude(pk__in=known)


def batch_recover(miner: Miner, *, message: Message, work: SealingContext) -> Batch:
    """Write the batch of a message that was read back."""
    name = str(message.pk).rpartition(":")[2]
    return Batch.objects.create(
        uuid=uuid.UUID(name) if is_uuid(name) else uuid.uuid4(),
        miner=miner,
        kind=message.kind,
        state=BatchState.SENT,
        message_id=message.pk,
        closed_height=work.head.height,
        reason=READ_BACK,
        sender=message.from_addr,
        method=message.method,
        params=bytes(message.params),
        value=message.value,
    )


@transaction.atomic
def _batch_import(miner: Miner, kind: BatchRules, message: Message, work: SealingContext) -> None:
    """Write one batch and move its sectors, both or nothing: without its row it is looked for again."""
    batch = batch_recover(miner, message=message, work=work)
    if kind is PRE_COMMIT:
        _precommits_move(batch, work)
    else:
        _commits_move(batch, work)


def _rows(batch: Batch, numbers: list[int]) -> dict[int, Sector]:
    rows = Sector.objects.filter(miner=batch.miner, number__in=numbers).select_related("miner", "job")
    return {row.number: row for row in rows}


def _precommits_move(batch: Batch, work: SealingContext) -> None:
    """Move the sectors of a pre-commit to waiting for it; pause those whose files no host has reported."""
    infos = params_read(PreCommitSectorBatch2Params, bytes(batch.params)).sectors
    rows = _rows(batch, [info.sector_number for info in infos])
    for info in infos:
        row = rows.get(info.sector_number)
        comm_r = cid_to_commr(info.sealed_cid)
        sent: dict[str, Any] = {"precommit_batch": batch}
        if row is not None and ORDER[row.state] >= ORDER[SectorState.PRECOMMIT_SENT]:
            Sector.objects.filter(pk=row.pk, precommit_batch=None).update(precommit_batch=batch)
        elif row is not None and bytes(row.comm_r or b"") == comm_r and row.job.sticky_worker_id is not None:
            row_move(row, state=SectorState.PRECOMMIT_SENT, now=work.now, **sent)
        else:
            row_write_without_files(
                batch.miner,
                number=info.sector_number,
                sector=row,
                state=SectorState.PRECOMMIT_SENT,
                now=work.now,
                comm_r=comm_r,
                seal_proof=info.seal_proof,
                ticket_epoch=info.seal_rand_epoch,
                **sent,
            )


def _commits_move(batch: Batch, work: SealingContext) -> None:
    """Mark the sectors of a commit as waiting for it, and keep their proofs; an aggregate has none."""
    placed, proofs, is_aggregate = _committed(batch)
    rows = _rows(batch, list(placed))
    for number, pieces in placed.items():
        if number in rows:
            pieces_recover(batch.miner, number=number, manifests=pieces, now=work.now)
    Batch.objects.filter(pk=batch.pk).update(is_aggregate=is_aggregate)
    for number in placed:
        row, proof = rows.get(number), proofs.get(number, b"")
        if row is None or row.state in FINAL_STATES:
            continue
        SectorProof.objects.get_or_create(sector=row, defaults={"proof": proof, "seed_epoch": NO_SEED})
        if ORDER[row.state] < ORDER[SectorState.COMMIT_SENT]:
            row_move(row, state=SectorState.COMMIT_SENT, now=work.now, commit_batch=batch)
        else:
            Sector.objects.filter(pk=row.pk, commit_batch=None).update(commit_batch=batch)


def _committed(
    batch: Batch,
) -> tuple[dict[int, Sequence[PieceActivationManifest]], dict[int, bytes], bool]:
    """Return a commit's sectors with their pieces, their own proofs, and whether one proof is of them all."""
    data = bytes(batch.params)
    if batch.method == COMMIT_NI.method:
        message_params = params_read(ProveCommitSectorsNIParams, data)
        return {one.sector_number: () for one in message_params.sectors}, {}, True
    params = params_read(ProveCommitSectors3Params, data)
    placed: dict[int, Sequence[PieceActivationManifest]] = {
        one.sector_number: one.pieces for one in params.sector_activations
    }
    return placed, dict(zip(placed, params.sector_proofs, strict=False)), bool(params.aggregate_proof)


def batches_settle(miner: Miner, *, work: SealingContext) -> None:
    """End batches that were not sent when the backup was made and of which the chain has a sector already."""
    open_ = Batch.objects.filter(miner=miner, kind__in=KINDS)
    open_ = open_.filter(state__in=[BatchState.CLOSED, BatchState.SENT])
    batches = list(open_.select_related("miner__tenant"))
    messages = messages_by_ids([batch.message_id for batch in batches])
    for batch in batches:
        kind = KINDS[BatchKind(batch.kind)]
        sectors = Sector.objects.filter(**{kind.column: batch})
        message = messages.get(batch.message_id)
        if message is not None and message.state != MessageState.UNFILLED:
            continue
        if sectors.exists() and not sectors.exclude(state=kind.sent_in).exists():
            continue
        try:
            if message is not None:
                message_withdraw(message, reason=OVERTAKEN(), now=work.now)
        except Conflict as conflict:  # the message got a nonce this moment: the chain decides
            log.info("message_not_dropped", message=message.pk if message else "", reason=conflict.reason)
            continue
        batch_fail(batch, error=OVERTAKEN(), exit_code=None, work=work)
