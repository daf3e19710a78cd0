"""What something to be signed moves, and for whom.

Amounts that no chain takes are refused: sums of a day would shrink.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors import market, power
from poolsite.filecoin.actors.decode import ACTOR_METHODS, form_fits
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.multisig import Method, ProposeParams
from poolsite.filecoin.address import MARKET_ACTOR, POWER_ACTOR
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor
from workers.signer.errors import NotUnderstood

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import Message

MINER: Final = "miner"
WITHDRAW: Final = "WithdrawBalance"
"""So begin the methods' names that pay out, of miners and of the market."""
CREATIONS: Final = (power.Method.CREATE_MINER, power.Method.CREATE_MINER_EXPORTED)
DEPOSITS: Final = (market.Method.ADD_BALANCE, market.Method.ADD_BALANCE_EXPORTED)


def amounts_add(*amounts: int) -> int:
    """Add amounts up, each between nothing and all FIL, and so their sum.  Raises NotUnderstood."""
    total = sum(amounts)
    if min(amounts) < 0 or total > TOTAL_FILECOIN:
        raise NotUnderstood("an amount is below zero, or more than all FIL")
    return total


def gas_cost(message: Message, price: int) -> int:
    """Return what the gas can cost at a price in attoFIL per gas.  Raises NotUnderstood."""
    amounts_add(price)
    if message.gas_limit < 0:
        raise NotUnderstood("an amount of gas is below zero")
    return amounts_add(message.gas_limit * price)


def proposal_of(message: Message) -> ProposeParams | None:
    """Read the transfer that a message proposes to a multisig, if it may be one."""
    if message.method not in (Method.PROPOSE, Method.PROPOSE_EXPORTED):
        return None
    try:
        return params_read(ProposeParams, message.params)
    except BadCbor:
        return None


def withdrawal_of(message: Message, kinds: Iterable[str]) -> int:
    """Return what a message pays out of a miner's or an escrow's balance, if it may be such a one; else 0.

    The value of such a message is nothing: what it moves stands in its parameters.
    """
    largest = 0
    for kind in kinds:
        spec = ACTOR_METHODS[kind].get(message.method)
        if spec is None or not spec.name.startswith(WITHDRAW):
            continue
        for form in spec.forms:
            if form.params is not None and form_fits(form, message.params):
                params = from_cbor(form.params, message.params)
                amount = params.amount_requested if kind == MINER else params.amount
                largest = max(largest, amounts_add(amount))
    return largest


def payee_of(message: Message) -> Address | None:
    """Return whom the value is for, if the parameters say so: a new miner's owner, or an escrow's.

    Raises BadCbor.
    """
    if message.to == POWER_ACTOR and message.method in CREATIONS:
        return params_read(power.CreateMinerParams, message.params).owner
    if message.to == MARKET_ACTOR and message.method in DEPOSITS:
        return params_read(market.AddBalanceParams, message.params).address
    return None


def proposal_text(proposal: ProposeParams) -> str:
    """Return what a proposal would do."""
    return f"{fil_format(proposal.value)} to {proposal.to} by method {proposal.method}"
