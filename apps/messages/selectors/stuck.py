"""Which open messages need attention: the one definition that pages, checks and figures share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet

from apps.chain.models import Head
from apps.messages.models import Message, Sender
from apps.messages.selectors.messages import messages_open
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal
from poolsite.filecoin.policy import Network


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages have not landed."""

    signed: int
    queued: int
    """Without a nonce yet."""
    stuck: int
    """Of both: those that need attention."""


STUCK: Final = (
    Wait.POLICY,
    Wait.ESTIMATE,
    Wait.FUNDS,
    Wait.NO_ACTOR,
    Wait.FEE_LIMIT,
    Wait.GAS_CAP,
)
"""Waits without a nonce that rarely end without an action."""
STUCK_TRIES: Final = 3
"""What failed once or twice may still pass."""
STUCK_IN_FLIGHT: Final = (Wait.FEE_CAP, Wait.NODE_REFUSES)
"""What holds up a signed message, and all that the sender signed after it."""
SOON_EPOCHS: Final = 3
"""Shorter than this no message counts as stuck: fees swing, and money may be under way."""
LATE_EPOCHS: Final = 20
"""A block takes what pays within one or two; after so many something else holds it up."""


def is_stuck(head: Head | None, network: Network | None) -> Q:
    """Return which open messages need attention; ages are counted to the newest head."""
    found = Q(state=MessageState.UNFILLED, wait__in=STUCK, attempts__gte=STUCK_TRIES)
    if head is None or network is None:
        return found
    soon, late = (
        head.arrived_at - timedelta(seconds=epochs * network.epoch_s) for epochs in (SOON_EPOCHS, LATE_EPOCHS)
    )
    unfunded = Sender.objects.filter(wait=Wait.NO_ACTOR).values("address")
    found |= Q(state=MessageState.UNFILLED, from_addr__in=unfunded, created_at__lt=soon)
    flight = Q(state=MessageState.FILLED) & ~Q(wait=Wait.OFFLINE)
    found |= flight & Q(wait__in=STUCK_IN_FLIGHT, filled_at__lt=soon)
    return found | flight & (Q(published_at__lt=late) | Q(published_at=None, filled_at__lt=late))


def stuck_marked(rows: QuerySet[Message], *, head: Head | None, network: Network | None) -> QuerySet[Message]:
    """Return the rows with `is_stuck`: whether each needs attention."""
    is_open = Q(state__in=[MessageState.UNFILLED, MessageState.FILLED])
    found = ExpressionWrapper(is_open & is_stuck(head, network), output_field=BooleanField())
    return rows.annotate(is_stuck=found)


def stuck_mark(messages: Iterable[Message], *, head: Head | None, network: Network | None) -> None:
    """Do the same for rows that are read already; costs nothing where none is open."""
    open_ones = [row for row in messages if row.state in (MessageState.UNFILLED, MessageState.FILLED)]
    if not open_ones:
        return
    rows = Message.objects.filter(is_stuck(head, network), pk__in=[row.pk for row in open_ones])
    stuck = set(rows.values_list("pk", flat=True))
    for row in open_ones:
        row.is_stuck = row.pk in stuck  # type: ignore[attr-defined]  # as the annotation would


def messages_stuck(viewer: Principal, *, head: Head | None, network: Network | None) -> QuerySet[Message]:
    """Return the open messages that need attention, those with a deadline on chain first."""
    return messages_open(viewer).filter(is_stuck(head, network)).order_by("priority", "created_at")


def is_priced_out(head: Head | None) -> Q:
    """Return which signed messages pay less than the base fee: no block takes them."""
    return Q(state=MessageState.FILLED, gas_fee_cap__lt=0 if head is None else head.base_fee)


def messages_priced_out(viewer: Principal, *, head: Head) -> QuerySet[Message]:
    """Return the signed messages that pay less than the base fee, those with a deadline on chain first."""
    return messages_open(viewer).filter(is_priced_out(head)).order_by("priority", "created_at")


def messages_waiting(viewer: Principal, *, head: Head | None, network: Network | None) -> Waiting:
    """Count what has not landed; the index holds open messages only."""
    rows = messages_open(viewer).select_related(None).order_by()
    counted = rows.values_list("state").annotate(
        count=Count("pk"), stuck=Count("pk", filter=is_stuck(head, network))
    )
    found = {state: (count, stuck) for state, count, stuck in counted}
    signed, queued = (found.get(state, (0, 0)) for state in (MessageState.FILLED, MessageState.UNFILLED))
    return Waiting(signed=signed[0], queued=queued[0], stuck=signed[1] + queued[1])


def stuck_by_sender(viewer: Principal, *, head: Head | None, network: Network | None) -> dict[str, int]:
    """Return how many messages of each sender are stuck; senders without any are left out."""
    rows = messages_open(viewer).filter(is_stuck(head, network)).select_related(None).order_by()
    return dict(rows.values_list("from_addr").annotate(Count("pk")))
