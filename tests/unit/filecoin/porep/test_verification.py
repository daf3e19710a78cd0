from __future__ import annotations

import random
from dataclasses import replace

import pytest

from poolsite.filecoin.bincode import BadBincode
from poolsite.filecoin.merkle import PathElement
from poolsite.filecoin.porep.challenges import ChallengeSource, porep_challenges
from poolsite.filecoin.porep.sealing import porep_prove
from poolsite.filecoin.porep.vanilla import porep_proof_decode, porep_proof_encode
from poolsite.filecoin.porep.verification import BadPoRep, PoRepPublicInputs, porep_verify
from poolsite.filecoin.scalars import SCALAR_MODULUS
from tests.unit.filecoin.golden_proofs import SEALED_CASES, case_parameters, case_sealed, golden

NOT_A_SCALAR = SCALAR_MODULUS.to_bytes(32, "little")
OTHER = bytes([1]) + bytes(31)
"""A scalar that is no node of the sector."""
FLIPS = 400
"""Bits flipped in the quick test; the slow one flips a bit of every byte."""


def inputs_of(case):
    sector = case_sealed(case)
    seed = bytes.fromhex(golden(f"seal_{case}")["seed"])
    return PoRepPublicInputs(sector.replica_id, sector.tree_d.root, sector.comm_r, seed)


def proofs_of(case):
    sector, inputs, parameters = case_sealed(case), inputs_of(case), case_parameters(case)
    source = ChallengeSource(inputs.replica_id, inputs.comm_r, inputs.seed)
    return [
        [porep_prove(sector, node) for node in porep_challenges(parameters, source, partition=at)]
        for at in range(parameters.partitions)
    ]


def verify(proofs, case="2k_v1_1", **changed):
    porep_verify(proofs, parameters=case_parameters(case), inputs=replace(inputs_of(case), **changed))


@pytest.mark.parametrize("case", SEALED_CASES)
def test_the_proofs_of_a_sealed_sector_are_accepted(case):
    verify(proofs_of(case), case)


@pytest.mark.parametrize("name", ["replica_id", "comm_d", "comm_r", "seed"])
def test_every_public_input_matters(name):
    with pytest.raises(BadPoRep):
        verify(proofs_of("2k_v1_1"), **{name: bytes(32)})


def test_a_non_interactive_proof_does_not_depend_on_the_seed():
    verify(proofs_of("2k_ni"), "2k_ni", seed=bytes(32))


def test_the_proof_of_another_graph_is_refused():
    with pytest.raises(BadPoRep):
        porep_verify(proofs_of("2k_v1_1"), parameters=case_parameters("2k_v1"), inputs=inputs_of("2k_v1_1"))


def in_inclusion(change):
    return lambda column: replace(column, inclusion=change(column.inclusion))


def in_first(name, change):
    def changed(proof):
        first, *rest = getattr(proof, name)
        return replace(proof, **{name: (change(first), *rest)})

    return changed


def in_field(name, change):
    return lambda proof: replace(proof, **{name: change(getattr(proof, name))})


def with_value(name, value):
    return lambda part: replace(part, **{name: value})


def first_row(node):
    return lambda column: replace(column, rows=(node, *column.rows[1:]))


def first_hash(node):
    def changed(proof):
        first = proof.base[0]
        return replace(proof, base=(replace(first, hashes=(node, *first.hashes[1:])), *proof.base[1:]))

    return changed


WRONG = {
    "data leaf": (in_field("comm_d_proof", with_value("leaf", OTHER)), "comm_d"),
    "data leaf no scalar": (in_field("comm_d_proof", with_value("leaf", NOT_A_SCALAR)), "comm_d"),
    "data root": (in_field("comm_d_proof", with_value("root", bytes(32))), "unexpected root"),
    "data path": (in_field("comm_d_proof", first_hash(OTHER)), "comm_d"),
    "data rows missing": (in_field("comm_d_proof", with_value("base", ())), "rows"),
    "data sub row": (in_field("comm_d_proof", with_value("sub", (PathElement((), 0),))), "rows"),
    "replica leaf": (in_field("comm_r_last_proof", with_value("leaf", bytes(32))), "comm_r_last"),
    "replica leaf no scalar": (
        in_field("comm_r_last_proof", with_value("leaf", NOT_A_SCALAR)),
        "comm_r_last",
    ),
    "replica path": (in_field("comm_r_last_proof", first_hash(bytes(32))), "comm_r_last"),
    "replica path no scalar": (in_field("comm_r_last_proof", first_hash(NOT_A_SCALAR)), "comm_r_last"),
    "column index": (in_field("c_x", with_value("index", 0)), "is not the one of node"),
    "column row": (in_field("c_x", first_row(bytes(32))), "wrong label in layer 1"),
    "column rows missing": (in_field("c_x", with_value("rows", ())), "is not the one of node"),
    "column leaf": (in_field("c_x", in_inclusion(with_value("leaf", bytes(32)))), "comm_c"),
    "column root": (in_field("c_x", in_inclusion(with_value("root", bytes(32)))), "comm_"),
    "drg column index": (in_first("drg_parents", with_value("index", 63)), "is not the one of node"),
    "drg column row": (in_first("drg_parents", first_row(bytes(32))), "parents' labels"),
    "drg column path": (in_first("drg_parents", in_inclusion(first_hash(bytes(32)))), "comm_c"),
    "drg column missing": (in_field("drg_parents", lambda columns: columns[1:]), "number of parent columns"),
    "expander column index": (in_first("exp_parents", with_value("index", 0)), "is not the one of node"),
    "expander column row": (in_first("exp_parents", first_row(bytes(32))), "parents' labels"),
    "expander column missing": (in_field("exp_parents", lambda columns: columns[1:]), "number of parent"),
    "labeling node": (in_first("labeling_proofs", with_value("node", 0)), "labeling proof of layer 1"),
    "labeling layer": (
        in_first("labeling_proofs", with_value("layer_index", 2)),
        "labeling proof of layer 1",
    ),
    "labeling parents": (in_first("labeling_proofs", with_value("parents", ())), "labeling proof of layer 1"),
    "labeling missing": (in_field("labeling_proofs", lambda proofs: proofs[1:]), "number of labeling"),
    "encoding node": (in_field("encoding_proof", with_value("node", 0)), "encoding proof"),
    "encoding layer": (in_field("encoding_proof", with_value("layer_index", 1)), "encoding proof"),
    "encoding parents": (in_field("encoding_proof", with_value("parents", ())), "encoding proof"),
}


@pytest.mark.parametrize(("change", "reason"), list(WRONG.values()), ids=list(WRONG))
def test_every_wrong_part_is_refused_with_its_reason(change, reason):
    (first, second), *_ = proofs_of("2k_v1_1")

    for proofs in ([[change(first), second]], [[first, change(second)]]):
        with pytest.raises(BadPoRep, match=reason):
            verify(proofs)


def test_a_missing_partition_and_a_missing_challenge_are_refused():
    ((first, second),) = proofs_of("2k_v1_1")

    for proofs in ([], [[first]], [[first, second], [first, second]], [[second, first]]):
        with pytest.raises(BadPoRep):
            verify(proofs)


def test_roots_that_are_no_scalars_are_refused():
    ((first, second),) = proofs_of("2k_v1_1")
    wrong = in_field("comm_r_last_proof", with_value("root", NOT_A_SCALAR))(first)

    with pytest.raises(BadPoRep, match="not a scalar"):
        verify([[wrong, second]])


def flip_is_refused(data, bit, other):
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    try:
        verify([[porep_proof_decode(bytes(flipped)), other]])
    except (BadBincode, BadPoRep):
        return True
    return False


def test_a_flipped_bit_anywhere_is_refused():
    ((first, second),) = proofs_of("2k_v1_1")
    data, rng = porep_proof_encode(first), random.Random(1)

    bits = [rng.randrange(8 * len(data)) for _ in range(FLIPS)]
    assert [bit for bit in bits if not flip_is_refused(data, bit, second)] == []


@pytest.mark.slow
def test_a_flipped_bit_in_each_byte_is_refused():
    ((first, second),) = proofs_of("2k_v1_1")
    data, rng = porep_proof_encode(first), random.Random(2)

    bits = [8 * at + rng.randrange(8) for at in range(len(data))]
    assert [bit for bit in bits if not flip_is_refused(data, bit, second)] == []
