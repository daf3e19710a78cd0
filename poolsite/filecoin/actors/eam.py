"""The Ethereum address manager f010: deploys EVM contracts at f4 addresses.

Source: go-state-types builtin/v18/eam/eam_types.go; builtin-actors actors/eam/src/lib.rs.
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
    """Deploy as the EVM's CREATE does; only contracts may call it."""

    initcode: bytes
    """EVM code that runs once and returns the contract's code."""
    nonce: Uint64
    """The calling contract's nonce, from which the address is hashed."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Create2Params:
    """Deploy as the EVM's CREATE2 does; only contracts may call it."""

    initcode: bytes
    """EVM code that runs once and returns the contract's code."""
    salt: bytes
    """32 bytes; with caller and initcode it gives the address."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class CreateExternalParams:
    """Deploy from an account; the address is hashed from the sender's address and nonce."""

    initcode: bytes
    """EVM code that runs once and returns the contract's code."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class CreateReturn:
    """The addresses of the new contract."""

    actor_id: Uint64
    """Number of the contract's f0 address."""
    robust_address: Address | None
    """f2 address; null where a self-destructed contract was brought back at its old address."""
    eth_address: bytes
    """20 bytes."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    CREATE = 2
    """By contracts: address by creator and nonce."""
    CREATE2 = 3
    """By contracts: address by creator, salt and code."""
    CREATE_EXTERNAL = 4
    """By whoever signed the message, an account."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor"),
    MethodSpec(Method.CREATE, "Create", CreateParams, CreateReturn),
    MethodSpec(Method.CREATE2, "Create2", Create2Params, CreateReturn),
    MethodSpec(Method.CREATE_EXTERNAL, "CreateExternal", CreateExternalParams, CreateReturn),
)
"""What each method takes and returns."""
