"""WithdrawBalance and RepayDebt.

Source: builtin-actors actors/miner/src/lib.rs withdraw_balance, repay_debt.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poolsite.devnet.actors.actor_errors import bad_argument, fil, forbidden
from poolsite.devnet.actors.frames import pay
from poolsite.devnet.actors.miner.funds import available, debt_repay_partly, debt_repay_wholly
from poolsite.devnet.actors.miner.state_editor import MinerStateEditor, editor_open
from poolsite.devnet.actors.vesting import vesting_unlock
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams, WithdrawBalanceReturn
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.gas_model import FAIL_STATE

if TYPE_CHECKING:
    from poolsite.devnet.actors.call import Call


def withdraw_balance(call: Call) -> bytes:
    """Handle WithdrawBalance: pays the beneficiary what is free, at most what was asked."""
    requested = call.read(WithdrawBalanceParams).amount_requested
    if requested < 0:
        raise bad_argument(f"negative fund requested for withdrawal: {fil(requested)}")
    editor = MinerStateEditor(call.machine, call.receiver)
    miner = editor.miner
    call.require_caller((miner.owner, miner.beneficiary))
    call.charge_to(FAIL_STATE)
    miner = vesting_unlock(miner, now=call.epoch)
    miner = debt_repay_wholly(call.machine, editor.id, miner)
    amount = min(max(available(miner, editor.balance), 0), requested)
    if miner.beneficiary != miner.owner:
        term = miner.term
        available_quota = term.quota - term.used if term.expiration > call.epoch else 0
        if available_quota <= 0:
            quota, used = fil(term.quota), fil(term.used)
            raise forbidden(
                f"beneficiary expiration of epoch {term.expiration} passed or quota of {quota} "
                f"depleted with {used} used"
            )
        amount = min(amount, available_quota)
        miner = replace(miner, term=replace(term, used=term.used + amount))
    editor.save(miner)
    pay(call.machine, editor.id, miner.beneficiary, amount)
    return to_cbor(WithdrawBalanceReturn(amount))


def repay_debt(call: Call) -> bytes:
    """Handle RepayDebt: pays what can be paid; without funds it succeeds without effect."""
    editor = editor_open(call)
    editor.save(debt_repay_partly(call.machine, editor.id, vesting_unlock(editor.miner, now=call.epoch)))
    return b""
