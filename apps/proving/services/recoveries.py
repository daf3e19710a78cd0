"""The way back of faulty sectors: checked by a proof, declared before the cut-off, proved in the window."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.utils.translation import gettext

from apps.chain.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.locks import lock_in_turn, try_lock
from apps.core.transitions import advance
from apps.messages.selectors import messages_by_ids
from apps.messages.states import MessageState
from apps.proving.models import Deadline, Recovery
from apps.proving.selectors.settings import proving_policy
from apps.proving.services.declaration_messages import declaration_outcome, declaration_push
from apps.proving.services.jobs import (
    BadProof,
    job_cancel,
    job_create,
    job_is_lapsed,
    job_strip,
    proof_check,
    proof_window,
    sectors_onchain,
)
from apps.proving.states import RecoveryState
from apps.sectors.states import JobState
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.miner_proving import DeclareFaultsRecoveredParams, PartitionSectors
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.randomness import Tag, miner_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.messages.models import Message
    from apps.miners.models import Miner
    from apps.proving.services.proving_context import ProvingContext

TRY_AGAIN_S: Final = 30
"""Pause after files were found bad, before they are looked at again."""

RECOVERY_LOCK: Final = 0x5243
"""Lock class of one miner's recoveries."""
TURN_S: Final = 5.0
"""Longest wait for a pass that moves the same ones; the next head follows."""
OPEN: Final = (RecoveryState.CHECKING, RecoveryState.GOOD, RecoveryState.SENT, RecoveryState.LANDED)


def miners_faulty(miners: Sequence[Miner]) -> list[Miner]:
    """Return those of the miners that have faulty sectors."""
    found = set(FAULTY.rows(miners=[miner.pk for miner in miners]))
    return [miner for miner in miners if miner.pk in found]


FAULTY: Final[Compiled[int]] = Compiled(
    "miners_faulty",
    lambda miners: (
        Deadline.objects.filter(miner_id__any=miners, faulty__gt=0).order_by().values_list("miner", flat=True)
    ),
    miners="bigint[]",
)
UNDER_WAY: Final[Compiled[Recovery]] = Compiled(
    "recoveries_under_way",
    lambda: Recovery.objects.filter(state__in=OPEN).order_by("pk").only("pk", "miner"),
)


def recoveries_begin(miner: Miner, context: ProvingContext) -> int:
    """Schedule checks of faulty sectors of every deadline that can still be declared for its next window.

    No more than the policy has for one deadline and window, in messages of so many as it has for one.
    """
    count = 0
    rows = Deadline.objects.filter(miner=miner, faulty__gt=0, cutoff_epoch__gt=context.head.height + 1)
    for deadline in rows.prefetch_related("partitions"):
        if not miner.works_at(deadline.open_epoch):
            continue  # whoever proves the window declares what it recovers
        waiting = {part.index: set(part.faulty) - set(part.recovering) for part in deadline.partitions.all()}
        if any(_choose(deadline, waiting, context)):
            count += _begin(miner, deadline, waiting, context)
    return count


def _choose(
    deadline: Deadline, waiting: dict[int, set[int]], context: ProvingContext
) -> list[tuple[int, list[int]]]:
    """Return what is begun now: a partition and some of its sectors for each message.

    Left alone is what is under way or was just looked at; what failed for this window goes last, so that
    sectors whose files are gone do not take the others' room.
    """
    policy = proving_policy(deadline.miner_id)
    same = Recovery.objects.filter(
        miner=deadline.miner_id, deadline_index=deadline.index, open_epoch=deadline.open_epoch
    )
    since = context.now - timedelta(seconds=TRY_AGAIN_S)
    room = policy.recover_max
    failed: set[int] = set()
    left = {index: set(numbers) for index, numbers in waiting.items()}
    for row in same.only("partition_index", "state", "sectors", "good", "updated_at"):
        if row.state in OPEN:
            room -= len(row.good)
        if row.state in OPEN or row.updated_at > since:
            left.get(row.partition_index, set()).difference_update(row.sectors)
        else:
            failed.update(row.sectors)
    first = [(index, number) for index in sorted(left) for number in sorted(left[index])]
    first.sort(key=lambda one: one[1] in failed)
    chosen: dict[int, list[int]] = defaultdict(list)
    for index, number in first[: max(room, 0)]:
        chosen[index].append(number)
    size = policy.declaration_max
    return [
        (index, sorted(numbers)[at : at + size])
        for index, numbers in sorted(chosen.items())
        for at in range(0, len(numbers), size)
    ]


def _begin(miner: Miner, deadline: Deadline, waiting: dict[int, set[int]], context: ProvingContext) -> int:
    # Any challenge will do: nobody but us checks these proofs, it only has to be new.
    randomness = context.client.state_get_randomness_from_beacon(
        Tag.WINDOWED_POST_CHALLENGE_SEED,
        context.head.height,
        entropy=miner_entropy(address_parse(miner.address)),
        key=context.head.key,
    )
    with transaction.atomic():
        # Two tasks may be here at once: the second waits for the first and finds its rows.
        Deadline.objects.select_for_update().get(pk=deadline.pk)
        begun = [
            Recovery.objects.create(
                miner=miner,
                deadline_index=deadline.index,
                partition_index=partition,
                open_epoch=deadline.open_epoch,
                cutoff_epoch=deadline.cutoff_epoch,
                sectors=numbers,
                good=numbers,
                randomness=randomness,
            )
            for partition, numbers in _choose(deadline, waiting, context)
        ]
    with lock_in_turn(RECOVERY_LOCK, str(miner.pk), wait_s=TURN_S) as is_mine:
        for recovery in begun if is_mine else ():
            _move_now(recovery, context)
    return len(begun)


def _check(recovery: Recovery, *, numbers: list[int], context: ProvingContext) -> None:
    """Have a prover read the sectors' files by a proof over all of them."""
    known = sectors_onchain(context.client, recovery.miner, numbers=numbers, key=context.head.key)
    if set(known) != set(numbers):
        advance(recovery, "FAIL", error="the sectors are no longer on chain", updated_at=context.now)
        return
    with transaction.atomic():
        job = job_create(
            recovery.miner,
            sectors=[known[number] for number in numbers],
            randomness=bytes(recovery.randomness),
            window=proof_window(recovery.deadline_index, recovery.cutoff_epoch, context=context),
            time_sensitive=False,
            now=context.now,
        )
        Recovery.objects.filter(pk=recovery.pk).update(job=job, good=numbers)
    recovery.refresh_from_db()
    _publish(recovery)


def recoveries_advance(context: ProvingContext) -> None:
    """Move every recovery that is under way.

    Two passes meet here, as in `posts_advance`.  A miner's recoveries are moved by one of them at a time,
    since only one of its declarations brings the miner's debt; the other pass looks at them anew afterwards.
    """
    rows = UNDER_WAY.rows()
    at_work: list[Recovery] = []

    def move(row: Recovery) -> None:
        with try_lock(RECOVERY_LOCK, str(row.miner_id)) as is_mine:
            if is_mine:
                _move_now(row, context)
            else:
                at_work.append(row)

    def move_in_turn(row: Recovery) -> None:
        wait_s = until - time.monotonic()
        with lock_in_turn(RECOVERY_LOCK, str(row.miner_id), wait_s=wait_s) as is_mine:
            if is_mine:
                _move_now(row, context)

    for_each_isolated(rows, move, event="recovery_not_moved")
    until = time.monotonic() + TURN_S
    for_each_isolated(at_work, move_in_turn, event="recovery_not_moved")


ONE: Final[Compiled[Recovery]] = Compiled(
    "recovery_under_way",
    lambda key: Recovery.objects.filter(pk=key, state__in=OPEN).select_related("miner__tenant", "job__miner"),
    key="bigint",
)


def _move_now(row: Recovery, context: ProvingContext) -> None:
    """Advance a recovery from where it is now: another pass may have moved it."""
    rows = ONE.rows(key=row.pk)
    for fresh in rows:
        message = messages_by_ids([fresh.message_id]).get(fresh.message_id) if fresh.message_id else None
        recovery_move(fresh, message, context=context)


def recovery_move(row: Recovery, message: Message | None, *, context: ProvingContext) -> None:
    """Advance one recovery by a step.  Raises NodeUnavailable, NodeRefused, LostRace."""
    if row.state == RecoveryState.LANDED:
        if message is not None and message.state == MessageState.FILLED:
            _step(row, "REVERT", context)
        elif context.head.height >= row.open_epoch + context.network.proving.window:
            # The window is over: if the proof has landed they are good, else they are faulty again.
            if _is_recovered(row):
                _step(row, "DONE", context, error="")
            else:
                _step(row, "FAIL", context, error="not proved in the window")
        return
    if row.state == RecoveryState.SENT and message is not None and _follow(row, message, context):
        return
    if context.head.height >= row.cutoff_epoch:
        job_cancel(row.job, now=context.now)
        job_strip(row.job)
        _step(row, "FAIL", context, error=row.error or "the cutoff passed before the declaration landed")
        return
    if row.state == RecoveryState.CHECKING:
        _check_collect(row, context)
    if row.state == RecoveryState.GOOD:
        _declare(row, context)


def _is_recovered(row: Recovery) -> bool:
    deadline = Deadline.objects.filter(miner=row.miner, index=row.deadline_index).first()
    partition = None if deadline is None else deadline.partitions.filter(index=row.partition_index).first()
    return partition is not None and not set(row.good) & set(partition.faulty)


def _step(row: Recovery, event: str, context: ProvingContext, **data: Any) -> None:
    advance(row, event, updated_at=context.now, **data)
    _publish(row)


def _publish(row: Recovery) -> None:
    deadline = Deadline.objects.filter(miner=row.miner, index=row.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, row.miner.tenant_id))


def _check_collect(row: Recovery, context: ProvingContext) -> None:
    """Look at the finished check: bad files are left out and the rest is checked again."""
    job = row.job
    if job is None:  # begun this moment, or before a kill
        _check(row, numbers=row.good, context=context)
        return
    if job.state == JobState.FAILED:
        _step(row, "FAIL", context, error=job.error)
        return
    if job_is_lapsed(job, now=context.now):
        job_cancel(job, now=context.now)
        _step(row, "FAIL", context, error="no prover checked the files in time")
        return
    if job.state != JobState.DONE:
        return
    faults = {int(number) for number in job.result.get("faults", ())}
    if faults:
        job_strip(job)
        rest = sorted(set(row.good) - faults)
        if rest:
            _check(row, numbers=rest, context=context)
        else:
            _step(row, "FAIL", context, error="the files cannot be read")
        return
    try:
        proof_check(job)
    except BadProof as bad:
        _step(row, "FAIL", context, error=gettext("the files are damaged: {bad}").format(bad=bad)[:2000])
    else:
        _step(row, "PROVE", context, error="")
    job_strip(job)


def _declare(row: Recovery, context: ProvingContext) -> None:
    """Push DeclareFaultsRecovered; the first of a miner in debt has to bring the debt with it."""
    params = to_cbor(
        DeclareFaultsRecoveredParams(
            recoveries=(
                PartitionSectors(
                    deadline=row.deadline_index,
                    partition=row.partition_index,
                    sectors=bitfield_of(row.good),
                ),
            )
        )
    )
    message_id = declaration_push(
        row,
        prefix="recover",
        kind="recover",
        method=miner_actor.Method.DECLARE_FAULTS_RECOVERED,
        params=params,
        value=0 if _is_debt_sent(row) else max(row.miner.fee_debt, 0),
    )
    if message_id:
        _step(row, "SEND", context, message_id=message_id, messages_sent=row.messages_sent + 1)


def _is_debt_sent(row: Recovery) -> bool:
    """Return whether another recovery's message brings the miner's debt already."""
    sent = Recovery.objects.filter(miner=row.miner, state=RecoveryState.SENT).exclude(pk=row.pk)
    messages = messages_by_ids(sent.exclude(message_id="").values_list("message_id", flat=True))
    open_ = (MessageState.UNFILLED, MessageState.FILLED)
    return any(one.state in open_ and one.value > 0 for one in messages.values())


def _follow(row: Recovery, message: Message, context: ProvingContext) -> bool:
    """Take the step that the declaration's end makes; False if nothing has become of it yet."""
    event, words = declaration_outcome(row, message, context=context)
    if event:
        _step(row, event, context, error=words)
    return bool(event)
