"""EVM contracts.

Source: go-state-types builtin/v18/evm/evm_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import (
    JsonName,
    TokenAmount,
    cbor_transparent,
    cbor_tuple,
)


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a contract (only the init actor)."""

    creator: bytes
    """20 bytes of its creator."""
    initcode: bytes
    """EVM code that makes the contract."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class CallData:
    """The input or output of a contract call."""

    payload: bytes
    """Opaque bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetStorageAtParams:
    """Ask for a storage slot."""

    storage_key: bytes
    """32 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DelegateCallParams:
    """Run another contract's code as one's own (only the contract itself)."""

    code: Cid
    """The code."""
    input: bytes
    """Call data."""
    caller: bytes
    """20 bytes of the caller."""
    value: TokenAmount
    """attoFIL."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetBytecodeReturn:
    """A contract's code."""

    cid: Annotated[Cid | None, JsonName("Cid")]
    """Its CID; null for none."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    RESURRECT = 2
    GET_BYTECODE = 3
    GET_BYTECODE_HASH = 4
    GET_STORAGE_AT = 5
    INVOKE_CONTRACT_DELEGATE = 6
    INVOKE_CONTRACT = 3_844_450_837


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.RESURRECT, "Resurrect", ConstructorParams),
    MethodSpec(Method.GET_BYTECODE, "GetBytecode", None, GetBytecodeReturn),
    MethodSpec(Method.GET_BYTECODE_HASH, "GetBytecodeHash", None, CallData),
    MethodSpec(Method.GET_STORAGE_AT, "GetStorageAt", GetStorageAtParams, CallData),
    MethodSpec(Method.INVOKE_CONTRACT_DELEGATE, "InvokeContractDelegate", DelegateCallParams, CallData),
    MethodSpec(Method.INVOKE_CONTRACT, "InvokeContract", CallData, CallData),
)
"""What each method takes and returns."""
