"""Compaction of a deadline: terminated sectors leave its partitions, the others are put together anew."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.core.formatting import plural_kept
from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message
from apps.messages.rules.push_items import PushItem
from apps.messages.services.push import message_push
from apps.messages.services.signer_trials import Verdicts, verdicts_read
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.miners.selectors.miners import miner_principal
from apps.miners.selectors.senders import sender_choose
from apps.miners.services.planned_push import planned_push_lock
from apps.miners.states import Use
from apps.proving.errors import CannotCompact
from apps.proving.models import Deadline, Partition
from apps.proving.rules.proving_context import ProvingContext
from apps.proving.selectors.deadlines import deadline_of
from apps.sectors.onchain.sectors import messages_try, trial_message
from apps.sectors.selectors.stopped_work import COMPACT
from apps.sectors.services.sealing.prices import gas_cost_estimate
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_proving import CompactPartitionsParams
from poolsite.filecoin.bitfield import bitfield_of
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.deadlines import deadline_info, is_mutable


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPlan:
    """What a compaction would do at one head."""

    deadline: int
    partitions: tuple[int, ...]
    removed: int
    """Terminated sectors that leave."""
    moved: int
    """Living sectors whose partition may be another."""
    gas: int
    """attoFIL, about; burnt."""
    last_epoch: int
    """Until when the chain takes the message."""
    refusal: str
    """Why the chain would not take it now; empty if it would."""


def _dead_count(partition: Partition) -> int:
    """Return how many sectors of a partition are terminated and still in it."""
    return len(partition.all_sectors) - len(partition.live)


def compactable_partitions_list(row: Deadline) -> tuple[int, ...]:
    """Return the partitions of a deadline that terminated sectors lie in, without those that have faults."""
    return tuple(one.index for one in row.partitions.all() if _dead_count(one) and not one.faulty)


def compaction_plan(
    miner: Miner, *, index: int, partitions: Sequence[int], context: ProvingContext
) -> CompactionPlan:
    """Return what compacting partitions would do; without any named those that can be.

    Raises NotFound, BadValue, NodeUnavailable, CannotCompact where there is nothing to compact.
    """
    row = deadline_of(miner, index)
    if row is None:
        raise NotFound(gettext("{miner} has no deadline {index}").format(miner=miner, index=index))
    known = {one.index: one for one in row.partitions.all()}
    chosen = tuple(sorted(set(partitions))) or compactable_partitions_list(row)
    if absent := [one for one in chosen if one not in known]:
        raise BadValue(
            gettext("deadline {index} has no partition {absent}").format(index=index, absent=absent[0]),
            field="partitions",
        )
    if not chosen:
        raise CannotCompact(
            gettext("deadline {index} has no partition with terminated sectors and without faults").format(
                index=index
            )
        )
    params = _params(index, chosen)
    message = trial_message(
        to=miner.address,
        from_=sender_choose(miner, Use.COMMIT).address,
        value=0,
        method=Method.COMPACT_PARTITIONS,
        params=params,
    )
    (trial,) = messages_try(context.client, [message], context.head.key)
    info = deadline_info(row.period_start, index, context.head.height, context.network.proving)
    # From one window before its next opening a deadline's sectors must not move.
    last = info.next_not_elapsed().open - context.network.proving.window - 1
    return CompactionPlan(
        deadline=index,
        partitions=chosen,
        removed=sum(_dead_count(known[one]) for one in chosen),
        moved=sum(len(known[one].live) for one in chosen),
        gas=gas_cost_estimate(trial.gas_used, base_fee=int(context.head.base_fee)),
        last_epoch=last if is_mutable(info) else context.head.height,
        refusal="" if trial.is_good else trial.error,
    )


def compaction_verdicts_read(miner: Miner, *, plan: CompactionPlan, by: Principal) -> Verdicts:
    """Return what the signer, asked by `by`, and the approval rules would do with a plan's message.

    Raises BadMessage, NodeUnavailable.
    """
    item = PushItem(
        id=f"{COMPACT}-price:{uuid.uuid4()}",
        to=miner.address,
        from_=sender_choose(miner, Use.COMMIT).address,
        method=Method.COMPACT_PARTITIONS,
        params=_params(plan.deadline, plan.partitions),
        kind=COMPACT,
    )
    return verdicts_read([(miner_principal(miner), item)], by=by)


def compaction_send(
    miner: Miner,
    *,
    index: int,
    partitions: Sequence[int],
    by: Principal,
    context: ProvingContext,
    key: str | None = None,
) -> tuple[CompactionPlan | None, Message]:
    """Push the message, one at a time for a deadline; the same key again is the same message, without a plan.

    Raises NotAllowed, MessageIdTaken for a key that named other partitions, CannotCompact if the chain would
    refuse it or another message compacts the deadline, MinerUnknown if the miner was transferred meanwhile,
    and what `compaction_plan` raises.
    """
    if not by.may("sign"):
        raise NotAllowed(gettext("requires permission to sign for the miner's tenant"))
    of_deadline = f"{COMPACT}:{miner.address}:{index}:"
    push_id = f"{of_deadline}{key or uuid.uuid4()}"
    earlier = Message.objects.filter(tenant_id=miner.tenant_id, push_id=push_id).first()
    if earlier is not None:
        if partitions and set(partitions) != set(compacted_partitions_read(earlier)):
            raise MessageIdTaken(gettext("this key was already used for other partitions"), field="key")
        return None, earlier
    plan = compaction_plan(miner, index=index, partitions=partitions, context=context)
    if plan.refusal:
        raise CannotCompact(gettext("the chain would refuse it: {refusal}").format(refusal=plan.refusal))
    with planned_push_lock(miner):  # a second click waits for the first
        _none_open_require(miner, of_deadline)
        message = message_push(
            principal=miner_principal(miner, by=by),
            id=push_id,
            to=miner.address,
            from_=sender_choose(miner, Use.COMMIT).address,
            method=Method.COMPACT_PARTITIONS,
            params=_params(index, plan.partitions),
            kind=COMPACT,
            expire_epoch=plan.last_epoch,
        )
        after = {
            "deadline": index,
            "partitions": list(plan.partitions),
            "removed": plural_kept(plan.removed, "sector"),
        }
        after |= {"message": str(message.pk)}
        audit_record(principal=by, action="proving.compact", target=miner.address, after=after)
    publish(Change("miner", miner.pk, miner.tenant_id))
    return plan, message


def compacted_partitions_read(message: Message) -> tuple[int, ...]:
    """Return the partitions that a message compacts."""
    return tuple(params_read(CompactPartitionsParams, bytes(message.params)).partitions)


def _none_open_require(miner: Miner, of_deadline: str) -> None:
    """Raise CannotCompact while another message of the deadline is open."""
    rows = Message.objects.filter(tenant_id=miner.tenant_id, kind=COMPACT, to=miner.address)
    states = [MessageState.UNFILLED, MessageState.FILLED]
    other = rows.filter(state__in=states, push_id__startswith=of_deadline).first()
    if other is not None:
        raise CannotCompact(gettext("message {other} already compacts this deadline").format(other=other.pk))


def _params(index: int, partitions: Sequence[int]) -> bytes:
    return to_cbor(CompactPartitionsParams(deadline=index, partitions=bitfield_of(partitions)))
