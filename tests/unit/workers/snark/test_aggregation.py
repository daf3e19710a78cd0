"""Aggregates that we make: the bytes of bellperson, padded ones, with a set-up of our own, by hand."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from poolsite.filecoin.groth16.aggregate import aggregate_size
from poolsite.filecoin.groth16.aggregate_verification import aggregate_verify
from poolsite.filecoin.groth16.circuits import porep_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.powers import POWERS_NAME, BadPowers, aggregate_key_read
from poolsite.filecoin.groth16.public_inputs import porep_public_inputs
from poolsite.filecoin.groth16.published import PUBLISHED, file_digest
from poolsite.filecoin.groth16.verification import BadGroth16Proof
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.porep.verification import PoRepPublicInputs
from tests.unit.filecoin.groth16.aggregate import AGGREGATES, CASE, INCLUDE, INPUTS, KEY
from tests.unit.filecoin.groth16.simulated import simulated_key_bytes, simulated_proof
from tests.unit.workers.snark.subgroups import outside_point, row_of
from workers.processors import params, prove, verify
from workers.snark.aggregation import proofs_aggregate
from workers.snark.points import G1, G2, BadPoints, point_compress, points_decompress
from workers.snark.powers import powers_make, powers_read

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

PROOFS = [bytes.fromhex(proof) for proof in CASE["proofs"]]


@pytest.fixture
def powers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "test.srs"
    path.write_bytes(bytes.fromhex(CASE["srs"]))
    monkeypatch.setitem(PUBLISHED, POWERS_NAME, file_digest(path))
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


def test_what_is_wrong_is_refused(powers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadGroth16Proof, match="bad point"):
        proofs_aggregate([PROOFS[0], bytes(192)], powers=powers_read(powers, proofs=2), include=INCLUDE)
    with pytest.raises(ValueError, match="powers are for 2 proofs, but 4 are aggregated"):
        proofs_aggregate(PROOFS[:4], powers=powers_read(powers, proofs=2), include=INCLUDE)
    data = bytearray(powers.read_bytes())
    data[4 + 48] ^= 0xE0
    powers.write_bytes(bytes(data))
    monkeypatch.setitem(PUBLISHED, POWERS_NAME, file_digest(powers))
    with pytest.raises(BadPowers, match="point 1 of G1 is not on the curve"):
        powers_read(powers, proofs=2)


def test_a_set_up_is_compared_with_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "made" / POWERS_NAME
    powers_make(path, seed="a seed", proofs=2)
    other = tmp_path / "other" / POWERS_NAME  # right points all of them, of other secrets
    powers_make(other, seed="another", proofs=2)
    powers_read(path, proofs=2)
    [mark] = path.parent.glob("*.TOXIC*")
    noted = mark.read_text()

    path.write_bytes(other.read_bytes())
    with pytest.raises(BadPowers, match="is damaged: its digest is"):
        powers_read(path, proofs=2)

    known = json.loads(noted)
    del known["digest"]
    mark.write_text(json.dumps(known))  # of an earlier version
    powers_read(path, proofs=2)
    assert json.loads(mark.read_text())["digest"] == file_digest(path)

    mark.unlink()
    with pytest.raises(BadPowers, match="is not the file in the public networks' list"):
        powers_read(path, proofs=2)
    monkeypatch.setitem(PUBLISHED, POWERS_NAME, file_digest(path))
    powers_read(path, proofs=2)


def test_powers_outside_of_the_subgroup_are_refused(powers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(powers.read_bytes())
    (count,) = struct.unpack_from(">I", data)
    start = 4 + 48 * count + 4 + 48 * count + 4  # of the first list in G2
    data[start + 96 : start + 192] = point_compress(G2, row_of(G2, outside_point(G2, 7)))
    powers.write_bytes(data)
    monkeypatch.setitem(PUBLISHED, POWERS_NAME, file_digest(powers))
    with pytest.raises(BadPowers, match="point 1 of G2 is not in the subgroup"):
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
        "is_published": False,
    }


def test_poreps_are_aggregated_and_verified_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path))
    parameters = seal_parameters(5)
    powers_make(tmp_path / POWERS_NAME, seed="x", proofs=4)
    paths = []
    for place in range(3):
        names = ("replica_id", "comm_d", "comm_r", "seed")
        value = {name: bytes([place + 1] * 31 + [0]).hex() for name in names}
        known = PoRepPublicInputs(*(bytes.fromhex(value[name]) for name in names))
        [inputs] = porep_public_inputs(parameters, known)
        proof = base64.b64encode(simulated_proof(inputs)).decode()
        path = tmp_path / f"{place}.json"
        path.write_text(json.dumps({"kind": "porep", "registered_proof": 5, **value, "proof": proof}))
        paths.append(str(path))
    key = tmp_path / verifying_key_name(porep_circuit_id(parameters))
    key.write_bytes(simulated_key_bytes(range(1, len(inputs) + 2)))

    assert prove.main(["aggregate", *paths]) == 0
    made = tmp_path / "aggregate.json"
    made.write_text(capsys.readouterr().out)

    assert json.loads(made.read_text())["kind"] == "porep_aggregate"
    assert verify.main([str(made), *paths]) == 0
    capsys.readouterr()
    changed = json.loads(made.read_text())
    changed["sectors"].reverse()
    made.write_text(json.dumps(changed))
    assert verify.main([str(made), *paths]) == 1
    assert "do not hold" in capsys.readouterr().out
    assert prove.main(["aggregate", str(made)]) == 1
    assert "a porep_aggregate, not a porep" in capsys.readouterr().err
