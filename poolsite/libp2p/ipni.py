"""An IPNI advertisement chain: what a peer offers, each link signed by its key on top of the last.

    advertisement  dag-json, sha2-256   links to the one before it and to its first chunk of entries
    entry chunk    dag-cbor, sha2-256   multihashes, and the link of the next chunk
    signed head    dag-json             the newest advertisement's link, signed

Source: ipni/go-libipni ingest/schema, dagsync/ipnisync/head, announce/message.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from poolsite.filecoin import cbor
from poolsite.filecoin.cids import Cid, cid_parse
from poolsite.filecoin.multiaddr import multiaddr_encode, multiaddr_parse
from poolsite.filecoin.varint import uvarint_write
from poolsite.ipld.cids import DAG_CBOR
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.protobuf import bytes_field

DAG_JSON: Final = 0x0129
SHA2_256: Final = b"\x12\x20"
"""Multihash prefix: its code and 32 bytes."""
NO_ENTRIES: Final = Cid(b"\x01\x55\x12\x10" + hashlib.sha256(b"").digest()[:16])
"""Link of an advertisement without entries: raw, sha2-256 of nothing cut to 16 bytes (schema.NoEntries)."""
CHUNK_HASHES: Final = 16_384
"""Multihashes of one chunk at most, as index-provider and Curio have it."""
CHUNK_BYTES: Final = 1 << 20
"""Bytes of one chunk's multihashes at most."""
TOPIC: Final = "/indexer/ingest/mainnet"
"""Name of the indexers' channel, part of what a signed head signs."""
DOMAIN: Final = b"indexer"
SIGNATURE_CODEC: Final = b"/indexer/ingest/adSignature"
GATEWAY_HTTP: Final = 0x0920
"""Multicodec transport-ipfs-gateway-http: blocks by their CIDs, `/ipfs/{cid}`."""
PIECE_HTTP: Final = 0x0930
"""Multicodec transport-filecoin-piece-http: whole pieces, `/piece/{cid}`."""
HTTP_PATH: Final = 481
"""Multiaddress protocol http-path: its value is a path."""
PEER: Final = 421
"""Multiaddress protocol p2p."""


@dataclass(frozen=True, slots=True)
class Block:
    """A node as it is served: its CID and its bytes."""

    cid: Cid
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """An advertisement without its signature."""

    previous: Cid | None
    """The advertisement before it; None: it is the first."""
    provider: str
    """Peer id of who has the data, as text."""
    addresses: tuple[str, ...]
    """Multiaddresses at which they are retrieved."""
    context: bytes
    """Names what is added, for its removal; empty where only addresses change.  At most 64 bytes."""
    entries: Cid = NO_ENTRIES
    metadata: bytes = b""
    is_removal: bool = False

    @property
    def signed_bytes(self) -> bytes:
        """Return the multihash that is signed."""
        parts = (
            b"" if self.previous is None else self.previous.data,
            self.entries.data,
            self.provider.encode(),
            *(one.encode() for one in self.addresses),
            self.metadata,
            bytes([self.is_removal]),
        )
        return SHA2_256 + hashlib.sha256(b"".join(parts)).digest()


def metadata_of(*transports: int) -> bytes:
    """Return the metadata of transports without parameters, in ascending order."""
    return b"".join(uvarint_write(one) + b"\x00" for one in sorted(transports))


def context_of(padded_size: int, piece_cid: str) -> bytes:
    """Return the context id of a piece: CBOR of its PieceInfo, as Curio has it."""
    return cbor.encode([padded_size, cid_parse(piece_cid)])


def multihash_of(cid: str) -> bytes:
    """Return the multihash of a CID."""
    data = cid_parse(cid).data
    at = 1
    while data[at] & 0x80:
        at += 1
    return data[at + 1 :]


def chunk_groups(hashes: Iterable[bytes], *, count: int = CHUNK_HASHES) -> Iterator[list[bytes]]:
    """Yield the multihashes of one chunk after the other."""
    group: list[bytes] = []
    size = 0
    for one in hashes:
        if len(group) == count or size + len(one) > CHUNK_BYTES:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one)
    if group:
        yield group


def chunk_make(hashes: list[bytes], following: Cid | None) -> Block:
    """Return a chunk of multihashes that links to the one behind it."""
    heads = {size: cbor.head_write(cbor.BYTES, size) for size in {len(one) for one in hashes}}
    listed = b"".join([part for one in hashes for part in (heads[len(one)], one)])
    link = b"" if following is None else cbor.text_write("Next") + cbor.cid_write(following)
    pairs = cbor.head_write(cbor.MAP, 1 if following is None else 2)
    # "Next" comes first: dag-cbor sorts keys by their length.
    body = pairs + link + cbor.text_write("Entries") + cbor.head_write(cbor.ARRAY, len(hashes)) + listed
    return _block(DAG_CBOR, body)


def _block(codec: int, body: bytes) -> Block:
    return Block(Cid(b"\x01" + uvarint_write(codec) + SHA2_256 + hashlib.sha256(body).digest()), body)


def advertisement_sign(ad: Advertisement, identity: Identity) -> Block:
    """Return an advertisement with its signature, a libp2p signed envelope."""
    node: dict[str, Any] = {
        "Addresses": list(ad.addresses),
        "ContextID": _bytes(ad.context),
        "Entries": _link(ad.entries),
        "IsRm": ad.is_removal,
        "Metadata": _bytes(ad.metadata),
        "Provider": ad.provider,
        "Signature": _bytes(_envelope(identity, ad.signed_bytes)),
    }
    if ad.previous is not None:
        node["PreviousID"] = _link(ad.previous)
    return _block(DAG_JSON, _dag_json(node))


def head_sign(head: Cid, identity: Identity) -> bytes:
    """Return the signed head of a chain."""
    node = {
        "head": _link(head),
        "pubkey": _bytes(identity.public),
        "sig": _bytes(identity.sign(head.data + TOPIC.encode())),
        "topic": TOPIC,
    }
    return _dag_json(node)


def _envelope(identity: Identity, payload: bytes) -> bytes:
    """Return a signed envelope.  Source: libp2p specs RFC 0002."""
    signed = b"".join(uvarint_write(len(one)) + one for one in (DOMAIN, SIGNATURE_CODEC, payload))
    return (
        bytes_field(1, identity.public)
        + bytes_field(2, SIGNATURE_CODEC)
        + bytes_field(3, payload)
        + bytes_field(5, identity.sign(signed))
    )


def _bytes(data: bytes) -> dict[str, Any]:
    return {"/": {"bytes": base64.b64encode(data).decode().rstrip("=")}}


def _link(cid: Cid) -> dict[str, str]:
    return {"/": str(cid)}


def _dag_json(node: dict[str, Any]) -> bytes:
    return json.dumps(node, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def http_multiaddr(url: str) -> str:
    """Return the multiaddress of an HTTP server, its path left out.  Raises BadMultiaddr, ValueError."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    text = f"/{kind}/{host}/tcp/{port}/{'https' if parts.scheme == 'https' else 'http'}"
    multiaddr_parse(text)
    return text


def announcement(head: Cid, *, server: str, path: str, peer_id: bytes) -> bytes:
    """Return what an indexer is told of a new head: CBOR of its link and of where the chain is read."""
    place = path.encode()
    address = (
        multiaddr_encode(multiaddr_parse(server))
        + uvarint_write(HTTP_PATH)
        + uvarint_write(len(place))
        + place
        + uvarint_write(PEER)
        + uvarint_write(len(peer_id))
        + peer_id
    )
    return cbor.encode([head, [address], b""])
