from __future__ import annotations

import pytest

from poolsite.filecoin.commd import (
    BadPiece,
    Piece,
    comm_d_from_pieces,
    piece_alignment,
)
from poolsite.filecoin.fr32 import fr32_pad, fr32_unpad, padded_bytes
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.filecoin.sizes import GIB, KIB
from tests.naive.pieces import data_commitment, staged_sector
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_staged, golden, sha256_hex, stream

PLAIN_PYTHON_LIMIT = 130_048
"""Larger pieces are left to the kernels."""


def test_piece_commitments_equal_the_golden_ones():
    cases = [case for case in golden("pieces")["single"] if case["unpadded_size"] <= PLAIN_PYTHON_LIMIT]

    assert len(cases) >= 5
    for case in cases:
        size = case["unpadded_size"]
        assert data_commitment(fr32_pad(stream(f"piece-{size}", size))).hex() == case["comm_p"]


@pytest.mark.parametrize("case", [c for c in golden("pieces")["aggregate"] if "comm_ps" in c])
def test_comm_d_of_pieces_equals_the_golden_one(case):
    pieces = [
        Piece(size, bytes.fromhex(comm_p))
        for size, comm_p in zip(case["padded_sizes"], case["comm_ps"], strict=True)
    ]

    assert comm_d_from_pieces(case["sector_size"], pieces).hex() == case["comm_d"]


def test_an_empty_sector_has_the_zero_commitment():
    assert comm_d_from_pieces(32 * GIB, []) == sha254_zero(32 * GIB)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([4 * KIB], "Piece is larger than sector."),
        ([192], r"Piece size \(192\) must be a power of 2."),
        ([64], r"Piece size \(64\) must be a power of 2."),
        ([128] * 17, "Too many pieces"),
        ([1 * KIB, 2 * KIB], "Pieces are larger than sector."),
    ],
)
def test_pieces_that_no_sector_of_2_kib_can_have_are_refused(sizes, words):
    with pytest.raises(BadPiece, match=words):
        comm_d_from_pieces(2 * KIB, [Piece(size, bytes(32)) for size in sizes])


def test_add_piece_puts_the_golden_pieces_where_the_reference_does():
    case = golden("pieces")["add_piece"]
    staged, written, pieces = bytes.fromhex(case["staged_hex"]), 0, []
    for step in case["steps"]:
        alignment = piece_alignment(written, step["unpadded"])
        start = padded_bytes(written + alignment.left)
        piece = staged[start : start + padded_bytes(alignment.room)]
        assert alignment.left + alignment.room == step["written_unpadded"]
        assert data_commitment(piece).hex() == step["comm_p"]
        pieces.append(fr32_unpad(piece)[: step["unpadded"]])
        written += step["written_unpadded"]

    assert staged_sector(len(staged), pieces) == staged


@pytest.mark.parametrize("case", SEALED_CASES)
def test_staged_sectors_equal_the_golden_ones(case):
    staged, sealed = case_staged(case), golden(f"seal_{case}")

    assert sha256_hex(staged) == sealed["staged_sha256"]
    assert data_commitment(staged).hex() == sealed["comm_d"]


def test_pieces_that_leave_the_sector_are_refused():
    with pytest.raises(BadPiece):
        staged_sector(128, [bytes(127), bytes(127)])
