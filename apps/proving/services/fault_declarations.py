"""Sectors whose files are known bad are declared faulty before the cut-off of their window.

Known bad is a sector that two checks in a row, a while apart, found missing or damaged in a store that was
there both times, the second one shortly before the cut-off, and that no other store has good.  One that a
single check ahead of this window found bad in another store waits for that store's second one while there is
time for it.  What is faulty already, on its way back or declared for this window is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import F

from apps.chain.node.isolation import for_each_isolated
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.models import Message
from apps.messages.selectors.messages import messages_by_ids
from apps.miners.onchain.partition_facts import partitions_read
from apps.miners.states import MinerState
from apps.proving.models import Deadline, FaultDeclaration, SectorCheck
from apps.proving.reasons import CUTOFF_PASSED
from apps.proving.rules.policy import again_epochs, ahead_epochs, interval_epochs
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.settings import proving_policy
from apps.proving.services.declaration_messages import (
    declaration_may_have_landed,
    declaration_outcome_resolve,
    declaration_partition_find,
    declaration_push,
    declaration_withdraw,
)
from apps.proving.states import OPEN_DECLARATIONS, DeclarationState
from poolsite.filecoin.actors import miner as miner_actor
from poolsite.filecoin.actors.miner_proving import DeclareFaultsParams, PartitionSectors
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor

log = structlog.get_logger(__name__)

PREFIX: Final = "faults"
"""Of the ids of its messages."""


def declarations_begin(context: ProvingContext) -> None:
    """Decide what is declared faulty for the windows whose cut-off is near."""
    height = context.head.height
    keys = set(NEAR.rows(height=height + 1, again=height + again_epochs(context.network.proving)))
    if not keys:
        return
    rows = Deadline.objects.filter(pk__in=keys).select_related("miner__tenant").order_by("cutoff_epoch", "pk")
    own = [row for row in rows if row.miner.works_at(row.open_epoch)]
    for_each_isolated(own, lambda row: declaration_decide(row, context=context), event="fault_not_declared")


NEAR: Final[Compiled[int]] = Compiled(
    "declarations_near",
    lambda height, again: SectorCheck.objects.filter(
        is_good=False,
        bad_times__gte=2,
        miner__state=MinerState.ACTIVE,
        miner__deadlines__index=F("deadline_index"),
        miner__deadlines__cutoff_epoch__gt=height,
        miner__deadlines__cutoff_epoch__lte=again,
    ).values_list("miner__deadlines__pk", flat=True),
    height="bigint",
    again="bigint",
)
IN_PROGRESS: Final[Compiled[FaultDeclaration]] = Compiled(
    "declarations_under_way",
    lambda: (
        FaultDeclaration.objects.filter(state__in=OPEN_DECLARATIONS)
        .select_related("miner__tenant")
        .order_by("cutoff_epoch", "pk")
    ),
)


def _known_bad_sectors(deadline: Deadline, *, context: ProvingContext) -> set[int]:
    """Return the sectors of a deadline that its next window cannot prove, as far as anybody knows."""
    params = context.network.proving
    rows = SectorCheck.objects.filter(miner=deadline.miner_id, deadline_index=deadline.index)
    since = deadline.cutoff_epoch - again_epochs(params)
    bad = rows.filter(is_good=False, bad_times__gte=2, height__gte=since).values_list("number", flat=True)
    numbers = set(bad)
    fresh = rows.filter(number__in=numbers, height__gte=deadline.cutoff_epoch - ahead_epochs(params))
    # A check that finds a second copy writes it beside the loss in the sector's own store.
    good = fresh.exclude(is_good=False, good_in="").values_list("number", flat=True)
    known = numbers - set(good)
    if context.head.height >= deadline.cutoff_epoch - interval_epochs(params):
        return known  # no second check would count any more
    # What one check found earlier, in a store no longer checked, says nothing of this window.
    unsure = fresh.filter(is_good=False, bad_times__lt=2).values_list("number", flat=True)
    return known - set(unsure)


def declaration_decide(deadline: Deadline, *, context: ProvingContext) -> int:
    """Write the declarations for a deadline's next window; returns how many."""
    bad = _known_bad_sectors(deadline, context=context)
    if not bad:
        return 0
    facts = partitions_read(context.client, deadline.miner.address, [deadline.index], context.head.key)
    policy = proving_policy(deadline.miner_id)
    with transaction.atomic():
        # Two tasks may be here at once: the second waits for the first and finds its rows.
        row = Deadline.objects.select_for_update().get(pk=deadline.pk)
        if row.open_epoch != deadline.open_epoch or context.head.height + 1 >= row.cutoff_epoch:
            return 0
        same = FaultDeclaration.objects.filter(
            miner=row.miner_id, deadline_index=row.index, open_epoch=row.open_epoch
        )
        declared = {number for numbers in same.values_list("sectors", flat=True) for number in numbers}
        room = max(policy.declare_max - len(declared), 0)
        wanted: dict[int, list[int]] = defaultdict(list)
        for index, part in enumerate(facts[deadline.index]):
            # A sector under recovery is faulty as well.
            for number in sorted((bad - declared) & set(part.live - part.faulty))[:room]:
                wanted[index].append(number)
                room -= 1
        parts = [
            (index, numbers[at : at + policy.declaration_max])
            for index, numbers in wanted.items()
            for at in range(0, len(numbers), policy.declaration_max)
        ]
        for index, numbers in parts:
            FaultDeclaration.objects.create(
                miner=deadline.miner,
                deadline_index=row.index,
                partition_index=index,
                open_epoch=row.open_epoch,
                cutoff_epoch=row.cutoff_epoch,
                sectors=numbers,
            )
    if parts:
        publish(Change("deadline", deadline.pk, deadline.miner.tenant_id))
    return len(parts)


def declarations_advance(context: ProvingContext) -> None:
    """Move every declaration that is under way."""
    rows = IN_PROGRESS.rows()
    messages = messages_by_ids([row.message_id for row in rows if row.message_id])
    for_each_isolated(
        rows,
        lambda row: declaration_move(row, message=messages.get(row.message_id), context=context),
        event="declaration_not_moved",
    )


def declaration_move(row: FaultDeclaration, *, message: Message | None, context: ProvingContext) -> None:
    """Move one declaration on by its message and the head.  Raises LostRace."""
    if row.state == DeclarationState.LANDED:
        if message is not None and not message.has_succeeded:
            _step(row, "REVERT", context)  # by a reorganisation, as for recoveries
        elif context.head.height >= row.open_epoch + context.network.proving.window:
            _step(row, "CLOSE", context)
        return
    if row.state == DeclarationState.SENT and message is not None:
        event, reason = declaration_outcome_resolve(row, message=message, context=context)
        if event:
            _step(row, event, context, error=reason)
            if event == "LAND":
                return
    if context.head.height >= row.cutoff_epoch:
        if not declaration_may_have_landed(row, message=message, context=context):
            _step(
                row,
                "FAIL",
                context,
                error=row.error or CUTOFF_PASSED(),
            )
        return
    sender = _stuck_withdraw(row, message, context)
    if row.state == DeclarationState.DECIDED:
        _declare(row, context, sender=sender)


def _stuck_withdraw(row: FaultDeclaration, message: Message | None, context: ProvingContext) -> str:
    """Withdraw a declaration that cannot land as it is; returns which other address sends the next one."""
    if row.state != DeclarationState.SENT or message is None:
        return ""
    reason, sender = declaration_withdraw(row, message=message, prefix=PREFIX, context=context)
    if reason:
        _step(row, "RESEND", context, error=reason)
    return sender


def _declare(row: FaultDeclaration, context: ProvingContext, *, sender: str) -> None:
    partition = declaration_partition_find(row, numbers=row.sectors)
    sectors = PartitionSectors(
        deadline=row.deadline_index, partition=partition, sectors=bitfield_of(row.sectors)
    )
    message_id = declaration_push(
        row,
        prefix=PREFIX,
        sender=sender,
        kind="declare_faults",
        method=miner_actor.Method.DECLARE_FAULTS,
        params=to_cbor(DeclareFaultsParams(faults=(sectors,))),
    )
    if message_id:
        log.warning(
            "faults_declared", miner=row.miner.address, deadline=row.deadline_index, sectors=row.sectors
        )
        _step(row, "SEND", context, message_id=message_id, messages_sent=row.messages_sent + 1)


def _step(row: FaultDeclaration, event: str, context: ProvingContext, **data: Any) -> None:
    advance(row, event, updated_at=context.now, **data)
    deadline = Deadline.objects.filter(miner=row.miner, index=row.deadline_index).first()
    if deadline is not None:
        publish(Change("deadline", deadline.pk, row.miner.tenant_id))
