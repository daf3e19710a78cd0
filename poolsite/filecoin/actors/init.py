"""The init actor f01: creates actors.

Source: go-state-types builtin/v18/init/init_types.go, builtin/methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, BYTES, CID, TEXT, Field, Struct

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.cids import Cid


@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make the init actor (only the system)."""

    network_name: str
    """Name of the network."""


CONSTRUCTOR_PARAMS: Final = Struct(ConstructorParams, Field("network_name", "NetworkName", TEXT))


@dataclass(frozen=True, slots=True)
class ExecParams:
    """Create an actor."""

    code_cid: Cid
    """Code of the new actor."""
    constructor_params: bytes
    """Parameters of its constructor, CBOR."""


EXEC_PARAMS: Final = Struct(
    ExecParams,
    Field("code_cid", "CodeCID", CID),
    Field("constructor_params", "ConstructorParams", BYTES),
)


@dataclass(frozen=True, slots=True)
class ExecReturn:
    """The addresses of the created actor."""

    id_address: Address
    """The new actor's f0 address."""
    robust_address: Address
    """The new actor's f2 address."""


EXEC_RETURN: Final = Struct(
    ExecReturn,
    Field("id_address", "IDAddress", ADDRESS),
    Field("robust_address", "RobustAddress", ADDRESS),
)


@dataclass(frozen=True, slots=True)
class Exec4Params:
    """Create an actor with an address in the caller's namespace."""

    code_cid: Cid
    """Code of the new actor."""
    constructor_params: bytes
    """Parameters of its constructor, CBOR."""
    sub_address: bytes
    """Name in the caller's namespace."""


EXEC4_PARAMS: Final = Struct(
    Exec4Params,
    Field("code_cid", "CodeCID", CID),
    Field("constructor_params", "ConstructorParams", BYTES),
    Field("sub_address", "SubAddress", BYTES),
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    EXEC = 2
    EXEC4 = 3


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", CONSTRUCTOR_PARAMS),
    MethodSpec(Method.EXEC, "Exec", EXEC_PARAMS, EXEC_RETURN),
    MethodSpec(Method.EXEC4, "Exec4", EXEC4_PARAMS, EXEC_RETURN),
)
"""What each method takes and returns."""
