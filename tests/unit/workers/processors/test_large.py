"""A 512 MiB sector from its piece to its data again: minutes, gigabytes of disk; part of `make soak`."""

from __future__ import annotations

import base64
import hashlib
import resource

import numpy as np
import pytest

from poolsite.filecoin.container_checks import window_post_check
from tests.unit.workers.processors.tools import run
from workers.processors import post, seal, unseal, verify
from workers.processors.parent_cache import cache_folder, cache_name
from workers.processors.sector_record import parameters_of, record_read
from workers.processors.tasks import UnsealTask
from workers.storage.checksums import file_digest

pytestmark = pytest.mark.slow

SIZE = 512 << 20
TICKET, SEED = "01" * 32, "02" * 32
PEAK_BYTES = 3 << 29
"""Resident memory of sealing, mapped files included: two layers and half as much."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    piece = folder / "piece"
    piece.write_bytes(np.random.default_rng(3).integers(0, 256, 200_000_000, np.uint8).tobytes())
    arguments = ["--size", "512MiB", "--miner", "f01000", "--number", "1", "--ticket", TICKET]
    code = seal.main([*arguments, "--seed", SEED, "--pieces", str(piece), "--out", str(folder / "out")])
    assert code == 0
    return piece, folder / "out", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_the_parent_cache_has_the_published_digest(sealed):
    path = cache_folder() / cache_name(parameters_of(SIZE, "V1_1", None))

    assert file_digest(path) == "b5877d1963793efebc261fd8fde4dd6bc59e6b5c7abf52617a4ee023b8dc173a"


def test_the_sector_verifies(sealed, capsys):
    code, (result,), _ = run(verify, capsys, sealed[1])

    assert (code, result["errors"]) == (0, [])


def test_the_sector_is_proven(sealed, capsys):
    record = record_read(sealed[1])

    code, (result,), _ = run(post, capsys, "--window", "--randomness", "07" * 32, sealed[1])

    assert code == 0
    randomness = bytes.fromhex("07" * 32)
    sectors = [(1, record.comm_r)]
    proof = base64.b64decode(result["proofs"][0])
    window_post_check(proof, post_proof=12, randomness=randomness, miner_id=1000, sectors=sectors)


def test_the_data_come_out_again(sealed, tmp_path):
    piece, folder, _ = sealed
    record, size = record_read(folder), piece.stat().st_size
    out = tmp_path / "unsealed"
    task = UnsealTask(
        parameters_of(SIZE, "V1_1", None).name,
        bytes.fromhex("e807").ljust(32, b"\0"),
        1,
        record.comm_d,
        record.ticket,
        str(folder / "cache"),
        str(folder / "sealed"),
        str(out),
        0,
        size,
    )

    unseal.run(task)

    assert hashlib.sha256(out.read_bytes()).digest() == hashlib.sha256(piece.read_bytes()).digest()


def test_the_memory_stays_in_bounds(sealed):
    assert sealed[2] < PEAK_BYTES
