"""Escrow: what clients and providers have at the market, and how deals lock it.

Source: builtin-actors actors/market/src/lib.rs add_balance, withdraw_balance; state.rs balances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, fil
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import KIND_MINER, MARKET, actor_get
from poolsite.devnet.state.miner_rows import MINERS, Miner
from poolsite.devnet.state.rows import ESCROWS, Escrow
from poolsite.filecoin.actors.market import (
    AddBalanceParams,
    GetBalanceReturn,
    WithdrawBalanceParams,
    WithdrawBalanceReturn,
)
from poolsite.filecoin.codec import to_cbor

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call
    from poolsite.devnet.state.tables import Draft, State


def escrow_of(state: Draft | State, party: int) -> Escrow:
    """Balance of a party."""
    escrow: Escrow | None = state.get(ESCROWS, party)
    return escrow or Escrow(0, 0)


def _change(draft: Draft, party: int, *, amount: int = 0, locked: int = 0) -> None:
    """Add to a balance and to its locked part."""
    if amount or locked:
        escrow = escrow_of(draft, party)
        draft.put(ESCROWS, party, Escrow(escrow.amount + amount, escrow.locked + locked))


def escrow_covers(state: Draft | State, party: int, amount: int) -> bool:
    """Return whether a party has so much that is not locked."""
    escrow = escrow_of(state, party)
    return escrow.locked + amount <= escrow.amount


def escrow_lock(draft: Draft, party: int, amount: int) -> None:
    """Lock for a deal; the party was seen to have it."""
    _change(draft, party, locked=amount)


def escrow_unlock(draft: Draft, party: int, amount: int) -> None:
    """Unlock what a deal had locked."""
    _change(draft, party, locked=-amount)


def escrow_pay(draft: Draft, client: int, provider: int, amount: int) -> None:
    """Move locked funds of the client to the provider's free ones."""
    _change(draft, client, amount=-amount, locked=-amount)
    _change(draft, provider, amount=amount)


def escrow_slash(draft: Draft, party: int, amount: int) -> None:
    """Subtract locked funds from the escrow; the caller burns them."""
    _change(draft, party, amount=-amount, locked=-amount)


def add_balance(call: Call) -> bytes:
    """Handle AddBalance."""
    party = call.id_of(call.read(AddBalanceParams).address)
    if call.value <= 0:
        raise bad_argument(f"balance to add must be greater than zero was: {fil(call.value)}")
    _change(call.draft, party, amount=call.value)
    return b""


def withdraw_balance(call: Call) -> bytes:
    """Handle WithdrawBalance: a miner's goes to its owner."""
    params = call.read(WithdrawBalanceParams)
    if params.amount < 0:
        raise bad_argument(f"negative amount {params.amount}")
    party = call.id_of(params.provider_or_client_address)
    recipient = party
    allowed: tuple[int, ...] = (party,)
    actor = actor_get(call.draft, party)
    if actor is not None and actor.kind == KIND_MINER:
        miner: Miner = call.draft.get(MINERS, party)
        recipient, allowed = miner.owner, (miner.owner, miner.worker)
    call.require_caller(allowed)
    escrow = escrow_of(call.draft, party)
    amount = min(params.amount, escrow.amount - escrow.locked)
    _change(call.draft, party, amount=-amount)
    pay(call.machine, MARKET, recipient, amount)
    return to_cbor(WithdrawBalanceReturn(amount))


def get_balance(call: Call) -> bytes:
    """Handle GetBalance."""
    escrow = escrow_of(call.draft, call.id_of(call.read(AddBalanceParams).address))
    return to_cbor(GetBalanceReturn(escrow.amount, escrow.locked))
