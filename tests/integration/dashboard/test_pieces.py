"""Page Pieces: where a piece is."""

from __future__ import annotations

import pytest

from apps.dashboard.pages.pieces import list_context
from apps.users.principals import SYSTEM
from tests import factories

pytestmark = pytest.mark.django_db


def test_a_piece_links_to_its_sector_and_one_without_to_none() -> None:
    miner = factories.miner()
    sector = factories.sector(miner, number=0)
    packed = factories.piece(miner, state="PACKED", sector_number=0, offset=0)
    waiting = factories.piece(miner)

    rows = list_context([packed, waiting], SYSTEM)

    assert [(row.sector, row.sector_href) for row in rows] == [("0", f"/sectors/{sector.uuid}/"), ("–", "")]
