"""All stages of the golden 2 KiB sectors give the reference implementation's bytes."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from poolsite.filecoin.container_checks import porep_proof_check
from tests.unit.workers.processors.sealing import GOLDEN, digest, sealing
from workers.processors import c2, pc1_output
from workers.processors.tasks import C2Task, Pc1Output

CASES = [("2k_v1_1", 5), ("2k_v1", 0)]

T_AUX_PATH_COUNT = 5
"""How often a two-layer t_aux names the cache folder; the golden one had 21 characters."""


@pytest.fixture(params=CASES, ids=[name for name, _ in CASES])
def sector(request, tmp_path):
    name, number = request.param
    return sealing(name, number, folder=tmp_path)


def test_the_staged_file_and_its_pieces_are_those_of_the_reference(sector):
    infos = sector.add_piece()

    assert [info.commitment.hex() for info in infos] == [piece["comm_p"] for piece in sector.case["pieces"]]
    assert digest(sector.staged) == sector.case["staged_sha256"]


def test_the_cache_folder_and_the_sealed_file_are_those_of_the_reference(sector):
    _, made, output = sector.to_pc2()

    known = dict(sector.case["cache_files"])
    t_aux = known.pop("t_aux")
    assert {path.name for path in sector.cache.iterdir()} == {*known, "t_aux"}
    assert {name: digest(sector.cache / name) for name in known} == {
        name: entry["sha256"] for name, entry in known.items()
    }
    size = (sector.cache / "t_aux").stat().st_size
    assert size - T_AUX_PATH_COUNT * (len(str(sector.cache)) - 21) == t_aux["size"]
    assert digest(sector.sealed) == sector.case["sealed_sha256"]
    assert (made.comm_d.hex(), output.comm_r.hex()) == (sector.case["comm_d"], sector.case["comm_r"])


def test_c1_gives_the_json_of_the_reference_byte_for_byte(sector):
    infos, _, output = sector.to_pc2()

    value = json.loads(sector.c1(output, infos).c1_json)

    del value["registered_proof"]
    (value["vanilla_proofs"],) = value["vanilla_proofs"].values()
    raw = json.dumps(value, separators=(",", ":")).encode()
    assert hashlib.sha256(raw).hexdigest() == sector.case["c1_raw_sha256"]


def test_the_json_of_pc1_and_c1_is_that_of_the_ffi_byte_for_byte(tmp_path):
    sector = sealing("2k_v1_1", 5, folder=tmp_path)
    infos, made, output = sector.to_pc2()

    assert sector.c1(output, infos).c1_json == (GOLDEN / "api_c1_2k_v1_1.json").read_text()
    assert (
        json.dumps(pc1_output.output_value(_elsewhere(made)), separators=(",", ":"))
        == (GOLDEN / "api_pc1_2k_v1_1.json").read_text()
    )


def _elsewhere(output: Pc1Output) -> Pc1Output:
    """The same output with the cache path of the golden file."""
    path = "/TMP/cache"
    labels = tuple(msgspec.structs.replace(config, path=path) for config in output.labels)
    return msgspec.structs.replace(
        output, labels=labels, config=msgspec.structs.replace(output.config, path=path)
    )


def test_c2_packs_a_proof_that_the_verifier_accepts(sector):
    infos, _, output = sector.to_pc2()
    c1_json = sector.c1(output, infos).c1_json

    proof = c2.run(C2Task(c1_json, None, sector.value("prover_id"), 1, 1000)).proof

    porep_proof_check(
        proof,
        seal_proof=sector.number,
        comm_r=output.comm_r,
        comm_d=output.comm_d,
        miner_id=1000,
        sector_number=1,
        ticket=sector.value("ticket"),
        seed=sector.value("seed"),
    )
