from __future__ import annotations

import errno
import hashlib
import os
import shutil

import pytest

from poolsite.filecoin.container_checks import window_post_check, winning_post_check
from poolsite.filecoin.post.parameters import post_parameters
from poolsite.filecoin.post.vanilla import post_proof_encode
from tests.unit.workers.processors.post import SEED, flip, sealed
from workers.processors import sector_check, window_post, winning_post
from workers.processors.errors import BadInput, BadProof
from workers.processors.post_sector import sector_prove
from workers.processors.post_tasks import Replica, SectorCheckTask, WindowPostTask, WinningPostTask
from workers.storage.sector import SectorFiles

__all__ = ["sealed"]

NUMBERS = {("winning", "1.0.0"): 0, ("window", "1.0.0"): 5, ("window", "1.2.0"): 10}


def test_vanilla_proofs_are_those_of_the_reference(sealed):
    sector, replica = sealed
    cases = sector.case["post"]

    assert {(case["type"], case["api_version"]) for case in cases} == set(NUMBERS)
    for case in cases:
        parameters = post_parameters(NUMBERS[case["type"], case["api_version"]])
        randomness = bytes.fromhex(case["randomness"])
        proof = post_proof_encode(sector_prove(parameters, replica, randomness=randomness, position=0))
        assert hashlib.sha256(proof).hexdigest() == case["vanilla_bincode_sha256"]


def test_a_window_post_is_accepted_by_the_verifier(sealed):
    _, replica = sealed

    output = window_post.run(WindowPostTask(1000, 10, (replica, replica), SEED))

    assert output.faults == ()
    sectors = [(1, replica.comm_r)]
    window_post_check(output.proofs[0], post_proof=10, randomness=SEED, miner_id=1000, sectors=sectors)


def test_a_winning_post_is_accepted_by_the_verifier(sealed):
    _, replica = sealed

    output = winning_post.run(WinningPostTask(1000, 0, (replica,), SEED))

    sectors = [(1, replica.comm_r)]
    winning_post_check(output.proofs[0], post_proof=0, randomness=SEED, miner_id=1000, sectors=sectors)


@pytest.mark.parametrize("name", ["sealed", "cache/p_aux", "cache/sc-02-data-tree-r-last.dat"])
def test_one_flipped_bit_makes_a_sector_faulty(sealed, name):
    sector, replica = sealed
    flip(sector.folder / name)

    output = window_post.run(WindowPostTask(1000, 10, (replica,), SEED))

    assert (output.proofs, output.faults) == ((), (1,))


@pytest.mark.parametrize("name", ["sealed", "cache/p_aux", "cache/sc-02-data-tree-r-last.dat"])
def test_a_missing_file_makes_a_sector_faulty(sealed, name):
    sector, replica = sealed
    (sector.folder / name).unlink()

    assert window_post.run(WindowPostTask(1000, 10, (replica,), SEED)).faults == (1,)


def test_a_truncated_sealed_file_makes_a_sector_faulty(sealed):
    sector, replica = sealed
    sector.sealed.write_bytes(sector.sealed.read_bytes()[:-32])

    assert window_post.run(WindowPostTask(1000, 10, (replica,), SEED)).faults == (1,)


@pytest.mark.parametrize("name", ["sealed", "cache/sc-02-data-tree-r-last.dat"])
def test_a_block_that_cannot_be_read_costs_no_other_sector_its_proof(sealed, tmp_path, monkeypatch, name):
    sector, replica = sealed
    other = tmp_path / "other"
    shutil.copytree(sector.cache, other / "cache")
    shutil.copy(sector.sealed, other / "sealed")
    second = Replica(2, replica.comm_r, str(other / "cache"), str(other / "sealed"))
    real = os.pread

    def pread(file, count, at):
        if os.readlink(f"/proc/self/fd/{file}") == str(other / name):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, count, at)

    monkeypatch.setattr(os, "pread", pread)

    assert window_post.run(WindowPostTask(1000, 10, (replica, second), SEED)).faults == (2,)
    [bad] = sector_check.run(SectorCheckTask(10, (replica, second), SEED)).bad
    assert bad.reason == f"[Errno 5] Input/output error: '{other / name}'"


def test_a_file_cut_while_it_is_read_makes_a_sector_faulty(sealed, monkeypatch):
    sector, replica = sealed
    real = SectorFiles.roots_read

    def cut(files):
        os.truncate(sector.sealed, 32)  # a read past it in a mapped file is a SIGBUS, as of a bad block
        return real(files)

    monkeypatch.setattr(SectorFiles, "roots_read", cut)

    assert window_post.run(WindowPostTask(1000, 10, (replica,), SEED)).faults == (1,)


def test_a_damaged_sector_gets_no_winning_post(sealed):
    sector, replica = sealed
    flip(sector.sealed)

    with pytest.raises(BadProof):
        winning_post.run(WinningPostTask(1000, 0, (replica,), SEED))


def test_a_proof_type_of_another_kind_is_refused(sealed):
    _, replica = sealed

    with pytest.raises(BadInput, match="not a window proof"):
        window_post.run(WindowPostTask(1000, 0, (replica,), SEED))
    with pytest.raises(BadInput, match="registered PoSt proof 99"):
        window_post.run(WindowPostTask(1000, 99, (replica,), SEED))


def test_an_empty_set_of_sectors_is_refused():
    with pytest.raises(BadInput, match="empty sector set"):
        window_post.run(WindowPostTask(1000, 10, (), SEED))
