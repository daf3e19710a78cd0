"""After a restore: data that went into proven sectors since the backup, read back from their messages."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.messages.models import Message
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.sectors.errors.runs import NoHost
from apps.sectors.models import PipelineRun, Sector
from apps.sectors.onchain.sectors import sectors_proven_read
from apps.sectors.rules.params import comm_d_of, pieces_column, pieces_filled
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.readback.batches import messages_read_back
from apps.sectors.services.readback.imports import NOTE
from apps.sectors.services.runs.snap_up_verdicts import KIND
from apps.sectors.services.runs.steps import run_begin, run_lock, run_move
from apps.sectors.services.sealing.placements import pieces_recover
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner_sectors import ProveReplicaUpdates3Params, SectorUpdateManifest
from poolsite.filecoin.cids import cid_parse, cid_to_commr
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RECOVER_TO, RUN_FINAL, UNSENT, SectorState, SnapState


def updates_import(miner: Miner, *, work: SealingContext) -> None:
    """Write the runs whose message was read back, as sent; what it has done is followed as ever."""
    runs = PipelineRun.objects.filter(sector__miner=miner).exclude(message_id="")
    for message in messages_read_back(miner, kind=KIND).exclude(pk__in=runs.values("message_id")):
        if _may_have_updated(message):
            _message_import(miner, message, work)


def _may_have_updated(message: Message) -> bool:
    is_landed = message.state == MessageState.LANDED
    return message.exit_code == 0 if is_landed else message.state == MessageState.FILLED


@transaction.atomic
def _message_import(miner: Miner, message: Message, work: SealingContext) -> None:
    """Write the runs of one message, all or none."""
    params = params_read(ProveReplicaUpdates3Params, bytes(message.params))
    pairs = zip(params.sector_updates, params.sector_proofs, strict=False)
    for update, proof in sorted(pairs, key=lambda pair: pair[0].sector):
        rows = Sector.objects.select_related("miner", "job")
        row = rows.filter(miner=miner, number=update.sector).first()
        if row is not None and row.state in (SectorState.COMMIT_LANDED, SectorState.PROVING):
            _update_import(row, update, proof, message=message, work=work)


def _update_import(
    row: Sector, update: SectorUpdateManifest, proof: bytes, *, message: Message, work: SealingContext
) -> None:
    """Write that an update of a sector was sent: its run goes on from there."""
    run = row.runs.exclude(state__in=RUN_FINAL).first()
    can_move = run is None or run.state in (*UNSENT, SnapState.UPDATE_SENT)
    if row.key_comm_r is not None or not can_move:
        if run is None or "ABORT" not in PipelineRun.TRANSITIONS[run.state]:
            return  # the backup has the update, or something else was done since: the chain is compared
        _rebuild_end(run, work)  # the rebuild ended before the update: else the chain would have refused that
        run = None
    comm_r = cid_to_commr(update.new_sealed_cid)
    if bytes(row.comm_r or b"") == comm_r:
        _key_restore(row, work)
    pieces = pieces_recover(row.miner, number=row.number, manifests=update.pieces, now=work.now)
    column = pieces_column(pieces_filled(pieces, sector_size=row.sector_size))
    facts: dict[str, Any] = {
        "message_id": message.pk,
        "pieces": column,
        "comm_r": comm_r,
        "comm_d": comm_d_of(row, pieces=column),
        "proof": proof,
        "from_balance": None,
    }
    if run is None:
        _run_recreate(row, facts, work)
        return
    job, current = run_lock(run.pk)
    if current.state == SnapState.UPDATE_SENT:
        PipelineRun.objects.filter(pk=current.pk).update(**facts, updated_at=work.now)
    else:
        event = f"{RECOVER_TO}{SnapState.UPDATE_SENT}"
        run_move(current, event=event, job=job, now=work.now, actor="console", note=NOTE, **facts)


def _rebuild_end(run: PipelineRun, work: SealingContext) -> None:
    job, current = run_lock(run.pk)
    run_move(current, event="ABORT", job=job, now=work.now, actor="console", note=NOTE)


def _key_restore(row: Sector, work: SealingContext) -> None:
    """Restore what a sector was before its update, in a row that was made from the chain."""
    found = sectors_proven_read(work.client, row.miner.address, [row.number], work.head.key)
    onchain = found.get(row.number)
    if onchain is not None and onchain.key_cid:
        row.comm_r = cid_to_commr(cid_parse(onchain.key_cid))
        row.comm_d, row.pieces = sha254_zero(row.sector_size), []
        row.save(update_fields=["comm_r", "comm_d", "pieces"])


def _run_recreate(row: Sector, facts: dict[str, Any], work: SealingContext) -> None:
    """Write the run that the database has forgotten."""
    try:
        hosts = hosts_of_run(row, kind=JobKind.SNAP_UP)
    except NoHost:  # hosts are searched again when a run needs one
        hosts = []
    run_begin(
        row,
        kind=JobKind.SNAP_UP,
        state=SnapState.UPDATE_SENT,
        actor="console",
        now=work.now,
        hosts=hosts,
        note=NOTE,
        **facts,
    )
