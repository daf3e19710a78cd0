"""Clients with data cap and money, and what becomes of their data."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from poolsite.filecoin.actors.allocations import (
    DATACAP_PER_BYTE,
    AllocationRequest,
    AllocationRequests,
    AllocationsResponse,
)
from poolsite.filecoin.actors.datacap import Method as TokenMethod
from poolsite.filecoin.actors.datacap import TransferParams, TransferReturn
from poolsite.filecoin.actors.verifreg import Method, VerifierParams
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.codec import from_cbor, to_cbor
from tests.real_chain.node import RealNode
from tests.real_chain.steps import sent

GRANT: Final = 1 << 20
DAY: Final = 2880
TERM_MIN: Final = 180 * DAY
TERM_MAX: Final = 5 * 365 * DAY


@dataclass(frozen=True, slots=True)
class Client:
    """A client with data cap, whose key the node has."""

    node: RealNode
    address: str

    @property
    def id(self) -> str:
        """Its actor's address."""
        return self.node.identity(self.address)

    def allocate(self, miner: str, piece: str, size: int, *, term_max: int = TERM_MAX) -> int:
        """Allocate data cap to a piece of a padded size at a miner; return the allocation's number."""
        request = AllocationRequest(
            provider=address_parse(miner).actor_id,
            data=cid_parse(piece),
            size=size,
            term_min=TERM_MIN,
            term_max=term_max,
            expiration=self.node.height() + 10 * DAY,
        )
        wish = TransferParams(
            to=address_parse("f06"),
            amount=size * DATACAP_PER_BYTE,
            operator_data=to_cbor(AllocationRequests((request,), ())),
        )
        method = int(TokenMethod.TRANSFER_EXPORTED)
        receipt = sent(self.node, "f07", sender=self.address, method=method, params=to_cbor(wish))
        answer = from_cbor(TransferReturn, base64.b64decode(receipt["Return"]))
        [number] = from_cbor(AllocationsResponse, answer.recipient_data).new_allocations
        return int(number)


def client_make(node: RealNode, address: str) -> Client:
    """Send FIL to an address of the node's wallet, and grant it data cap by a verifier of its own."""
    root = node.call("StateAccountKey", node.call("StateVerifiedRegistryRootKey", None), None)
    assert node.call("WalletHas", root), f"the node's wallet lacks the verified registry's root {root}"
    verifier = node.call("WalletNew", "secp256k1")
    for who in (root, verifier, address):
        sent(node, who, fil=10)
    for sender, method, who in (
        (root, Method.ADD_VERIFIER, verifier),
        (verifier, Method.ADD_VERIFIED_CLIENT, address),
    ):
        params = VerifierParams(address_parse(who), GRANT)
        sent(node, "f06", sender=sender, method=int(method), params=to_cbor(params))
    return Client(node, address)
