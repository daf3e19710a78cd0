from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.filecoin.poseidon import (
    FULL_ROUNDS,
    PARTIAL_ROUNDS,
    poseidon,
    poseidon_constants,
    poseidon_node,
    poseidon_randomness,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS, BadScalar, scalar_to_bytes
from tests.unit.filecoin.golden_proofs import golden, sha256_hex

ARITIES = (2, 4, 8, 11)
EDGES = (0, 1, SCALAR_MODULUS - 1)


def plain_poseidon(elements):
    """The permutation as the paper has it: constants, S-boxes, dense matrix in every round."""
    constants = poseidon_constants(len(elements))
    keys = iter(constants.round_constants)
    state = [(1 << len(elements)) - 1, *elements]
    half, rounds = FULL_ROUNDS // 2, FULL_ROUNDS + PARTIAL_ROUNDS[len(elements)]
    for number in range(rounds):
        state = [element + next(keys) for element in state]
        boxes = 1 if half <= number < rounds - half else len(state)
        state[:boxes] = [pow(element, 5, SCALAR_MODULUS) for element in state[:boxes]]
        state = [
            sum(a * b for a, b in zip(row, state, strict=True)) % SCALAR_MODULUS for row in constants.mds
        ]
    return state[1]


def digest(scalars):
    return sha256_hex(b"".join(map(scalar_to_bytes, scalars)))


@pytest.mark.parametrize("arity", ARITIES)
def test_constants_equal_the_golden_digests(arity):
    constants, case = poseidon_constants(arity), golden("poseidon")[f"arity{arity}"]

    assert (FULL_ROUNDS, PARTIAL_ROUNDS[arity]) == (case["full_rounds"], case["partial_rounds"])
    assert digest(constants.round_constants) == case["round_constants_sha256_le32_concat"]
    assert digest(constants.compressed) == case["compressed_sha256"]
    sparse = [scalar for w_hat, v_rest in constants.sparse for scalar in (*w_hat, *v_rest)]
    assert digest(sparse) == case["sparse_sha256_what_then_vrest"]
    first_row = [scalar_to_bytes(column[0]).hex() for column in constants.pre_sparse]
    assert first_row == case["pre_sparse_row0"]
    assert [scalar_to_bytes(scalar).hex() for scalar in constants.mds[0]] == case["mds_row0"]


@pytest.mark.parametrize("arity", ARITIES)
def test_hashes_equal_the_golden_ones(arity):
    cases = golden("poseidon")[f"arity{arity}"]["cases"]

    assert len(cases) == 5
    for case in cases:
        assert poseidon_node(tuple(map(bytes.fromhex, case["in"]))).hex() == case["out"]


def test_randomness_hashes_equal_the_golden_ones():
    for case in golden("poseidon")["gen_randomness_arity2"]:
        assert scalar_to_bytes(poseidon_randomness(*case["in"])).hex() == case["out"]


@pytest.mark.parametrize("arity", ARITIES)
@settings(max_examples=5)
@given(data=st.data())
def test_the_optimised_form_equals_the_plain_one(arity, data):
    scalar = st.sampled_from(EDGES) | st.integers(0, SCALAR_MODULUS - 1)
    elements = tuple(data.draw(scalar) for _ in range(arity))

    assert poseidon(elements) == plain_poseidon(elements)


def test_a_node_that_is_no_scalar_is_refused():
    with pytest.raises(BadScalar):
        poseidon_node((bytes(32), b"\xff" * 32))
