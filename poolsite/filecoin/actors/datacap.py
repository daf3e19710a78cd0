"""The data cap actor f07: a token of FRC-0046 of which one whole unit, 10^18, is a byte of data cap.

Its governor, the verified registry f06, alone mints and destroys; transfers must come from the governor or go
to it.  Source: go-state-types builtin/v18/datacap/datacap_types.go; builtin-actors
actors/datacap/src/{types,lib}.rs; FRC-0046.
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
    """Credit new data cap to a client; only the governor may."""

    to: Address
    """The client that is credited."""
    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""
    operators: tuple[Address, ...]
    """Accounts that get a practically unlimited allowance on the client's data cap (the market actor)."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class MintReturn:
    """Balances after minting, 10^-18 bytes."""

    balance: TokenAmount
    """The client's."""
    supply: TokenAmount
    """All data cap that exists."""
    recipient_data: bytes
    """What the client's receiver hook returned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DestroyParams:
    """Remove data cap from a holder, without allowance; only the governor may."""

    owner: Address
    """The holder whose balance is reduced."""
    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferParams:
    """Move the caller's data cap, as a client does to make allocations."""

    to: Address
    """The verified registry, unless that is the caller."""
    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""
    operator_data: bytes
    """For the receiver's hook: AllocationRequests in CBOR for the verified registry."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferReturn:
    """Balances after a transfer, 10^-18 bytes."""

    from_balance: TokenAmount
    """The caller's."""
    to_balance: TokenAmount
    """The receiver's."""
    recipient_data: bytes
    """What the receiver's hook returned: AllocationsResponse in CBOR from the verified registry."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferFromParams:
    """Move another holder's data cap within the caller's allowance; only to the verified registry."""

    from_: Address
    """The holder whose balance is reduced."""
    to: Address
    """The verified registry."""
    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""
    operator_data: bytes
    """For the receiver's hook: AllocationRequests in CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class TransferFromReturn:
    """Balances after TransferFrom, 10^-18 bytes."""

    from_balance: TokenAmount
    """The holder's."""
    to_balance: TokenAmount
    """The receiver's."""
    allowance: TokenAmount
    """What the caller may still move of the holder's."""
    recipient_data: bytes
    """What the receiver's hook returned."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AllowanceParams:
    """Raise or lower what an operator may move or burn of the caller's data cap."""

    operator: Address
    """The account whose allowance changes."""
    amount: TokenAmount
    """Difference in 10^-18 bytes, not negative; a decrease stops at 0."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class RevokeAllowanceParams:
    """Set an operator's allowance on the caller's data cap to 0."""

    operator: Address
    """The account whose allowance ends."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetAllowanceParams:
    """Query an operator's allowance on a holder's data cap."""

    owner: Address
    """The holder."""
    operator: Address
    """The account that may spend."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnParams:
    """Destroy data cap of the caller."""

    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnFromParams:
    """Destroy data cap of another holder within the caller's allowance."""

    owner: Address
    """The holder whose balance is reduced."""
    amount: TokenAmount
    """10^-18 bytes, a multiple of 10^18."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnFromReturn:
    """What is left after BurnFrom, 10^-18 bytes."""

    balance: TokenAmount
    """The holder's balance."""
    allowance: TokenAmount
    """What the caller may still spend of it."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class TokenAmountReturn:
    """One amount: supply, balance or allowance, by method."""

    amount: TokenAmount
    """10^-18 bytes; RevokeAllowance returns the allowance before."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class OwnerParams:
    """The holder whose balance is asked for; in the constructor, the governor."""

    address: Address
    """The holder, in any form; the constructor's governor is the verified registry."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class TextReturn:
    """The token's name or symbol, by method."""

    name: str
    """For Name "DataCap", for Symbol "DCAP"."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GranularityReturn:
    """The amount of which all balances, transfers and burns are multiples."""

    size: Uint64
    """10^18: one byte."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class BurnReturn:
    """What is left after Burn or Destroy."""

    balance: TokenAmount
    """The holder's, 10^-18 bytes."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer of FIL."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    NAME_EXPORTED = 48_890_204
    """By anyone: DataCap."""
    TRANSFER_EXPORTED = 80_475_954
    """By the holder, to the registry f06 alone; or by the registry, to anyone."""
    TOTAL_SUPPLY_EXPORTED = 114_981_429
    """By anyone, bytes with 18 decimals."""
    MINT_EXPORTED = 116_935_346
    """By the registry, for a client that a verifier grants data cap."""
    BURN_EXPORTED = 1_434_719_642
    """By the holder, of its own."""
    DECREASE_ALLOWANCE_EXPORTED = 1_529_376_545
    """By the holder: what an operator may spend of its own becomes less."""
    INCREASE_ALLOWANCE_EXPORTED = 1_777_121_560
    """By the holder: an operator may spend more of its own."""
    SYMBOL_EXPORTED = 2_061_153_854
    """By anyone: DCAP."""
    DESTROY_EXPORTED = 2_624_896_501
    """By the registry, of any holder's."""
    REVOKE_ALLOWANCE_EXPORTED = 2_765_635_761
    """By the holder: an operator may spend nothing any more."""
    BURN_FROM_EXPORTED = 2_979_674_018
    """By an operator, within its allowance."""
    BALANCE_EXPORTED = 3_261_979_605
    """By anyone: data cap of a holder, bytes with 18 decimals."""
    TRANSFER_FROM_EXPORTED = 3_621_052_141
    """By an operator, within its allowance, to the registry alone."""
    GRANULARITY_EXPORTED = 3_936_767_397
    """By anyone: amounts are multiples of this, a whole byte."""
    ALLOWANCE_EXPORTED = 4_205_072_950
    """By anyone: what an operator may spend of a holder's."""


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
