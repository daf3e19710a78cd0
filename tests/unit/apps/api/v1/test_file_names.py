"""Names of files: kept at each way in, found and shown, and none that would mislead."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils.html import escape

from apps.market.models import Deal
from apps.miners.models import Miner
from apps.pieces.models import CLIENT_ACTOR, Piece
from tests import factories, people
from tests.mk20 import sized
from tests.page_client import signed_in, text_of

pytestmark = pytest.mark.django_db

NAME = "archive é 数据 <b>.car"
DATA = bytes(range(100))
LONGEST = "数" * 85
"""255 bytes."""
BAD = [
    *("../x", "a/b", "c:\\x", "..", "a\x00b", "a\nb", "a\x9bb", "a\u2028b", "a\u202eb", "a\u200bb"),
    *("x" * 256, LONGEST + "x"),
]


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    return factories.miner(2001, of="alice")


def send(client: Client, data: bytes = DATA, *, name: str = "", **headers: str) -> Any:
    return client.generic(
        "POST",
        f"/api/v1/miners/f02001/pieces?file_name={quote(name)}",
        data,
        content_type="application/octet-stream",
        headers={**people.bearer(people.token("write")), **headers},
    )


def listed(client: Client, **query: str) -> list[str | None]:
    answer = client.get("/api/v1/pieces", query, headers=people.bearer(people.token("read")))
    assert answer.status_code == 200
    return [row["file_name"] for row in answer.json()["results"]]


@pytest.mark.parametrize("headers", [{}, {"Upload-Length": "100"}])
@pytest.mark.parametrize("name", [NAME, LONGEST, " a.car "])
def test_upload_keeps_the_name_and_who_sent_it(
    client: Client, miner: Miner, headers: dict[str, str], name: str
) -> None:
    answer = send(client, b"" if headers else DATA, name=name, **headers)

    assert answer.status_code == 201
    found = answer.json()["file_name"], answer.json()["uploader"]
    assert found == (name.strip(), "token alice/alice-write")
    assert listed(client) == [name.strip()]


@pytest.mark.parametrize("headers", [{}, {"Upload-Length": "100"}])
@pytest.mark.parametrize("name", BAD)
def test_bad_name_is_refused_and_nothing_kept(
    client: Client, miner: Miner, headers: dict[str, str], name: str
) -> None:
    answer = send(client, b"" if headers else DATA, name=name, **headers)

    assert (answer.status_code, answer.json()["field"]) == (400, "file_name")
    assert not Piece.objects.exists()


def test_same_bytes_again_name_a_piece_that_has_no_name(client: Client, miner: Miner) -> None:
    assert send(client).json()["file_name"] is None

    named, other = send(client, name="first.car"), send(client, name="second.car")

    assert [one.status_code for one in (named, other)] == [200, 200]
    assert [one.json()["file_name"] for one in (named, other)] == ["first.car", "first.car"]
    assert listed(client) == ["first.car"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/my%20file.car", "my file.car"),
        ("a%2Fb", None),
        ("a/", None),
        ("%E2%80%AEx", None),
        ("%ff", "\ufffd"),
    ],
)
def test_download_is_named_by_the_end_of_its_url(
    client: Client, miner: Miner, path: str, name: str | None
) -> None:
    answer = client.post(
        "/api/v1/miners/f02001/pieces:fetch",
        {"url": f"https://data.example/{path}?X-Signature=key/x"},
        content_type="application/json",
        headers=people.bearer(people.token("write")),
    )

    assert (answer.status_code, answer.json()["file_name"]) == (201, name)


def deal_of(miner: Miner) -> Deal:
    factories.head(1000)
    return factories.deal(miner, sized(DATA), source="offline")


def test_imported_data_of_a_deal_keep_the_name(client: Client, miner: Miner) -> None:
    people.person()
    deal = deal_of(miner)
    path, headers = f"/api/v1/deals/{deal.uuid}/data", people.bearer(people.token("write"))
    kind = "application/octet-stream"

    bad = client.generic("POST", f"{path}?file_name=..", DATA, content_type=kind, headers=headers)
    assert (bad.status_code, bad.json()["field"]) == (400, "file_name")
    assert not Piece.objects.exists()
    right = client.generic(
        "POST", f"{path}?file_name={quote(NAME)}", DATA, content_type=kind, headers=headers
    )

    assert right.status_code == 200
    assert listed(client) == [NAME]
    page = signed_in().get(f"/deals/{deal.uuid}/").content.decode()
    assert escape(NAME) in page
    assert "token alice/alice-write" in page


def test_pieces_are_found_by_file_and_uploader(client: Client, miner: Miner) -> None:
    root = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    client_address = factories.secp(5)
    for name, actor in (
        ("Report 2026.car", "ann"),
        (f"{root}.car", "token alice/nightly"),
        ("20260101", f"{CLIENT_ACTOR}{client_address}"),
        ("", "carl"),
    ):
        factories.piece(miner, file_name=name, actor=actor)
    factories.piece(factories.miner(2002, of="bob"), file_name="Report 2026.car", actor="ann")

    for text, names in (
        ("report", ["Report 2026.car"]),
        ("NIGHTLY", [f"{root}.car"]),
        (root, [f"{root}.car"]),
        ("20260101", ["20260101"]),
        (client_address, ["20260101"]),
        ("carl", [None]),
        ("100%", []),
    ):
        assert listed(client, q=text) == names, text


def test_page_and_csv_show_file_and_uploader(miner: Miner) -> None:
    people.person()
    old = factories.piece(miner)
    factories.piece(miner, file_name=NAME, actor=f"{CLIENT_ACTOR}{factories.secp(5)}")
    factories.piece(miner, file_name="=cmd()", actor="ann")

    page = signed_in().get("/pieces/").content.decode()
    csv = b"".join(signed_in().get("/pieces.csv")).decode()

    assert f"<bdi>{escape(NAME)}</bdi>" in page
    assert "<b>.car" not in page
    assert "client f1" in text_of(signed_in().get("/pieces/"))
    assert f'id="f-piece-{old.uuid}"' in page
    assert f"{NAME},client f1" in csv
    assert "'=cmd(),ann" in csv
