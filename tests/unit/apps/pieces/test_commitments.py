"""Commitments of uploaded files: small ones without another process, all as the reference computes them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from apps.pieces.commitments import SMALL_BYTES, commitment_of
from apps.pieces.errors import CommitmentFailed
from tests.unit.filecoin.golden_proofs import golden, stream

if TYPE_CHECKING:
    from pathlib import Path

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
