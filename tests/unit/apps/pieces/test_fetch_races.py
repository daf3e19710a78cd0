"""Two equal requests for a download at once: it is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.pieces.models import Piece
from apps.pieces.services.fetches import piece_fetch_begin
from apps.pieces.services.uploads import PieceSpec
from tests import factories, people

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_equal_requests_at_once_are_one_download(
    settings: Any, tmp_path: Path, beside: Callable[..., list[Any]]
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(of="alice")

    def begin() -> tuple[Piece, bool]:
        return piece_fetch_begin(miner, spec=PieceSpec(), url="https://a.example/x", by=people.principal())

    (one, is_first), (two, is_second), _ = beside(begin, "apps.pieces.services.fetches.piece_repeat", begin)

    assert (is_first, is_second) == (True, False)
    assert one == two == Piece.objects.get()
