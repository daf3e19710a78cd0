"""Nodes of an advertisement chain, byte by byte as go-libipni v0.7.5 makes them of the same key."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin import cbor
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.multiaddr import BadMultiaddr
from poolsite.libp2p.identity import Identity
from poolsite.libp2p.ipni import (
    CHUNK_BYTES,
    CHUNK_HASHES,
    GATEWAY_HTTP,
    PIECE_HTTP,
    SHA2_256,
    Advertisement,
    Block,
    advertisement_sign,
    announcement,
    chunk_groups,
    chunk_make,
    context_of,
    head_sign,
    http_multiaddr,
    metadata_of,
    multihash_of,
)

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "golden" / "ipni.json").read_text()
)
IDENTITY = Identity.of_seed(bytes(32))
PLACE = ("/dns/pool.example/tcp/443/https",)
HASHES = [SHA2_256 + hashlib.sha256(one).digest() for one in (b"a", b"b", b"c")]
PIECE = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"


def chunks(size: int) -> list[Block]:
    """Return the chunks of all hashes, the first one first."""
    made: list[Block] = []
    for group in chunk_groups(HASHES, count=size):
        made.insert(0, chunk_make(group, made[0].cid if made else None))
    return made


def test_nodes_are_those_of_the_indexers_own_library() -> None:
    first, last = chunks(2)
    transports = metadata_of(PIECE_HTTP, GATEWAY_HTTP)
    added = advertisement_sign(
        Advertisement(
            previous=None,
            provider=IDENTITY.text,
            addresses=PLACE,
            context=b"context",
            entries=first.cid,
            metadata=transports,
        ),
        IDENTITY,
    )
    removed = advertisement_sign(
        Advertisement(
            previous=added.cid,
            provider=IDENTITY.text,
            addresses=PLACE,
            context=b"context",
            is_removal=True,
        ),
        IDENTITY,
    )

    assert IDENTITY.text == GOLDEN["peer"]
    made = [{"cid": str(one.cid), "body": one.body.hex()} for one in (last, first)]
    assert made == GOLDEN["chunks"]
    assert transports.hex() == GOLDEN["metadata"]
    made = [{"cid": str(one.cid), "body": one.body.hex()} for one in (added, removed)]
    assert made == GOLDEN["advertisements"]
    assert head_sign(removed.cid, IDENTITY).hex() == GOLDEN["head"]
    told = announcement(
        removed.cid,
        server="/dns/pool.example/https",
        path=f"/ipni-provider/{IDENTITY.text}",
        peer_id=IDENTITY.peer_id,
    )
    assert told.hex() == GOLDEN["announcement"]


def test_chunks_have_no_more_multihashes_than_their_size() -> None:
    made = chunks(1)

    nodes = [cbor.decode(one.body) for one in made]
    assert [node["Entries"] for node in nodes] == [[one] for one in reversed(HASHES)]
    assert [node.get("Next") for node in nodes] == [made[1].cid, made[2].cid, None]
    assert len(chunks(3)) == 1
    assert list(chunk_groups([])) == []
    long = [bytes(66) for _ in range(CHUNK_HASHES)]
    assert [len(group) for group in chunk_groups(long)] == [
        CHUNK_BYTES // 66,
        CHUNK_HASHES - CHUNK_BYTES // 66,
    ]


def test_a_context_is_curios_piece_info() -> None:
    assert context_of(2048, PIECE) == bytes.fromhex("82190800") + cbor.cid_write(cid_parse(PIECE))
    assert len(context_of(64 << 30, PIECE)) <= 64
    assert multihash_of(PIECE).hex().startswith("92202007")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://pool.example", "/dns/pool.example/tcp/443/https"),
        ("http://127.0.0.1:8000", "/ip4/127.0.0.1/tcp/8000/http"),
        ("http://[::1]:80/pool", "/ip6/::1/tcp/80/http"),
    ],
)
def test_the_address_of_an_http_server(url: str, address: str) -> None:
    assert http_multiaddr(url) == address


def test_no_address_of_no_server() -> None:
    with pytest.raises(BadMultiaddr):
        http_multiaddr("")
