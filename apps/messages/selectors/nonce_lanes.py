"""The nonces of a sender side by side: landed, in flight, missing, and the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q

from apps.messages.models import Message, Sender
from apps.messages.selectors.messages import messages_open
from apps.messages.selectors.seen_messages import message_is_visible
from apps.messages.states import MessageState, Wait
from apps.users.rules.principals import Principal

LANDED_SHOWN: Final = 2
NONCES_MAX: Final = 16
"""Nonces of one lane above the chain's; what lies behind them is only counted."""

SENDERS_AT_ONCE: Final = 200
"""Senders of one question."""


@dataclass(frozen=True, slots=True)
class LaneNonce:
    """One nonce of a sender."""

    nonce: int
    place: str
    """landed, replaced, flight, stuck (cannot land as it is), gap or next."""
    message: str = ""
    """Key of the message that holds it; empty for a stranger's."""
    push_id: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """Where a sender stands."""

    chain_nonce: int
    """What the chain wants next: as the last choice saw it, or the last landing left it."""
    next_nonce: int
    nonces: tuple[LaneNonce, ...]
    more: int
    """Nonces in flight beyond those shown."""
    waiting: int
    in_flight: int
    held: int
    """Of those that wait, how many wait for something else than their turn."""

    @property
    def gaps(self) -> int:
        """Return how many of the nonces shown nobody has."""
        return sum(one.place == "gap" for one in self.nonces)

    @property
    def stuck(self) -> int:
        """Return how many of the nonces shown cannot land as they are."""
        return sum(one.place == "stuck" for one in self.nonces)


@dataclass(frozen=True, slots=True)
class OpenCount:
    """What a sender has on its way."""

    waiting: int = 0
    in_flight: int = 0
    held: int = 0
    """Of those that wait, how many wait for something else than their turn."""


TURN_WAITS: Final = (Wait.NONE, Wait.NEXT_HEAD, Wait.QUOTA)
"""Waits that end by themselves as soon as it is a message's turn."""


def open_by_sender(viewer: Principal) -> dict[str, OpenCount]:
    """Count what waits and what is in flight, by sender."""
    rows = messages_open(viewer).select_related(None).order_by().values("from_addr")
    found = rows.annotate(
        waiting=Count("pk", filter=Q(state=MessageState.UNFILLED)),
        flying=Count("pk", filter=Q(state=MessageState.FILLED)),
        held=Count("pk", filter=Q(state=MessageState.UNFILLED) & ~Q(wait__in=TURN_WAITS)),
    )
    return {row["from_addr"]: OpenCount(row["waiting"], row["flying"], row["held"]) for row in found}


def lanes_of(
    senders: Sequence[Sender], *, viewer: Principal, open_counts: dict[str, OpenCount], base_fee: int
) -> dict[str, Lane]:
    """Return the lane of each sender with one query for two hundred of them.

    Tenants may share a sender: of a stranger's message the viewer sees the nonce, not the message.
    """
    found: dict[tuple[str, int], Message] = {}
    for row in _messages_near(senders):
        place = (row.from_addr, row.nonce or 0)
        # A nonce may have been given up, taken by a gap filler and landed: the one that holds it is shown.
        if place not in found or row.state in (MessageState.FILLED, MessageState.LANDED):
            found[place] = row
    return {
        sender.address: _lane(
            sender,
            found,
            viewer=viewer,
            open_count=open_counts.get(sender.address, OpenCount()),
            base_fee=base_fee,
        )
        for sender in senders
    }


def _messages_near(senders: Sequence[Sender]) -> Iterator[Message]:
    """Return the messages whose nonces lie around what the chain wants next."""
    for at in range(0, len(senders), SENDERS_AT_ONCE):
        wanted = Q()
        for sender in senders[at : at + SENDERS_AT_ONCE]:
            low = (sender.chain_nonce or 0) - LANDED_SHOWN
            wanted |= Q(from_addr=sender.address, nonce__gte=low, nonce__lt=low + LANDED_SHOWN + NONCES_MAX)
        yield from Message.objects.filter(wanted).only(
            "pk", "push_id", "tenant_id", "from_addr", "to", "nonce", "state", "gas_fee_cap", "wait"
        )


def _lane(
    sender: Sender,
    found: dict[tuple[str, int], Message],
    *,
    viewer: Principal,
    open_count: OpenCount,
    base_fee: int,
) -> Lane:
    chain = sender.chain_nonce or 0
    end = max(sender.next_nonce, chain)
    nonces = [
        _nonce(nonce, _place(row, base_fee=base_fee), row, viewer=viewer)
        for nonce in range(max(chain - LANDED_SHOWN, 0), chain)
        if (row := found.get((sender.address, nonce)))
    ]
    for nonce in range(chain, min(end, chain + NONCES_MAX)):
        row = found.get((sender.address, nonce))
        if row is not None and row.state != MessageState.FAILED:
            nonces.append(_nonce(nonce, _place(row, base_fee=base_fee), row, viewer=viewer))
        else:
            nonces.append(_nonce(nonce, "gap", row, viewer=viewer))
    more = max(end - chain - NONCES_MAX, 0)
    if not more:
        nonces.append(LaneNonce(end, "next"))
    return Lane(chain, end, tuple(nonces), more, open_count.waiting, open_count.in_flight, open_count.held)


def _nonce(nonce: int, place: str, row: Message | None, *, viewer: Principal) -> LaneNonce:
    if row is None or not message_is_visible(viewer, row):
        return LaneNonce(nonce, place)
    return LaneNonce(nonce, place, row.pk, row.push_id)


def _place(row: Message, *, base_fee: int) -> str:
    if row.state == MessageState.LANDED:
        return "landed"
    if row.state != MessageState.FILLED:
        return "replaced"
    is_stuck = row.gas_fee_cap < base_fee or row.wait in (Wait.NODE_REFUSES, Wait.FEE_CAP)
    return "stuck" if is_stuck else "flight"
