"""What a limited token may have signed: with its signers; for its miners only what goes to them."""

from __future__ import annotations

from typing import Final

from apps.core.errors import NotAllowed
from apps.core.marked_texts import gettext
from apps.users.rules.principals import Principal
from poolsite.filecoin.block import BlockHeader
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import from_cbor
from poolsite.filecoin.message import Message, message_from_cbor

BLOCK: Final = "block"
DRAW_RANDOM: Final = "drawrandomparam"
"""What a miner signs beside messages: headers of its blocks, and whether it may make one."""


def bytes_check(principal: Principal, *, address: str, to_sign: bytes, meta_type: str, extra: bytes) -> None:
    """Compare bytes to be signed with a token's limits.  Raises NotAllowed.

    Not every signer compares the bytes with the message in `extra`, so that is done here.
    """
    signer_check(principal, address)
    if not principal.miners or meta_type == DRAW_RANDOM:
        return
    if meta_type == BLOCK:
        block_check(principal, to_sign)
        return
    try:
        message = message_from_cbor(extra) if meta_type == "message" else None
    except BadCbor:
        message = None
    if message is None or message.cid.data != to_sign:
        raise NotAllowed(
            gettext("the token is limited to miners: it can only sign messages to them, and their blocks")
        )
    receiver_check(principal, message)


def block_check(principal: Principal, to_sign: bytes) -> None:
    """Refuse a header of any miner but the token's: several may have one worker key.  Raises NotAllowed."""
    try:
        miner = from_cbor(BlockHeader, to_sign).miner
    except BadCbor as error:
        raise NotAllowed(
            gettext("the token is limited to miners, and this is not a block header: {error}").format(
                error=error
            )
        ) from None
    if not principal.may_mine(miner.actor_id):
        raise NotAllowed(gettext("the token may not sign blocks of {miner}").format(miner=miner))


def signer_check(principal: Principal, address: str) -> None:
    """Refuse a key that the token is not for.  Raises NotAllowed."""
    if not principal.may_sign_with(address):
        raise NotAllowed(gettext("the token may not use the signer {address}").format(address=address))


def receiver_check(principal: Principal, message: Message) -> None:
    """Refuse a message to anybody but the token's miners.  Raises NotAllowed."""
    if not principal.may_address(str(message.to)):
        raise NotAllowed(gettext("the token may not send messages to {to}").format(to=message.to))
