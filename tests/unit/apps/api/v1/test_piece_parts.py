"""Parts of an upload over REST whose headers say something else than the bytes or the upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import factories, people

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def miner(settings: Any, tmp_path: Path) -> None:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.miner(2001, of="alice")


@pytest.fixture
def by(miner: None) -> dict[str, str]:
    return people.bearer(people.token("write"))


def send(client: Client, method: str, path: str, data: bytes, headers: dict[str, str]) -> Any:
    return client.generic(
        method, f"/api/v1/{path}", data, content_type="application/octet-stream", headers=headers
    )


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Content-Range": "bytes 0-3/999"}, "Content-Range"),
        ({"Content-Range": "bytes 0-9/10"}, "Content-Range"),
        ({"Content-Range": "bytes 3-0/10"}, "Content-Range"),
        ({"Content-Range": "0-3/10"}, "Content-Range"),
        ({"Content-Range": "bytes 0-3/10", "Upload-Offset": "4"}, "Content-Range"),
        ({}, "Upload-Offset"),
    ],
)
def test_part_that_does_not_fit_its_headers_is_refused_and_not_kept(
    client: Client, by: dict[str, str], headers: dict[str, str], field: str
) -> None:
    begun = send(client, "POST", "miners/f02001/pieces", b"", {**by, "Upload-Length": "10"}).json()
    path = f"pieces/uploads/{begun['uuid']}"

    answer = send(client, "PATCH", path, b"0123", {**by, **headers})

    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert client.get(f"/api/v1/{path}", headers=by).json()["received"] == 0


@pytest.mark.parametrize("total", ["10", "*"])
def test_part_whose_range_and_offset_agree_is_kept(client: Client, by: dict[str, str], total: str) -> None:
    begun = send(client, "POST", "miners/f02001/pieces", b"", {**by, "Upload-Length": "10"}).json()
    headers = {**by, "Content-Range": f"bytes 0-3/{total}", "Upload-Offset": "0"}

    answer = send(client, "PATCH", f"pieces/uploads/{begun['uuid']}", b"0123", headers)

    assert (answer.status_code, answer.json()["received"]) == (200, 4)


def test_bytes_that_come_with_the_start_of_an_upload_are_refused(client: Client, by: dict[str, str]) -> None:
    answer = send(client, "POST", "miners/f02001/pieces", b"0123", {**by, "Upload-Length": "10"})

    assert (answer.status_code, answer.json()["field"]) == (400, "Upload-Length")
    assert client.get("/api/v1/pieces", headers=by).json()["results"] == []
