"""Which pending messages a block takes.  Source: lotus chain/messagepool/selection.go, in its greedy form."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.ledger import actor_get, resolve
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT, effective_premium
from poolsite.filecoin.gas_estimates import inclusion_gas

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import State
    from poolsite.filecoin.message import SignedMessage

MAX_MESSAGES: Final = 8192
"""Most messages of one signature type in a block."""


def messages_select(pending: Iterable[SignedMessage], state: State, *, base_fee: int) -> list[SignedMessage]:
    """Choose messages by effective premium, each sender's in order of nonces, until the block is full.

    A message whose cap is below the base fee, whose gas cannot pay its inclusion, or whose sender lacks the
    funds stops its sender's row.
    """
    rows = _rows(pending, state, base_fee=base_fee)
    heap = [(_rank(row[0], base_fee), at) for at, row in enumerate(rows)]
    heapq.heapify(heap)
    chosen: list[SignedMessage] = []
    gas = 0
    positions = [0] * len(rows)
    while heap and len(chosen) < MAX_MESSAGES:
        _, at = heapq.heappop(heap)
        signed = rows[at][positions[at]]
        if gas + signed.message.gas_limit > BLOCK_GAS_LIMIT:
            continue
        gas += signed.message.gas_limit
        chosen.append(signed)
        positions[at] += 1
        if positions[at] < len(rows[at]):
            heapq.heappush(heap, (_rank(rows[at][positions[at]], base_fee), at))
    return chosen


def _rank(signed: SignedMessage, base_fee: int) -> int:
    message = signed.message
    return -effective_premium(base_fee=base_fee, fee_cap=message.gas_fee_cap, premium=message.gas_premium)


def _rows(pending: Iterable[SignedMessage], state: State, *, base_fee: int) -> list[list[SignedMessage]]:
    """Each sender's messages that could be executed one after the other."""
    by_sender: dict[int, list[SignedMessage]] = {}
    for signed in pending:
        sender = resolve(state, signed.message.from_)
        if sender is not None:
            by_sender.setdefault(sender, []).append(signed)
    rows = []
    for sender, messages in sorted(by_sender.items()):
        actor = actor_get(state, sender)
        if actor is None:
            continue
        row: list[SignedMessage] = []
        nonce, balance = actor.nonce, actor.balance
        for signed in sorted(messages, key=lambda entry: entry.message.nonce):
            message = signed.message
            if message.nonce < nonce:
                continue
            cost = message.required_funds
            is_includable = message.gas_fee_cap >= base_fee and message.gas_limit >= inclusion_gas(
                signed.chain_length
            )
            if message.nonce != nonce or cost > balance or not is_includable:
                break
            balance -= cost
            balance -= message.value if message.value <= balance else 0
            nonce += 1
            row.append(signed)
        if row:
            rows.append(row)
    return rows
