"""Account actors: a key that owns funds and sends messages.

Source: go-state-types builtin/v18/account, builtin/methods.go.
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
    """The account's key address."""

    address: Address
    """Who is notified."""


@cbor_tuple
@dataclass(frozen=True, slots=True)
class AuthenticateMessageParams:
    """Check a signature by the account's key."""

    signature: bytes
    """The signature."""
    message: bytes
    """The signed bytes."""


@cbor_transparent
@dataclass(frozen=True, slots=True)
class AuthenticateMessageReturn:
    """Whether the signature is the account's."""

    authenticated: bool
    """True, or the call fails."""


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    PUBKEY_ADDRESS = 2
    AUTHENTICATE_MESSAGE = 2_643_134_072


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
