"""The init actor f01: creates actors.

Source: go-state-types builtin/v18/init/init_types.go, builtin/methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.cids import Cid
from poolsite.filecoin.codec import cbor_tuple


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ConstructorParams:
    """Make the init actor (only the system)."""

    network_name: str
    """Name of the network."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExecParams:
    """Create an actor."""

    code_cid: Cid
    """Code of the new actor."""
    constructor_params: bytes
    """Parameters of its constructor, CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExecReturn:
    """The addresses of the created actor."""

    id_address: Address
    """The new actor's f0 address."""
    robust_address: Address
    """The new actor's f2 address."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Exec4Params:
    """Create an actor with an address in the caller's namespace."""

    code_cid: Cid
    """Code of the new actor."""
    constructor_params: bytes
    """Parameters of its constructor, CBOR."""
    sub_address: bytes
    """Name in the caller's namespace."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    EXEC = 2
    EXEC4 = 3


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.EXEC, "Exec", ExecParams, ExecReturn),
    MethodSpec(Method.EXEC4, "Exec4", Exec4Params, ExecReturn),
)
"""What each method takes and returns."""
