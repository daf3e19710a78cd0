"""EVM contracts.

Source: go-state-types builtin/v18/evm/evm_types.go; builtin-actors actors/evm/src/{types,lib}.rs.
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
    """Set up a contract: for the init actor, or for the address manager that brings a dead one back."""

    creator: bytes
    """Ethereum address, 20 bytes."""
    initcode: bytes
    """EVM code that runs once and returns the contract's code."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class CallData:
    """Bytes passed to a contract or returned by it; GetBytecodeHash and GetStorageAt return 32."""

    payload: bytes
    """Usually Solidity ABI: four bytes of selector, then words of 32 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class GetStorageAtParams:
    """Read one storage slot; only the system actor may, for calls off chain."""

    storage_key: bytes
    """32 bytes."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class DelegateCallParams:
    """Run other code in the contract's own context (DELEGATECALL); only the contract calls itself so."""

    code: Cid
    """CID of the code to run."""
    input: bytes
    """Call data."""
    caller: bytes
    """Ethereum address of the original caller, 20 bytes."""
    value: TokenAmount
    """Value of the original call, attoFIL."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class GetBytecodeReturn:
    """CID of a contract's code."""

    cid: Annotated[Cid | None, JsonName("Cid")]
    """Null once the contract has destroyed itself."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the init actor."""
    RESURRECT = 2
    """By the Ethereum address manager, in the place of a contract that destroyed itself."""
    GET_BYTECODE = 3
    """By anyone: CID of the code; none once it destroyed itself."""
    GET_BYTECODE_HASH = 4
    """By anyone: keccak-256 of the code."""
    GET_STORAGE_AT = 5
    """By the system actor, thus by nodes alone."""
    INVOKE_CONTRACT_DELEGATE = 6
    """By the contract itself: runs code of another on its own storage."""
    INVOKE_CONTRACT = 3_844_450_837
    """By anyone: FRC-42 hash of InvokeEVM."""


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
