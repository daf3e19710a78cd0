"""Sectors of other sizes, tree shapes and layer counts: the paths of 32 and 64 GiB at a size for tests."""

from __future__ import annotations

import hashlib

import pytest

from poolsite.filecoin.porep.c1 import Commit1Output, c1_to_json
from poolsite.filecoin.porep.challenges import ChallengeSource
from tests.unit.workers.processors.sealing import GOLDEN, digest
from tests.unit.workers.processors.shapes import CASES, seal
from workers.kernels.cpu import FORCE_VARIABLE
from workers.processors.c1 import porep_prove


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
