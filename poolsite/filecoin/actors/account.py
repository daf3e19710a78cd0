"""Account actors: a key that holds funds and sends messages.

Source: go-state-types builtin/v18/account/{account_types,methods}.go; builtin-actors
actors/account/src/lib.rs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.address import Address
from poolsite.filecoin.codec import cbor_transparent, cbor_tuple


@cbor_transparent
@dataclass(frozen=True, slots=True)
class PubkeyAddressReturn:
    """The key address that PubkeyAddress returns, and that the constructor takes."""

    address: Address
    """An f1 (secp256k1) or f3 (BLS) address."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AuthenticateMessageParams:
    """Check a signature by the account's key; anyone may call it."""

    signature: bytes
    """Without the leading type byte of a Signature: the type follows from the key address."""
    message: bytes
    """The signed bytes, not their hash."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AuthenticateMessageReturn:
    """The signature is valid; an invalid one fails the call with ErrIllegalArgument."""

    authenticated: bool
    """Always true."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods, and who may call each; those from 2^24 on are FRC-42 hashes."""

    SEND = 0
    """A plain transfer."""
    CONSTRUCTOR = 1
    """By the system actor, as an address is first paid."""
    PUBKEY_ADDRESS = 2
    """By anyone: the key address of an account."""
    AUTHENTICATE_MESSAGE = 2_643_134_072
    """By anyone: fails unless the account's key signed the bytes."""


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", PubkeyAddressReturn),
    MethodSpec(Method.PUBKEY_ADDRESS, "PubkeyAddress", None, PubkeyAddressReturn),
    MethodSpec(
        Method.AUTHENTICATE_MESSAGE,
        "AuthenticateMessage",
        AuthenticateMessageParams,
        AuthenticateMessageReturn,
    ),
)
"""What each method takes and returns."""
