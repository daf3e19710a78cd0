"""The Ethereum address manager f010: deploys contracts.

Source: go-state-types builtin/v18/eam/eam_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import (
    Uint64,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateParams:
    """Deploy at an address from a nonce."""

    initcode: bytes
    """EVM code that makes the contract."""
    nonce: Uint64
    """Number of the creation."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Create2Params:
    """Deploy at an address from a salt."""

    initcode: bytes
    """EVM code that makes the contract."""
    salt: bytes
    """32 bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class CreateExternalParams:
    """Deploy for a sender outside the EVM."""

    initcode: bytes
    """EVM code that makes the contract."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateReturn:
    """The new contract's addresses."""

    actor_id: Uint64
    """Number of the actor."""
    robust_address: Address | None
    """The new actor's f2 address."""
    eth_address: bytes
    """20 bytes."""


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
    MethodSpec(Method.CREATE, "Create", CreateParams, CreateReturn),
    MethodSpec(Method.CREATE2, "Create2", Create2Params, CreateReturn),
    MethodSpec(Method.CREATE_EXTERNAL, "CreateExternal", CreateExternalParams, CreateReturn),
)
"""What each method takes and returns."""
