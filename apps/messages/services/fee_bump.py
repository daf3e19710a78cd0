"""Proofs and steps of sectors that may come too late pay more by themselves.

Three stated rules.  On each head a proof in flight whose cap is below the base fee is replaced until its
deadline closes, for every tenant, and so is whatever else of its sender has to land before a proof.  So
are pre-commits, commits, snap-ups, terminations and publications of deals, in their last epochs, and those
of the same sender that have to land before.  Where a tenant has automatic fee bumps on, its proofs
in flight are replaced too once their deadline is near, again and again until they land.  All stay within
the largest fee that the rules allow; other messages wait for the fee to fall or for a person.

Proofs of the pool's own apps come with their deadline; of the others the chain is asked on each head, until
the deadline that the proof names is the open one.
Source: lotus StateMinerProvingDeadline; builtin-actors miner SubmitWindowedPoSt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

import structlog
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.chain.errors import NodeRefused
from apps.chain.models import Head
from apps.chain.node.client import ChainClient
from apps.chain.node.isolation import for_each_isolated
from apps.core.errors import DomainError
from apps.core.reasons import refused
from apps.messages.models import AutoBumpRule, Message
from apps.messages.rules.priorities import METHOD_WINDOW_POST
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.bulk_transitions import waits_record
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.states import STEP_KINDS, MessageState, Priority, Wait
from poolsite.filecoin.actors.decode import params_decode
from poolsite.filecoin.cbor import BadCbor

log = structlog.get_logger(__name__)

STEP_DUE_EPOCHS: Final = 120
"""So long before its last epoch a step of a sector or deal waits no more for the base fee to fall."""


def proofs_bump(*, client: ChainClient, head: Head, now: datetime) -> list[str]:
    """Raise the fees of what the base fee overtook or whose deadline is near; returns their ids.

    What cannot be raised keeps its version and says why; what is behind it would not land, and is left, but
    no other sender.  Senders with few messages come first.  A kill in between leaves a stored version that
    the next head publishes.
    """
    raised: list[str] = []

    def raise_each(rows: Iterable[Message], fees: NewFees) -> None:
        lanes: dict[str, list[Message]] = defaultdict(list)
        for row in rows:
            lanes[row.from_addr].append(row)

        def raise_lane(address: str) -> None:
            made: list[str] = []
            for row in lanes[address]:
                if not (done := _raise(row, fees=fees, client=client, head=head, now=now)):
                    break
                made += done
            raised.extend(made)
            if made:
                messages_publish(made, now=now)

        senders = sorted(lanes, key=lambda address: len(lanes[address]))
        for_each_isolated(senders, raise_lane, event="fee_bump_failed")

    # One that is too late is raised only where it holds up another.
    proofs = Message.objects.filter(state=MessageState.FILLED, priority=Priority.PROOF).exclude(
        urgent_epoch__lte=head.height
    )
    urgent = _up_to_proofs(proofs, head=head)
    raise_each([*urgent, *_steps_due(head, besides=urgent)], NewFees())
    for rule in AutoBumpRule.objects.filter(is_on=True):
        near = proofs.filter(
            Q(fee_bumped_height=0) | Q(fee_bumped_height__lte=head.height - rule.every_epochs),
            tenant=rule.tenant_id,
            urgent_epoch__lte=head.height + rule.within_epochs,
        ).exclude(pk__in=raised)
        raise_each(near.order_by("from_addr", "nonce"), NewFees(max_fee=int(rule.max_fee)))
    return raised


def _up_to_proofs(proofs: QuerySet[Message], *, head: Head) -> list[Message]:
    """Return what the base fee overtook and a proof waits for: the proof, and what lands before it."""
    behind = proofs.filter(from_addr=OuterRef("from_addr"), nonce__gte=OuterRef("nonce"))
    overtaken = Message.objects.filter(state=MessageState.FILLED, gas_fee_cap__lt=int(head.base_fee))
    return list(overtaken.filter(Exists(behind)).order_by("from_addr", "nonce"))


def _steps_due(head: Head, *, besides: Collection[Message]) -> list[Message]:
    """Return the steps of sectors and deals that the base fee overtook and that may miss their last epoch."""
    flying = Message.objects.filter(state=MessageState.FILLED, kind__in=STEP_KINDS).exclude(
        pk__in=[row.pk for row in besides]
    )
    overtaken = flying.filter(gas_fee_cap__lt=int(head.base_fee)).order_by("from_addr", "-nonce")
    due: list[str] = []
    waiting = ""
    for key, sender, ends in overtaken.values_list("pk", "from_addr", "expire_epoch"):
        if head.height <= ends <= head.height + STEP_DUE_EPOCHS:
            waiting = sender
        if waiting == sender:  # this message is due, or one behind it is
            due.append(key)
    return list(Message.objects.filter(pk__in=due).order_by("from_addr", "nonce")) if due else []


def _raise(row: Message, *, fees: NewFees, client: ChainClient, head: Head, now: datetime) -> list[str]:
    """Replace one message; returns its id if that was possible, and remembers the attempt either way."""
    try:
        message_replace(message=row, fees=fees, client=client, head=head, now=now)
    except DomainError as error:
        if row.gas_fee_cap < head.base_fee:
            waits_record([(row.pk, Wait.FEE_CAP, refused(error))], now=now)
        log.info("fee_not_raised", message=row.pk, nonce=row.nonce, reason=error.reason[:200])
        raised = []
    else:
        log.info("fee_raised", message=row.pk, nonce=row.nonce, base_fee=str(head.base_fee))
        raised = [row.pk]
    Message.objects.filter(pk=row.pk).update(fee_bumped_height=head.height)
    return raised


def deadlines_learn(*, client: ChainClient, head: Head) -> list[str]:
    """Note until when proofs on their way count; returns the ids of those that were learnt.

    One without a nonce expires then: the miner refuses it from there on.  One question per miner.
    Raises NodeUnavailable.
    """
    rows = Message.objects.filter(
        state__in=[MessageState.UNFILLED, MessageState.FILLED],
        priority=Priority.PROOF,
        method=METHOD_WINDOW_POST,
        urgent_epoch=None,
    ).order_by("to", "pk")
    open_deadlines: dict[str, tuple[int, int] | None] = {}
    learnt: list[str] = []
    for row in rows:
        if row.to not in open_deadlines:
            open_deadlines[row.to] = _open_deadline(row.to, client=client, head=head)
        found = open_deadlines[row.to]
        if found is not None and found[0] == _deadline_named(row):
            Message.objects.filter(pk=row.pk, urgent_epoch=None).update(
                urgent_epoch=found[1], expire_epoch=row.expire_epoch or found[1] - 1
            )
            learnt.append(row.pk)
    return learnt


def _open_deadline(miner: str, *, client: ChainClient, head: Head) -> tuple[int, int] | None:
    """Return number and closing epoch of a miner's open deadline; None if the node knows no such miner."""
    try:
        answer = client.state_miner_proving_deadline(miner, head.key)
    except NodeRefused as error:
        log.info("deadline_not_known", miner=miner, reason=error.reason[:200])
        return None
    return int(answer["Index"]), int(answer["Close"])


def _deadline_named(message: Message) -> int | None:
    """Return the deadline that a proof is for; None if its parameters are no proof's."""
    try:
        return int(params_decode("miner", message.method, bytes(message.params))["Deadline"])
    except (BadCbor, KeyError, TypeError, ValueError):
        return None
