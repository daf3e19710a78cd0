"""Products of pairings by blst as a whole equal those of one pairing after the other."""

from __future__ import annotations

import numpy as np
import pytest
from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.target import pairing_product, target_unit
from tests.unit.filecoin.groth16.aggregate import CASE
from workers.snark import pairings
from workers.snark.arrays import Words
from workers.snark.pairings import rows_pairing_product
from workers.snark.points import G1, G2, points_decompress

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

PROOFS = [bytes.fromhex(proof) for proof in CASE["proofs"]]


def rows(count: int) -> tuple[Words, Words]:
    """A and B of proofs, again and again: as many pairs."""
    some = [PROOFS[place % len(PROOFS)] for place in range(count)]
    return (
        points_decompress(G1, b"".join(proof[:48] for proof in some)),
        points_decompress(G2, b"".join(proof[48:144] for proof in some)),
    )


def elements(count: int) -> tuple[list[G1Element], list[G2Element]]:
    some = [PROOFS[place % len(PROOFS)] for place in range(count)]
    return (
        [G1Element.from_bytes(proof[:48]) for proof in some],
        [G2Element.from_bytes(proof[48:144]) for proof in some],
    )


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 33])
def test_a_product_is_that_of_its_pairings(count: int) -> None:
    assert pairings._blst() is not None, "the wheels of requirements.txt export blst"
    assert rows_pairing_product(*rows(count)) == pairing_product(*elements(count))


def test_infinity_adds_nothing() -> None:
    left, right = rows(4)
    left[1], right[3] = 0, 0
    only = rows_pairing_product(left[::2].copy(), right[::2].copy())
    assert rows_pairing_product(left, right) == only
    assert rows_pairing_product(np.zeros_like(left), right) == target_unit()


def test_a_module_that_hides_blst_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    together = rows_pairing_product(*rows(3))
    monkeypatch.setattr(pairings, "_blst", lambda: None)
    monkeypatch.setattr(pairings, "ctypes", None)
    assert rows_pairing_product(*rows(3)) == together
