"""A client of market 2.0: its proposals, and the header by which it signs a request, as Curio's does."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from apps.market.rules import ulid_encode
from poolsite.filecoin.address import address_format, address_to_bytes
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.keys import KeyInfo, key_address, key_sign
from poolsite.filecoin.piece_cids import SizedPiece, sized_cid, tree_height
from tests.keys import fixed_key
from tests.naive.pieces import data_commitment

PATH = "/market/mk20"


def sized(data: bytes) -> SizedPiece:
    """Return the commitment of some bytes, computed the slow way."""
    padded = 32 << tree_height(len(data))
    return SizedPiece(data_commitment(fr32_pad(data + bytes(padded // 128 * 127 - len(data)))), len(data))


class Mk20Client:
    """A key that asks."""

    def __init__(self, key_type: str = "secp256k1", seed: int = 7, *, key: KeyInfo | None = None) -> None:
        self.key = key or fixed_key(key_type, seed)
        self.type = key_type
        self.address = address_format(key_address(self.key))

    def header(self, method: str, path: str, *, at: datetime | None = None) -> dict[str, str]:
        """Return the header of a request: as client/auth.go writes it."""
        owner = address_to_bytes(key_address(self.key))
        minute = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:00Z")
        digest = hashlib.sha256(owner + method.encode() + path.encode() + minute.encode()).digest()
        signature = bytes(key_sign(self.key, digest))
        parts = (self.type, *(base64.b64encode(one).decode() for one in (owner, signature)))
        return {"Authorization": f"CurioAuth {':'.join(parts)}"}

    def ask(self, client: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send one request through Django's test client."""
        where = f"{PATH}{path}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        return client.generic(
            method, where, raw, content_type=kind, headers=self.header(method, where) | headers
        )


def ulid() -> str:
    """Return a fresh name of a deal."""
    return ulid_encode(uuid.uuid4())


def document(client: Mk20Client, miner: Any, data: bytes = b"", **changes: Any) -> dict[str, Any]:
    """Return a proposal as JSON; `changes` go into `ddo_v1`, or replace `source`, `retrieval`, `format`."""
    piece = changes.pop("piece", None) or sized(data)
    return {
        "identifier": changes.pop("identifier", None) or ulid(),
        "client": client.address,
        "data": {
            "piece_cid": {"/": str(sized_cid(piece))},
            "format": changes.pop("format", {"raw": {}}),
            **changes.pop("source", {"source_http_put": {}}),
        },
        "products": {
            "ddo_v1": {
                "provider": miner.address,
                "start_epoch": None,
                "duration": 600_000,
                "market_address": "",
                "market_deal_id": None,
                "notification_address": "",
                **changes,
            },
            "retrieval_v1": {"indexing": False, "announce_payload": False, "announce_piece": False},
        },
    }
