"""Account actors: a key that owns funds and sends messages.

Source: go-state-types builtin/v18/account, builtin/methods.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.actors.method import MethodSpec, method_table
from poolsite.filecoin.codec import ADDRESS, BOOL, BYTES, Field, Struct

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address


@dataclass(frozen=True, slots=True)
class PubkeyAddressReturn:
    """The account's key address."""

    address: Address
    """Who is notified."""


PUBKEY_ADDRESS_RETURN: Final = Struct(
    PubkeyAddressReturn,
    Field("address", "Address", ADDRESS),
    bare=True,
)


@dataclass(frozen=True, slots=True)
class AuthenticateMessageParams:
    """Check a signature by the account's key."""

    signature: bytes
    """The signature."""
    message: bytes
    """The signed bytes."""


AUTHENTICATE_MESSAGE_PARAMS: Final = Struct(
    AuthenticateMessageParams,
    Field("signature", "Signature", BYTES),
    Field("message", "Message", BYTES),
)


@dataclass(frozen=True, slots=True)
class AuthenticateMessageReturn:
    """Whether the signature is the account's."""

    authenticated: bool
    """True, or the call fails."""


AUTHENTICATE_MESSAGE_RETURN: Final = Struct(
    AuthenticateMessageReturn,
    Field("authenticated", "Authenticated", BOOL),
    bare=True,
)


class Method(enum.IntEnum):
    """Numbers of the actor's methods; those of at least 2^24 are FRC-42 hashes, for contracts."""

    SEND = 0
    CONSTRUCTOR = 1
    PUBKEY_ADDRESS = 2
    AUTHENTICATE_MESSAGE = 2_643_134_072


METHODS: Final = method_table(
    MethodSpec(Method.SEND, "Send"),
    MethodSpec(Method.CONSTRUCTOR, "Constructor", PUBKEY_ADDRESS_RETURN),
    MethodSpec(Method.PUBKEY_ADDRESS, "PubkeyAddress", None, PUBKEY_ADDRESS_RETURN),
    MethodSpec(
        Method.AUTHENTICATE_MESSAGE,
        "AuthenticateMessage",
        AUTHENTICATE_MESSAGE_PARAMS,
        AUTHENTICATE_MESSAGE_RETURN,
    ),
)
"""What each method takes and returns."""
