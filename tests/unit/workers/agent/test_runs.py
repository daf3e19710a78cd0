"""A host's part of snap-up, unsealing of what was snapped, and rebuild: the same bytes each time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from poolsite.filecoin.commd import Piece as CommittedPiece
from poolsite.filecoin.commd import comm_d_from_pieces
from poolsite.filecoin.container_checks import update_proof_check
from poolsite.filecoin.fr32 import fr32_pad
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.filecoin.sector import RegisteredSealProof
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.job_inputs import Piece, SealInputs
from poolsite.wire.job_reports import StageOutputs
from tests.naive.pieces import data_commitment
from workers.agent.journal import Work, journal_open
from workers.agent.stages import StageRunner
from workers.processors import stages
from workers.storage.store import MARK, Store, path_remove
from workers.storage.store_mark import mark_change
from workers.storage.stores import Stores

SIZE = 2048
ZERO = sha254_zero(SIZE)
DATA = bytes(range(250)) * 4
PIECE = Piece(size=1024, comm_p=data_commitment(fr32_pad(DATA.ljust(1016, b"\0"))), payload_size=len(DATA))
PIECES = (PIECE, Piece(size=1024, comm_p=sha254_zero(1024)))
BASE = SealInputs(
    miner_id=1000,
    number=5,
    seal_proof=RegisteredSealProof.STACKED_DRG_2KIB_V1_1,
    sector_size=SIZE,
    state="ALLOCATED",
    stage="ADD_PIECE",
    pieces=(Piece(size=SIZE, comm_p=ZERO),),
    ticket=bytes([7]) * 32,
    comm_d=ZERO,
)
SEALING = ("ALLOCATED", "PIECE_ADDED", "TICKET_ASSIGNED", "PC1_DONE")
REBUILDING = ("LOST", "REBUILD_PIECE_ADDED", "REBUILD_TREE_D_BUILT", "REBUILD_PC1_DONE")


class Here:
    """A pool whose children are this process; tasks pass as JSON all the same."""

    waited_s = 0.0

    def is_foreign(self, _stage: str) -> bool:
        return False

    def call(
        self, name: str, task: Any, *, progress: Any, is_wanted: Any, on_wait: Any
    ) -> Any:  # runs to its end
        on_wait(self.waited_s)
        stage = stages.stage_named(name)
        return stage.run(
            stages.task_decode(stage, json.loads(json.dumps(stages.task_encode(task)))), progress=progress
        )


class Host:
    """A sealing host with its store."""

    def __init__(self, folder: Path, *others: Path) -> None:
        self.store = Store(folder / "store")
        self.stores = Stores(folder, (*others, self.store.root))
        self.stores.open()
        journal_open(folder)
        self.runner = StageRunner(folder=folder, stores=self.stores, pool=Here())  # type: ignore[arg-type]  # has what it calls
        self.folder = folder

    def run(self, job: str, inputs: SealInputs, **changes: Any) -> StageOutputs:
        work = Work(token=1, inputs=replace(inputs, **changes))
        self.runner.journal.work_write(job, work)
        self.runner.run(job)
        outputs = self.runner.journal.outputs_read(job, work.id)
        assert outputs is not None, self.runner.journal.failure_read(job, work.id, token=1)
        return outputs

    def replica_of_zeros(self, job: str, states: tuple[str, ...]) -> bytes:
        outputs = StageOutputs()
        for state, stage in zip(states, ("ADD_PIECE", "TREE_D", "PC1", "PC2"), strict=True):
            outputs = self.run(job, BASE, state=state, stage=stage)
        return outputs.comm_r or b""

    def piece_put(self, job: str) -> None:
        """What would be fetched from the console."""
        folder = self.runner.journal.folder(job)
        folder.mkdir(parents=True)
        (folder / f"piece-{PIECE.comm_p.hex()}").write_bytes(DATA)

    def unsealed(self, job: str, inputs: SealInputs, *, offset: int = 0, count: int = len(DATA)) -> bytes:
        self.run(job, inputs, state="SEALED", stage="UNSEAL", offset=offset, num_bytes=count)
        return (self.runner.journal.folder(job) / "unsealed").read_bytes()

    def left(self) -> list[str]:
        """Files and folders of the sector."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("s-t01000-5*"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_snapped_data_come_out_and_the_replica_is_made_again(host: Host) -> None:
    parameters = seal_parameters(BASE.seal_proof)
    old = host.replica_of_zeros("seal", SEALING)
    host.run("seal", BASE, state="PC2_DONE", stage="PERSIST", comm_r=old)
    host.run("seal", BASE, state="COMMIT_LANDED", stage="FINALIZE", comm_r=old)
    update = replace(BASE, is_update=True, comm_r=old, pieces=PIECES)

    host.piece_put("snap")
    made = host.run("snap", update, state="PIECES_ASSIGNED", stage="SNAP_ENCODE")
    parts = [CommittedPiece(piece.size, piece.comm_p) for piece in PIECES]
    assert made.comm_d == comm_d_from_pieces(SIZE, parts)
    update = replace(update, comm_d_new=made.comm_d, comm_r_new=made.comm_r)
    proof = host.run("snap", update, state="SNAP_ENCODED", stage="SNAP_PROVE").proof
    update_proof_check(
        proof or b"",
        update_proof=0,
        comm_r_old=old,
        comm_r_new=made.comm_r or b"",
        comm_d_new=made.comm_d or b"",
    )
    host.run("snap", update, state="SNAP_PROVED", stage="PERSIST")
    for comm_r, place in ((old, "sealed"), (made.comm_r or b"", "update")):
        files = host.store.proven_files(parameters, miner_id=1000, number=5, comm_r=comm_r)
        assert files.sealed.parent.name == place
    assert host.unsealed("out", update) == DATA
    host.run("snap", update, state="UPDATE_FINAL", stage="KEY_CLEAR")
    kept = ["store/update-cache/s-t01000-5", "store/update/s-t01000-5"]
    assert host.left() == kept
    assert host.unsealed("out-2", update, offset=3, count=7) == DATA[3:10]

    replica = host.store.updated_files(parameters, miner_id=1000, number=5).sealed
    before = replica.read_bytes()
    for path in kept:
        path_remove(host.folder / path)
    assert host.replica_of_zeros("again", REBUILDING) == old
    host.piece_put("encode")
    again = host.run("encode", update, state="REBUILD_PC2_DONE", stage="SNAP_ENCODE")
    assert again.comm_r == made.comm_r
    host.run("encode", update, state="REBUILD_ENCODED", stage="PERSIST")
    host.run("encode", update, state="REBUILD_STORED", stage="FINALIZE")
    assert replica.read_bytes() == before
    assert host.left() == kept


def test_a_second_copy_without_the_update_is_not_what_later_stages_read(tmp_path: Path) -> None:
    host = Host(tmp_path)
    old = host.replica_of_zeros("seal", SEALING)
    host.run("seal", BASE, state="PC2_DONE", stage="PERSIST", comm_r=old)
    host.run("seal", BASE, state="COMMIT_LANDED", stage="FINALIZE", comm_r=old)
    update = replace(BASE, is_update=True, comm_r=old, pieces=PIECES)
    host.piece_put("snap")
    made = host.run("snap", update, state="PIECES_ASSIGNED", stage="SNAP_ENCODE")
    update = replace(update, comm_d_new=made.comm_d, comm_r_new=made.comm_r)
    host.run("snap", update, state="SNAP_PROVED", stage="PERSIST")
    whole = tmp_path / "whole"
    for name in ("sealed", "cache", "update", "update-cache"):
        shutil.copytree(host.store.root / name, whole / name)
    for name in ("update", "update-cache"):
        path_remove(host.store.root / name)

    host = Host(tmp_path, whole)
    first, last = host.stores.holding(miner_id=1000, number=5)
    assert (first.path, last.path) == (str(host.store.root), str(whole))
    assert host.unsealed("out", update) == DATA
    host.run("snap", update, state="UPDATE_FINAL", stage="KEY_CLEAR")
    assert not (whole / "sealed/s-t01000-5").exists()
    assert host.unsealed("out-2", update) == DATA


def test_a_piece_that_a_power_cut_left_short_is_fetched_again(host: Host) -> None:
    fetched: list[str] = []

    def piece_fetch(cid: str, path: Path, *, size: int) -> None:
        fetched.append(cid)
        path.write_bytes(DATA[:size])

    host.runner.data.console = SimpleNamespace(piece_fetch=piece_fetch)  # type: ignore[assignment]  # what it calls
    host.piece_put("j")
    piece = host.runner.journal.folder("j") / f"piece-{PIECE.comm_p.hex()}"
    piece.write_bytes(DATA[:512])

    assert host.run("j", BASE, pieces=PIECES).pieces == PIECES
    assert len(fetched) == 1


def test_the_time_of_a_stage_has_no_wait_for_others(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=iter((10.0, 75.0)).__next__)
    monkeypatch.setattr("workers.agent.stages.time", clock)
    monkeypatch.setattr(Here, "waited_s", 60.0)

    assert host.run("j", BASE).ms == 5_000


@pytest.mark.parametrize("sizes", [(1000, 1016), (1016, 1000)])
def test_pieces_of_one_commitment_are_fetched_once(host: Host, sizes: tuple[int, int]) -> None:
    fetched: list[int] = []

    def piece_fetch(_cid: str, path: Path, *, size: int) -> None:
        fetched.append(size)
        path.write_bytes(DATA.ljust(size, b"\0")[:size])

    host.runner.data.console = SimpleNamespace(piece_fetch=piece_fetch)  # type: ignore[assignment]  # what it calls
    pieces = tuple(replace(PIECE, payload_size=size) for size in sizes)

    assert host.run("j", BASE, pieces=pieces).pieces == pieces
    assert fetched == [1016], "with the most of the zeros behind the data"


def test_a_sector_whose_caches_another_store_has_is_read_back_and_updated(tmp_path: Path) -> None:
    (lender := tmp_path / "lender").mkdir()
    host = Host(tmp_path, lender)
    [own] = [one for one in host.stores.attached() if one.store.root == host.store.root]
    mark_change(lender / MARK, {"CanStore": False})

    def lend(kind: str) -> None:
        (lender / kind).mkdir()
        (host.store.root / kind / "s-t01000-5").rename(lender / kind / "s-t01000-5")

    old = host.replica_of_zeros("seal", SEALING)
    assert host.run("seal", BASE, state="PC2_DONE", stage="PERSIST", comm_r=old).store_uid == own.uid
    host.run("seal", BASE, state="COMMIT_LANDED", stage="FINALIZE", comm_r=old)
    lend("cache")
    assert host.unsealed("zeros", replace(BASE, comm_r=old)) == bytes(len(DATA))

    update = replace(BASE, is_update=True, comm_r=old, pieces=PIECES)
    host.piece_put("snap")
    made = host.run("snap", update, state="PIECES_ASSIGNED", stage="SNAP_ENCODE")
    update = replace(update, comm_d_new=made.comm_d, comm_r_new=made.comm_r)
    assert host.run("snap", update, state="SNAP_ENCODED", stage="SNAP_PROVE").proof
    host.run("snap", update, state="SNAP_PROVED", stage="PERSIST")
    assert host.unsealed("out", update) == DATA, "decoded with the replica of before, and its lent cache"
    host.run("snap", update, state="UPDATE_FINAL", stage="KEY_CLEAR")
    lend("update-cache")

    assert host.left() == ["lender/update-cache/s-t01000-5", "store/update/s-t01000-5"]
    assert host.unsealed("out-2", update, offset=3, count=7) == DATA[3:10]
