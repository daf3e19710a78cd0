"""A miner's money: what is locked, what is free, what it owes, and how penalties are taken.

Source: builtin-actors actors/miner/src/{state,vesting_state,policy}.rs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import fil, insufficient
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.ledger import BURNT, actor_get
from poolsite.devnet.actors.vesting import vesting_add, vesting_unlock, vesting_unlock_early
from poolsite.filecoin.pledge import locked_reward

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Machine
    from poolsite.devnet.state.miner_rows import Miner
    from poolsite.devnet.state.tables import Draft


def balance_of(draft: Draft, miner_id: int) -> int:
    """Return the actor's whole balance."""
    actor = actor_get(draft, miner_id)
    return 0 if actor is None else actor.balance


def unlocked(miner: Miner, balance: int) -> int:
    """Balance that is neither vesting nor deposited nor pledged; debt is not subtracted."""
    return balance - miner.locked - miner.deposits - miner.pledge


def available(miner: Miner, balance: int) -> int:
    """Return what may be withdrawn; negative in debt."""
    return unlocked(miner, balance) - miner.debt


def debt_payable(draft: Draft, miner_id: int, miner: Miner) -> tuple[Miner, int]:
    """Return the miner with as much of its debt paid as can be, vesting funds first, and what that takes."""
    balance = balance_of(draft, miner_id)
    miner, from_vesting = vesting_unlock_early(miner, miner.debt)
    from_balance = max(0, min(unlocked(miner, balance) - from_vesting, miner.debt - from_vesting))
    paid = from_vesting + from_balance
    return replace(miner, debt=miner.debt - paid), paid


def debt_repay_partly(machine: Machine, miner_id: int, miner: Miner) -> Miner:
    """Pay debt out of vesting funds first, then of the free balance; what was paid is burnt."""
    if not miner.debt:
        return miner
    miner, paid = debt_payable(machine.draft, miner_id, miner)
    pay(machine, miner_id, BURNT, paid)
    return miner


def penalty_apply(machine: Machine, miner_id: int, miner: Miner, penalty: int) -> Miner:
    """Add a penalty to what is owed and pay at once what can be paid."""
    return debt_repay_partly(machine, miner_id, replace(miner, debt=miner.debt + penalty))


def debt_repay_wholly(machine: Machine, miner_id: int, miner: Miner) -> Miner:
    """Pay all debt out of the free balance.  Raises ActorError 19 if it does not suffice."""
    if not miner.debt:
        return miner
    free = unlocked(miner, balance_of(machine.draft, miner_id))
    if free < miner.debt:
        reason = "unlocked balance can not repay fee debt"
        raise insufficient(f"{reason}: {reason} ({fil(free)} < {fil(miner.debt)})")
    pay(machine, miner_id, BURNT, miner.debt)
    return replace(miner, debt=0)


def reward_add(machine: Machine, miner_id: int, miner: Miner, *, reward: int, penalty: int) -> Miner:
    """Record a block reward that has just arrived in the balance: three quarters of it vest."""
    now = machine.epoch
    miner = vesting_add(vesting_unlock(miner, now=now), locked_reward(reward), now=now)
    return penalty_apply(machine, miner_id, miner, penalty)
