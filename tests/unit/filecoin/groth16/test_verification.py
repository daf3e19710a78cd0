from __future__ import annotations

import random
import struct

import pytest

from poolsite.filecoin.groth16.verification import (
    KEY_HEAD_BYTES,
    BadGroth16Proof,
    BadVerifyingKey,
    groth16_verify,
    partitions_verify,
    verifying_key_decode,
)
from poolsite.filecoin.scalars import SCALAR_MODULUS
from tests.unit.filecoin.golden_proofs import golden
from tests.unit.filecoin.groth16.simulated import simulated_key, simulated_proof

CASES = ("window", "winning")


def case_of(name):
    case = golden(f"groth16_{name}_2k")
    inputs = [int.from_bytes(bytes.fromhex(value), "little") for value in case["public_inputs"]]
    return verifying_key_decode(bytes.fromhex(case["vk"])), bytes.fromhex(case["proof"]), inputs


@pytest.mark.parametrize("name", CASES)
def test_the_golden_proofs_hold(name):
    key, proof, inputs = case_of(name)

    groth16_verify(key, proof, inputs=inputs)
    groth16_verify(key, bytes.fromhex(golden("groth16_trapdoor")["proof_r3_s5"][name]), inputs=inputs)


@pytest.mark.parametrize("name", CASES)
def test_every_changed_input_is_refused(name):
    key, proof, inputs = case_of(name)

    for at in range(0, len(inputs), 5):
        with pytest.raises(BadGroth16Proof, match="pairing"):
            groth16_verify(key, proof, inputs=[*inputs[:at], inputs[at] ^ 1, *inputs[at + 1 :]])


def test_a_proof_for_other_inputs_is_refused():
    key, _, inputs = case_of("window")

    with pytest.raises(BadGroth16Proof):
        groth16_verify(key, case_of("winning")[1], inputs=inputs)


@pytest.mark.parametrize("values", [[], [0] * 21, [0] * 23])
def test_a_wrong_number_of_inputs_is_refused(values):
    key, proof, _ = case_of("window")

    with pytest.raises(BadGroth16Proof, match="public inputs instead of 22"):
        groth16_verify(key, proof, inputs=values)


@pytest.mark.parametrize("value", [-1, SCALAR_MODULUS])
def test_an_input_that_is_no_scalar_is_refused(value):
    key, proof, inputs = case_of("window")

    with pytest.raises(BadGroth16Proof, match="not a scalar"):
        groth16_verify(key, proof, inputs=[value, *inputs[1:]])


def test_the_same_input_plus_the_modulus_is_refused():
    key, proof, inputs = case_of("window")

    with pytest.raises(BadGroth16Proof):
        groth16_verify(key, proof, inputs=[inputs[0] + SCALAR_MODULUS, *inputs[1:]])


def test_a_flipped_bit_anywhere_in_a_proof_is_refused():
    key, proof, inputs = case_of("window")
    rng = random.Random(4)

    for at in range(0, len(proof), 3):
        damaged = bytearray(proof)
        damaged[at] ^= 1 << rng.randrange(8)
        with pytest.raises(BadGroth16Proof):
            groth16_verify(key, bytes(damaged), inputs=inputs)


@pytest.mark.parametrize("change", [lambda p: b"", lambda p: p[:-1], lambda p: p + b"\0"])
def test_a_proof_of_another_length_is_refused(change):
    key, proof, inputs = case_of("window")

    with pytest.raises(BadGroth16Proof, match="bytes instead of 192"):
        groth16_verify(key, change(proof), inputs=inputs)


def test_partitions_are_checked_each_and_in_order():
    key, partitions = simulated_key(2), [[1, 2], [3, 4], [5, 6]]
    proofs = [simulated_proof(inputs) for inputs in partitions]

    partitions_verify(key, b"".join(proofs), inputs=partitions)
    with pytest.raises(BadGroth16Proof, match="partition 1: "):
        partitions_verify(key, proofs[0] + proofs[2] + proofs[1], inputs=partitions)
    for wrong in (b"".join(proofs)[:-1], b"".join(proofs[:2]), b""):
        with pytest.raises(BadGroth16Proof, match="for 3 partitions"):
            partitions_verify(key, wrong, inputs=partitions)


def test_a_damaged_key_is_refused():
    data = bytes.fromhex(golden("groth16_window_2k")["vk"])
    rng = random.Random(5)

    for at in range(0, len(data), 37):
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        with pytest.raises(BadVerifyingKey):
            verifying_key_decode(bytes(damaged))


@pytest.mark.parametrize("length", [0, 100, KEY_HEAD_BYTES, KEY_HEAD_BYTES + 4, 1000])
def test_a_truncated_key_is_refused(length):
    with pytest.raises(BadVerifyingKey):
        verifying_key_decode(bytes.fromhex(golden("groth16_window_2k")["vk"])[:length])


def test_a_key_without_points_is_refused():
    data = bytes.fromhex(golden("groth16_window_2k")["vk"])[:KEY_HEAD_BYTES] + struct.pack(">I", 0)

    with pytest.raises(BadVerifyingKey):
        verifying_key_decode(data)
