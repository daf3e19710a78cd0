"""The data cap token actor f07.

Source: go-state-types builtin/v18/datacap/datacap_types.go; FRC-0046.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    TokenAmount,
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MintParams:
    """Make tokens."""

    to: Address
    """Receiver."""
    amount: TokenAmount
    """attoFIL, or units of the token."""
    operators: tuple[Address, ...]
    """Who may spend."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MintReturn:
    """Balances after minting."""

    balance: TokenAmount
    """attoFIL."""
    supply: TokenAmount
    """Total supply afterwards."""
    recipient_data: bytes
    """The receiver's answer."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DestroyParams:
    """Take tokens away."""

    owner: Address
    """The owner, who controls everything."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferParams:
    """Pass tokens on."""

    to: Address
    """Receiver."""
    amount: TokenAmount
    """attoFIL, or units of the token."""
    operator_data: bytes
    """Opaque bytes for the receiver."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferReturn:
    """Balances after a transfer."""

    from_balance: TokenAmount
    """Balance of the sender afterwards."""
    to_balance: TokenAmount
    """Balance of the receiver afterwards."""
    recipient_data: bytes
    """The receiver's answer."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferFromParams:
    """Pass another's tokens on."""

    from_: Address
    """Old address."""
    to: Address
    """Receiver."""
    amount: TokenAmount
    """attoFIL, or units of the token."""
    operator_data: bytes
    """Opaque bytes for the receiver."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferFromReturn:
    """Balances after a transfer."""

    from_balance: TokenAmount
    """Balance of the sender afterwards."""
    to_balance: TokenAmount
    """Balance of the receiver afterwards."""
    allowance: TokenAmount
    """Data cap, bytes."""
    recipient_data: bytes
    """The receiver's answer."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllowanceParams:
    """Change what an operator may spend."""

    operator: Address
    """Who may spend."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RevokeAllowanceParams:
    """Let an operator spend nothing."""

    operator: Address
    """Who may spend."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetAllowanceParams:
    """Ask what an operator may spend."""

    owner: Address
    """The owner, who controls everything."""
    operator: Address
    """Who may spend."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnParams:
    """Destroy own tokens."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnFromParams:
    """Destroy another's tokens."""

    owner: Address
    """The owner, who controls everything."""
    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnFromReturn:
    """What is left."""

    balance: TokenAmount
    """attoFIL."""
    allowance: TokenAmount
    """Data cap, bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class TokenAmountReturn:
    """An amount of tokens."""

    amount: TokenAmount
    """attoFIL, or units of the token."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class OwnerParams:
    """Whose balance."""

    address: Address
    """Who is notified."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class TextReturn:
    """A name."""

    name: str
    """Name."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GranularityReturn:
    """The smallest unit."""

    size: Uint64
    """Padded size in bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnReturn:
    """What is left."""

    balance: TokenAmount
    """attoFIL."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    NAME_EXPORTED = 48_890_204
    TRANSFER_EXPORTED = 80_475_954
    TOTAL_SUPPLY_EXPORTED = 114_981_429
    MINT_EXPORTED = 116_935_346
    BURN_EXPORTED = 1_434_719_642
    DECREASE_ALLOWANCE_EXPORTED = 1_529_376_545
    INCREASE_ALLOWANCE_EXPORTED = 1_777_121_560
    SYMBOL_EXPORTED = 2_061_153_854
    DESTROY_EXPORTED = 2_624_896_501
    REVOKE_ALLOWANCE_EXPORTED = 2_765_635_761
    BURN_FROM_EXPORTED = 2_979_674_018
    BALANCE_EXPORTED = 3_261_979_605
    TRANSFER_FROM_EXPORTED = 3_621_052_141
    GRANULARITY_EXPORTED = 3_936_767_397
    ALLOWANCE_EXPORTED = 4_205_072_950


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", OwnerParams),
    MethodSpec(Method.NAME_EXPORTED, "NameExported", None, TextReturn),
    MethodSpec(Method.TRANSFER_EXPORTED, "TransferExported", TransferParams, TransferReturn),
    MethodSpec(Method.TOTAL_SUPPLY_EXPORTED, "TotalSupplyExported", None, TokenAmountReturn),
    MethodSpec(Method.MINT_EXPORTED, "MintExported", MintParams, MintReturn),
    MethodSpec(Method.BURN_EXPORTED, "BurnExported", BurnParams, BurnReturn),
    MethodSpec(
        Method.DECREASE_ALLOWANCE_EXPORTED, "DecreaseAllowanceExported", AllowanceParams, TokenAmountReturn
    ),
    MethodSpec(
        Method.INCREASE_ALLOWANCE_EXPORTED, "IncreaseAllowanceExported", AllowanceParams, TokenAmountReturn
    ),
    MethodSpec(Method.SYMBOL_EXPORTED, "SymbolExported", None, TextReturn),
    MethodSpec(Method.DESTROY_EXPORTED, "DestroyExported", DestroyParams, BurnReturn),
    MethodSpec(
        Method.REVOKE_ALLOWANCE_EXPORTED,
        "RevokeAllowanceExported",
        RevokeAllowanceParams,
        TokenAmountReturn,
    ),
    MethodSpec(Method.BURN_FROM_EXPORTED, "BurnFromExported", BurnFromParams, BurnFromReturn),
    MethodSpec(Method.BALANCE_EXPORTED, "BalanceExported", OwnerParams, TokenAmountReturn),
    MethodSpec(Method.TRANSFER_FROM_EXPORTED, "TransferFromExported", TransferFromParams, TransferFromReturn),
    MethodSpec(Method.GRANULARITY_EXPORTED, "GranularityExported", None, GranularityReturn),
    MethodSpec(Method.ALLOWANCE_EXPORTED, "AllowanceExported", GetAllowanceParams, TokenAmountReturn),
)
"""What each method takes and returns."""
