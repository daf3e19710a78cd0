"""What transactions cost, and what they would do: prices, their history, estimates, calls.

Source: lotus node/impl/eth/gas.go; ethtypes.EthCall.ToFilecoinMessage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from poolsite.devnet.estimation import ExecutionFailed, Spec, UnknownSender
from poolsite.devnet.rpc import params as p
from poolsite.devnet.rpc.errors import EXECUTION_REVERTED
from poolsite.devnet.rpc.eth import readers
from poolsite.devnet.rpc.eth.blocks import by_number, named
from poolsite.filecoin.actors.exitcodes import exit_code_name
from poolsite.filecoin.address import (
    DELEGATED,
    EAM_ACTOR,
    EAM_NAMESPACE,
    ETH_ADDRESS_LEN,
    delegated_address,
    eth_address,
)
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.cbor import BadCbor, bytes_read, bytes_write
from poolsite.filecoin.ethereum import METHOD_CREATE_EXTERNAL, METHOD_INVOKE_EVM
from poolsite.filecoin.gas import BLOCK_GAS_LIMIT, effective_premium
from poolsite.filecoin.message import Message
from poolsite.wire.jsonrpc.messages import RpcError
from poolsite.wire.jsonrpc.parameters import BadParam

if TYPE_CHECKING:
    from poolsite.devnet.execution import Applied
    from poolsite.devnet.node import Devnet
    from poolsite.devnet.rpc.eth.readers import BlockName, EthCall
    from poolsite.filecoin.tipset import Tipset

PREMIUM_BLOCKS: Final = 1
"""Within so many blocks a message of the usual premium lands."""
MIN_PREMIUM: Final = 100_000
"""What an empty block's history shows.  Source: lotus gasutils.MinGasPremium."""
MAX_HISTORY: Final = 1024
MAX_PERCENTILES: Final = 100
NULL_NAME: Final = bytes(ETH_ADDRESS_LEN)
"""Who calls if nobody is named."""
NO_REASON: Final = "ERROR: revert reason is not cbor encoded bytes"


def max_priority_fee(node: Devnet) -> Any:
    return hex(node.estimator.premium(PREMIUM_BLOCKS, node.head.tipset))


def gas_price(node: Devnet) -> Any:
    """Return what a message pays per gas at least: the base fee and a usual premium."""
    return hex(node.head.tipset.parent_base_fee + node.estimator.premium(PREMIUM_BLOCKS, node.head.tipset))


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What eth_feeHistory is asked for."""

    count: int
    newest: str
    percentiles: tuple[float, ...] | None


def _request_read(params: list[Any]) -> HistoryRequest:
    """Raise RpcError."""
    if not 2 <= len(params) <= 3:
        raise RpcError(f"decoding params: expected 2 or 3 params, got {len(params)}")
    try:
        percentiles = None
        if len(params) == 3 and params[2] is not None:
            percentiles = tuple(p.list_param(p.FLOAT).decode(params[2]))
        request = HistoryRequest(readers.uint_read(params[0]), p.TEXT.decode(params[1]), percentiles)
    except BadParam as error:
        raise RpcError(f"decoding params: {error}") from None
    if request.count > MAX_HISTORY:
        raise RpcError("block count should be smaller than 1024")
    if len(request.percentiles or ()) > MAX_PERCENTILES:
        raise RpcError("length of the reward percentile array cannot be greater than 100")
    last = 0.0
    for percentile in request.percentiles or ():
        if not 0 <= percentile <= 100:
            raise RpcError(f"invalid reward percentile: {percentile:f} should be between 0 and 100")
        if percentile < last:
            raise RpcError(f"invalid reward percentile: {percentile:f} should be larger than {last:f}")
        last = percentile
    return request


def fee_history(node: Devnet, params: list[Any]) -> Any:
    """Return base fees, use and premiums of some blocks, oldest first."""
    request = _request_read(params)
    newest = by_number(node, request.newest, is_strict=False)
    fees, oldest = [newest.parent_base_fee], 1
    ratios: list[float] = []
    rewards: list[list[str]] = []
    for tipset in node.chain.ancestors(newest):
        if len(ratios) == request.count or tipset.height == 0:
            break
        prices = _prices_paid(node, tipset)
        used = sum(gas for _, gas in prices)
        fees.append(tipset.parent_base_fee)
        ratios.append(used / (BLOCK_GAS_LIMIT * len(tipset.blocks)))
        rewards.append([hex(reward) for reward in _rewards(prices, request.percentiles or ())])
        oldest = tipset.height
    history: dict[str, Any] = {
        "oldestBlock": hex(oldest),
        "baseFeePerGas": [hex(fee) for fee in reversed(fees)],
        "gasUsedRatio": ratios[::-1],
    }
    if request.percentiles is not None:
        history["reward"] = rewards[::-1]
    return history


def _prices_paid(node: Devnet, tipset: Tipset) -> list[tuple[int, int]]:
    """(effective premium, gas used) of each message, the cheapest first."""
    messages = [signed.message for part in node.chain.tipset_messages(tipset) for _, signed in part]
    receipts = node.chain.receipts(tipset.key)
    paid = [
        (
            effective_premium(
                base_fee=tipset.parent_base_fee, fee_cap=message.gas_fee_cap, premium=message.gas_premium
            ),
            receipt.gas_used,
        )
        for message, receipt in zip(messages, receipts, strict=True)
    ]
    return sorted(paid, key=lambda price: price[0])


def _rewards(prices: Sequence[tuple[int, int]], percentiles: Sequence[float]) -> list[int]:
    """Return the premium at each percentile of the gas that was used."""
    if not prices:
        return [MIN_PREMIUM] * len(percentiles)
    used = sum(gas for _, gas in prices)
    rewards, at, counted = [], 0, 0
    for percentile in percentiles:
        threshold = int(used * percentile / 100)
        while counted < threshold and at < len(prices) - 1:
            counted += prices[at][1]
            at += 1
        rewards.append(prices[at][0])
    return rewards


def call_message(call: EthCall) -> Message:
    """Return the message that a call stands for.  Raises RpcError."""
    if call.sender is None or call.sender == NULL_NAME:
        sender = delegated_address(EAM_NAMESPACE, NULL_NAME)
    else:
        sender = eth_address(call.sender)
        if sender.protocol != DELEGATED:
            raise RpcError(f"expected a class 4 address, got: {sender.protocol}")
    return Message(
        to=EAM_ACTOR if call.to is None else eth_address(call.to),
        from_=sender,
        value=AttoFil(call.value),
        method=METHOD_CREATE_EXTERNAL if call.to is None else METHOD_INVOKE_EVM,
        params=bytes_write(call.data) if call.data else b"",
    )


def _applied(node: Devnet, message: Message, tipset: Tipset) -> Applied:
    """Run a call on the state after a tipset.  Raises RpcError."""
    try:
        applied = node.estimator.call(message, tipset)
    except UnknownSender:
        sender = message.from_
        reason = f"resolution lookup failed ({sender}): resolve address {sender}: actor not found"
        raise RpcError(f"ApplyWithGasOnState failed: call raw get actor: {reason}") from None
    code = applied.receipt.exit_code
    if code:
        # lotus gives the two reasons in the other's place.
        raise RpcError(
            f"message execution failed (exit=[{exit_code_name(code)}], revert reason=[{applied.error}], "
            f"vm error=[{NO_REASON}])",
            code=EXECUTION_REVERTED,
            data="0x",
        )
    return applied


def eth_call(node: Devnet, call: EthCall, block: BlockName) -> Any:
    """Return what a call returns: nothing, since only contracts return bytes."""
    try:
        message = call_message(call)
    except RpcError as error:
        raise RpcError(f"failed to convert ethcall to filecoin message: {error.message}") from None
    applied = _applied(node, message, named(node, block))
    returned = applied.receipt.return_
    if message.to == EAM_ACTOR or not returned:
        return "0x"
    try:
        return "0x" + bytes_read(returned, 0)[0].hex()
    except BadCbor as error:
        raise RpcError(str(error)) from None


def estimate_gas(node: Devnet, params: list[Any]) -> Any:
    """Return a gas limit with which the transaction would go through."""
    if not 1 <= len(params) <= 2:
        raise RpcError(f"decoding params: expected 1 or 2 params, got {len(params)}")
    try:
        call = readers.call_read(params[0])
        block = readers.block_name_read(params[1]) if len(params) == 2 and params[1] is not None else None
    except BadParam as error:
        raise RpcError(f"decoding params: {error}") from None
    message = call_message(call)
    tipset = node.head.tipset if block is None else named(node, block)
    try:
        return hex(node.estimator.message_gas(message, Spec(), node.head.tipset).gas_limit)
    except (ExecutionFailed, UnknownSender) as error:
        try:
            _applied(node, message, tipset)
        except RpcError as refusal:
            if refusal.code == EXECUTION_REVERTED:
                raise
            raise RpcError(f"failed to estimate gas: {refusal.message}") from None
        raise RpcError(f"failed to estimate gas: {error}") from None
