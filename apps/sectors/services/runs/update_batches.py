"""The message of snap-ups: those of a miner that are ready at a head share one.

Each is tried alone on the present state first, so that one that the chain would refuse spoils no other.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction

from apps.chain.errors import NodeRefused
from apps.core.errors import DomainError
from apps.core.reasons import MARKED, as_reason, clauses, refused
from apps.messages.errors import BadMessage
from apps.messages.services.push import message_push
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.states import Use
from apps.sectors.models import PipelineRun
from apps.sectors.onchain.sectors import messages_try, trial_message
from apps.sectors.reasons import DEADLINE_FIXED, MESSAGE_UNKNOWN, NODE_REFUSES, WOULD_REFUSE_UPDATE
from apps.sectors.rules.batches import RETRYABLE_EXITS
from apps.sectors.rules.params import Updated, update_params
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.sealing_context import SealingContext
from apps.sectors.services.miner_funds import (
    balance_free,
    balance_lock,
    balance_read,
    balance_share_compute,
    funds_describe,
)
from apps.sectors.services.runs.events import run_publish
from apps.sectors.services.runs.reports import update_proof_choose
from apps.sectors.services.runs.snap_up_prices import pledge_growth_compute, pledge_margin_add
from apps.sectors.services.runs.snap_up_verdicts import KIND
from apps.sectors.services.runs.steps import run_console_fail, run_console_step
from apps.sectors.services.runs.update_choice import (
    Placed,
    UpdateTrial,
    unlanded_updates_select,
    updates_choose,
    updates_group,
    updates_place,
)
from apps.sectors.services.sealing.placements import manifests_read, verified_size_compute
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.pipeline import SnapState

log = structlog.get_logger(__name__)


def updates_send(miner: Miner, *, runs: Sequence[PipelineRun], work: SealingContext) -> None:
    """Send the updates of a miner that the chain would take now, in as few messages as hold them."""
    work = replace(work, policy=batch_policy(miner, work.policy))
    available = balance_read(miner, work=work)
    work = replace(
        work, available=available, free=balance_free(miner, available=available, height=work.head.height)
    )
    ready = unlanded_updates_select(miner, runs=runs, work=work)
    chosen, reason = updates_choose(miner, placed=updates_place(miner, runs=ready, work=work), work=work)
    good = _accepted(miner, chosen, work)
    restore_check(now=work.now)
    if miner.pk in miners_unrecovered():
        return
    for shared in updates_group(
        good, most=work.policy.update_batch_max, most_bytes=work.policy.commit_batch_bytes
    ):
        _write(miner, shared, work, reason=reason)


def _accepted(miner: Miner, placed: Sequence[Placed], work: SealingContext) -> list[UpdateTrial]:
    """Return those that the chain takes, each tried alone; the others wait or have failed."""
    made = []
    for one in placed:
        try:
            needed = update_growth_compute(miner, run=one[0], work=work)
        except NodeRefused as refusal:  # of its pledge: the others go all the same
            text = NODE_REFUSES(reason=refused(refusal))
            update_requeue(one[0], error=text, work=work)
            continue
        made.append((one, needed, _message(miner, [one], work.sent(needed))))
    trials = messages_try(work.client, [message for *_, message in made], work.head.key)
    good = []
    reported = _notifying(miner, [one for one, *_ in made])
    for (one, needed, message), trial in zip(made, trials, strict=True):
        if trial.is_good:
            is_notifying = one[0].sector.number in reported
            good.append(UpdateTrial(one, len(message.params), needed, is_notifying))
        else:
            text = WOULD_REFUSE_UPDATE(error=as_reason(trial.error))
            refuse = update_requeue if trial.exit_code in RETRYABLE_EXITS else update_fail
            refuse(one[0], error=text, work=work)
    return good


def _notifying(miner: Miner, placed: Sequence[Placed]) -> set[int]:
    """Return the numbers of the sectors with a deal of which a market is told."""
    pieces = manifests_read(miner, numbers=[run.sector.number for run, _, _ in placed])
    return {number for number, own in pieces.items() if any(piece.notify for piece in own)}


def update_growth_compute(miner: Miner, *, run: PipelineRun, work: SealingContext) -> int:
    """Return what the pledge of a run's sector grows by, with the margin; 0 where nothing is sent."""
    if not work.policy.send_funds:
        return 0
    own = manifests_read(miner, numbers=[run.sector.number]).get(run.sector.number, ())
    growth = pledge_growth_compute(run.sector, verified=verified_size_compute(own), work=work)
    return pledge_margin_add(growth, work=work)


def _message(miner: Miner, placed: Sequence[Placed], value: int) -> Any:
    """Return the message for these sectors."""
    pieces = manifests_read(miner, numbers=[run.sector.number for run, _, _ in placed])
    updates = []
    for run, place, _ in placed:
        sealed, own = commr_cid(bytes(run.comm_r or b"")), pieces.get(run.sector.number, ())
        updates.append(Updated(run.sector.number, place, sealed, own, bytes(run.proof or b"")))
    return trial_message(
        to=miner.address,
        from_=sender_choose(miner, Use.COMMIT, needed=value).address,
        value=value,
        method=Method.PROVE_REPLICA_UPDATES3,
        params=update_params(updates, update_proof=update_proof_choose(placed[0][0].sector)),
    )


def _write(miner: Miner, tried: Sequence[UpdateTrial], work: SealingContext, *, reason: str) -> None:
    """Note for all of them that they are in one message, or for none; then push it."""
    name = f"{KIND}:{uuid.uuid4()}"
    with transaction.atomic():
        balance_lock(miner, work=work)
        needed = sum(one.needed for one in tried)
        left = own = balance_share_compute(miner, needed=needed, work=work)
        note = clauses(MARKED(text=reason), funds_describe(value=needed - own, from_balance=own))
        ordered = sorted(tried, key=lambda one: one.placed[0].pk)
        step: dict[str, Any] = {"now": work.now, "note": note, "message_id": name}
        moved = []
        for one in ordered:
            part = min(one.needed, left)
            left -= part
            moved.append(run_console_step(one.placed[0], event="SEND_UPDATE", from_balance=part, **step))
        if not all(moved):  # somebody aborted one meanwhile: the others go with the next head
            transaction.set_rollback(True)
            return
    placed = [one.placed for one in tried]
    message = _message(miner, placed, needed - own)
    _push(miner, message, name=name, last=min(last for _, _, last in placed))


def _push(miner: Miner, message: Any, *, name: str, last: int) -> str:
    """Push the message; what is not taken now is pushed again with the next head.

    Return why it will never be taken as it is; empty if it was, or may be.
    """
    try:
        message_push(
            principal=miner_principal(miner),
            id=name,
            to=miner.address,
            from_=str(message.from_),
            value=int(message.value),
            method=message.method,
            params=message.params,
            kind=KIND,
            expire_epoch=last,
        )
    except DomainError as error:
        log.warning("updates_not_pushed", message=name, reason=error.reason)
        PipelineRun.objects.filter(message_id=name).update(error=refused(error))
        return refused(error) if isinstance(error, BadMessage) else ""
    return ""


def update_push_again(run: PipelineRun, *, work: SealingContext) -> str:
    """Push the message of a run and of those that share it, as the messager never got it.

    Return why it cannot be sent now; empty if it was, or another run has done it.
    """
    if not run.message_id:
        return MESSAGE_UNKNOWN()
    miner = run.sector.miner
    work = replace(work, policy=batch_policy(miner, work.policy))
    shared = PipelineRun.objects.filter(message_id=run.message_id, state=SnapState.UPDATE_SENT)
    runs = list(shared.select_related("sector__miner__tenant", "job").order_by("pk"))
    placed = updates_place(miner, runs=runs, work=work)
    if len(placed) != len(runs):
        return DEADLINE_FIXED()
    needed = sum(update_growth_compute(miner, run=each, work=work) for each in runs)
    value = max(needed - sum(int(each.from_balance or 0) for each in runs), 0)
    last = min(last for _, _, last in placed)
    return _push(miner, _message(miner, placed, value), name=run.message_id, last=last)


def update_fail(run: PipelineRun, *, error: str, work: SealingContext) -> None:
    """Send it again after a pause that grows with its failures, or wait for somebody."""
    retries = batch_policy(run.sector.miner, work.policy).retries(run.step)
    attempts = run.attempts + 1
    again = None
    if attempts < retries.attempts_max:
        again = work.now + timedelta(seconds=retries.pause_after(attempts))
    run_console_fail(run, error=error, now=work.now, not_before=again)


def update_requeue(run: PipelineRun, *, error: str, work: SealingContext) -> None:
    """Send it again after a pause, however often: funds, gas or the node are to blame, not the update."""
    pause_s = batch_policy(run.sector.miner, work.policy).retries(run.step).pause_after(run.attempts + 1)
    rows = PipelineRun.objects.filter(pk=run.pk, state=run.state, paused_at=None)
    if rows.update(error=error, not_before=work.now + timedelta(seconds=pause_s), updated_at=work.now):
        run_publish(run)
