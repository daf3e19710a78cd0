from __future__ import annotations

import hashlib

import pytest

from poolsite.filecoin.groth16.verification import BadGroth16Proof, groth16_verify, verifying_key_decode
from tests.naive.field import MODULUS
from tests.unit.workers.snark.golden_circuits import golden_circuit, golden_secrets, golden_witness
from workers.kernels.cpu import FORCE_VARIABLE
from workers.snark.domain import Domain
from workers.snark.parameters import BadParameters, ParameterFile
from workers.snark.prover import groth16_prove, proof_of, proving_key, quotient_scalars
from workers.snark.setup import parameters_make

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels


@pytest.fixture(scope="module")
def key(window_parameters):
    return proving_key(golden_circuit("window").circuit, ParameterFile(window_parameters))


@pytest.mark.parametrize(
    "name", ["window", "winning", *(pytest.param(one, marks=pytest.mark.slow) for one in ("update", "porep"))]
)
def test_h_coefficients_equal_the_golden_ones(name):
    h = quotient_scalars(golden_witness(name))
    assert not h[-1].any()
    assert hashlib.sha256(h[:-1].tobytes()).hexdigest() == golden_circuit(name).golden["h_coeffs_sha256"]


def test_parameters_from_the_golden_secrets_are_the_golden_file(window_parameters):
    expected = golden_circuit("window").golden["params"]
    assert hashlib.sha256(window_parameters.read_bytes()).hexdigest() == expected["file_sha256"]


def test_the_portable_path_makes_the_golden_parameters_too(tmp_path, monkeypatch):
    monkeypatch.setenv(FORCE_VARIABLE, "portable")
    path, expected = tmp_path / "window.params", golden_circuit("window").golden["params"]
    parameters_make(golden_circuit("window").circuit, golden_secrets("window"), path, threads=2)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["file_sha256"]


@pytest.mark.slow  # as those of a window, of a circuit several times as large
def test_winning_parameters_are_the_golden_file_and_give_the_golden_proof(winning_parameters):
    winning, made = golden_circuit("winning"), winning_parameters.read_bytes()
    assert hashlib.sha256(made).hexdigest() == winning.golden["params"]["file_sha256"]
    own = proving_key(winning.circuit, ParameterFile(winning_parameters))
    made = proof_of(own, golden_witness("winning"), r=3, s=5, threads=2)
    assert made.hex() == winning.golden["proof_r3_s5"]


@pytest.mark.usefixtures("path")
def test_the_proof_for_fixed_scalars_is_the_golden_one(key):
    made = proof_of(key, golden_witness("window"), r=3, s=5)
    assert made.hex() == golden_circuit("window").golden["proof_r3_s5"]


def test_a_fresh_proof_verifies_and_is_another_each_time(key, window_parameters):
    values = golden_circuit("window").values
    verifying = verifying_key_decode(ParameterFile(window_parameters).verifying_key())
    proof, inputs = groth16_prove(key, values, threads=2)
    groth16_verify(verifying, proof, inputs=inputs)
    assert groth16_prove(key, values)[0] != proof
    with pytest.raises(BadGroth16Proof):
        groth16_verify(verifying, proof, inputs=(inputs[0] ^ 1, *inputs[1:]))


def test_progress_begins_with_the_quotient_and_ends_with_the_last_section(key):
    told = []
    groth16_prove(key, golden_circuit("window").values, threads=2, progress=lambda *steps: told.append(steps))
    assert told == sorted(told)
    (nothing, total), *_, last = told
    assert (nothing, last) == (0, (total, total))
    assert sum(0 < done < 0.1 * total for done, _ in told) >= 4, "three polynomials and what is left of them"


def test_parameters_of_another_circuit_are_refused(window_parameters):
    with pytest.raises(BadParameters, match=r"section ic has 23 points, this circuit needs 133"):
        proving_key(golden_circuit("winning").circuit, ParameterFile(window_parameters))


def test_a_truncated_parameter_file_is_refused(window_parameters, tmp_path):
    data = window_parameters.read_bytes()
    for length, sentence in (
        (0, "ends before section ic"),
        (900, "ends in section ic"),
        (len(data) - 1, "b_g2"),
    ):
        path = tmp_path / "cut.params"
        path.write_bytes(data[:length])
        with pytest.raises(BadParameters, match=sentence):
            ParameterFile(path)
    path.write_bytes(data + b"x")
    with pytest.raises(BadParameters, match="1 bytes follow the last section"):
        ParameterFile(path)


def test_a_flipped_bit_in_a_parameter_file_is_refused(window_parameters, tmp_path):
    data = bytearray(window_parameters.read_bytes())
    data[-500] ^= 1
    path = tmp_path / "flipped.params"
    path.write_bytes(data)
    with pytest.raises(BadParameters, match=r"section b_g2: point \d+ of G2 is not on the curve"):
        proving_key(golden_circuit("window").circuit, ParameterFile(path))


def test_domain_root_has_the_order_of_the_domain():
    domain = Domain(5)
    assert [pow(domain.root, power, MODULUS) == 1 for power in (16, 32)] == [False, True]
