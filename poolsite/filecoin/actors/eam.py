"""The Ethereum address manager f010: deploys contracts.

Source: go-state-types builtin/v18/eam/eam_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, BYTES, UINT64, Field, Struct, nullable

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class CreateParams:
    """Deploy at an address from a nonce."""

    initcode: bytes
    """EVM code that makes the contract."""
    nonce: int
    """Number of the creation."""


CREATE_PARAMS: Final = Struct(
    CreateParams,
    Field("initcode", "Initcode", BYTES),
    Field("nonce", "Nonce", UINT64),
)


@dataclass(frozen=True, slots=True)
class Create2Params:
    """Deploy at an address from a salt."""

    initcode: bytes
    """EVM code that makes the contract."""
    salt: bytes
    """32 bytes."""


CREATE2_PARAMS: Final = Struct(
    Create2Params,
    Field("initcode", "Initcode", BYTES),
    Field("salt", "Salt", BYTES),
)


@dataclass(frozen=True, slots=True)
class CreateExternalParams:
    """Deploy for a sender outside the EVM."""

    initcode: bytes
    """EVM code that makes the contract."""


CREATE_EXTERNAL_PARAMS: Final = Struct(
    CreateExternalParams,
    Field("initcode", "Initcode", BYTES),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class CreateReturn:
    """The new contract's addresses."""

    actor_id: int
    """Number of the actor."""
    robust_address: Address | None
    """The new actor's f2 address."""
    eth_address: bytes
    """20 bytes."""


CREATE_RETURN: Final = Struct(
    CreateReturn,
    Field("actor_id", "ActorID", UINT64),
    Field("robust_address", "RobustAddress", nullable(ADDRESS)),
    Field("eth_address", "EthAddress", BYTES),
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    CREATE = 2
    CREATE2 = 3
    CREATE_EXTERNAL = 4


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor"),
    MethodSpec(Method.CREATE, "Create", CREATE_PARAMS, CREATE_RETURN),
    MethodSpec(Method.CREATE2, "Create2", CREATE2_PARAMS, CREATE_RETURN),
    MethodSpec(Method.CREATE_EXTERNAL, "CreateExternal", CREATE_EXTERNAL_PARAMS, CREATE_RETURN),
)
"""What each method takes and returns."""
