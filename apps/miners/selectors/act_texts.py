"""The inner message of a multisig's proposal in words: method, receiver, parameters and value."""

from __future__ import annotations

from typing import Any

from apps.core.marked_texts import gettext
from apps.messages.selectors.receivers import receiver_kinds
from apps.miners.selectors.address_messages import METHODS, act_describe
from apps.miners.selectors.miners import miners_of_addresses
from apps.miners.selectors.proposals import Act
from poolsite.filecoin.actors.decode import kind_by_params, method_name, params_display
from poolsite.filecoin.actors.method import params_read
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_control import WithdrawBalanceParams
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.message import METHOD_SEND

WITHDRAWALS = (Method.WITHDRAW_BALANCE, Method.WITHDRAW_BALANCE_EXPORTED)


def act_kind(act: Act) -> str:
    """Return the receiver's kind as far as rows or the parameters tell; empty where they do not."""
    if miners_of_addresses([act.to]):
        return "miner"
    return receiver_kinds([act.to]).get(act.to, "") or kind_by_params(act.method, act.params)


def act_method(act: Act) -> str:
    """Return the name of the method: `WithdrawBalance`; `Send` for a transfer."""
    return method_name(act_kind(act), act.method)


def act_params(act: Act) -> Any:
    """Return the parameters as named fields, else as plain CBOR or hexadecimal; None without any."""
    return params_display(act_kind(act), act.method, act.params)


def act_amount(act: Act) -> int | None:
    """Return what a withdrawal asks a miner to pay out, in attoFIL; None for another act."""
    if act_kind(act) != "miner" or act.method not in WITHDRAWALS:
        return None
    try:
        return int(params_read(WithdrawBalanceParams, act.params).amount_requested)
    except (BadCbor, ValueError):
        return None


def act_text(act: Act) -> str:
    """Return what happens once enough signers have approved, in one line."""
    value, amount = fil_format(act.value), act_amount(act)
    if act.method == METHOD_SEND:
        return gettext("transfer {value} to {to}").format(value=value, to=act.to)
    if amount is not None:
        return gettext("withdraw {amount} from {miner}").format(amount=fil_format(amount), miner=act.to)
    if act_kind(act) == "miner" and act.method in METHODS:
        return gettext("change {miner}: {says}").format(miner=act.to, says=act_describe(act))
    if act.value:
        return gettext("call {method} of {to} with {value}").format(
            method=act_method(act), to=act.to, value=value
        )
    return gettext("call {method} of {to}").format(method=act_method(act), to=act.to)
