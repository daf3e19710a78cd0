"""Data cap: how much verified data each client may still have stored, as a token.

Source: builtin-actors actors/datacap/src/lib.rs; FIP-0045; frc46_token state.rs for the refusals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import (
    INSUFFICIENT_FUNDS,
    ActorError,
    bad_argument,
    fil,
    illegal_state,
)
from poolsite.devnet.state.verified_rows import DATACAPS, DataCap, allowances_of
from poolsite.filecoin.actors.allocations import DATACAP_PER_BYTE

if TYPE_CHECKING:
    from poolsite.devnet.state.tables import Draft, State


def datacap_of(state: Draft | State, holder: int) -> int:
    """Return the data cap of a client in token units."""
    row: DataCap | None = state.get(DATACAPS, holder)
    return 0 if row is None else row.amount


def supply_of(state: Draft | State) -> int:
    """Return all data cap there is, in token units."""
    return sum(datacap_of(state, holder) for holder in state.keys(DATACAPS))


def datacap_change(draft: Draft, holder: int, amount: int) -> int:
    """Add to a client's data cap, or take from it; gives what there is then.  Raises ActorError 19."""
    balance_before = datacap_of(draft, holder)
    balance = balance_before + amount
    if balance < 0:
        reason = f"negative balance caused by decreasing {holder}'s balance of {tokens(balance_before)}"
        raise ActorError(INSUFFICIENT_FUNDS, f"error in underlying state {reason} by {tokens(amount)}")
    _amount_store(draft, DATACAPS, holder, amount=balance)
    return balance


def datacap_burn(draft: Draft, holder: int, amount: int) -> int:
    """Burn data cap; return what the holder has left.  Raises ActorError 19, 20."""
    supply = supply_of(draft)
    if amount > supply:
        reason = (
            f"total_supply cannot be negative, cannot apply delta of {tokens(-amount)} to {tokens(supply)}"
        )
        raise illegal_state(f"error in underlying state {reason}")
    return datacap_change(draft, holder, -amount)


def allowance_of(state: Draft | State, owner: int, operator: int) -> int:
    """Return what an operator may spend of somebody's data cap, in token units."""
    row: DataCap | None = state.get(allowances_of(owner), operator)
    return 0 if row is None else row.amount


def allowance_set(draft: Draft, owner: int, operator: int, *, amount: int) -> None:
    """Allow an operator to spend so much of somebody's data cap."""
    _amount_store(draft, allowances_of(owner), operator, amount=amount)


def allowance_use(draft: Draft, owner: int, operator: int, *, amount: int) -> int:
    """Spend of an allowance; gives what is left of it.  Raises ActorError 19."""
    allowance = allowance_of(draft, owner, operator)
    if allowance < amount:
        raise ActorError(
            INSUFFICIENT_FUNDS,
            f"error in underlying state {identified(operator)} attempted to utilise {tokens(amount)} "
            f"of allowance {tokens(allowance)} set by {identified(owner)}",
        )
    allowance_set(draft, owner, operator, amount=allowance - amount)
    return allowance - amount


def _amount_store(draft: Draft, table: str, key: int, *, amount: int) -> None:
    if amount:
        draft.put(table, key, DataCap(amount))
    else:
        draft.delete(table, key)


def amount_check(amount: int, name: str) -> None:
    """Refuse amounts that are negative or no whole bytes.  Raises ActorError 16."""
    if amount < 0:
        raise bad_argument(f'value {tokens(amount)} for "{name}" must be non-negative')
    if amount % DATACAP_PER_BYTE:
        raise bad_argument(f'amount {tokens(amount)} for "{name}" must be a multiple of {DATACAP_PER_BYTE}')


def tokens(amount: int) -> str:
    """Return an amount of tokens as the real actor prints it."""
    return f"TokenAmount({fil(amount)})"


def identified(actor_id: int) -> str:
    """Return an actor as the real one prints it."""
    return f"Address {{ payload: ID({actor_id}) }}"
