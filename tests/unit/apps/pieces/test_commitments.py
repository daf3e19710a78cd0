"""Commitments of uploaded files: small ones without another process, all as the reference computes them."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.core.live import changes_deferred
from apps.pieces.data.commitments import SMALL_BYTES, commitment_of
from apps.pieces.errors import CommitmentFailed
from apps.pieces.models import Piece
from apps.pieces.services import retention
from apps.pieces.services.retention import UNCHECKED, piece_finish, pieces_tidy
from apps.pieces.services.uploads import PieceSpec, part_upload, piece_upload, upload_begin
from tests import factories, people
from tests.unit.filecoin.golden_proofs import golden, stream

SMALL = [case for case in golden("pieces")["single"] if case["unpadded_size"] <= SMALL_BYTES]
NO_PROCESS = [sys.executable, "-c", "raise SystemExit(1)"]


@pytest.mark.parametrize("case", SMALL, ids=lambda case: str(case["unpadded_size"]))
def test_a_small_file_needs_no_process(case: dict[str, Any], tmp_path: Path, settings: Any) -> None:
    settings.PIECE_COMMITMENT_COMMAND = NO_PROCESS
    path = tmp_path / "piece"
    path.write_bytes(stream(f"piece-{case['unpadded_size']}", case["unpadded_size"]))

    found = commitment_of(path)

    assert (found.comm_p.hex(), found.padded_size) == (case["comm_p"], case["padded_size"])


def test_zeros_stand_behind_bytes_that_fill_no_piece(tmp_path: Path) -> None:
    short, whole = tmp_path / "short", tmp_path / "whole"
    short.write_bytes(b"x" * 128)
    whole.write_bytes(b"x" * 128 + bytes(126))

    assert commitment_of(short) == commitment_of(whole)
    assert commitment_of(whole).padded_size == 256


def test_a_large_file_goes_to_the_process(tmp_path: Path, settings: Any) -> None:
    settings.PIECE_COMMITMENT_COMMAND = NO_PROCESS
    path = tmp_path / "piece"
    path.write_bytes(bytes(SMALL_BYTES + 1))

    with pytest.raises(CommitmentFailed):
        commitment_of(path)


def test_a_file_that_is_gone_has_none(tmp_path: Path) -> None:
    with pytest.raises(CommitmentFailed):
        commitment_of(tmp_path / "gone")


@pytest.mark.django_db
@pytest.mark.parametrize("is_in_parts", [True, False])
def test_bytes_stay_when_their_commitment_cannot_be_computed_now(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, is_in_parts: bool
) -> None:
    settings.PIECES_DIR, settings.PIECE_COMMITMENT_COMMAND = str(tmp_path), NO_PROCESS
    monkeypatch.setattr("apps.pieces.data.commitments.SMALL_BYTES", 0)
    miner, by, source = factories.miner(), people.principal(), io.BytesIO(b"x" * 300)
    spec = PieceSpec(payload_size=300)
    if is_in_parts:
        begun = upload_begin(miner, spec=spec, by=by, is_resumable=True)
        piece, _ = part_upload(begun, source=source, offset=0, by=by)
    else:
        piece, _ = piece_upload(miner, spec=spec, source=source, by=by)
    assert (piece.state, piece.received) == ("RECEIVED", 300)

    pieces_tidy(now=clock.now() + 2 * UNCHECKED)
    piece.refresh_from_db()
    assert (piece.state, piece.error) == ("RECEIVED", "the commitment could not be computed: see the log")

    monkeypatch.undo()
    pieces_tidy(now=clock.now() + 2 * UNCHECKED)
    piece.refresh_from_db()
    assert (piece.state, piece.error) == ("READY", "")


@pytest.mark.django_db
@pytest.mark.parametrize(("state", "error", "published"), [("RECEIVED", "not now", 1), ("READY", "", 0)])
def test_why_a_received_piece_has_no_commitment_yet_is_noted_once(
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
    state: str,
    error: str,
    published: int,
) -> None:
    piece = factories.piece(factories.miner(), state=state)

    def fail(*_: Any, **__: Any) -> Any:
        raise CommitmentFailed("not now")

    monkeypatch.setattr(retention, "piece_check", fail)
    with changes_deferred() as changes, django_capture_on_commit_callbacks(execute=True):
        for _ in range(3):
            piece_finish(piece)

    assert (Piece.objects.get().error, len(changes)) == (error, published)
