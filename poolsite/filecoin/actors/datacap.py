"""The data cap token actor f07.

Source: go-state-types builtin/v18/datacap/datacap_types.go; FRC-0046.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, AMOUNT, BYTES, TEXT, UINT64, Field, Struct, list_of

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class MintParams:
    """Make tokens."""

    to: Address
    """Receiver."""
    amount: int
    """attoFIL, or units of the token."""
    operators: tuple[Address, ...]
    """Who may spend."""


MINT_PARAMS: Final = Struct(
    MintParams,
    Field("to", "To", ADDRESS),
    Field("amount", "Amount", AMOUNT),
    Field("operators", "Operators", list_of(ADDRESS)),
)


@dataclass(frozen=True, slots=True)
class MintReturn:
    """Balances after minting."""

    balance: int
    """attoFIL."""
    supply: int
    """Total supply afterwards."""
    recipient_data: bytes
    """The receiver's answer."""


MINT_RETURN: Final = Struct(
    MintReturn,
    Field("balance", "Balance", AMOUNT),
    Field("supply", "Supply", AMOUNT),
    Field("recipient_data", "RecipientData", BYTES),
)


@dataclass(frozen=True, slots=True)
class DestroyParams:
    """Take tokens away."""

    owner: Address
    """The owner, who controls everything."""
    amount: int
    """attoFIL, or units of the token."""


DESTROY_PARAMS: Final = Struct(
    DestroyParams,
    Field("owner", "Owner", ADDRESS),
    Field("amount", "Amount", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class TransferParams:
    """Pass tokens on."""

    to: Address
    """Receiver."""
    amount: int
    """attoFIL, or units of the token."""
    operator_data: bytes
    """Opaque bytes for the receiver."""


TRANSFER_PARAMS: Final = Struct(
    TransferParams,
    Field("to", "To", ADDRESS),
    Field("amount", "Amount", AMOUNT),
    Field("operator_data", "OperatorData", BYTES),
)


@dataclass(frozen=True, slots=True)
class TransferReturn:
    """Balances after a transfer."""

    from_balance: int
    """Balance of the sender afterwards."""
    to_balance: int
    """Balance of the receiver afterwards."""
    recipient_data: bytes
    """The receiver's answer."""


TRANSFER_RETURN: Final = Struct(
    TransferReturn,
    Field("from_balance", "FromBalance", AMOUNT),
    Field("to_balance", "ToBalance", AMOUNT),
    Field("recipient_data", "RecipientData", BYTES),
)


@dataclass(frozen=True, slots=True)
class TransferFromParams:
    """Pass another's tokens on."""

    from_: Address
    """Old address."""
    to: Address
    """Receiver."""
    amount: int
    """attoFIL, or units of the token."""
    operator_data: bytes
    """Opaque bytes for the receiver."""


TRANSFER_FROM_PARAMS: Final = Struct(
    TransferFromParams,
    Field("from_", "From", ADDRESS),
    Field("to", "To", ADDRESS),
    Field("amount", "Amount", AMOUNT),
    Field("operator_data", "OperatorData", BYTES),
)


@dataclass(frozen=True, slots=True)
class TransferFromReturn:
    """Balances after a transfer."""

    from_balance: int
    """Balance of the sender afterwards."""
    to_balance: int
    """Balance of the receiver afterwards."""
    allowance: int
    """Data cap, bytes."""
    recipient_data: bytes
    """The receiver's answer."""


TRANSFER_FROM_RETURN: Final = Struct(
    TransferFromReturn,
    Field("from_balance", "FromBalance", AMOUNT),
    Field("to_balance", "ToBalance", AMOUNT),
    Field("allowance", "Allowance", AMOUNT),
    Field("recipient_data", "RecipientData", BYTES),
)


@dataclass(frozen=True, slots=True)
class AllowanceParams:
    """Change what an operator may spend."""

    operator: Address
    """Who may spend."""
    amount: int
    """attoFIL, or units of the token."""


ALLOWANCE_PARAMS: Final = Struct(
    AllowanceParams,
    Field("operator", "Operator", ADDRESS),
    Field("amount", "Amount", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class RevokeAllowanceParams:
    """Let an operator spend nothing."""

    operator: Address
    """Who may spend."""


REVOKE_ALLOWANCE_PARAMS: Final = Struct(
    RevokeAllowanceParams,
    Field("operator", "Operator", ADDRESS),
)


@dataclass(frozen=True, slots=True)
class GetAllowanceParams:
    """Ask what an operator may spend."""

    owner: Address
    """The owner, who controls everything."""
    operator: Address
    """Who may spend."""


GET_ALLOWANCE_PARAMS: Final = Struct(
    GetAllowanceParams,
    Field("owner", "Owner", ADDRESS),
    Field("operator", "Operator", ADDRESS),
)


@dataclass(frozen=True, slots=True)
class BurnParams:
    """Destroy own tokens."""

    amount: int
    """attoFIL, or units of the token."""


BURN_PARAMS: Final = Struct(
    BurnParams,
    Field("amount", "Amount", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class BurnFromParams:
    """Destroy another's tokens."""

    owner: Address
    """The owner, who controls everything."""
    amount: int
    """attoFIL, or units of the token."""


BURN_FROM_PARAMS: Final = Struct(
    BurnFromParams,
    Field("owner", "Owner", ADDRESS),
    Field("amount", "Amount", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class BurnFromReturn:
    """What is left."""

    balance: int
    """attoFIL."""
    allowance: int
    """Data cap, bytes."""


BURN_FROM_RETURN: Final = Struct(
    BurnFromReturn,
    Field("balance", "Balance", AMOUNT),
    Field("allowance", "Allowance", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class TokenAmountReturn:
    """An amount of tokens."""

    amount: int
    """attoFIL, or units of the token."""


TOKEN_AMOUNT_RETURN: Final = Struct(
    TokenAmountReturn,
    Field("amount", "Amount", AMOUNT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class OwnerParams:
    """Whose balance."""

    address: Address
    """Who is notified."""


OWNER_PARAMS: Final = Struct(
    OwnerParams,
    Field("address", "Address", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class TextReturn:
    """A name."""

    name: str
    """Name."""


TEXT_RETURN: Final = Struct(
    TextReturn,
    Field("name", "Name", TEXT),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GranularityReturn:
    """The smallest unit."""

    size: int
    """Padded size in bytes."""


GRANULARITY_RETURN: Final = Struct(
    GranularityReturn,
    Field("size", "Size", UINT64),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class BurnReturn:
    """What is left."""

    balance: int
    """attoFIL."""


BURN_RETURN: Final = Struct(
    BurnReturn,
    Field("balance", "Balance", AMOUNT),
)


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
    MethodSpec(Method.CONSTRUCTOR, "Constructor", OWNER_PARAMS),
    MethodSpec(Method.NAME_EXPORTED, "NameExported", None, TEXT_RETURN),
    MethodSpec(Method.TRANSFER_EXPORTED, "TransferExported", TRANSFER_PARAMS, TRANSFER_RETURN),
    MethodSpec(Method.TOTAL_SUPPLY_EXPORTED, "TotalSupplyExported", None, TOKEN_AMOUNT_RETURN),
    MethodSpec(Method.MINT_EXPORTED, "MintExported", MINT_PARAMS, MINT_RETURN),
    MethodSpec(Method.BURN_EXPORTED, "BurnExported", BURN_PARAMS, BURN_RETURN),
    MethodSpec(
        Method.DECREASE_ALLOWANCE_EXPORTED, "DecreaseAllowanceExported", ALLOWANCE_PARAMS, TOKEN_AMOUNT_RETURN
    ),
    MethodSpec(
        Method.INCREASE_ALLOWANCE_EXPORTED, "IncreaseAllowanceExported", ALLOWANCE_PARAMS, TOKEN_AMOUNT_RETURN
    ),
    MethodSpec(Method.SYMBOL_EXPORTED, "SymbolExported", None, TEXT_RETURN),
    MethodSpec(Method.DESTROY_EXPORTED, "DestroyExported", DESTROY_PARAMS, BURN_RETURN),
    MethodSpec(
        Method.REVOKE_ALLOWANCE_EXPORTED,
        "RevokeAllowanceExported",
        REVOKE_ALLOWANCE_PARAMS,
        TOKEN_AMOUNT_RETURN,
    ),
    MethodSpec(Method.BURN_FROM_EXPORTED, "BurnFromExported", BURN_FROM_PARAMS, BURN_FROM_RETURN),
    MethodSpec(Method.BALANCE_EXPORTED, "BalanceExported", OWNER_PARAMS, TOKEN_AMOUNT_RETURN),
    MethodSpec(
        Method.TRANSFER_FROM_EXPORTED, "TransferFromExported", TRANSFER_FROM_PARAMS, TRANSFER_FROM_RETURN
    ),
    MethodSpec(Method.GRANULARITY_EXPORTED, "GranularityExported", None, GRANULARITY_RETURN),
    MethodSpec(Method.ALLOWANCE_EXPORTED, "AllowanceExported", GET_ALLOWANCE_PARAMS, TOKEN_AMOUNT_RETURN),
)
"""What each method takes and returns."""
