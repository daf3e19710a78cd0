"""Piece CIDs of version 2 wherever one is taken: with the bytes that they name, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.market.services.markets import market_set
from apps.miners.models import Miner
from apps.pieces.data.commitments import small_commitment
from apps.pieces.data.files import piece_path
from apps.pieces.errors import PieceUnknown
from apps.pieces.models import Piece
from apps.pieces.selectors import piece_name, piece_placed
from poolsite.filecoin.cids import cid_parse
from poolsite.filecoin.piece_cids import SizedPiece, sized_cid
from tests import factories, people

pytestmark = pytest.mark.django_db

DATA = bytes(range(1, 200))
V1 = str(small_commitment(DATA).cid)
V2 = str(sized_cid(SizedPiece(small_commitment(DATA).comm_p, len(DATA))))
ONE_MORE = str(sized_cid(SizedPiece(small_commitment(DATA).comm_p, len(DATA) + 1)))
"""Of the same root: of the bytes with a zero behind them."""
MALFORMED = str(cid_parse("bafkzcibcp4bwiktap34inmaex4wbs6cghlq5i2j2yd2bb2zndn5ep7ralzphkdy"))
"""Its padding is as long as the smaller tree."""


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    return factories.miner(2001, of="alice")


def send(client: Client, data: bytes, *, query: str = "", **headers: str) -> Any:
    return client.generic(
        "POST",
        f"/api/v1/miners/f02001/pieces{query}",
        data,
        content_type="application/octet-stream",
        headers={**people.bearer(people.token("write")), **headers},
    )


def read(client: Client, path: str, **headers: str) -> Any:
    return client.get(f"/api/v1/{path}", headers={**people.bearer(people.token("read")), **headers})


def test_an_upload_is_compared_with_the_version_2_that_was_announced(client, miner):
    sent = send(client, DATA, **{"Piece-Cid": V2})

    assert (sent.status_code, sent.json()["piece_cid"], sent.json()["piece_cid_v2"]) == (201, V1, V2)
    assert send(client, DATA, **{"Piece-Cid": V1}).json()["piece_cid_v2"] == V2
    wrong = send(client, DATA[::-1], **{"Piece-Cid": V2})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "piece_mismatch")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Piece-Cid": ONE_MORE}, "names a piece of 200 bytes, but 199 bytes are announced"),
        ({"Piece-Cid": MALFORMED}, "is not a piece commitment: padding of 127 bytes"),
        ({"Piece-Cid": V2, "Piece-Size": "128"}, "at most 127 bytes"),
    ],
)
def test_a_version_2_of_other_bytes_is_refused_with_the_reason(client, miner, headers, reason):
    refused = send(client, DATA, **headers)

    assert refused.status_code == 400 or refused.json()["code"] == "piece_too_large"
    assert reason in refused.content.decode()
    assert not Piece.objects.exists()


def test_a_version_2_in_a_larger_place_is_that_places_commitment(client, miner):
    sent = send(client, DATA, **{"Piece-Cid": V2, "Piece-Size": "1024"})

    grown = str(small_commitment(DATA).grown_to(1024).cid)
    assert (sent.status_code, sent.json()["piece_cid"]) == (201, grown)
    assert sent.json()["piece_cid_v2"] is None
    assert read(client, f"pieces/{V2}").json()["piece_cid"] == grown


def test_an_upload_in_parts_has_the_size_that_version_2_names(client, miner):
    refused = send(client, b"", **{"Piece-Cid": V2, "Upload-Length": "198"})
    begun = send(client, b"", **{"Piece-Cid": V2, "Upload-Length": "199"})

    assert (refused.status_code, begun.status_code) == (400, 201)
    assert Piece.objects.get().announced_cid == V1


def test_a_download_needs_no_size_beside_version_2(client, miner):
    body = {"url": "https://data.example/a.car", "piece_cid": V2}
    sent = client.post(
        "/api/v1/miners/f02001/pieces:fetch",
        json.dumps(body),
        content_type="application/json",
        headers=people.bearer(people.token("write")),
    )

    assert (sent.status_code, sent.json()["payload_size"]) == (201, 199)
    assert Piece.objects.get().announced_cid == V1


def test_a_piece_is_found_by_the_version_2_of_its_very_bytes(client, miner):
    send(client, DATA)

    for path in (f"pieces/{V2}", f"pieces/{V1}"):
        assert read(client, path).json()["piece_cid"] == V1
    assert [one["piece_cid"] for one in read(client, f"pieces?piece_cid={V2}").json()["results"]] == [V1]
    assert read(client, f"pieces?piece_cid={ONE_MORE}").json()["results"] == []
    assert read(client, f"pieces/{ONE_MORE}").status_code == 404
    assert read(client, f"pieces?piece_cid={MALFORMED}").json()["code"] == "bad_value"
    assert read(client, f"pieces/{MALFORMED}").status_code == 404
    stranger = people.bearer(people.token("admin", of="bob"))
    assert client.get(f"/api/v1/pieces/{V2}", headers=stranger).status_code == 404


def test_bytes_and_ranges_are_read_by_version_2(client, miner):
    send(client, DATA)
    Piece.objects.update(state="ACTIVE", sector_number=0, offset=0)
    market_set(miner, values={"serves_data": True}, by=people.principal())

    for path in (f"/piece/{V2}", f"/api/v1/pieces/{V2}/data", f"/api/v1/pieces/{V2}/kept"):
        reader = people.bearer(people.token("read"))
        whole = client.get(path, headers=reader)
        part = client.get(path, headers={**reader, "Range": "bytes=5-9"})
        assert (whole.status_code, b"".join(whole.streaming_content)) == (200, DATA)
        assert (part["Content-Range"], b"".join(part.streaming_content)) == ("bytes 5-9/199", DATA[5:10])
        assert client.get(path, headers={**reader, "Range": "bytes=199-"}).status_code == 416
    head = client.head(f"/piece/{V2}")
    assert (head.status_code, head["Content-Length"]) == (200, "199")
    assert [client.get(f"/piece/{cid}").status_code for cid in (ONE_MORE, MALFORMED)] == [404, 404]


def test_a_piece_in_a_sector_is_named_by_either_version(miner):
    piece = factories.piece(miner, piece_cid=V1, padded_size=256, payload_size=199, state="PACKED")
    Piece.objects.update(sector_number=3, offset=0)

    assert piece_placed(miner, 3, V2) == piece_placed(miner, 3, V1) == piece
    for cid in (ONE_MORE, MALFORMED):
        with pytest.raises(PieceUnknown):
            piece_placed(miner, 3, cid)


def test_a_name_reads_no_more_than_the_places_of_a_sector():
    assert len(piece_name(V1).cids) == 1
    assert len(piece_name(V2).cids) == 29
    huge = str(sized_cid(SizedPiece(small_commitment(DATA).comm_p, 1 << 50)))
    assert len(piece_name(huge).cids) == 1


def test_a_row_without_a_size_has_no_version_2(miner):
    piece = factories.piece(miner, payload_size=None)

    assert piece.piece_cid_v2 == ""
    assert not piece_path(piece).exists()
