"""What messages moved to and from a miner, besides the gas that their senders paid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from django.db.models import Q, Sum

from apps.messages.models import Message
from apps.messages.models.messages import WITHDRAWALS
from apps.messages.states import MessageState
from poolsite.filecoin.actors.miner_control import WithdrawBalanceReturn
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor


class MovedMoney(NamedTuple):
    """AttoFIL that the pool's messages moved."""

    received: int = 0
    """Sent along with messages to the miner."""
    withdrawn: int = 0

    def plus(self, other: MovedMoney) -> MovedMoney:
        """Return both together."""
        return MovedMoney(self.received + other.received, self.withdrawn + other.withdrawn)


def money_moved(addresses: Collection[str], *, begin: int, end: int) -> dict[str, MovedMoney]:
    """Return what landed messages moved by their receiver, at heights from `begin` to below `end`."""
    rows = Message.objects.filter(
        Q(value__gt=0) | Q(method__in=WITHDRAWALS),
        to__in=addresses,
        height__gte=begin,
        height__lt=end,
        state=MessageState.LANDED,
        exit_code=0,
    ).order_by()
    received = dict(rows.values_list("to").annotate(sum=Sum("value")))
    withdrawn: defaultdict[str, int] = defaultdict(int)
    for to, data in rows.filter(method__in=WITHDRAWALS).values_list("to", "return_data"):
        withdrawn[to] += withdrawn_read(bytes(data))
    return {to: MovedMoney(int(value), withdrawn[to]) for to, value in received.items()}


def withdrawn_read(data: bytes) -> int:
    """Return what a withdrawal paid out, in attoFIL, by what it returned."""
    try:
        found: WithdrawBalanceReturn = from_cbor(WithdrawBalanceReturn, data)
    except BadCbor:
        return 0  # actors before network version 14 returned nothing
    return int(found.amount)
