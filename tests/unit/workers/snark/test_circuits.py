from __future__ import annotations

import hashlib
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.scalars import SCALAR_MODULUS
from poolsite.filecoin.sizes import GIB, KIB, MIB
from poolsite.filecoin.update.parameters import update_parameters_for_size
from tests.unit.filecoin.golden_proofs import golden
from tests.unit.workers.snark.canonical_rows import rows_sha256
from tests.unit.workers.snark.golden_circuits import golden_circuit, golden_witness
from workers.kernels.r1cs import scale_rows, solve_rows
from workers.snark import witness as solving
from workers.snark.circuits.porep import porep_circuit
from workers.snark.circuits.post import post_circuit
from workers.snark.circuits.update import update_circuit
from workers.snark.densities import densities_of
from workers.snark.witness import FROM_MONTGOMERY, BadWitness, witness_solve

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

CIRCUITS = ("window", "winning", "update", "porep")
SHAPES = {
    "post_4k_8_2_0": (4 * KIB, TreeShape(sub=2)),
    "post_16k_8_8_0": (16 * KIB, TreeShape(sub=8)),
    "post_32k_8_8_2": (32 * KIB, TreeShape(sub=8, top=2)),
    "post_8m_8_0_0": (8 * MIB, TreeShape()),
    "post_32g_8_8_0": (32 * GIB, TreeShape(sub=8)),
    "post_64g_8_8_2": (64 * GIB, TreeShape(sub=8, top=2)),
}


def shape_circuit(name):
    """Build a circuit of the shapes file: one sector or partition with few challenges."""
    if name.startswith("post"):
        size, shape = SHAPES[name]
        parameters = replace(
            post_parameters(5), sector_bytes=size, shape=shape, challenges=2, partition_sectors=1
        )
        return post_circuit(parameters)
    shape = TreeShape(sub=8, top=2)
    if name.startswith("update"):
        return update_circuit(update_parameters_for_size(32 * KIB, shape))
    sealed = replace(seal_parameters(5), sector_bytes=32 * KIB, shape=shape, layers=11, challenges=2)
    return porep_circuit(sealed)


def assert_rows(circuit, expected):
    digest, terms = rows_sha256(circuit)
    assert (circuit.inputs, circuit.aux, circuit.rows) == (
        expected["num_inputs"],
        expected["num_aux"],
        expected["num_constraints"],
    )
    assert terms == expected["nnz_a_b_c"]
    assert digest == expected["rows_sha256"]


@pytest.mark.parametrize("name", CIRCUITS)
def test_rows_equal_the_golden_ones(name):
    made = golden_circuit(name)
    assert_rows(made.circuit, made.golden)


@pytest.mark.parametrize("name", SHAPES)
def test_rows_of_other_tree_shapes_equal_the_golden_ones(name):
    assert_rows(shape_circuit(name), golden("r1cs_shapes")[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["update_32k_8_8_2", "porep_32k_8_8_2_11layers"])
def test_rows_of_large_circuits_equal_the_golden_ones(name):
    assert_rows(shape_circuit(name), golden("r1cs_shapes")[name])


@pytest.mark.slow
def test_a_porep_partition_of_32_gib_has_130_million_rows():
    assert 571 + 18 * 7_237_665 == 130_278_541  # rows of the head, and of 18 challenges
    circuit = porep_circuit(replace(seal_parameters(8), challenges=1))
    head, challenge = circuit.parts
    assert head.rows + 18 * challenge.rows == 130_278_541


@pytest.mark.parametrize("name", CIRCUITS)
def test_witness_and_row_values_equal_the_golden_ones(name):
    witness, expected = golden_witness(name), golden_circuit(name).golden
    assert hashlib.sha256(witness.values.tobytes()).hexdigest() == expected["witness_sha256"]
    for side, values in zip("abc", witness.rows, strict=True):
        canonical = np.empty_like(values)
        scale_rows(values, FROM_MONTGOMERY, canonical)
        assert hashlib.sha256(canonical.tobytes()).hexdigest() == expected[f"eval_{side}_sha256"]


def test_instances_of_a_part_are_solved_by_several_threads_at_once(monkeypatch):
    made, expected, together = golden_circuit("winning"), golden_witness("winning"), Barrier(2, timeout=60)

    def solve_together(*given):
        together.wait()  # breaks where one thread solves them one after the other
        return solve_rows(*given)

    alone = witness_solve(made.circuit, made.values)
    monkeypatch.setattr(solving, "solve_rows", solve_together)
    both = witness_solve(made.circuit, made.values, threads=2)
    for witness in (alone, both):
        assert np.array_equal(witness.values, expected.values)
        assert np.array_equal(witness.rows, expected.rows)


def test_the_first_of_several_failing_instances_is_named():
    made = golden_circuit("winning")
    each = len(made.values) // made.circuit.parts[0].instances
    values = list(made.values)
    for instance in (7, 5, 6):
        values[instance * each + 3] += 1  # its challenged leaf
    with pytest.raises(BadWitness, match="challenge 5: challenged leaf 0"):
        witness_solve(made.circuit, values, threads=2)


@pytest.mark.parametrize("name", CIRCUITS)
def test_densities_equal_the_golden_ones(name):
    circuit, expected = golden_circuit(name).circuit, golden_circuit(name).golden
    densities, inputs = densities_of(circuit), golden_circuit(name).circuit.inputs
    for key, flags in (
        ("a_aux_density", densities.a[inputs:]),
        ("b_aux_density", densities.b[inputs:]),
        ("b_input_density", densities.b[:inputs]),
    ):
        bitmap = np.packbits(flags, bitorder="little").tobytes()
        assert int(flags.sum()) == expected[key]["total"]
        assert hashlib.sha256(bitmap).hexdigest() == expected[key]["bitmap_sha256"]


def test_a_wrong_value_is_refused_with_the_constraint_by_name():
    made = golden_circuit("window")
    values = list(made.values)
    values[3] = (values[3] + 1) % SCALAR_MODULUS  # the first challenged leaf
    with pytest.raises(BadWitness, match=r"sector 0: challenged leaf 0: constraint \d+ does not hold"):
        witness_solve(made.circuit, values)


def test_a_bit_that_is_neither_0_nor_1_is_refused():
    made = golden_circuit("window")
    values = list(made.values)
    values[4] = 2
    with pytest.raises(BadWitness, match="sector 0: challenged leaf 0"):
        witness_solve(made.circuit, values)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda values: values[:-1], "values are given"),
        (lambda values: [*values, 0], "more values are given"),
        (lambda values: [SCALAR_MODULUS, *values[1:]], "not a scalar"),
        (lambda values: [-1, *values[1:]], "not a scalar"),
    ],
)
def test_values_that_do_not_fit_the_circuit_are_refused(change, sentence):
    made = golden_circuit("window")
    with pytest.raises(BadWitness, match=sentence):
        witness_solve(made.circuit, change(list(made.values)))
