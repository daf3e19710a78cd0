"""A Go client of market 2.0 at a console: it proposes, uploads, and asks how far its deals are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.market.models import Deal
from apps.market.services.follow import deals_advance, deals_join
from apps.market.services.markets import market_set
from apps.market.services.transfers import places_decode
from apps.pieces.data.files import piece_path
from tests import factories, people
from tests.hub import WebProcess
from tests.peers.programs import ANSWER_S, go_program

pytestmark = [pytest.mark.peer, pytest.mark.django_db(transaction=True)]

SMALL = b"uploaded whole " * 100
LARGE = b"in chunks" * ((1 << 20) // 5)


def test_a_go_client_uploads_the_data_of_its_deals(go: None, settings: Any, tmp_path: Path) -> None:
    settings.PIECES_DIR = str(tmp_path)
    factories.head(1000)
    miner = factories.miner(2001, sector_size=8 << 20)
    market_set(miner, values={"is_open": True}, by=people.principal())
    program, web = go_program("mk20"), WebProcess()
    web.start()
    try:
        url = f"http://127.0.0.1:{web.port}"
        words = [str(program), url, miner.address]
        done = subprocess.run(words, capture_output=True, text=True, timeout=ANSWER_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        steps = {row["step"]: row for row in map(json.loads, done.stdout.splitlines())}

        refused = {name: row["status"] for name, row in steps.items() if row["status"] != 200}
        assert refused == {"stranger": 401, "other bytes": 400, "not begun": 425, "short": 441}
        assert "but the bytes have" in steps["other bytes"]["message"]
        found = {name: row["found"] for name, row in steps.items()}
        assert (found["products"], found["contracts"]) == (["ddo_v1", "retrieval_v1"], [])
        assert sorted(found["sources"]) == ["http", "offline", "put"]
        assert found["awaited"] == {"ddo_v1": {"status": "uploading", "errorMsg": ""}}
        assert (found["missing"]["uploaded_chunks"], found["missing"]["missing_chunks"]) == ([2], [1])
        deals = Deal.objects.exclude(state="REFUSED").order_by("pk")
        assert [deal.source for deal in deals] == ["put", "put", "http", "offline"]
        [place] = places_decode(deals[2])
        assert (place.url, place.headers) == ("https://data.example/x", (("Authorization", "Bearer t"),))

        deals_join()
        deals_advance(height=1000, now=clock.now())

        assert [deal.state for deal in deals.all()][:2] == ["VERIFIED", "VERIFIED"]
        pieces = [deal.piece for deal in deals.all()[:2]]
        assert [piece and piece_path(piece).read_bytes() for piece in pieces] == [SMALL, LARGE]
    finally:
        web.stop()
