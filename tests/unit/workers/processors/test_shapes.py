"""Sectors of other sizes, tree shapes and layer counts: the paths of 32 and 64 GiB at a size for tests."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil

import pytest

from poolsite.filecoin.merkle import TreeShape
from poolsite.filecoin.porep.c1 import Commit1Output, c1_to_json
from poolsite.filecoin.porep.challenges import ChallengeSource
from poolsite.filecoin.porep.parameters import seal_parameters
from tests.naive.pieces import staged_sector
from tests.unit.workers.processors.sealing import GOLDEN, digest, golden, stream
from workers.kernels.cpu import FORCE_VARIABLE
from workers.processors.c1 import porep_prove
from workers.processors.labelling import LabelledSector, label_sectors
from workers.processors.pc2 import seal_trees
from workers.processors.tree_d import tree_d_build
from workers.storage.sector import SectorFiles

KIB = 1024
CASES = {
    "2k_11layers": (5, 2 * KIB, TreeShape(), 11),
    "2k_ni": (15, 2 * KIB, TreeShape(), 2),
    "4k_sub2": (5, 4 * KIB, TreeShape(sub=2), 2),
    "16k_sub8": (5, 16 * KIB, TreeShape(sub=8), 2),
    "16k_sub8_11layers": (5, 16 * KIB, TreeShape(sub=8), 11),
    "32k_top2_11layers": (5, 32 * KIB, TreeShape(sub=8, top=2), 11),
    "8m_v1_1": (6, 8192 * KIB, TreeShape(), 2),
}
"""Registered number, size, shape and layers of the golden cases that no registered proof has."""


def seal(name, folder):
    case = golden(f"seal_{name}")
    number, size, shape, layers = CASES[name]
    parameters = dataclasses.replace(seal_parameters(number), sector_bytes=size, shape=shape, layers=layers)
    files = SectorFiles(parameters, folder / "cache", folder / "sealed")
    pieces = [stream(f"seal-{i}", piece["unpadded"]) for i, piece in enumerate(case["pieces"])]
    (folder / "staged").write_bytes(staged_sector(size, pieces))
    shutil.copy(folder / "staged", folder / "sealed")
    comm_d = tree_d_build(files, str(folder / "staged"))
    label_sectors([LabelledSector(files, bytes.fromhex(case["replica_id"]))], folder=folder / "parents")
    return case, files, comm_d, seal_trees(files, comm_d=comm_d)


def c1_raw(case, files, comm_d, comm_r):
    values = {key: bytes.fromhex(case[key]) for key in ("replica_id", "seed", "ticket")}
    source = ChallengeSource(values["replica_id"], comm_r, values["seed"])
    partitions = porep_prove(files, source, comm_d=comm_d)
    return c1_to_json(Commit1Output("", "", partitions, comm_r, comm_d, **values))


@pytest.mark.parametrize("name", CASES)
def test_files_and_proofs_are_those_of_the_reference(name, tmp_path):
    case, files, comm_d, comm_r = seal(name, tmp_path)

    known = {file: entry["sha256"] for file, entry in case["cache_files"].items() if file != "t_aux"}
    assert {file: digest(files.cache / file) for file in known} == known
    assert {path.name for path in files.cache.iterdir()} == {*known, "t_aux"}
    assert digest(files.sealed) == case["sealed_sha256"]
    assert (comm_d.hex(), comm_r.hex()) == (case["comm_d"], case["comm_r"])
    text = c1_raw(case, files, comm_d, comm_r)
    assert hashlib.sha256(text.encode()).hexdigest() == case["c1_raw_sha256"]
    raw = GOLDEN / f"c1_raw_{name}.json"
    assert not raw.exists() or text == raw.read_text()


@pytest.mark.parametrize("name", ["2k_11layers", "4k_sub2", "32k_top2_11layers"])
def test_the_portable_path_gives_the_same_files(name, tmp_path, monkeypatch):
    monkeypatch.setenv(FORCE_VARIABLE, "portable")

    case, files, _, comm_r = seal(name, tmp_path)

    assert comm_r.hex() == case["comm_r"]
    assert digest(files.sealed) == case["sealed_sha256"]
