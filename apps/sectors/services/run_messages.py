"""The chain's part of a snap-up: its message, what landed, what a reorganisation takes back, finality."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.db import transaction

from apps.chain.isolation import for_each_isolated
from apps.core.errors import DomainError
from apps.messages.selectors import messages_by_ids
from apps.messages.services.push import message_push
from apps.messages.states import MessageState
from apps.miners.selectors import miner_principal, sender_choose
from apps.miners.states import MinerState, Use
from apps.sectors.models import Sector
from apps.sectors.onchain import messages_try, partitions_of, sectors_read, trial_message
from apps.sectors.params import update_params
from apps.sectors.policy import pause_after
from apps.sectors.restored import miners_unrecovered
from apps.sectors.run_models import PipelineRun
from apps.sectors.services.placements import manifests_of
from apps.sectors.services.runs import (
    run_console_failure,
    run_console_step,
    run_locked,
    run_move,
    update_proof_of,
)
from apps.sectors.services.snap_up import last_mutable, pledge_missing
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.deadlines import deadline_from_json
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState, SnapState

if TYPE_CHECKING:
    from apps.messages.models import Message
    from apps.sectors.onchain import OnSector
    from apps.sectors.services.sealing_context import SealingContext

log = structlog.get_logger(__name__)

KIND: Final = "snap_up"
"""Of the message."""
CONSOLE_STATES: Final = (
    SnapState.SNAP_STORED,
    SnapState.UPDATE_SENT,
    SnapState.UPDATE_LANDED,
    RebuildState.REBUILD_CLEARED,
)
"""States of runs in which a head may be what they wait for; apps/sectors/due.py has them too."""


def runs_advance(work: SealingContext) -> None:
    """Advance all runs by the chain steps that the newest head makes possible."""
    rows = PipelineRun.objects.filter(
        state__in=CONSOLE_STATES, paused_at=None, sector__miner__state=MinerState.ACTIVE
    )
    rows = rows.exclude(sector__miner__in=miners_unrecovered()).exclude(not_before__gt=work.now)
    runs = list(rows.select_related("sector__miner__tenant", "job").order_by("pk"))
    messages = messages_by_ids([run.message_id for run in runs if run.message_id])
    for_each_isolated(
        runs, lambda run: _advance(run, messages.get(run.message_id), work), event="run_not_advanced"
    )


def _advance(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    if run.kind == JobKind.REBUILD:
        _recovered_note(run, work)
    elif run.state == SnapState.SNAP_STORED:
        _send(run, work)
    elif run.state == SnapState.UPDATE_SENT:
        _follow(run, message, work)
    else:
        _landed_watch(run, message, work)


# Sending


def _send(run: PipelineRun, work: SealingContext) -> None:
    """Send the update, if the chain would take it now."""
    there = _on_chain(run, work)
    if there is None:
        run_console_failure(run, error="the chain does not have the sector any more", now=work.now)
        return
    if _is_updated(run, there):  # by a message that was given up and landed all the same
        run_console_step(run, "SEND_UPDATE", now=work.now, note="the chain has it already")
        return
    last = _last_mutable(run, work)
    if last is None:
        return
    trial = _trial(run, work)
    if trial is None:
        return
    error = _refusal(trial, work)
    if error:
        _failed(run, error=error, work=work)
        return
    message_id = f"{KIND}:{run.uuid}:{run.attempts}"
    if run_console_step(run, "SEND_UPDATE", now=work.now, message_id=message_id):
        run.refresh_from_db()
        _push(run, trial, last=last)


def _last_mutable(run: PipelineRun, work: SealingContext) -> int | None:
    """Return until when the sector's deadline may be changed; None while it may not."""
    place = _place(run, work)
    if place is None:
        return None
    row = work.client.state_miner_proving_deadline(run.sector.miner.address, work.head.key)
    return last_mutable(deadline_from_json(row), place[0], height=work.head.height)


def _place(run: PipelineRun, work: SealingContext) -> tuple[int, int] | None:
    number = run.sector.number
    return partitions_of(work.client, run.sector.miner.address, [number], work.head.key).get(number)


def _trial(run: PipelineRun, work: SealingContext) -> Any:
    """Return the message as it would be sent now; None while the sector has no partition."""
    sector, place = run.sector, _place(run, work)
    if place is None:
        return None
    pieces = manifests_of(sector.miner, [sector.number]).get(sector.number, ())
    value = 0
    if work.policy.send_funds:
        verified = sum(piece.size for piece in pieces if piece.verified_allocation_key is not None)
        more = pledge_missing(sector, verified=verified, work=work)
        value = more * (100 + work.policy.funds_margin_percent) // 100
    return trial_message(
        to=sector.miner.address,
        from_=sender_choose(sector.miner, Use.COMMIT).address,
        value=value,
        method=Method.PROVE_REPLICA_UPDATES3,
        params=update_params(
            sector.number,
            place,
            sealed=commr_cid(bytes(run.comm_r or b"")),
            pieces=pieces,
            proof=bytes(run.proof or b""),
            update_proof=update_proof_of(sector),
        ),
    )


def _refusal(trial: Any, work: SealingContext) -> str:
    [found] = messages_try(work.client, [trial], work.head.key)
    return "" if found.is_good else f"the chain would refuse the update: {found.error}"


def _push(run: PipelineRun, message: Any, *, last: int) -> None:
    """Push the message; what is not taken now is pushed again with the next head."""
    miner = run.sector.miner
    try:
        message_push(
            principal=miner_principal(miner),
            id=run.message_id,
            to=miner.address,
            from_=str(message.from_),
            value=int(message.value),
            method=message.method,
            params=message.params,
            kind=KIND,
            expire_epoch=last,
        )
    except DomainError as error:
        log.warning("update_not_pushed", run=str(run.uuid), reason=error.reason)
        PipelineRun.objects.filter(pk=run.pk).update(error=error.reason)


# What became of it


def _follow(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    if message is None:
        _push_again(run, work)
        return
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        words = message.error or f"the message was {message.state.lower()}"
        _land_or_fail(run, words, height=work.head.height, work=work)
        return
    is_deep = message.height + 1 + work.network.confidences.message <= work.head.height
    if message.state != MessageState.LANDED or not is_deep:
        return
    words = (
        f"the message ended with {exit_code_text(message.exit_code)}"
        if message.exit_code
        else "the message landed, but the chain does not have the update"
    )
    _land_or_fail(run, words, height=message.height, work=work)


def _push_again(run: PipelineRun, work: SealingContext) -> None:
    """Push a message that a kill kept from the messager, unless the chain has the update all the same."""
    if _is_updated(run, _on_chain(run, work)):
        _land(run, _on_chain(run, work), height=work.head.height, work=work)
        return
    last, trial = _last_mutable(run, work), _trial(run, work)
    if last is None or trial is None:
        _failed_back(run, "its deadline cannot be changed now", work)
    else:
        _push(run, trial, last=last)


def _land_or_fail(run: PipelineRun, words: str, *, height: int, work: SealingContext) -> None:
    there = _on_chain(run, work)
    if _is_updated(run, there):
        _land(run, there, height=height, work=work)
    else:
        _failed_back(run, words, work)


def _failed_back(run: PipelineRun, words: str, work: SealingContext) -> None:
    """Send it again after a pause that grows with its failures, or wait for somebody."""
    if run_console_step(run, "FAIL_UPDATE", now=work.now, note=words):
        run.refresh_from_db()
        _failed(run, error=words, work=work)


def _failed(run: PipelineRun, *, error: str, work: SealingContext) -> None:
    attempts = run.attempts + 1
    again = None
    if attempts < work.policy.attempts_max:
        again = work.now + timedelta(seconds=pause_after(attempts, work.policy))
    run_console_failure(run, error=error, now=work.now, not_before=again)


def _on_chain(run: PipelineRun, work: SealingContext) -> OnSector | None:
    number = run.sector.number
    return sectors_read(work.client, run.sector.miner.address, [number], work.head.key)[number]


def _is_updated(run: PipelineRun, there: OnSector | None) -> bool:
    return there is not None and there.sealed_cid == str(commr_cid(bytes(run.comm_r or b"")))


@transaction.atomic
def _land(run: PipelineRun, there: OnSector | None, *, height: int, work: SealingContext) -> None:
    """Note that the chain has the update: the sector holds the data now."""
    job, fresh = run_locked(run.pk)
    if fresh.state != run.state or there is None:
        return
    sector = fresh.sector
    old = {
        "comm_r": bytes(sector.comm_r or b"").hex(),
        "comm_d": bytes(sector.comm_d or b"").hex(),
        "pieces": sector.pieces,
        "initial_pledge": str(sector.initial_pledge),
    }
    Sector.objects.filter(pk=sector.pk).update(
        key_comm_r=sector.comm_r,
        comm_r=fresh.comm_r,
        comm_d=fresh.comm_d,
        pieces=fresh.pieces,
        initial_pledge=there.initial_pledge,
        updated_at=work.now,
    )
    run_move(fresh, "LAND_UPDATE", job=job, now=work.now, actor="console", landed_height=height, old=old)


def _landed_watch(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    """Revert an update that left the chain; clear the old replica once nothing can do that any more."""
    there = _on_chain(run, work)
    if there is not None and not _is_updated(run, there):
        _revert(run, work)
    elif message is not None and message.state == MessageState.LANDED and message.height != run.landed_height:
        PipelineRun.objects.filter(pk=run.pk).update(landed_height=message.height)
    elif work.head.height >= (run.landed_height or 0) + work.network.chain_finality:
        run_console_step(run, "PASS_FINALITY", now=work.now)


@transaction.atomic
def _revert(run: PipelineRun, work: SealingContext) -> None:
    job, fresh = run_locked(run.pk)
    if fresh.state != run.state:
        return
    old = fresh.old
    Sector.objects.filter(pk=fresh.sector_id).update(
        key_comm_r=None,
        comm_r=bytes.fromhex(old["comm_r"]),
        comm_d=bytes.fromhex(old["comm_d"]),
        pieces=old["pieces"],
        initial_pledge=int(old["initial_pledge"]),
        updated_at=work.now,
    )
    note = "the message left the chain in a reorganisation"
    run_move(fresh, "REVERT_UPDATE", job=job, now=work.now, actor="console", note=note, landed_height=None)


# Rebuilds


def _recovered_note(run: PipelineRun, work: SealingContext) -> None:
    """End a rebuild once the sector was proven again: it got active, or no window of a period missed it."""
    sector = run.sector
    if run.landed_height is None:
        PipelineRun.objects.filter(pk=run.pk).update(landed_height=work.head.height)
        return
    if not sector.active:
        return
    came_back = sector.active_since is not None and sector.active_since > run.created_at
    if came_back or work.head.height >= run.landed_height + work.network.proving.period:
        run_console_step(run, "RECOVER", now=work.now)
