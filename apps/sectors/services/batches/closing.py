"""Batches: which sectors go to the chain together, and when.

Each sector is tried alone on the present state first, so that one that the chain would refuse cannot
spoil the message of the others.  A batch is closed in one transaction with its message made; pushing
it may happen any number of times, since the message's id is the batch's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.chain.node.isolation import for_each_isolated
from apps.core.live import Change, publish
from apps.core.reasons import clauses, refused
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.miners.selectors.senders import sender_choose
from apps.pieces.models import Piece
from apps.pieces.onchain import TermsAnswers, terms_refusal
from apps.pieces.services.terms import expired_allocations_remove, terms_note
from apps.sectors.models import Batch, Sector, SectorProof
from apps.sectors.onchain.sectors import TrialRun, messages_try, precommits_read, trial_message
from apps.sectors.reasons import BATCH_CREATED, INCOMPLETE, NODE_REFUSES, OTHER_SEED, PROOF_ABSENT
from apps.sectors.rules.batches import COMMIT, COMMIT_NI, PRE_COMMIT, BatchRules
from apps.sectors.rules.first_epochs import late_refusal
from apps.sectors.rules.lifetimes import lifetime_refusal
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.first_epochs import AFTER_SEED, seal_first_epoch_read
from apps.sectors.selectors.proof_forms import can_prove
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.batches.aggregates import aggregate_end, aggregates_collect
from apps.sectors.services.batches.choosing import aggregate_may_wait, batch_choose
from apps.sectors.services.batches.forms import (
    BatchEntry,
    BatchForm,
    batch_form_fit,
    batch_params_encode,
    batch_sender_choose,
    commit_form_choose,
    pledge_value_compute,
    precommit_entries_make,
    sector_refuse,
)
from apps.sectors.services.batches.messages import batch_push
from apps.sectors.services.batches.noninteractive import noninteractive_form_make
from apps.sectors.services.batches.requests import requested_height_read
from apps.sectors.services.miner_funds import (
    balance_free,
    balance_lock,
    balance_read,
    balance_share_compute,
    funds_describe,
)
from apps.sectors.services.sealing.console_steps import (
    SectorsInProgress,
    sector_console_step,
    sectors_group_by_miner,
)
from apps.sectors.services.sealing.placements import manifests_read, placed_pieces_read, verified_size_compute
from apps.sectors.services.sealing.reconcile import landed_reconcile
from apps.sectors.services.sealing.steps import job_lock, sector_console_fail, sector_step, sectors_requeue
from poolsite.filecoin.actors.exitcodes import ExitCode
from poolsite.wire.job_reports import Level
from poolsite.wire.pipeline import SectorEvent


def batches_close(work: SealingContext) -> int:
    """Close every batch that is due, and give how many were; none where the chain refuses our proofs."""
    if not can_prove(work.network):
        return 0
    closed: list[bool] = []
    for_each_isolated(
        SectorsInProgress.read().each_miner(),
        lambda in_progress: closed.extend(_close_due(in_progress, work)),
        event="batches_not_closed",
    )
    return sum(closed)


def _close_due(in_progress: SectorsInProgress, work: SealingContext) -> Iterator[bool]:
    """Close one miner's batches that are due."""
    for kind in (PRE_COMMIT, COMMIT):
        for miner, sectors in sectors_group_by_miner(in_progress.sectors_in(kind.waits_in)).items():
            own = replace(work, policy=batch_policy(miner, work.policy))
            _wait_record(sectors, height=work.head.height)
            due = [sector for sector in sectors if sector.not_before is None or sector.not_before <= work.now]
            aggregated = aggregates_collect(miner, due=due) if kind is COMMIT else {}
            for alike in _by_proof(due, kind=kind):
                # one batch of a proof type at a time: an aggregate holds its place
                chosen, reason = aggregated.get(alike[0].seal_proof, ([], "")) if alike else ([], "")
                if chosen:
                    chosen, reason = aggregate_may_wait(chosen, reason=reason, among=alike, work=own)
                if not chosen:
                    chosen, reason = batch_choose(
                        alike, kind=kind, work=own, requested_height=requested_height_read(miner)
                    )
                chosen = landed_reconcile(
                    miner, sectors=chosen, client=work.client, key=work.head.key, now=work.now
                )
                chosen = _complete_select(chosen, kind=kind, work=work)
                if chosen and not _is_unrecovered(miner, work):
                    yield _close(miner, chosen, kind=kind, reason=reason, work=own)


def _by_proof(sectors: Sequence[Sector], *, kind: BatchRules) -> list[list[Sector]]:
    """Return the sectors that may share a message: commits of one proof type, as their proof is one."""
    if kind is PRE_COMMIT:  # sectors without one are about to advance
        return [[sector for sector in sectors if sector.is_interactive]]
    types = dict.fromkeys(sector.seal_proof for sector in sectors)
    return [[sector for sector in sectors if sector.seal_proof == one] for one in types]


def _complete_select(sectors: Sequence[Sector], *, kind: BatchRules, work: SealingContext) -> list[Sector]:
    """Return the sectors of which all is here that their message holds; the others wait for somebody.

    A person may have set one to its state, and no host made what it lacks.
    """
    if kind is PRE_COMMIT:
        complete = {one.pk for one in sectors if None not in (one.comm_r, one.comm_d, one.ticket_epoch)}
        error = INCOMPLETE()
    else:
        rows = SectorProof.objects.filter(sector__in=[one.pk for one in sectors])
        complete = set(rows.values_list("sector_id", flat=True))
        error = PROOF_ABSENT()
    for sector in sectors:
        if sector.pk not in complete:
            sector_console_fail(sector, error=error, level=Level.PERMANENT, now=work.now)
    return [sector for sector in sectors if sector.pk in complete]


def _is_unrecovered(miner: Miner, work: SealingContext) -> bool:
    """Return whether the database turns out to be restored, and this miner's sectors are not read back."""
    restore_check(now=work.now)
    return miner.pk in miners_unrecovered()


def _wait_record(sectors: Sequence[Sector], *, height: int) -> None:
    """Remember the head at which a sector began to wait; its batch's age is counted from there."""
    for sector in sectors:
        if sector.ready_height is None:
            sector.ready_height = height
            Sector.objects.filter(pk=sector.pk, ready_height=None).update(ready_height=height)


def _close(
    miner: Miner, sectors: Sequence[Sector], *, kind: BatchRules, reason: str, work: SealingContext
) -> bool:
    """Try each sector alone, then all together; write the batch with those that the chain would take."""
    available = balance_read(miner, work=work)
    free = balance_free(miner, available=available, height=work.head.height)
    work = replace(work, available=available, free=free)
    try:
        if not sectors[0].is_interactive:
            form = noninteractive_form_make(miner, sectors=sectors, reason=reason, work=work)
            return form is not None and _write(miner, form, kind=COMMIT_NI, reason=reason, work=work)
        make = _precommit_parts if kind is PRE_COMMIT else _commit_parts
        parts = make(miner, sectors, work)
    except NodeRefused as refusal:
        sectors_requeue(sectors, error=NODE_REFUSES(reason=refused(refusal)), work=work)
        return False
    sender = batch_sender_choose(miner, kind=kind, parts=parts, work=work)
    messages = [
        trial_message(
            to=miner.address,
            from_=sender,
            value=work.sent(part.value),
            method=kind.method,
            params=batch_params_encode(kind, form=BatchForm([part]), all_or_none=True),
        )
        for part in parts
    ]
    trials = messages_try(work.client, messages, work.head.key)
    good = [part for part, trial in zip(parts, trials, strict=True) if trial.is_good]
    for part, trial in zip(parts, trials, strict=True):
        if not trial.is_good:
            sector_refuse(part.sector, trial=trial, kind=kind, work=work)
    if not good:
        return False
    if kind is PRE_COMMIT:
        form = BatchForm(good)
    else:
        form = commit_form_choose(miner, parts=good, sender=sender, reason=reason, work=work)
    if form is None:
        return False
    if not form.aggregate:  # an aggregate was tried as a whole
        form = batch_form_fit(miner, form=form, kind=kind, sender=sender, work=work)
    return _write(miner, form, kind=kind, reason=reason, work=work)


def _precommit_parts(miner: Miner, sectors: Sequence[Sector], work: SealingContext) -> list[BatchEntry]:
    """Return sectors with their pre-commits; one in which the chain would not take its pieces waits."""
    placed = placed_pieces_read(miner, numbers=[sector.number for sector in sectors])
    every = list(chain(*placed.values()))
    answers = TermsAnswers(work.client, every, key=work.head.key)
    terms_note(answers, pieces=every, key=work.head.key)
    height, network = work.head.height, work.network
    first = seal_first_epoch_read(every, height=height, network=network, stages=AFTER_SEED)
    fit: list[tuple[Sector, Sequence[Piece]]] = []
    for sector in sectors:
        pieces = placed.get(sector.number, [])
        # No trial would find it: a pre-commit names no pieces.
        if reason := _pieces_refusal(pieces, answers, first, work):
            unfit = TrialRun(exit_code=ExitCode.ERR_ILLEGAL_ARGUMENT, error=reason)
            sector_refuse(sector, trial=unfit, kind=COMMIT, work=work)
            continue
        fit.append((sector, pieces))
    return precommit_entries_make(miner, placed=fit, work=work)


def _pieces_refusal(pieces: Sequence[Piece], answers: TermsAnswers, first: int, work: SealingContext) -> str:
    """Return why a sector pre-committed now could not be committed with its pieces; empty if it could.

    `first`: the epoch from which on it can be active.

    Its deposit would be lost.  An allocation or a deal may have ended while the sector was sealed.
    """
    height, network = work.head.height, work.network
    if reason := lifetime_refusal(pieces, height=height, network=network):
        return reason
    if late := next(filter(None, (late_refusal(one, first=first) for one in pieces)), ""):
        return late
    refusals = (terms_refusal(answers, one, height=height, key=work.head.key) for one in pieces)
    return next(filter(None, refusals), "")


def _commit_parts(miner: Miner, sectors: Sequence[Sector], work: SealingContext) -> list[BatchEntry]:
    """Return sectors with their proofs, in order: what does not fit into a message is cut from its end."""
    found = precommits_read(work.client, miner.address, [sector.number for sector in sectors], work.head.key)
    numbers = [number for number, onchain in found.items() if onchain is not None]
    held = chain(*placed_pieces_read(miner, numbers=numbers).values())
    expired_allocations_remove(held, client=work.client, height=work.head.height, key=work.head.key)
    placed = manifests_read(miner, numbers=numbers)
    order = {sector.pk: place for place, sector in enumerate(sectors)}
    rows = Sector.objects.select_related("miner", "final_proof").filter(pk__in=[*order])
    parts = []
    for sector in sorted(rows, key=lambda row: order[row.pk]):
        onchain = found[sector.number]
        if onchain is None:  # the watch of pre-commits sets the sector back, or finds it proven
            continue
        if sector.final_proof.seed_epoch != sector.seed_epoch:
            sector_console_step(
                sector,
                event=SectorEvent.RESEED,
                now=work.now,
                note=OTHER_SEED(),
            )
            continue
        proof, pieces = bytes(sector.final_proof.proof), placed.get(sector.number, ())
        value = 0
        if work.policy.send_funds:
            value = pledge_value_compute(
                sector.sector_size,
                deposit=onchain.deposit,
                expiration=onchain.expiration,
                verified=verified_size_compute(pieces),
                work=work,
            )
        parts.append(BatchEntry(sector=sector, value=value, proof=proof, pieces=pieces))
    return parts


def _write(miner: Miner, form: BatchForm, *, kind: BatchRules, reason: str, work: SealingContext) -> bool:
    """Write the batch and move its sectors, all that are still where we saw them; then push it.

    An aggregate goes only if it is about all of them.
    """
    name = uuid.uuid4()
    with transaction.atomic():
        balance_lock(miner, work=work)
        unchanged: list[tuple[BatchEntry, Sector]] = []
        locked = []
        for part in sorted(form.parts, key=lambda one: one.sector.pk):
            job, current = job_lock(part.sector.pk)
            is_same = current.comm_r == part.sector.comm_r  # a damocles-worker may have submitted another
            if current.state == kind.waits_in and current.paused_at is None and is_same:
                unchanged.append((part, current))
                locked.append(job)
        if not unchanged or (form.aggregate and len(unchanged) != len(form.parts)):
            return False
        chosen = [part for part, _ in unchanged]
        needed = sum(part.value for part in chosen)
        own = balance_share_compute(miner, needed=needed, work=work)
        batch = Batch.objects.create(
            uuid=name,
            miner=miner,
            kind=kind.kind,
            message_id=f"{kind.kind}:{name}",
            closed_height=work.head.height,
            reason=reason,
            sender=sender_choose(miner, kind.use, needed=needed - own).address,
            method=kind.method,
            params=batch_params_encode(kind, form=replace(form, parts=chosen), all_or_none=len(chosen) == 1),
            value=needed - own,
            from_balance=own,
            is_aggregate=bool(form.aggregate),
            gas_saved=form.gas_saved,
        )
        if kind is not PRE_COMMIT:
            aggregate_end(miner, seal_proof=chosen[0].sector.seal_proof, why=BATCH_CREATED())
        reference: dict[str, Any] = {kind.column: batch}
        note = clauses(form.text, funds_describe(value=needed - own, from_balance=own))
        for (_, sector), job in zip(unchanged, locked, strict=True):
            sector_step(
                sector, event=kind.send, job=job, now=work.now, actor="console", note=note, **reference
            )
        publish(Change("batch", batch.pk, miner.tenant_id))
    batch_push(batch, work=work)
    return True
