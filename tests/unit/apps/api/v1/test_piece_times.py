"""Data over REST that must be active by an epoch: what cannot be is refused before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apps.pieces.models import Piece
from poolsite.filecoin.cids import commd_cid
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.policy import network_by_name
from tests import factories, people
from tests.naive.pieces import data_commitment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _miner(settings: Any, tmp_path: Path) -> None:
    settings.PIECES_DIR = str(tmp_path / "pieces")
    factories.miner(2001, of="alice")


def send(client: Client, data: bytes, start: int, **headers: str) -> Any:
    """Send raw bytes for miner f02001 that are to be active by `start`."""
    kind = "application/octet-stream"
    known = {**people.bearer(people.token("write")), **headers}
    path = f"/api/v1/miners/f02001/pieces?start_epoch={start}"
    return client.generic("POST", path, data, content_type=kind, headers=known)


def fetch(client: Client, start: int) -> Any:
    """Have the console download such data."""
    body, known = {"url": "https://example.com/a", "start_epoch": start}, people.bearer(people.token("write"))
    return client.post("/api/v1/miners/f02001/pieces:fetch", body, "application/json", headers=known)


@pytest.mark.parametrize("how", ["whole", "in parts", "fetched"])
def test_what_cannot_be_active_in_time_is_refused(client: Client, how: str) -> None:
    factories.head(1000)
    first = 1000 + network_by_name(factories.NETWORK).pre_commit_challenge_delay + 2

    def answer(start: int) -> Any:
        if how == "fetched":
            return fetch(client, start)
        return (
            send(client, b"soon", start)
            if how == "whole"
            else send(client, b"", start, **{"Upload-Length": "4"})
        )

    refused = answer(first - 1)
    assert (refused.status_code, refused.json()["field"]) == (422, "start_epoch")
    assert f"cannot be active before epoch {first}" in refused.json()["message"]
    assert not Piece.objects.exists()
    assert answer(first).status_code == 201


def test_a_piece_that_is_here_is_sent_again_when_it_is_too_late(client: Client) -> None:
    cid = str(commd_cid(data_commitment(fr32_pad(b"same" + bytes(123)))))

    def again(start: int) -> int:
        return int(send(client, b"same", start, **{"Piece-Cid": cid}).status_code)

    assert again(1100) == 201
    factories.head(1099)
    assert again(1100) == 200
    assert again(1101) == 422, "this would change it"
    assert Piece.objects.get().start_epoch == 1100
