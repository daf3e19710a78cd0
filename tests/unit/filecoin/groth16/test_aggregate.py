"""Aggregates of Groth16 proofs: those of bellperson are read, written and checked; others are refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from blspy import G1Element, G2Element

from poolsite.filecoin.groth16.aggregate import (
    BadAggregate,
    aggregate_bytes,
    aggregate_decode,
    aggregate_encode,
    aggregate_size,
)
from poolsite.filecoin.groth16.aggregate_challenges import porep_include
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.curve import BadPoint
from poolsite.filecoin.groth16.powers import BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.target import (
    TARGET_BYTES,
    target_compress,
    target_decompress,
    target_power,
    target_unit,
)
from poolsite.filecoin.groth16.verification import BadGroth16Proof
from poolsite.filecoin.scalars import SCALAR_MODULUS
from tests.unit.filecoin.groth16.aggregate import AGGREGATES, CASE, INCLUDE, INPUTS, KEY


@pytest.fixture(scope="module")
def powers(tmp_path_factory: Any) -> Path:
    path: Path = tmp_path_factory.mktemp("powers") / "test.srs"
    path.write_bytes(bytes.fromhex(CASE["srs"]))
    return path


def verify(data: bytes, powers: Path, *, count: int, inputs: Any = None, include: bytes = INCLUDE) -> None:
    setup = aggregate_key_read(powers)
    aggregate_verify(KEY, data, setup=setup, inputs=inputs or INPUTS[:count], include=include)


@pytest.mark.parametrize("count", AGGREGATES)
def test_an_aggregate_of_bellperson_is_read_written_and_accepted(count: int, powers: Path) -> None:
    data = AGGREGATES[count]
    assert aggregate_encode(aggregate_decode(data)) == data
    assert len(data) == aggregate_bytes(count.bit_length() - 1)
    verify(data, powers, count=count)


def test_what_it_is_about_is_checked(powers: Path) -> None:
    four = AGGREGATES[4]
    with pytest.raises(BadAggregate, match=r"does not hold|do not hold"):
        verify(four, powers, count=4, include=bytes(32))
    with pytest.raises(BadGroth16Proof, match="pairing equation"):
        verify(four, powers, count=4, inputs=[*INPUTS[:3], INPUTS[4]])
    with pytest.raises(BadGroth16Proof, match="pairing equation"):
        verify(four, powers, count=4, inputs=INPUTS[:4][::-1])
    with pytest.raises(BadAggregate, match="4 proofs for 5"):
        verify(four, powers, count=5)
    with pytest.raises(BadGroth16Proof, match="1 public inputs instead of 2"):
        verify(four, powers, count=4, inputs=[[1]] * 4)


def swapped(data: bytes, at: int, other: int, size: int) -> bytes:
    """Two parts of the same form change places: every one is a point still, and in the wrong place."""
    parts = bytearray(data)
    parts[at : at + size], parts[other : other + size] = data[other : other + size], data[at : at + size]
    return bytes(parts)


def test_each_part_counts(powers: Path) -> None:
    four = AGGREGATES[4]
    targets, point = TARGET_BYTES, 48
    head = 5 * targets
    rounds = head + point + 4
    sums = rounds + 20 * targets
    final = sums + 4 * point
    places = [
        (0, targets, targets),
        (2 * targets, 3 * targets, targets),
        (0, 4 * targets, targets),
        *((rounds + step * targets, rounds + (step + 1) * targets, targets) for step in range(19)),
        (head, sums, point),
        *((sums + step * point, sums + (step + 1) * point, point) for step in range(3)),
        (final, final + 3 * point, point),  # A and C
        (final + 4 * point, final + 6 * point, 2 * point),  # both keys v
        (final + 8 * point, final + 9 * point, point),  # both keys w
        (final + 10 * point, final + 12 * point, 2 * point),  # both openings of v
        (final + 14 * point, final + 15 * point, point),  # both openings of w
        (final + point, final + 4 * point, 2 * point),  # B and a key v
    ]
    for at, other, size in places:
        changed = swapped(four, at, other, size)
        assert changed != four
        with pytest.raises((BadAggregate, BadGroth16Proof)):
            verify(changed, powers, count=4)


def test_bytes_that_are_no_aggregate_are_refused_with_the_reason() -> None:
    two = AGGREGATES[2]
    count_at = 5 * TARGET_BYTES + 48
    for data, reason in (
        (b"", "0 bytes are not an aggregate"),
        (two[:-1], "5235 bytes for 2 proofs, not 5236"),
        (two + b"x", "5237 bytes"),
        (two[:count_at] + struct.pack("<I", 3) + two[count_at + 4 :], "a power of two"),
        (two[:count_at] + struct.pack("<I", 0) + two[count_at + 4 :], "a power of two"),
        (two[:count_at] + struct.pack("<I", 1 << 31) + two[count_at + 4 :], "a power of two"),
        (bytes(TARGET_BYTES) + two[TARGET_BYTES:], "bad point"),
        (b"\xff" * TARGET_BYTES + two[TARGET_BYTES:], "not below the modulus"),
        (bytes([two[0] ^ 1]) + two[1:], "not an element of the target group"),
        (two[: 5 * TARGET_BYTES] + bytes(48) + two[count_at:], "bad point"),
    ):
        with pytest.raises(BadAggregate, match=reason):
            aggregate_decode(data)


def test_values_of_pairings_keep_their_form() -> None:
    value = G1Element.generator().pair(G2Element.generator())
    other = target_power(value, 12345)
    assert target_decompress(target_compress(other)) == other
    assert target_power(value, SCALAR_MODULUS) == target_unit()
    assert other * target_unit() == other
    with pytest.raises(BadPoint, match="unit"):
        target_compress(target_unit())
    with pytest.raises(BadPoint, match="287 bytes"):
        target_decompress(target_compress(other)[:-1])


def test_a_damaged_set_up_is_refused(powers: Path, tmp_path: Path) -> None:
    data, path = powers.read_bytes(), tmp_path / "other.srs"
    second = data.index(data[4:52], 52)
    for changed, reason in (
        (data[:-1], "that its lists take"),
        (data + b"x", "that its lists take"),
        (b"", "truncated"),
        (data[:4] + bytes(48) + data[52:], "bad point"),
        (data[:second] + data[52:100] + data[second + 48 :], "begin with different points"),
    ):
        path.write_bytes(changed)
        with pytest.raises(BadPowers, match=reason):
            aggregate_key_read(path)
        path.unlink()


def test_another_set_up_accepts_nothing(powers: Path, tmp_path: Path) -> None:
    data, path = powers.read_bytes(), tmp_path / "other.srs"
    path.write_bytes(data[:52] + data[100:148] + data[100:])  # the square of alpha for alpha
    with pytest.raises(BadAggregate, match="key v does not belong to the set-up"):
        verify(AGGREGATES[2], path, count=2)


def test_sizes_and_what_is_included() -> None:
    assert [aggregate_size(count) for count in (1, 2, 3, 4, 5, 10)] == [2, 2, 4, 4, 8, 16]
    assert porep_include([b"r" * 32], seeds=[b"s" * 32]) != porep_include([b"r" * 32], seeds=None)
    assert porep_include([b"a" * 32, b"b" * 32], seeds=None) != porep_include(
        [b"b" * 32, b"a" * 32], seeds=None
    )
