from __future__ import annotations

import hashlib
import json

import pytest

from poolsite.filecoin.porep.challenges import ChallengeSource
from tests.unit.workers.processors.sealing import GOLDEN, digest, sealing
from tests.unit.workers.processors.shapes import seal
from workers.processors import synthetic
from workers.processors.c1 import NodeProver
from workers.processors.errors import BadFile, BadInput, BadProof
from workers.processors.synthetic import SyntheticReader, synthetic_write
from workers.processors.tasks import Pc2Output, SyntheticTask


@pytest.fixture
def sealed(tmp_path):
    sector = sealing("2k_synth", 10, folder=tmp_path)
    infos, _, output = sector.to_pc2()
    return sector, infos, output


def task_of(sector, output):
    paths = (str(sector.cache), str(sector.sealed))
    return SyntheticTask(sector.name, *paths, sector.value("prover_id"), 1, sector.value("ticket"), output)


def test_the_file_is_that_of_the_reference_byte_for_byte(sealed):
    sector, _, output = sealed

    assert synthetic.run(task_of(sector, output)).challenges == 64

    known = sector.case["cache_files"]["syn-porep-vanilla-proofs.dat"]
    path = sector.cache / "syn-porep-vanilla-proofs.dat"
    assert (path.stat().st_size, digest(path)) == (known["size"], known["sha256"])


def test_c1_needs_only_the_file(sealed):
    sector, infos, output = sealed
    synthetic.run(task_of(sector, output))
    for path in sector.cache.glob("sc-02-*"):
        path.unlink()

    value = json.loads(sector.c1(output, infos).c1_json)

    del value["registered_proof"]
    (value["vanilla_proofs"],) = value["vanilla_proofs"].values()
    assert json.dumps(value, separators=(",", ":")) == (GOLDEN / "c1_raw_2k_synth.json").read_text()
    raw = json.dumps(value, separators=(",", ":")).encode()
    assert hashlib.sha256(raw).hexdigest() == sector.case["c1_raw_sha256"]


@pytest.mark.parametrize("name", ["4k_sub2", "16k_sub8_11layers", "32k_top2_11layers"])
def test_proofs_read_back_are_those_of_the_files_in_every_tree_shape(name, tmp_path):
    case, files, comm_d, comm_r = seal(name, tmp_path)
    source = ChallengeSource(bytes.fromhex(case["replica_id"]), comm_r, bytes(32))

    count = synthetic_write(files, source, comm_d=comm_d)

    reader, prover = SyntheticReader(files), NodeProver(files)
    assert count == files.parameters.nodes
    for index in (0, 1, count // 2, count - 1):
        proof = reader.prove(index)
        assert proof == prover.prove(proof.c_x.index)


def test_a_flipped_bit_in_the_file_gives_no_c1(sealed):
    sector, infos, output = sealed
    synthetic.run(task_of(sector, output))
    path = sector.cache / "syn-porep-vanilla-proofs.dat"
    content = bytearray(path.read_bytes())
    for at in range(200, len(content), 500):
        content[at] ^= 1
    path.write_bytes(content)

    with pytest.raises((BadFile, BadProof)):
        sector.c1(output, infos)


def test_other_seal_proofs_and_commitments_are_refused(sealed, tmp_path):
    sector, _, output = sealed
    task = task_of(sector, output)

    with pytest.raises(BadProof, match="to another sector"):
        synthetic.run(task_of(sector, Pc2Output(sector.name, bytes(32), output.comm_d)))
    with pytest.raises(BadInput, match="not the root of tree-d"):
        synthetic.run(task_of(sector, Pc2Output(sector.name, output.comm_r, bytes(32))))
    sector.number = 5
    with pytest.raises(BadInput, match="has no synthetic challenges"):
        synthetic.run(task_of(sector, task.pre_commit))
