"""What storage clients and providers sign beside messages: asks, answers, states of deals.

These are CBOR maps; Go writes them with its keys sorted by length, older versions in the struct's order, so
they are read in any order.  Source: filecoin-project/go-fil-markets v1.28 storagemarket/types.go,
storagemarket/network/types.go, storagemarket/migrations/migrations.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import DealProposal
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.codec import struct_of
from poolsite.filecoin.kinds import ADDRESS, AMOUNT, BOOL, CID, INT64, TEXT, UINT64, Kind, nullable
from poolsite.filecoin.signature import SIGNATURE_OR_NULL

STORAGE_ASK: Final[Mapping[str, Kind]] = {
    # attoFIL for each GiB and epoch.
    "Price": AMOUNT,
    "VerifiedPrice": AMOUNT,
    # Padded sizes in bytes.
    "MinPieceSize": UINT64,
    "MaxPieceSize": UINT64,
    "Miner": ADDRESS,
    # Epochs: when it was made, and the last in which it holds.
    "Timestamp": INT64,
    "Expiry": INT64,
    "SeqNo": UINT64,
}
"""The terms on which a provider accepts deals (StorageAsk), in the order of its old tuple form."""
RESPONSE: Final[Mapping[str, Kind]] = {
    "State": UINT64,
    "Message": TEXT,
    "Proposal": CID,
    "PublishMessage": nullable(CID),
}
"""A provider's answer to a deal proposal (network.Response)."""
PROVIDER_DEAL_STATE: Final[Mapping[str, Kind]] = {
    "State": UINT64,
    "Message": TEXT,
    "Proposal": nullable(struct_of(DealProposal).kind()),
    "ProposalCid": nullable(CID),
    "AddFundsCid": nullable(CID),
    "PublishCid": nullable(CID),
    "DealID": UINT64,
    "FastRetrieval": BOOL,
}
"""A provider's answer to who asks how far a deal is (ProviderDealState)."""


def map_read(data: bytes, at: int, kinds: Mapping[str, Kind]) -> tuple[dict[str, Any], int]:
    """Read a map that has exactly these keys, once each and in any order.  Raises BadCbor."""
    major, count, at = cbor.head_read(data, at)
    if major != cbor.MAP or count != len(kinds):
        raise BadCbor("cbor input should be of type map")
    found: dict[str, Any] = {}
    for _ in range(count):
        name, at = cbor.text_read(data, at)
        if name in found or name not in kinds:
            raise BadCbor(f"{name[:40]!r} is a duplicate or unexpected field")
        found[name], at = kinds[name].decode(data, at)
    return found, at


def map_decode(data: bytes, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Read a map that fills `data`.  Raises BadCbor."""
    found, at = map_read(data, 0, kinds)
    if at != len(data):
        raise BadCbor(f"{len(data) - at} trailing bytes")
    return found


def map_kind(name: str, kinds: Mapping[str, Kind]) -> Kind:
    """Return how such a map is read as a field; it cannot be written."""

    def refuse(_value: Any) -> Any:
        """Raise TypeError: such a field is never written here."""
        raise TypeError(f"{name} is only read")

    return Kind(name, refuse, lambda data, at: map_read(data, at, kinds), refuse, refuse)


SIGNED_STORAGE_ASK: Final[Mapping[str, Kind]] = {
    "Ask": nullable(map_kind("StorageAsk", STORAGE_ASK)),
    "Signature": SIGNATURE_OR_NULL,
}
"""An ask with its provider's signature (storagemarket.SignedStorageAsk)."""
ASK_RESPONSE: Final[Mapping[str, Kind]] = {"Ask": nullable(map_kind("SignedStorageAsk", SIGNED_STORAGE_ASK))}
"""A provider's answer to who asks for its terms (network.AskResponse)."""


def tuple_ask_encode(ask: Mapping[str, Any]) -> bytes:
    """Return an ask in its old form, a tuple, over which the answer on the old protocol is signed.

    Source: storagemarket/network/legacy_ask_stream.go.
    """
    head = bytes([0x80 | len(STORAGE_ASK)])
    return head + b"".join(kind.encode(ask[name]) for name, kind in STORAGE_ASK.items())
