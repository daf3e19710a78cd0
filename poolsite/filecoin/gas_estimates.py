"""Estimates of gas prices: fee caps, premiums, and what a replacement must pay.

Source: lotus node/impl/gasutils/gasutils.go, chain/messagepool; ref-fvm fvm/src/gas/price_list.rs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from poolsite.filecoin.address import BLS
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.gas import (
    BASE_FEE_MAX_CHANGE_DENOM,
    BLOCK_GAS_TARGET,
    MESSAGE_BASE_GAS,
    MESSAGE_BYTE_GAS,
    MESSAGE_OVERHEAD_BYTES,
    MIN_GAS_PREMIUM,
    REPLACE_BY_FEE_MIN_PERCENT,
)
from poolsite.filecoin.message import SignedMessage
from poolsite.filecoin.signature import Signature
from poolsite.filecoin.sigtypes import SECP256K1_SIGNATURE_LEN, SIG_BLS, SIG_SECP256K1

if TYPE_CHECKING:
    from poolsite.filecoin.message import Message


def inclusion_gas(chain_length: int) -> int:
    """Return the gas for including a message of `chain_length` bytes (SignedMessage.chain_length); exact.

    Source: price_list.rs on_chain_message.
    """
    return MESSAGE_BASE_GAS + MESSAGE_BYTE_GAS * (MESSAGE_OVERHEAD_BYTES + chain_length)


def unsigned_inclusion_gas(message: Message) -> int:
    """Return the gas for including a message that is still to be signed, by the kind of its sender's key."""
    kind = SIG_BLS if message.from_.protocol == BLS else SIG_SECP256K1
    signature = Signature(kind, bytes(SECP256K1_SIGNATURE_LEN))
    return inclusion_gas(SignedMessage(message, signature).chain_length)


def fee_cap_estimate(base_fee: int, premium: int, *, epochs: int) -> AttoFil:
    """Return a fee cap, attoFIL per gas, that covers a base fee rising by an eighth in each of `epochs`.

    An eighth is the most that it can rise in one.  Source: gasutils.go GasEstimateFeeCap.
    """
    # The factor is cut to 1/256 before it is applied, so that the result is lotus' to the attoFIL.
    rise = int((1 + 1 / BASE_FEE_MAX_CHANGE_DENOM) ** epochs * 256)
    return AttoFil(base_fee * rise // 256 + premium)


def premium_estimate(prices: Sequence[tuple[int, int]], *, blocks: int, epochs: int) -> AttoFil:
    """Return a premium that was enough lately, from (premium, gas limit) of the messages of `blocks` blocks.

    `epochs` is how soon inclusion is wanted.  Without lotus' random factor (deviation 0.5 %).  Source:
    gasutils.go GasEstimateGasPremium, medianGasPremium.
    """
    # 52.5 % of the gas target, counted from the highest premium: a little below the median.
    at = BLOCK_GAS_TARGET * blocks // 2 + BLOCK_GAS_TARGET * blocks // 40
    previous = premium = 0
    for price, gas_limit in sorted(prices, reverse=True):
        previous, premium = premium, price
        at -= gas_limit
        if at < 0:
            break
    # The mean of the premium there and the one above it, rounded down.
    if previous:
        premium = (premium + previous) // 2
    if premium < MIN_GAS_PREMIUM:
        premium = {1: 2 * MIN_GAS_PREMIUM, 2: 3 * MIN_GAS_PREMIUM // 2}.get(epochs, MIN_GAS_PREMIUM)
    return AttoFil(premium)


def fee_cap_limit(*, gas_limit: int, fee_cap: int, premium: int, max_fee: int) -> tuple[AttoFil, AttoFil]:
    """Return fee cap and premium, cut so that the whole gas limit costs at most `max_fee` attoFIL.

    The premium never exceeds the fee cap, which no block would include.  Source: lotus
    chain/messagepool/messagepool.go CapGasFee.
    """
    if gas_limit > 0 and fee_cap * gas_limit > max_fee:
        fee_cap = max_fee // gas_limit
    return AttoFil(fee_cap), AttoFil(min(premium, fee_cap))


def replacement_premium(premium: int, *, percent: int = REPLACE_BY_FEE_MIN_PERCENT) -> AttoFil:
    """Return the lowest premium that replaces a pending message of the same nonce, attoFIL per gas.

    `percent` of the old one, rounded down, plus 1: pools refuse an equal or smaller one, so that replacing
    costs something each time.  Source: lotus chain/messagepool/messagepool.go ComputeRBF.
    """
    return AttoFil(premium * percent // 100 + 1)
