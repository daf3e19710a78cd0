"""What a change to many messages would cost, from one question to the node about the first of them.

Each change asks for itself when it is made; so this is what a person is told before, and what the fees of
all rows give at the node's present premium and cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apps.chain.client import GasSpec
from apps.messages.services.cancel import transfer_of
from apps.messages.services.replace import premium_floor, replace_ratio
from poolsite.filecoin.amounts import AttoFil

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apps.chain.client import ChainClient
    from apps.chain.models import Head
    from apps.messages.models import Message

PRICED: Final = ("replace", "cancel")
"""What makes a new signed message; the rest costs nothing."""


@dataclass(frozen=True, slots=True)
class Price:
    """attoFIL that the gas of all costs together."""

    before: int
    """At the present base fee, if nothing is done."""
    now: int
    """At the present base fee, after the change."""
    most: int
    """Whatever the base fee does, as far as the rules let fees go."""


def bulk_price(action: str, rows: Sequence[Message], *, client: ChainClient, head: Head) -> Price | None:
    """Price a change to `rows`; None for what costs nothing.

    Raises what the change of the first of them would: FeeTooLow, NodeUnavailable, NodeRefused.
    """
    if action not in PRICED or not rows:
        return None
    base_fee, ratio = int(head.base_fee), replace_ratio(client)
    first = rows[0]
    if action == "cancel":
        found = transfer_of(first, client=client, head=head)
    else:
        blank = replace(first.chain_message(), gas_fee_cap=AttoFil(0), gas_premium=AttoFil(0))
        found = client.gas_estimate_message(blank, GasSpec(), head.key)
    before = now = most = 0
    for row in rows:
        limit = int(found.gas_limit if action == "cancel" else row.gas_limit)
        premium = max(int(found.gas_premium), premium_floor(int(row.gas_premium), ratio=ratio))
        cap = max(int(found.gas_fee_cap), premium, int(row.gas_fee_cap))
        before += row.gas_limit * min(int(row.gas_fee_cap), base_fee + int(row.gas_premium))
        now += limit * min(cap, base_fee + premium)
        most += limit * cap
    return Price(before, now, most)
