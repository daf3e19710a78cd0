"""The command line tools, as a sealing engineer runs them."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from typing import Any

import pytest

from poolsite.filecoin.container_checks import window_post_check, winning_post_check
from poolsite.filecoin.groth16.circuits import update_circuit_id, verifying_key_name
from poolsite.filecoin.groth16.keys import FOLDER_VARIABLE
from poolsite.filecoin.groth16.public_inputs import update_public_inputs
from poolsite.filecoin.porep.c1 import c1_from_json, c1_to_json
from poolsite.filecoin.update.parameters import update_parameters
from poolsite.filecoin.update.verification import update_verify
from tests.unit.filecoin.groth16.simulated import simulated_key_bytes, simulated_proof
from tests.unit.workers.processors.sealing import digest, golden, stream
from tests.unit.workers.processors.tools import run
from workers.processors import bench, bench_cases, commp, post, precompile, prove, scaling_check, seal, verify
from workers.storage import files, memory

CASES = {"2k_v1": "V1", "2k_v1_1": "V1_1", "2k_synth": "synthetic", "2k_ni": "non-interactive"}
RANDOMNESS = "07" * 32


def seal_arguments(case, folder, **changes):
    files = []
    for i, piece in enumerate(case["pieces"]):
        path = folder / f"piece-{i}"
        path.write_bytes(stream(f"seal-{i}", piece["unpadded"]))
        files.append(path)
    options = {
        "size": f"{case['sector_size'] // 1024}KiB",
        "miner": "f01000",
        "number": case["sector_id"],
        "ticket": case["ticket"],
        "seed": case["seed"],
        "out": folder / "out",
    } | changes
    named = [text for name, value in options.items() for text in (f"--{name}", value)]
    return [*named, "--pieces", *files]


@pytest.fixture
def sealed(tmp_path, capsys):
    case = golden("seal_2k_v1_1")
    code, _, _ = run(seal, capsys, *seal_arguments(case, tmp_path))
    assert code == 0
    return case, tmp_path / "out"


@pytest.mark.parametrize("name", CASES)
def test_seal_prints_the_values_of_the_reference(name, tmp_path, capsys):
    case = golden(f"seal_{name}")

    code, (result,), err = run(seal, capsys, *seal_arguments(case, tmp_path, proof=CASES[name]))

    keys = ("comm_d", "comm_r", "comm_c", "comm_r_last", "replica_id")
    assert code == 0
    assert {key: result[key] for key in keys} == {key: case[key] for key in keys}
    assert result["layer_sha256"] == [layer["sha256"] for layer in case["layers"]]
    assert list(result["seconds"]) == ["add_piece", "tree_d", "pc1", "pc2", "c1"]
    assert "pc2 done in" in err
    text = (tmp_path / "out" / "c1.json").read_text()
    assert hashlib.sha256(text.encode()).hexdigest() == result["c1_sha256"]
    raw = c1_to_json(dataclasses.replace(c1_from_json(text), registered_proof=""))
    assert hashlib.sha256(raw.encode()).hexdigest() == case["c1_raw_sha256"]


def test_seal_with_eleven_layers_takes_the_path_of_the_large_sizes(tmp_path, capsys):
    case = golden("seal_32k_top2_11layers")

    code, (result,), _ = run(seal, capsys, *seal_arguments(case, tmp_path, layers=11))

    assert (code, result["comm_r"]) == (0, case["comm_r"])
    assert result["layer_sha256"] == [layer["sha256"] for layer in case["layers"]]


def test_an_empty_sector_is_sealed_without_pieces(tmp_path, capsys):
    arguments = ["--size", "2KiB", "--miner", "1000", "--number", 7, "--out", tmp_path / "out"]

    code, (result,), _ = run(seal, capsys, *arguments, "--ticket", "00" * 32, "--seed", "01" * 32)

    zero = next(entry["comm"] for entry in golden("pieces")["zero_comm"] if entry["padded"] == 2048)
    assert (code, result["comm_d"]) == (0, zero)


def test_sealing_again_keeps_what_is_there(sealed, tmp_path, capsys):
    case, out = sealed
    before = {path: path.stat().st_mtime_ns for path in (out / "cache").glob("*data*")}

    code, (result,), _ = run(seal, capsys, *seal_arguments(case, tmp_path))

    assert (code, result["comm_r"]) == (0, case["comm_r"])
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ticket": "ff" * 32}, "ticket is not a field element"),
        ({"size": "3KiB"}, "3072 bytes is not a sector size"),
        ({"layers": 3}, "a sector must have 2 or 11 layers"),
        ({"number": -1}, "-1 is not a sector number"),
    ],
)
def test_seal_refuses_what_no_sector_can_have(tmp_path, capsys, change, message):
    code, out, err = run(seal, capsys, *seal_arguments(golden("seal_2k_v1_1"), tmp_path, **change))

    assert (code, out) == (1, [])
    assert message in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("size", ["32GiB", "64GiB"])
def test_seal_says_what_a_large_sector_needs_and_refuses_without_it(tmp_path, capsys, monkeypatch, size):
    monkeypatch.setattr(memory, "available_bytes", lambda: 20 << 30)
    monkeypatch.setenv("FIL_PROOFS_PARENT_CACHE", str(tmp_path / "parents"))
    arguments = ["--miner", "1000", "--number", 7, "--ticket", "00" * 32, "--seed", "01" * 32]

    code, out, err = run(seal, capsys, "--size", size, *arguments, "--out", tmp_path / "out")

    gib = int(size.removesuffix("GiB"))
    assert (code, out) == (1, [])
    assert f"needs {2 * gib}.0 GiB of memory and" in err
    assert f"{gib * 7 / 4:.1f} GiB in {tmp_path / 'parents'} for the parents" in err
    assert f"sealing: {2 * gib}.0 GiB of memory needed, 20.0 GiB available" in err
    assert not list(tmp_path.iterdir())


def test_seal_refuses_a_disk_that_is_too_full(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "space_of", lambda _: files.Space(1 << 40, 4096))
    arguments = ["--size", "2KiB", "--miner", "1000", "--number", 7]

    code, _, err = run(
        seal, capsys, *arguments, "--ticket", "00" * 32, "--seed", "01" * 32, "--out", tmp_path / "out"
    )

    assert code == 1
    assert "KiB of disk needed, 4.0 KiB free" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "2KB"}, "not a sector size"),
        ({"ticket": "zz"}, "not hex"),
        ({"ticket": "00"}, "1 bytes instead of 32"),
        ({"miner": "f3abc"}, "not an ID address"),
        ({"proof": "V9"}, "invalid choice"),
    ],
)
def test_seal_explains_arguments_of_a_wrong_form(tmp_path, capsys, change, message):
    with pytest.raises(SystemExit):
        seal.main([str(text) for text in seal_arguments(golden("seal_2k_v1_1"), tmp_path, **change)])

    assert message in capsys.readouterr().err


def test_pieces_that_do_not_fit_are_refused(tmp_path, capsys):
    (tmp_path / "large").write_bytes(bytes(2033))
    arguments = ["--size", "2KiB", "--miner", "1000", "--number", 7, "--out", tmp_path / "out"]
    arguments += ["--ticket", "00" * 32, "--seed", "01" * 32, "--pieces", tmp_path / "large"]

    code, _, err = run(seal, capsys, *arguments)

    assert code == 1
    assert "Piece is larger than sector." in err


def test_a_sealed_sector_verifies(sealed, capsys):
    _, out = sealed

    code, (result,), _ = run(verify, capsys, out)

    checked = ["digests", "tree-d", "tree-c", "encoding", "tree-r-last", "comm_r", "openings"]
    assert (code, result) == (0, {"ok": True, "checked": checked, "errors": []})


@pytest.mark.parametrize(
    "name",
    [
        "sealed",
        "cache/p_aux",
        "cache/t_aux",
        "cache/sc-02-data-layer-1.dat",
        "cache/sc-02-data-layer-2.dat",
        "cache/sc-02-data-tree-c.dat",
        "cache/sc-02-data-tree-d.dat",
        "cache/sc-02-data-tree-r-last.dat",
    ],
)
def test_one_flipped_bit_in_any_file_is_found(sealed, capsys, name):
    _, out = sealed
    content = bytearray((out / name).read_bytes())
    content[len(content) // 2] ^= 0x10
    (out / name).write_bytes(content)

    code, (result,), _ = run(verify, capsys, out)

    assert (code, result["ok"]) == (1, False)
    assert result["errors"]


def test_a_cleared_cache_is_still_held_to_its_digests(sealed, capsys):
    _, out = sealed
    for name in ("tree-d", "tree-c", "layer-1", "layer-2"):
        (out / "cache" / f"sc-02-data-{name}.dat").unlink()
    assert run(verify, capsys, out)[1][0]["checked"] == ["digests", "tree-r-last", "comm_r"]
    content = bytearray((out / "cache" / "t_aux").read_bytes())
    content[9] ^= 1
    (out / "cache" / "t_aux").write_bytes(content)

    code, (result,), _ = run(verify, capsys, out)

    assert code == 1
    assert "t_aux is damaged" in result["errors"][0]


def test_verify_names_a_folder_that_is_none_of_ours(tmp_path, capsys):
    code, (result,), _ = run(verify, capsys, tmp_path)

    assert code == 1
    assert "sector.json" in result["errors"][0]


@pytest.fixture
def simulated_updates(tmp_path, monkeypatch):
    """Updates whose proofs hold by a verifying key of known logarithms: nothing of minutes is made."""
    circuit = update_circuit_id(update_parameters(0))
    parameters = tmp_path / "parameters"
    parameters.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(parameters))

    def prove_simulated(update, proofs, public, *, progress):
        update_verify(proofs, parameters=update, inputs=public)
        rows = update_public_inputs(update, public)
        key = simulated_key_bytes(range(1, len(rows[0]) + 2))
        (parameters / verifying_key_name(circuit)).write_bytes(key)
        return b"".join(map(simulated_proof, rows))

    monkeypatch.setattr(prove, "update_snark", prove_simulated)


@pytest.mark.usefixtures("simulated_updates")
def test_prove_update_puts_data_into_a_sector_and_verify_checks_it(sealed, tmp_path, capsys):
    case, sector = sealed
    data, update = write(tmp_path / "data", stream("snap-0", 2032)), case["update"]

    code, (made,), err = run(prove, capsys, "update", sector, "--pieces", data, "--out", tmp_path / "new")

    names = ("comm_r_old", "comm_r_new", "comm_d_new")
    assert code == 0
    assert {name: made[name] for name in names} == {name: update[name] for name in names}
    assert "groth16 done in" in err
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cache", "cache.sums", "sealed"]
    assert digest(tmp_path / "new" / "sealed") == update["new_replica_sha256"]
    good = write(tmp_path / "good.json", json.dumps(made).encode())
    bad = write(tmp_path / "bad.json", json.dumps(made | {"comm_d_new": made["comm_r_old"]}).encode())
    code, (told,), _ = run(verify, capsys, good, bad)
    assert (code, told["checked"]) == (1, [str(good)])
    assert told["errors"] == [f"{bad}: partition 0: the pairing equation does not hold"]


def test_prove_update_refuses_what_fits_not_and_the_sectors_own_folder(sealed, tmp_path, capsys):
    _, sector = sealed
    before = (sector / "sealed").read_bytes()
    large, small = write(tmp_path / "large", bytes(2033)), write(tmp_path / "small", b"x")

    code, _, err = run(prove, capsys, "update", sector, "--pieces", large, "--out", tmp_path / "new")
    assert (code, "Piece is larger than sector." in err) == (1, True)
    code, _, err = run(prove, capsys, "update", sector, "--pieces", small, "--out", sector)
    assert (code, "choose another folder" in err) == (1, True)
    assert (sector / "sealed").read_bytes() == before


def test_commp_prints_the_commitment_of_the_reference(tmp_path, capsys):
    case = next(entry for entry in golden("pieces")["single"] if entry["unpadded_size"] == 130048)
    path = tmp_path / "piece"
    path.write_bytes(stream("piece-130048", 130048))

    code, (result, small), err = run(commp, capsys, path, tmp_path / "none", write(tmp_path / "short", b"x"))

    assert code == 1
    assert "none" in err
    assert (result["comm_p"], result["piece_size"]) == (case["comm_p"], 131072)
    assert result["cid"].startswith("baga6ea4seaq")
    assert (small["payload_size"], small["piece_size"]) == (1, 128)


def write(path, content):
    path.write_bytes(content)
    return path


def test_post_proves_a_sealed_sector(sealed, capsys):
    case, out = sealed
    sectors = [(1, bytes.fromhex(case["comm_r"]))]
    common: dict[str, Any] = {
        "randomness": bytes.fromhex(RANDOMNESS),
        "miner_id": 1000,
        "sectors": sectors,
    }

    _, (window,), _ = run(post, capsys, "--window", "--randomness", RANDOMNESS, out)
    _, (winning,), _ = run(post, capsys, "--winning", "--randomness", RANDOMNESS, out)

    window_post_check(base64.b64decode(window["proofs"][0]), post_proof=10, **common)
    winning_post_check(base64.b64decode(winning["proofs"][0]), post_proof=0, **common)


def test_post_names_faulty_sectors(sealed, capsys):
    _, out = sealed
    (out / "sealed").unlink()

    code, (result,), _ = run(post, capsys, "--window", "--randomness", RANDOMNESS, out)

    assert (code, result["faults"], result["proofs"]) == (1, [1], [])


def test_precompile_reports_each_kernel(capsys):
    code, lines, _ = run(precompile, capsys, "tree_d")

    assert code == 0
    assert lines[0]["kernel"] == "binary_tree"
    assert lines[-1]["ready"] is True


def test_bench_prints_its_lines_as_data(capsys, monkeypatch):
    monkeypatch.setattr(bench_cases, "PASSES", 1)
    monkeypatch.setattr(bench, "pin", lambda: None)

    code, lines, _ = run(bench, capsys, "--json", "fr32 pad", "portable: poseidon arity 2")

    assert code == 0
    assert [line["name"] for line in lines] == ["fr32 pad", "portable: poseidon arity 2"]
    assert all(set(line) == {"name", "rate", "unit", "reference", "ratio"} for line in lines)


@pytest.mark.parametrize(
    ("size", "message"), [("3MiB", "is not a sector size"), ("64GiB", "128.0 GiB of memory needed")]
)
def test_bench_refuses_a_size_that_it_cannot_time(capsys, monkeypatch, size, message):
    monkeypatch.setattr(memory, "available_bytes", lambda: 20 << 30)

    with pytest.raises(SystemExit):
        bench.main(["--size", size, "fr32 pad"])

    assert message in capsys.readouterr().err


def test_a_missing_file_is_named_without_the_system_s_numbers(tmp_path, capsys):
    code, _, err = run(commp, capsys, tmp_path)

    assert (code, err) == (1, f"commp: {tmp_path}: Is a directory\n")
    code, _, err = run(post, capsys, "--window", "--randomness", RANDOMNESS, tmp_path)
    assert code == 1
    assert err.startswith(f"post: {tmp_path}/sector.json: No such file or directory; ")


def test_bench_compares_scaling_check_with_one(capsys, monkeypatch):
    monkeypatch.setattr(scaling_check, "PASSES", 1)
    monkeypatch.setattr(bench, "pin", lambda: None)
    before = os.sched_getaffinity(0)

    code, (line,), _ = run(bench, capsys, "--json", "two cores: parents")

    assert code == 0
    assert line["ratio"] == pytest.approx(line["rate"] / line["reference"])
    assert os.sched_getaffinity(0) == before


def test_bench_names_a_line_that_there_is_not(capsys, monkeypatch):
    monkeypatch.setattr(bench, "pin", lambda: None)

    assert bench.main(["nothing"]) == 1
    assert "unknown case 'nothing'" in capsys.readouterr().err
