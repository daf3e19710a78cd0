"""Two equal requests for a download at once: it is one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from apps.pieces.models import Piece
from apps.pieces.services import fetches
from apps.pieces.services.checks import piece_repeat
from apps.pieces.services.fetches import piece_fetch_begin
from apps.pieces.services.uploads import PieceSpec
from tests import factories, people

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db(transaction=True)

WATCHED_S = 0.4
"""How long the second request is watched waiting."""


def test_two_equal_requests_at_once_are_one_download(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PIECES_DIR = str(tmp_path)
    miner = factories.miner(of="alice")
    looked, go_on, outcomes = threading.Event(), threading.Event(), list[Any]()

    def repeat(piece: Piece, **options: Any) -> Piece | None:
        found = piece_repeat(piece, **options)
        if not looked.is_set():
            looked.set()
            go_on.wait(20)
        return found

    def begin() -> None:
        try:
            url, by = "https://a.example/x", people.principal()
            outcomes.append(piece_fetch_begin(miner, spec=PieceSpec(), url=url, by=by))
        finally:
            connection.close()

    monkeypatch.setattr(fetches, "piece_repeat", repeat)
    threads = [threading.Thread(target=begin) for _ in range(2)]
    threads[0].start()
    assert looked.wait(20)
    threads[1].start()
    threads[1].join(WATCHED_S)
    go_on.set()
    for thread in threads:
        thread.join(20)

    assert sorted(is_new for _, is_new in outcomes) == [False, True]
    assert Piece.objects.count() == 1
