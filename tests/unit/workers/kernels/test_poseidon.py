from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest

from tests.naive.field import EDGES, MODULUS
from tests.naive.poseidon import poseidon as naive
from tests.unit.workers.kernels.arrays import integers, nodes, random_scalars
from workers.kernels import poseidon
from workers.kernels.poseidon_constants import GEN_RANDOMNESS_TAG, poseidon_constants

ARITIES = (2, 4, 8, 11)


def digest(values: list[int]) -> str:
    return sha256(b"".join(value.to_bytes(32, "little") for value in values)).hexdigest()


@pytest.mark.parametrize("arity", ARITIES)
def test_constants_equal_the_reference_implementation(golden, arity):
    known, made = golden("poseidon")[f"arity{arity}"], poseidon_constants(arity)

    assert digest(made.compressed) == known["compressed_sha256"]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("arity", ARITIES)
def test_hashes_equal_the_reference_implementation(golden, arity):
    for case in golden("poseidon")[f"arity{arity}"]["cases"]:
        assert poseidon.hash_values([bytes.fromhex(value) for value in case["in"]]).hex() == case["out"]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 17])
@pytest.mark.parametrize("arity", ARITIES)
def test_a_row_equals_the_twin(arity, count):
    values = random_scalars(arity * count, seed=arity + count)
    out = np.empty((count, 4), np.uint64)

    poseidon.hash_row(nodes(values), out, arity=arity)

    assert integers(out) == [naive(values[arity * i : arity * i + arity]) for i in range(count)]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("arity", ARITIES)
def test_messages_of_one_edge_value_equal_the_twin(arity, edge):
    out = np.empty((1, 4), np.uint64)

    poseidon.hash_row(nodes([edge] * arity), out, arity=arity)

    assert integers(out) == [naive([edge] * arity)]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("rounding", [0, 0x400, 0x800, 0xC00], ids=["nearest", "down", "up", "zero"])
def test_a_thread_s_rounding_changes_no_digest_and_stays(rounding):
    libm = ctypes.CDLL("libm.so.6")

    def work():
        libm.fesetround(rounding)
        before = libm.fegetround()
        made = poseidon.hash_values([bytes(32), (MODULUS - 1).to_bytes(32, "little")])
        return made, libm.fegetround() - before

    expected = naive([0, MODULUS - 1]).to_bytes(32, "little")
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(work).result() == (expected, 0)


@pytest.mark.usefixtures("path")
def test_digests_of_many_messages_are_canonical():
    values = random_scalars(8 * 512, seed=3)
    out = np.empty((512, 4), np.uint64)

    poseidon.hash_row(nodes(values), out, arity=8)

    assert max(integers(out)) < MODULUS


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("layers", [2, 11])
def test_columns_gather_one_label_of_each_layer(layers):
    values = [random_scalars(20, seed=layer) for layer in range(layers)]
    out = np.empty((20, 4), np.uint64)

    poseidon.hash_columns([nodes(layer) for layer in values], out)

    assert integers(out) == [naive([layer[i] for layer in values]) for i in range(20)]


@pytest.mark.usefixtures("path")
def test_snapup_randomness_equals_the_reference_implementation(golden):
    for case in golden("poseidon")["gen_randomness_arity2"]:
        values = [value.to_bytes(32, "little") for value in case["in"]]
        assert poseidon.hash_values(values, tag=GEN_RANDOMNESS_TAG).hex() == case["out"]


def test_both_paths_agree_on_thousands_of_messages(monkeypatch):
    values = nodes(random_scalars(8 * 4096, seed=5))
    fast, portable = np.empty((4096, 4), np.uint64), np.empty((4096, 4), np.uint64)

    poseidon.hash_row(values, fast, arity=8)
    monkeypatch.setenv("POOLSITE_KERNELS", "portable")
    poseidon.hash_row(values, portable, arity=8)

    assert np.array_equal(fast, portable)
