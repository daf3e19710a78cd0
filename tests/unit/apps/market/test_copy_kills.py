"""A deal whose unsealed copy goes once it is active (`RemoveUnsealedCopy`), killed at each step."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.market.models import Deal
from apps.market.services.follow import deals_advance
from apps.market.services.transfers import client_principal_make, deal_upload
from apps.market.states import DealSource
from apps.miners.models import Miner
from apps.pieces.data.files import piece_path
from apps.pieces.models import Piece
from apps.pieces.services.retention import pieces_tidy
from tests import factories
from tests.killed_writes import Killed, kill, killed_until_done
from tests.mk20 import sized

pytestmark = pytest.mark.django_db(transaction=True)

DATA = b"data of a deal" * 9


@pytest.fixture
def miner(settings: Any, tmp_path: Path) -> Miner:
    settings.PIECES_DIR = str(tmp_path)
    factories.head(1000)
    return factories.miner(2001)


def deal(of: Miner, **changes: Any) -> Deal:
    return factories.deal(of, sized(DATA), **changes)


def upload(one: Deal) -> None:
    deal_upload(one, source=io.BytesIO(DATA), by=client_principal_make(one))


def go_on(one: Deal) -> Deal:
    deals_advance(height=1000, now=clock.now())
    one.refresh_from_db()
    return one


@pytest.mark.parametrize("has_other", [True, False])
def test_a_kill_at_any_write_leaves_an_unsealed_copy_or_its_removal(miner: Miner, has_other: bool) -> None:
    one = deal(miner, removes_copy=True)
    upload(one)
    piece = go_on(one).piece
    assert piece is not None
    if has_other:
        assert go_on(deal(miner, client=factories.secp(6), source=DealSource.OFFLINE)).piece == piece
    factories.sector(miner, number=7, store="s")
    Piece.objects.update(state="PACKED", sector_number=7)
    go_on(one)
    Piece.objects.update(state="ACTIVE")
    kills: list[tuple[str, bool, bool]] = []

    def step() -> None:
        try:
            go_on(one)
            pieces_tidy(now=clock.now())
        except Killed:
            one.refresh_from_db()
            piece.refresh_from_db()
            kills.append((one.state, piece.has_data, piece_path(piece).exists()))
            raise

    assert killed_until_done(step) == len(kills) > 0
    piece.refresh_from_db()
    assert (one.state, piece.has_data, piece_path(piece).exists()) == ("ACTIVE", has_other, has_other)
    if has_other:
        assert set(kills) == {("SEALING", True, True), ("ACTIVE", True, True)}
    else:  # it is not served, or promised, from the moment on in which its removal is certain
        assert set(kills) == {("SEALING", True, True), ("ACTIVE", False, False)}


def test_a_copy_whose_removal_was_killed_goes_with_the_next_head(
    miner: Miner, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = deal(miner, removes_copy=True)
    upload(one)
    piece = go_on(one).piece
    assert piece is not None
    factories.sector(miner, number=7, store="s")
    Piece.objects.update(state="ACTIVE", sector_number=7)
    with monkeypatch.context() as patch:
        patch.setattr("apps.pieces.services.restored_data.leftover_remove", kill)
        with pytest.raises(Killed):
            go_on(one)
    one.refresh_from_db()
    piece.refresh_from_db()
    assert (one.state, piece.has_data, piece_path(piece).exists()) == ("ACTIVE", False, True)

    pieces_tidy(now=clock.now())

    assert not piece_path(piece).exists()
