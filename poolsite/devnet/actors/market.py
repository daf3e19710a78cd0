"""The market actor: deposits of clients and providers.  Source: builtin-actors actors/market/src/lib.rs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from poolsite.devnet.actors.exits import bad_argument, fil
from poolsite.devnet.actors.ledger import KIND_MINER, MARKET, actor_get, resolve_existing, transfer
from poolsite.devnet.state.rows import ESCROWS, MINERS, Escrow, Miner
from poolsite.filecoin.actors.market import (
    ADD_BALANCE_PARAMS,
    WITHDRAW_BALANCE_PARAMS,
    WITHDRAW_BALANCE_RETURN,
    WithdrawBalanceReturn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from poolsite.devnet.actors.call import Call
    from poolsite.filecoin.address import Address


def _party(call: Call, address: Address) -> int:
    actor_id = resolve_existing(call.draft, address)
    if actor_id is None:
        raise bad_argument(f"failed to resolve address {address}")
    return actor_id


def escrow_of(call: Call, actor_id: int) -> Escrow:
    """Balance of a party."""
    escrow: Escrow | None = call.draft.get(ESCROWS, actor_id)
    return escrow or Escrow(0, 0)


def add_balance(call: Call) -> bytes:
    """Handle AddBalance."""
    party = _party(call, call.read(ADD_BALANCE_PARAMS).address)
    if call.value <= 0:
        raise bad_argument(f"balance to add must be greater than zero was: {fil(call.value)}")
    escrow = escrow_of(call, party)
    call.draft.put(ESCROWS, party, Escrow(escrow.amount + call.value, escrow.locked))
    return b""


def withdraw_balance(call: Call) -> bytes:
    """Handle WithdrawBalance: a miner's goes to its owner."""
    params = call.read(WITHDRAW_BALANCE_PARAMS)
    if params.amount < 0:
        raise bad_argument(f"negative amount {params.amount}")
    party = _party(call, params.provider_or_client_address)
    recipient = party
    allowed: tuple[int, ...] = (party,)
    actor = actor_get(call.draft, party)
    if actor is not None and actor.kind == KIND_MINER:
        miner: Miner = call.draft.get(MINERS, party)
        recipient, allowed = miner.owner, (miner.owner, miner.worker)
    call.require_caller(allowed)
    escrow = escrow_of(call, party)
    amount = min(params.amount, escrow.amount - escrow.locked)
    call.draft.put(ESCROWS, party, Escrow(escrow.amount - amount, escrow.locked))
    transfer(call.draft, MARKET, recipient, amount)
    return WITHDRAW_BALANCE_RETURN.encode(WithdrawBalanceReturn(amount))


METHODS: Final[dict[int, Callable[[Call], bytes]]] = {2: add_balance, 3: withdraw_balance}
"""Handlers by method number."""
