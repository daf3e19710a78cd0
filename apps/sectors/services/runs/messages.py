"""The chain's part of a snap-up: its message, what landed, what a reorganisation takes back, finality."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from django.db import transaction
from django.db.models import Sum

from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import Conflict
from apps.core.reason_fields import is_kept
from apps.core.reasons import MARKED, as_reason, refused
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.messages.services.cancel import message_withdraw
from apps.messages.states import MessageState, Wait
from apps.miners.models import Miner
from apps.miners.states import MinerState
from apps.sectors.errors.runs import NoHost
from apps.sectors.models import Job, PipelineRun, Sector
from apps.sectors.onchain.sectors import OnSector
from apps.sectors.reasons import (
    BALANCE_SHORT,
    MESSAGE_ENDED,
    MESSAGE_WAS,
    REORGANISED,
    REPLICA_STAYS,
    UPDATE_ABSENT,
)
from apps.sectors.selectors.restored import miners_unrecovered
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.selectors.sealing_context import SealingContext, landing_is_deep
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.miner_funds import is_balance_short
from apps.sectors.services.runs.steps import run_console_fail, run_console_step, run_lock, run_move
from apps.sectors.services.runs.update_batches import (
    update_fail,
    update_push_again,
    update_requeue,
    updates_send,
)
from apps.sectors.services.runs.update_choice import chain_sector_read, is_updated
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RebuildState, SnapState

log = structlog.get_logger(__name__)

CONSOLE_STATES: Final = (
    SnapState.SNAP_STORED,
    SnapState.UPDATE_SENT,
    SnapState.UPDATE_LANDED,
    RebuildState.REBUILD_CLEARED,
)
"""States of runs in which a head may be what they wait for; apps/sectors/due.py has them too."""
CLEAR_AGAIN: Final = timedelta(minutes=10)
"""After which a host is looked for again that clears an old replica."""


def runs_advance(work: SealingContext) -> None:
    """Advance all runs by the chain steps that the newest head makes possible."""
    rows = PipelineRun.objects.filter(
        state__in=CONSOLE_STATES, paused_at=None, sector__miner__state=MinerState.ACTIVE
    )
    rows = rows.exclude(sector__miner__in=miners_unrecovered()).exclude(not_before__gt=work.now)
    runs = list(rows.select_related("sector__miner__tenant", "job").order_by("pk"))
    messages = messages_by_ids([run.message_id for run in runs if run.message_id])
    stored: dict[Miner, list[PipelineRun]] = {}
    for run in runs:
        if run.state == SnapState.SNAP_STORED:
            stored.setdefault(run.sector.miner, []).append(run)
    for_each_isolated(
        stored.items(), lambda item: updates_send(item[0], runs=item[1], work=work), event="updates_not_sent"
    )
    runs = [run for run in runs if run.state != SnapState.SNAP_STORED]
    for_each_isolated(
        runs, lambda run: _advance(run, messages.get(run.message_id), work), event="run_not_advanced"
    )


def _advance(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    if run.kind == JobKind.REBUILD:
        _recovered_note(run, work)
    elif run.state == SnapState.UPDATE_SENT:
        _follow(run, message, work)
    else:
        _landed_watch(run, message, work)


def _follow(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    if message is None:  # a kill kept it from the messager, unless the chain has the update all the same
        onchain = chain_sector_read(run, work=work)
        if is_updated(run, onchain=onchain):
            _land(run, onchain, height=work.head.height, work=work)
        elif text := update_push_again(run, work=work):
            _failed_back(run, text, work)
        return
    if message.state in (MessageState.FAILED, MessageState.REPLACED):
        text = as_reason(message.error) or MESSAGE_WAS(state=MARKED(text=message.state.lower()))
        _land_or_fail(run, text, height=work.head.height, work=work)
        return
    is_waiting = message.state == MessageState.UNFILLED and message.wait == Wait.ESTIMATE
    if is_waiting and _is_balance_short(run, work):
        _withdraw(run, message, work)
        return
    if not landing_is_deep(message, work=work):
        return
    text = (
        MESSAGE_ENDED(exit_code=as_reason(exit_code_text(message.exit_code)))
        if message.exit_code
        else UPDATE_ABSENT()
    )
    _land_or_fail(run, text, height=message.height, work=work)


def _is_balance_short(run: PipelineRun, work: SealingContext) -> bool:
    """Return whether the balance no longer holds what a run's message counts on."""
    shared = PipelineRun.objects.filter(message_id=run.message_id, state=SnapState.UPDATE_SENT)
    own = int(shared.aggregate(sum=Sum("from_balance"))["sum"] or 0)
    return is_balance_short(run.sector.miner, own=own, work=work)


def _withdraw(run: PipelineRun, message: Message, work: SealingContext) -> None:
    """Withdraw a message that carries too little; each of its runs goes with one that carries more."""
    # A Conflict: the message got a nonce this moment and the chain decides, or its other run was faster.
    with suppress(Conflict), transaction.atomic():
        shared = PipelineRun.objects.filter(message_id=run.message_id, state=SnapState.UPDATE_SENT)
        for one in shared.select_related("sector__miner__tenant", "job").order_by("pk"):
            _failed_back(one, BALANCE_SHORT(), work, is_withdrawn=True)
        message_withdraw(message, reason=BALANCE_SHORT(), now=work.now)


def _land_or_fail(run: PipelineRun, error: str, *, height: int, work: SealingContext) -> None:
    onchain = chain_sector_read(run, work=work)
    if is_updated(run, onchain=onchain):
        _land(run, onchain, height=height, work=work)
    else:
        _failed_back(run, error, work)


@transaction.atomic
def _failed_back(run: PipelineRun, error: str, work: SealingContext, *, is_withdrawn: bool = False) -> None:
    """Send it again after a pause, or wait for somebody once its attempts are used up.

    A message that was withdrawn is no attempt.
    """
    if run_console_step(run, event="FAIL_UPDATE", now=work.now, note=error):
        run.refresh_from_db()
        refuse = update_requeue if is_withdrawn else update_fail
        refuse(run, error=error, work=work)


@transaction.atomic
def _land(run: PipelineRun, onchain: OnSector | None, *, height: int, work: SealingContext) -> None:
    """Note that the chain has the update: the sector holds the data now."""
    job, current = run_lock(run.pk)
    if current.state != run.state or onchain is None:
        return
    sector = current.sector
    old = {
        "comm_r": bytes(sector.comm_r or b"").hex(),
        "comm_d": bytes(sector.comm_d or b"").hex(),
        "pieces": sector.pieces,
        "initial_pledge": str(sector.initial_pledge),
    }
    Sector.objects.filter(pk=sector.pk).update(
        key_comm_r=sector.comm_r,
        comm_r=current.comm_r,
        comm_d=current.comm_d,
        pieces=current.pieces,
        initial_pledge=onchain.initial_pledge,
        updated_at=work.now,
    )
    copies_forget(sector.pk)
    run_move(
        current, event="LAND_UPDATE", job=job, now=work.now, actor="console", landed_height=height, old=old
    )


def _landed_watch(run: PipelineRun, message: Message | None, work: SealingContext) -> None:
    """Revert an update that left the chain; clear the old replica once nothing can do that any more."""
    onchain = chain_sector_read(run, work=work)
    if onchain is not None and not is_updated(run, onchain=onchain):
        _revert(run, work)
    elif message is not None and message.state == MessageState.LANDED and message.height != run.landed_height:
        PipelineRun.objects.filter(pk=run.pk).update(landed_height=message.height)
    elif work.head.height >= (run.landed_height or 0) + work.network.chain_finality:
        if not run.job.offered_to:  # its row was read back, or a damocles-worker did it, which clears nothing
            try:
                hosts = hosts_of_run(run.sector, kind=run.kind, is_clearing=True)
            except NoHost as nobody:
                _key_stays(run, refused(nobody), work)
                return
            Job.objects.filter(pk=run.job_id).update(offered_to=hosts)
        run_console_step(run, event="PASS_FINALITY", now=work.now)


def _key_stays(run: PipelineRun, reason: str, work: SealingContext) -> None:
    """Note once that nobody clears the old replica, and look for a host again and again."""
    error = REPLICA_STAYS(reason=as_reason(reason))
    again = work.now + CLEAR_AGAIN
    if is_kept(run, "error", error):
        PipelineRun.objects.filter(pk=run.pk).update(not_before=again)
    else:
        run_console_fail(run, error=error, now=work.now, not_before=again)


@transaction.atomic
def _revert(run: PipelineRun, work: SealingContext) -> None:
    job, current = run_lock(run.pk)
    if current.state != run.state:
        return
    old = current.old
    Sector.objects.filter(pk=current.sector_id).update(
        key_comm_r=None,
        comm_r=bytes.fromhex(old["comm_r"]),
        comm_d=bytes.fromhex(old["comm_d"]),
        pieces=old["pieces"],
        initial_pledge=int(old["initial_pledge"]),
        updated_at=work.now,
    )
    copies_forget(current.sector_id)
    note = REORGANISED()
    run_move(
        current, event="REVERT_UPDATE", job=job, now=work.now, actor="console", note=note, landed_height=None
    )


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
        run_console_step(run, event="RECOVER", now=work.now)
