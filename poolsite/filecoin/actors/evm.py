"""EVM contracts.

Source: go-state-types builtin/v18/evm/evm_types.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import AMOUNT, BYTES, CID, Field, Struct, nullable

if TYPE_CHECKING:
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make a contract (only the init actor)."""

    creator: bytes
    """20 bytes of its creator."""
    initcode: bytes
    """EVM code that makes the contract."""


CONSTRUCTOR_PARAMS: Final = Struct(
    ConstructorParams,
    Field("creator", "Creator", BYTES),
    Field("initcode", "Initcode", BYTES),
)


@dataclass(frozen=True, slots=True)
class CallData:
    """The input or output of a contract call."""

    payload: bytes
    """Opaque bytes."""


CALL_DATA: Final = Struct(
    CallData,
    Field("payload", "Payload", BYTES),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class GetStorageAtParams:
    """Ask for a storage slot."""

    storage_key: bytes
    """32 bytes."""


GET_STORAGE_AT_PARAMS: Final = Struct(
    GetStorageAtParams,
    Field("storage_key", "StorageKey", BYTES),
)


@dataclass(frozen=True, slots=True)
class DelegateCallParams:
    """Run another contract's code as one's own (only the contract itself)."""

    code: Cid
    """The code."""
    input: bytes
    """Call data."""
    caller: bytes
    """20 bytes of the caller."""
    value: int
    """attoFIL."""


DELEGATE_CALL_PARAMS: Final = Struct(
    DelegateCallParams,
    Field("code", "Code", CID),
    Field("input", "Input", BYTES),
    Field("caller", "Caller", BYTES),
    Field("value", "Value", AMOUNT),
)


@dataclass(frozen=True, slots=True)
class GetBytecodeReturn:
    """A contract's code."""

    cid: Cid | None
    """Its CID; null for none."""


GET_BYTECODE_RETURN: Final = Struct(GetBytecodeReturn, Field("cid", "Cid", nullable(CID)), bare=True)


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
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.RESURRECT, "Resurrect", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.GET_BYTECODE, "GetBytecode", None, GET_BYTECODE_RETURN),
    MethodSpec(Method.GET_BYTECODE_HASH, "GetBytecodeHash", None, CALL_DATA),
    MethodSpec(Method.GET_STORAGE_AT, "GetStorageAt", GET_STORAGE_AT_PARAMS, CALL_DATA),
    MethodSpec(Method.INVOKE_CONTRACT_DELEGATE, "InvokeContractDelegate", DELEGATE_CALL_PARAMS, CALL_DATA),
    MethodSpec(Method.INVOKE_CONTRACT, "InvokeContract", CALL_DATA, CALL_DATA),
)
"""What each method takes and returns."""
