"""Aggregates that we make: the bytes of bellperson, padded ones, with a set-up of our own, by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from poolsite.filecoin.groth16.aggregate import aggregate_size
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.powers import POWERS_NAME, BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.verification import BadGroth16Proof
from tests.unit.filecoin.groth16.test_aggregate import AGGREGATES, CASE, INCLUDE, INPUTS, KEY
from workers.processors import params
from workers.snark.aggregation import proofs_aggregate
from workers.snark.points import G1, G2, BadPoints, points_decompress
from workers.snark.powers import powers_make, powers_read

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

PROOFS = [bytes.fromhex(proof) for proof in CASE["proofs"]]


@pytest.fixture
def powers(tmp_path: Path) -> Path:
    path = tmp_path / "test.srs"
    path.write_bytes(bytes.fromhex(CASE["srs"]))
    return path


def aggregate(path: Path, count: int, **more: Any) -> bytes:
    powers = powers_read(path, proofs=aggregate_size(count))
    return proofs_aggregate(PROOFS[:count], powers=powers, include=INCLUDE, **more)


@pytest.mark.parametrize("count", AGGREGATES)
def test_an_aggregate_has_the_bytes_of_bellperson(count: int, powers: Path) -> None:
    said: list[tuple[int, int]] = []
    rounds = count.bit_length() - 1

    data = aggregate(powers, count, threads=2, progress=lambda done, of: said.append((done, of)))

    assert data == AGGREGATES[count]
    assert said == [(done, rounds) for done in range(1, rounds + 1)]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_the_last_proof_fills_up_to_a_power_of_two(count: int, powers: Path) -> None:
    setup = aggregate_key_read(powers)
    data = aggregate(powers, count)
    aggregate_verify(KEY, data, setup=setup, inputs=INPUTS[:count], include=INCLUDE)
    with pytest.raises(BadGroth16Proof):
        aggregate_verify(KEY, data, setup=setup, inputs=INPUTS[1 : count + 1], include=INCLUDE)


def test_a_set_up_from_a_seed_is_marked_and_works(tmp_path: Path) -> None:
    path = tmp_path / POWERS_NAME
    powers_make(path, seed="a seed", proofs=4, threads=2)

    data = aggregate(path, 4)

    aggregate_verify(KEY, data, setup=aggregate_key_read(path), inputs=INPUTS[:4], include=INCLUDE)
    [mark] = tmp_path.glob("*.TOXIC*")
    assert json.loads(mark.read_text())["seed"] == "a seed"
    with pytest.raises(FileExistsError, match="never overwritten"):
        powers_make(path, seed="another", proofs=4)
    with pytest.raises(BadPowers, match="8 powers, 16 are needed for 8 proofs"):
        powers_read(path, proofs=8)


def test_what_is_wrong_is_refused(powers: Path, tmp_path: Path) -> None:
    with pytest.raises(BadGroth16Proof, match="bad point"):
        proofs_aggregate([PROOFS[0], bytes(192)], powers=powers_read(powers, proofs=2), include=INCLUDE)
    with pytest.raises(ValueError, match="powers for 2 proofs where 4 are aggregated"):
        proofs_aggregate(PROOFS[:4], powers=powers_read(powers, proofs=2), include=INCLUDE)
    data = bytearray(powers.read_bytes())
    data[4 + 48] ^= 0xE0
    powers.write_bytes(bytes(data))
    with pytest.raises(BadPowers, match="point 1 of G1 is not on the curve"):
        powers_read(powers, proofs=2)


def test_compressed_points_are_those_of_the_proofs() -> None:
    [row] = points_decompress(G2, PROOFS[0][48:144])
    [other] = points_decompress(G2, bytes([PROOFS[0][48] ^ 0x20]) + PROOFS[0][49:144])
    assert (row[:12] == other[:12]).all()
    assert (row[12:] != other[12:]).any()
    with pytest.raises(BadPoints, match="point 0 of G1"):
        points_decompress(G1, bytes([0xC0]) + bytes(47))
    with pytest.raises(BadPoints, match="point 1 of G1"):
        points_decompress(G1, PROOFS[0][:48] + PROOFS[0][:20])


def test_the_command_makes_and_names_the_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path))
    assert params.main(["powers", "--seed", "x", "--proofs", "1"]) == 1
    assert "--proofs must be 2 to" in capsys.readouterr().err
    assert params.main(["powers", "--seed", "x", "--proofs", "2"]) == 0
    said = capsys.readouterr()
    assert "TOXIC" in said.err
    assert json.loads(said.out)["proofs_most"] == 2
    assert params.main(["list"]) == 0
    listed = json.loads(capsys.readouterr().out)["aggregates"]
    assert listed == {
        "powers": str(tmp_path / POWERS_NAME),
        "is_here": True,
        "proofs_most": 2,
        "is_toxic": True,
    }
