"""Parameter files: found by the network's names, converted once, refused with the reason."""

from __future__ import annotations

import json
import shutil

import pytest

from poolsite.filecoin.groth16.keys import VerifyingKeys, parameter_folder
from poolsite.filecoin.groth16.verification import BadVerifyingKey
from poolsite.filecoin.porep.parameters import SECTOR_SIZES
from poolsite.filecoin.sizes import GIB, KIB
from tests.unit.workers.snark.golden_circuits import golden_circuit, golden_witness
from tests.unit.workers.snark.subgroups import outside_point
from workers.snark import converted
from workers.snark.catalog import circuit_of, key_open, parameters_open, toxic_make
from workers.snark.converted import converted_open
from workers.snark.densities import densities_of
from workers.snark.files import (
    FILE_BYTES,
    CircuitKind,
    ParametersMissing,
    is_converted,
    parameters_path,
    spec_for,
    toxic_path,
)
from workers.snark.parameters import BadParameters, ParameterFile
from workers.snark.points import G1
from workers.snark.prover import proof_of, proving_key, sizes_of

pytestmark = pytest.mark.xdist_group("snark")  # one worker compiles the kernels

WINDOW = spec_for(CircuitKind.WINDOW_POST, 2 * KIB)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An operator's folder of parameters, still without any."""
    monkeypatch.setenv("FIL_PROOFS_PARAMETER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path / "var"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_own_parameter_file_is_found_and_proves_the_golden_proof(folder, window_parameters):
    path = folder / WINDOW.parameters_name
    shutil.copyfile(window_parameters, path)
    told = []
    key = key_open(WINDOW, threads=2, progress=lambda done, total: told.append((done, total)))
    made = proof_of(key, golden_witness("window"), r=3, s=5)
    assert made.hex() == golden_circuit("window").golden["proof_r3_s5"]
    total = sum(count for name, count in ParameterFile(path).counts().items() if name != "ic")
    assert told[-1] == (total, total)
    assert is_converted(WINDOW)
    told.clear()
    key_open(WINDOW, progress=lambda *done: told.append(done))
    assert not told
    assert sorted(file.name for file in folder.iterdir()) == [path.name]  # nothing is written beside it


def test_missing_parameters_are_named_with_their_size_and_the_folder(folder):
    with pytest.raises(ParametersMissing) as caught:
        parameters_path(spec_for(CircuitKind.WINDOW_POST, 32 * GIB))
    text = str(caught.value)
    assert "v28-proof-of-spacetime-fallback-merkletree-poseidon_hasher-8-8-0-0377ded656c6f524f1618" in text
    assert "60,780,374,232 bytes" in text
    assert str(folder) in text


def test_the_folder_without_a_choice_is_in_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("FIL_PROOFS_PARAMETER_CACHE", raising=False)
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path))
    assert parameter_folder() == tmp_path / "parameters"


def test_a_changed_file_is_converted_anew_and_the_old_conversion_removed(window_parameters, tmp_path):
    path, cache = tmp_path / "window.params", tmp_path / "converted"
    shutil.copyfile(window_parameters, path)
    first = converted_open(ParameterFile(path), cache)
    data = bytearray(path.read_bytes())
    data[-500] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadParameters, match=r"section b_g2: point \d+ of G2 is not on the curve"):
        converted_open(ParameterFile(path), cache)
    assert not list(cache.glob("*.partial"))
    shutil.copyfile(window_parameters, path)
    second = converted_open(ParameterFile(path), cache)
    assert second.folder != first.folder
    assert not first.folder.exists()


def test_a_conversion_stopped_midway_leaves_nothing_and_is_made_again(window_parameters, tmp_path):
    class Cancelled(Exception):
        pass

    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        converted_open(ParameterFile(window_parameters), tmp_path, progress=cancel)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    made = converted_open(ParameterFile(window_parameters), tmp_path)
    assert made.counts() == ParameterFile(window_parameters).counts()
    assert made.verifying_key() == ParameterFile(window_parameters).verifying_key()


def test_converted_points_are_those_of_the_file(window_parameters, tmp_path, monkeypatch):
    monkeypatch.setattr(converted, "CHUNK_POINTS", 10_000)
    file = ParameterFile(window_parameters)
    made = converted_open(file, tmp_path, threads=2)
    for name in ("h", "a", "b_g2"):
        assert (made.points(name) == file.points(name)).all()


def test_a_point_outside_the_subgroup_is_refused(window_parameters, tmp_path):
    data = bytearray(window_parameters.read_bytes())
    file = ParameterFile(window_parameters)
    _, start, _ = file.sections["l"]
    x, y = outside_point(G1, 4)
    at = start + 777 * 96
    data[at : at + 96] = x[0].to_bytes(48, "big") + y[0].to_bytes(48, "big")
    path = tmp_path / "outside.params"
    path.write_bytes(data)
    with pytest.raises(BadParameters, match="section l: point 777 of G1 is not in the subgroup"):
        proving_key(golden_circuit("window").circuit, ParameterFile(path))


def test_a_flipped_bit_in_the_verifying_key_is_refused(window_parameters, tmp_path):
    data = bytearray(window_parameters.read_bytes())
    data[450] ^= 1  # gamma, which no prover uses
    path = tmp_path / "flipped.params"
    path.write_bytes(data)
    with pytest.raises(BadParameters, match="verifying key: bad point"):
        converted_open(ParameterFile(path), tmp_path / "converted")


def test_parameters_from_a_seed_are_marked_and_never_overwrite(folder):
    path = toxic_make(WINDOW, "a test", threads=2)
    mark = json.loads(toxic_path(WINDOW).read_text())
    assert "TOXIC" in mark["warning"]
    assert mark["seed"] == "a test"
    keys = VerifyingKeys(folder)
    assert keys.get(WINDOW.id) is keys.get(WINDOW.id)
    assert keys.is_toxic(WINDOW.id)
    assert parameters_open(WINDOW).verifying_key() == (folder / WINDOW.verifying_key_name).read_bytes()
    assert path.stat().st_size == WINDOW.file_bytes
    with pytest.raises(FileExistsError, match="never overwritten"):
        toxic_make(WINDOW, "another")


def test_a_damaged_verifying_key_is_refused_with_its_path(folder):
    keys = VerifyingKeys(folder)
    assert keys.get(WINDOW.id) is None
    (folder / WINDOW.verifying_key_name).write_bytes(b"not a key")
    with pytest.raises(BadVerifyingKey, match=WINDOW.verifying_key_name):
        keys.get(WINDOW.id)


@pytest.mark.parametrize("kind", list(CircuitKind))
def test_sizes_of_files_are_those_that_the_circuits_need(kind):
    spec = spec_for(kind, 2 * KIB)
    circuit = circuit_of(spec)
    sizes = sizes_of(circuit, densities_of(circuit))
    points = sum(count for name, count in sizes.items() if name != "b_g2")
    assert spec.file_bytes == 864 + 6 * 4 + 96 * points + 192 * sizes["b_g2"]
    assert len(FILE_BYTES[kind]) == len(SECTOR_SIZES)
