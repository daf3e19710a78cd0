from __future__ import annotations

import random
from dataclasses import replace

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.filecoin.update.vanilla import update_proof_decode, update_proof_encode
from poolsite.filecoin.update.verification import BadUpdate, update_verify
from tests.naive.updates import update_prove
from tests.unit.filecoin.update.golden_updates import UPDATE_CASES, case_updated

NOT_A_SCALAR = SCALAR_MODULUS.to_bytes(32, "little")
OTHER = bytes([1]) + bytes(31)


def proofs_of(case="2k_v1_1"):
    sector = case_updated(case)
    return [update_prove(sector, at) for at in range(sector.parameters.partitions)]


def verify(proofs, case="2k_v1_1", **changed):
    sector = case_updated(case)
    update_verify(proofs, parameters=sector.parameters, inputs=replace(sector.inputs, **changed))


@pytest.mark.parametrize("case", UPDATE_CASES)
def test_the_proofs_of_an_updated_sector_are_accepted(case):
    verify(proofs_of(case), case)


@pytest.mark.parametrize("name", ["comm_r_old", "comm_d_new", "comm_r_new"])
@pytest.mark.parametrize("value", [OTHER, NOT_A_SCALAR], ids=["other", "no scalar"])
def test_every_public_input_matters(name, value):
    with pytest.raises(BadUpdate):
        verify(proofs_of(), **{name: value})


def test_partitions_are_not_exchanged_repeated_or_left_out():
    first, second = proofs_of("16k_sub8")

    for proofs in ([second, first], [first, first], [first], []):
        with pytest.raises(BadUpdate):
            verify(proofs, "16k_sub8")


def in_first_challenge(name, **values):
    def changed(proof):
        first, *rest = proof.challenge_proofs
        path = replace(getattr(first, name), **values)
        return replace(proof, challenge_proofs=(replace(first, **{name: path}), *rest))

    return changed


def with_value(name, value):
    return lambda proof: replace(proof, **{name: value})


WRONG = {
    "comm_c": (with_value("comm_c", OTHER), "comm_r_old is not the hash"),
    "comm_c no scalar": (with_value("comm_c", NOT_A_SCALAR), NOT_A_SCALAR.hex()),
    "apex leaf": (lambda p: replace(p, apex_leaves=(OTHER, *p.apex_leaves[1:])), "apex leaves"),
    "apex order": (lambda p: replace(p, apex_leaves=p.apex_leaves[::-1]), "apex leaves"),
    "apex missing": (with_value("apex_leaves", ()), "0 apex leaves instead of 8"),
    "challenge missing": (lambda p: replace(p, challenge_proofs=p.challenge_proofs[1:]), "9 challenges"),
    "challenge order": (lambda p: replace(p, challenge_proofs=p.challenge_proofs[::-1]), "path of node"),
    "old leaf": (in_first_challenge("proof_r_old", leaf=OTHER), "tree_r_last old"),
    "old root": (in_first_challenge("proof_r_old", root=OTHER), "comm_r_old is not the hash"),
    "data leaf": (in_first_challenge("proof_d_new", leaf=OTHER), "tree_d new"),
    "data root": (in_first_challenge("proof_d_new", root=OTHER), "tree_d new: unexpected root"),
    "new leaf": (in_first_challenge("proof_r_new", leaf=OTHER), "tree_r_last new"),
    "new leaf no scalar": (in_first_challenge("proof_r_new", leaf=NOT_A_SCALAR), "tree_r_last new"),
    "new root": (in_first_challenge("proof_r_new", root=OTHER), "comm_r_new is not the hash"),
}


@pytest.mark.parametrize(("change", "reason"), list(WRONG.values()), ids=list(WRONG))
def test_every_wrong_part_is_refused_with_its_reason(change, reason):
    (proof,) = proofs_of()

    with pytest.raises(BadUpdate, match=reason):
        verify([change(proof)])


def test_data_encoded_with_another_factor_is_refused():
    sector = case_updated("2k_v1_1")
    wrong_sector = replace(sector, tree_r_last=sector.tree_r_old)
    proof = update_prove(wrong_sector, 0)

    with pytest.raises(BadUpdate, match="is not old replica plus data times rho"):
        verify([proof], comm_r_new=wrong_sector.inputs.comm_r_new)


def test_a_flipped_bit_anywhere_is_refused():
    (proof,) = proofs_of()
    data, rng = update_proof_encode(proof), random.Random(1)

    for _ in range(300):
        at = rng.randrange(len(data))
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        with pytest.raises((BadBincode, BadUpdate)):
            verify([update_proof_decode(bytes(damaged))])
