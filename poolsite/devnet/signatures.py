"""Signatures of messages, each verified once: when it is pushed, or when a block first brings it.

A block's BLS aggregate is the sum of its messages' signatures; where all of these were verified one by one,
the sum proves as much as the pairing of the whole.

Source: lotus chain/messagepool/messagepool.go (sigValCache).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.address import address_to_bytes
from poolsite.filecoin.signature import bls_aggregate, bls_aggregate_verify
from poolsite.filecoin.signing import message_verify

if TYPE_CHECKING:
    from poolsite.filecoin.address import Address
    from poolsite.filecoin.message import SignedMessage
    from poolsite.filecoin.signature import Signature

SIGNATURES_CACHED: Final = 20_000
"""Verified signatures that are remembered."""


class Signatures:
    """What one node has verified; methods may be called from any thread."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, None] = OrderedDict()

    def verify(self, signed: SignedMessage, sender: Address) -> None:
        """Check a message's signature by its sender's key address.  Raises BadSignature."""
        name = _name_of(signed, sender)
        with self._lock:
            if name in self._verified:
                return
        message_verify(signed, chain_id=self.chain_id, key=sender)
        with self._lock:
            self._verified[name] = None
            while len(self._verified) > SIGNATURES_CACHED:
                self._verified.popitem(last=False)

    def verify_aggregate(
        self, aggregate: Signature, messages: Sequence[SignedMessage], senders: Sequence[Address]
    ) -> None:
        """Check a block's aggregate of its BLS messages.  Raises BadSignature."""
        payloads = [signed.message.cid.data for signed in messages]
        names = [_name_of(signed, sender) for signed, sender in zip(messages, senders, strict=True)]
        with self._lock:
            is_verified = all(name in self._verified for name in names)
        is_distinct = len(set(payloads)) == len(payloads)
        signatures = [signed.signature.data for signed in messages]
        if is_verified and is_distinct and bls_aggregate(signatures) == aggregate:
            return
        bls_aggregate_verify(aggregate, senders, payloads)


def _name_of(signed: SignedMessage, sender: Address) -> bytes:
    """Return the message, its signature with its type, and whose it is."""
    return signed.message.cid.data + bytes(signed.signature) + address_to_bytes(sender)
