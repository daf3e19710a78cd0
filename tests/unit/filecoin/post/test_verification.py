from __future__ import annotations

import random
from dataclasses import replace

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.post.challenges import post_randomness
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.proving import post_prove
from poolsite.filecoin.post.vanilla import post_proof_decode, post_proof_encode
from poolsite.filecoin.post.verification import (
    BadPoSt,
    ProvenSector,
    window_post_verify,
    winning_post_verify,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS
from tests.unit.filecoin.golden_proofs import case_sealed, stream

RANDOMNESS = post_randomness(stream("post", 32))
NOT_A_SCALAR = SCALAR_MODULUS.to_bytes(32, "little")
OTHER = bytes([1]) + bytes(31)
SECTORS = {3: "2k_v1", 8: "2k_v1_1", 9: "2k_synth"}
"""Sector numbers and the golden replicas that stand for them."""
WINNING, WINDOW_V1, WINDOW = 0, 5, 10


def sectors_of(numbers=SECTORS):
    return [ProvenSector(number, case_sealed(SECTORS[number]).comm_r) for number in numbers]


def proofs_of(post_proof, numbers=SECTORS):
    return [
        post_prove(
            case_sealed(SECTORS[number]).tree_r_last,
            case_sealed(SECTORS[number]).tree_c.root,
            parameters=post_parameters(post_proof),
            randomness=RANDOMNESS,
            sector_number=number,
            position=position,
        )
        for position, number in enumerate(numbers)
    ]


def verify_window(proofs, *, post_proof=WINDOW, randomness=RANDOMNESS, sectors=None):
    window_post_verify(
        proofs,
        parameters=post_parameters(post_proof),
        randomness=randomness,
        sectors=sectors_of() if sectors is None else sectors,
    )


def verify_winning(proofs, *, post_proof=WINNING, sectors=None):
    winning_post_verify(
        proofs,
        parameters=post_parameters(post_proof),
        randomness=RANDOMNESS,
        sectors=sectors_of([3]) if sectors is None else sectors,
    )


@pytest.mark.parametrize("post_proof", [WINDOW_V1, WINDOW])
def test_the_proofs_of_stored_sectors_are_accepted(post_proof):
    verify_window(proofs_of(post_proof), post_proof=post_proof)


def test_the_proof_of_the_winning_sector_is_accepted():
    verify_winning(proofs_of(WINNING, [3]))


def test_the_rules_of_the_two_window_proofs_differ():
    with pytest.raises(BadPoSt, match=r"faulty sectors: 8 .*; 9 "):
        verify_window(proofs_of(WINDOW_V1), post_proof=WINDOW)


def test_a_proof_under_other_randomness_is_refused():
    with pytest.raises(BadPoSt, match=r"faulty sectors: 3 .*; 8 .*; 9 "):
        verify_window(proofs_of(WINDOW), randomness=bytes(32))


def test_randomness_that_is_no_scalar_is_refused():
    with pytest.raises(BadPoSt, match="randomness"):
        verify_window(proofs_of(WINDOW), randomness=NOT_A_SCALAR)


def test_the_kinds_of_proof_are_not_exchanged():
    with pytest.raises(BadPoSt, match="not a WindowPoSt"):
        verify_window(proofs_of(WINNING, [3]), post_proof=WINNING, sectors=sectors_of([3]))
    with pytest.raises(BadPoSt, match="not a WinningPoSt"):
        verify_winning(proofs_of(WINDOW, [3]), post_proof=WINDOW)


def test_a_winning_proof_is_for_one_sector():
    with pytest.raises(BadPoSt, match="2 sectors challenged"):
        verify_winning(proofs_of(WINNING, [3, 8]), sectors=sectors_of([3, 8]))


def test_no_sectors_and_a_missing_proof_are_refused():
    with pytest.raises(BadPoSt, match="empty sector set"):
        verify_window([], sectors=[])
    with pytest.raises(BadPoSt, match="2 sector proofs instead of 3") as refused:
        verify_window(proofs_of(WINDOW)[1:])
    assert refused.value.faulty == ()


def with_value(name, value):
    return lambda proof: replace(proof, **{name: value})


def first_inclusion(**values):
    def changed(proof):
        first, *rest = proof.inclusion_proofs
        return replace(proof, inclusion_proofs=(replace(first, **values), *rest))

    return changed


WRONG = {
    "sector number": (with_value("sector_number", 4), "proof is for sector 4"),
    "comm_r": (with_value("comm_r", OTHER), "comm_r does not match"),
    "comm_c": (with_value("comm_c", OTHER), "comm_r is not the hash"),
    "comm_c no scalar": (with_value("comm_c", NOT_A_SCALAR), NOT_A_SCALAR.hex()),
    "comm_r_last": (with_value("comm_r_last", OTHER), "comm_r is not the hash"),
    "no inclusion proofs": (with_value("inclusion_proofs", ()), "0 inclusion proofs instead of 10"),
    "leaf": (first_inclusion(leaf=OTHER), "does not hash to the root"),
    "root": (first_inclusion(root=OTHER), "unexpected root"),
    "rows": (first_inclusion(base=()), "rows"),
}


@pytest.mark.parametrize(("change", "reason"), list(WRONG.values()), ids=list(WRONG))
def test_every_wrong_part_makes_its_sector_faulty(change, reason):
    first, second, third = proofs_of(WINDOW)

    with pytest.raises(BadPoSt, match=rf"^faulty sectors: 8 \(.*{reason}[^;]*\)$") as refused:
        verify_window([first, change(second), third])
    assert refused.value.faulty == (8,)


def flip_is_refused(data, bit, others):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        verify_window([post_proof_decode(bytes(flipped)), *others])
    except (BadBincode, BadPoSt):
        return True
    return False


def bits_not_refused(stride):
    first, *others = proofs_of(WINDOW)
    data, rng = post_proof_encode(first), random.Random(1)
    bits = [8 * at + rng.randrange(8) for at in range(0, len(data), stride)]
    return [bit for bit in bits if not flip_is_refused(data, bit, others)]


def test_a_flipped_bit_anywhere_is_refused():
    assert bits_not_refused(stride=11) == []


@pytest.mark.slow
def test_a_flipped_bit_in_each_byte_is_refused():
    assert bits_not_refused(stride=1) == []
