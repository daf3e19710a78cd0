"""The init actor f01: creates actors and maps addresses to actor IDs.

Source: go-state-types builtin/v18/init/{init_actor_params,methods}.go; builtin-actors actors/init/src/lib.rs.
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
    """Set up the init actor at genesis; only the system actor calls it."""

    network_name: str
    """Name of the network, which StateNetworkName returns."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExecParams:
    """Create an actor with an f0 and an f2 address.

    Anyone may create a multisig or a payment channel, only the power actor a miner.
    """

    code_cid: Cid
    """CID of the built-in actor's code in the network's bundle."""
    constructor_params: bytes
    """Its constructor's parameters in CBOR."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class ExecReturn:
    """The addresses of the created actor."""

    id_address: Address
    """f0; a reorganisation of the chain may give the actor another."""
    robust_address: Address
    """f2, hashed from the sender, its nonce and a counter, so that it survives reorganisations."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class Exec4Params:
    """Create an actor with an f4 address in the caller's namespace; only the address manager may."""

    code_cid: Cid
    """CID of the built-in actor's code in the network's bundle."""
    constructor_params: bytes
    """Its constructor's parameters in CBOR."""
    sub_address: bytes
    """The part of the f4 address after the namespace."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, at genesis."""
    EXEC = 2
    """By anyone for multisigs and payment channels, by the power actor for miners."""
    EXEC4 = 3
    """By the Ethereum address manager."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", ConstructorParams),
    MethodSpec(Method.EXEC, "Exec", ExecParams, ExecReturn),
    MethodSpec(Method.EXEC4, "Exec4", Exec4Params, ExecReturn),
)
"""What each method takes and returns."""
