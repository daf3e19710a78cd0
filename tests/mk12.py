"""A client of market 1.2: its requests in CBOR, as boost's and boostly's types write them."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar

from poolsite.filecoin import cbor
from poolsite.filecoin.actors.market import ClientDealProposal
from poolsite.filecoin.cids import Cid, cid_of_cbor
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import KeyInfo, key_sign
from poolsite.filecoin.signature import signature_encode
from tests.unit.devnet.people import STRANGER


class Chain:
    """A node that knows balances and one account."""

    ANSWERS: ClassVar = {
        "StateDealProviderCollateralBounds": {"Min": "0"},
        "StateVerifiedClientStatus": str(1 << 40),
        "StateMarketBalance": {"Escrow": str(10**18), "Locked": "0"},
    }

    def call_many(self, calls: Any) -> list[Any]:
        return [self.ANSWERS[method] for method, _ in calls]

    def state_account_key(self, address: str) -> str:
        assert address == "f01234"
        return str(STRANGER.address)


def params(
    signed: ClientDealProposal,
    *,
    key: uuid.UUID | None = None,
    url: str = "",
    headers: dict[str, str] | None = None,
    size: int = 0,
    **changes: Any,
) -> bytes:
    """Return DealParams: offline without a URL."""
    transfer = {
        "Type": "http" if url else "",
        "ClientID": "",
        "Params": json.dumps({"URL": url, "Headers": headers or {}}).encode() if url else b"",
        "Size": size,
    }
    row = {
        "DealUUID": (key or uuid.uuid4()).bytes,
        "IsOffline": not url,
        "ClientDealProposal": cbor.Encoded(to_cbor(signed)),
        "DealDataRoot": Cid(bytes.fromhex("01701220") + bytes(32)),
        "Transfer": transfer,
        "RemoveUnsealedCopy": False,
        "SkipIPNIAnnounce": True,
    }
    return cbor.encode({name: value for name, value in (row | changes).items() if value is not None})


def status_request(key: uuid.UUID, *, signer: KeyInfo) -> bytes:
    """Return a DealStatusRequest."""
    signature = cbor.Encoded(signature_encode(key_sign(signer, key.bytes)))
    return cbor.encode({"DealUUID": key.bytes, "Signature": signature})


def signed_cid(signed: ClientDealProposal) -> Cid:
    """Return the SignedProposalCid of a deal."""
    return cid_of_cbor(to_cbor(signed))
