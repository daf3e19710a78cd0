"""Signing and checking whole messages: which bytes each signature type covers.

secp256k1 and BLS signatures cover the bytes of the unsigned message's CID; delegated ones the unsigned
Ethereum transaction that the message stands for, so that Ethereum wallets can make them.

Source: lotus chain/messagesigner/messagesigner.go, lib/sigs/sigs.go, chain/consensus/signatures.go
AuthenticateMessage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poolsite.filecoin.ethereum import signing_bytes, transaction_of
from poolsite.filecoin.ethereum_transaction import BadTransaction
from poolsite.filecoin.keys import KEY_DELEGATED, key_sign
from poolsite.filecoin.message import SignedMessage
from poolsite.filecoin.signature import BadSignature, Signature, signature_verify
from poolsite.filecoin.sigtypes import SIG_DELEGATED

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.keys import KeyInfo
    from poolsite.filecoin.message import Message


def signing_payload(message: Message, sig_type: int, *, chain_id: int) -> bytes:
    """Return the bytes that a signature of `sig_type` covers: the CID's, or the Ethereum transaction.

    Raises BadTransaction if a delegated sender's message is no Ethereum transaction.
    """
    if sig_type == SIG_DELEGATED:
        return signing_bytes(message, chain_id=chain_id)
    return message.cid.data


def message_sign(info: KeyInfo, message: Message, *, chain_id: int) -> SignedMessage:
    """Sign a message whose sender is the key's address.  Raises BadTransaction as above."""
    sig_type = SIG_DELEGATED if info.type == KEY_DELEGATED else 0
    payload = signing_payload(message, sig_type, chain_id=chain_id)
    return SignedMessage(message, key_sign(info, payload))


def message_verify(signed: SignedMessage, *, chain_id: int, key: Address | None = None) -> None:
    """Raise BadSignature unless the sender signed; `key` is the sender's key address where From is an ID.

    An ID says nothing of a key: who asks resolves it in the state in which the message is to be executed.
    """
    sender = signed.message.from_ if key is None else key
    if signed.signature.type != SIG_DELEGATED:
        signature_verify(signed.signature, sender, signed.message.cid.data)
        return
    try:
        transaction = transaction_of(signed.message, signed.signature, chain_id=chain_id)
        recoverable = Signature(SIG_DELEGATED, transaction.recoverable)
    except BadTransaction as error:
        raise BadSignature(f"failed to reconstruct Ethereum transaction: {error}") from None
    signature_verify(recoverable, sender, transaction.unsigned_bytes)
