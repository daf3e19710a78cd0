"""A move takes away the copy that a proof was to read: it goes on with the other copy at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from poolsite.filecoin.cids import cid_to_json, commr_cid
from poolsite.filecoin.container_checks import window_post_check, winning_post_check
from poolsite.filecoin.porep.parameters import seal_parameters
from poolsite.wire.job_inputs import ProvenSector, SectorCheckInputs, WindowPostInputs
from poolsite.wire.job_reports import Complete
from poolsite.wire.jobs import Assignment, JobKind
from tests.unit.workers.processors.sealing import sealing
from workers.processors import sector_check, window_post, winning_post
from workers.prover.located import sectors_locate
from workers.prover.loop import Prover
from workers.prover.winning import compute_proof
from workers.storage.files import DamagedFile
from workers.storage.moves import MovedSector, sector_copy, sector_remove
from workers.storage.sector import SectorFiles
from workers.storage.store_scan import leftover_remove
from workers.storage.stores import Stores

MINER, PROOF, SEED = 1000, 5, b"\x07" * 32
NAME = "s-t01000-1"
RUNS: dict[str, Any] = {"window_post": window_post.run, "sector_check": sector_check.run}


@dataclass
class Moving:
    """Two stores that have sector 1 both, and the job that reads it."""

    stores: Stores
    sector: MovedSector
    read: list[str] = field(default_factory=list)

    @property
    def proven(self) -> ProvenSector:
        return ProvenSector(number=1, comm_r=self.sector.comm_r, seal_proof=PROOF)

    def result(self, before: Callable[[], object] = bool, **inputs: Any) -> Complete:
        """The result of a job before whose first read something happens."""

        def call(kind: str, task: Any, **_: Any) -> Any:
            if not self.read:
                before()
            self.read += [replica.sealed_file for replica in task.replicas]
            return RUNS[kind](task)

        leases: Any = SimpleNamespace(track=lambda *_, **__: None, is_lost=lambda _: False)
        console: Any = None
        pool: Any = SimpleNamespace(call=call)
        prover = Prover(console=console, leases=leases, pool=pool, stores=self.stores)
        kind = JobKind.WINDOW_POST if "window_post" in inputs else JobKind.SECTOR_CHECK
        done = prover.jobs.result(Assignment(id="job", kind=kind, token=1, seq=0, lease_s=9, **inputs))
        assert isinstance(done, Complete), done
        return done

    def window(self, before: Callable[[], object] = bool) -> Complete:
        """The proof of a window."""
        inputs = WindowPostInputs(
            miner_id=MINER, post_proof=10, randomness=SEED, sectors=(self.proven,), deadline=0, close_epoch=9
        )
        return self.result(before, window_post=inputs)

    def remove(self) -> None:
        """What the host does that moves the sector."""
        sector_remove(self.stores, self.sector)


@pytest.fixture
def moving(tmp_path: Path) -> Moving:
    (tmp_path / "sealing").mkdir()
    made = sealing("2k_v1_1", PROOF, folder=tmp_path / "sealing")
    _, _, output = made.to_pc2()
    stores = Stores(tmp_path / "worker", (tmp_path / "a", tmp_path / "b"))
    stores.open()
    first, second = stores.attached()
    first.store.persist(
        SectorFiles(seal_parameters(PROOF), made.cache, made.sealed), miner_id=MINER, number=1
    )
    sector = MovedSector("m", MINER, 1, PROOF, output.comm_r, first.uid, second.uid)
    sector_copy(stores, sector)
    return Moving(stores, sector)


def test_a_windows_proof_goes_on_in_the_new_store(moving: Moving, tmp_path: Path) -> None:
    done = moving.window(moving.remove)

    assert (done.faults, done.bad) == ((), ())
    window_post_check(
        done.proof, post_proof=10, randomness=SEED, miner_id=MINER, sectors=[(1, moving.sector.comm_r)]
    )
    assert moving.read == [str(tmp_path / name / "sealed/s-t01000-1") for name in "ab"]


LAYOUTS: dict[str, tuple[str, str, str, str]] = {
    "one store": ("a", "sealed", "a", "cache"),
    "replica and cache apart": ("b", "sealed", "a", "cache"),
    "snapped, the old replica gone": ("a", "update", "a", "update-cache"),
    "snapped, replica and cache apart": ("a", "update", "b", "update-cache"),
}
"""What lotus-miner and Curio leave: store and folder of the replica, store and folder of its cache."""


def laid_out(moving: Moving, folder: Path, layout: str) -> None:
    """Put the sector's files where a layout has them."""
    replica_store, replica, cache_store, cache = LAYOUTS[layout]
    moving.remove()  # all is in b
    for kind in ("sealed", "cache"):
        (folder / "b" / kind / NAME).rename(folder / kind)
    for kind, store, into in (("sealed", replica_store, replica), ("cache", cache_store, cache)):
        place = folder / store / into / NAME
        place.parent.mkdir(exist_ok=True)
        (folder / kind).rename(place)
    if "snapped" in layout:
        (folder / "b" / "cache" / NAME).mkdir(parents=True)  # of the replica that is gone
        (folder / "b" / "cache" / NAME / "p_aux").write_bytes(bytes(64))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_of_lotus_and_curio_is_proven(moving: Moving, tmp_path: Path, layout: str) -> None:
    laid_out(moving, tmp_path, layout)

    done = moving.window()

    assert (done.faults, done.bad) == ((), ())
    window_post_check(
        done.proof, post_proof=10, randomness=SEED, miner_id=MINER, sectors=[(1, moving.sector.comm_r)]
    )
    replica_store, replica, _, _ = LAYOUTS[layout]
    assert moving.read == [str(tmp_path / replica_store / replica / NAME)]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name.endswith("apart")])
def test_a_check_of_a_store_with_one_half_reads_the_other_half(
    moving: Moving, tmp_path: Path, layout: str
) -> None:
    """Two checks that call a sector bad have it declared faulty."""
    laid_out(moving, tmp_path, layout)
    for uid in (moving.sector.from_uid, moving.sector.to_uid):
        inputs = SectorCheckInputs(
            miner_id=MINER, post_proof=10, randomness=SEED, sectors=(moving.proven,), per_second=0, store=uid
        )
        assert moving.result(sector_check=inputs).faults == ()

        replica_store, replica, _, _ = LAYOUTS[layout]
        lost = tmp_path / replica_store / replica / NAME
        lost.rename(tmp_path / "lost")
        [bad] = moving.result(sector_check=inputs).bad
        assert (bad.number, bad.elsewhere) == (1, "")
        (tmp_path / "lost").rename(lost)


@pytest.mark.parametrize("away", ["a", "b"])
def test_a_half_is_not_bad_while_the_other_half_is_away(moving: Moving, tmp_path: Path, away: str) -> None:
    laid_out(moving, tmp_path, "replica and cache apart")
    (tmp_path / away).rename(tmp_path / "gone")

    done = moving.window()

    assert (done.faults, done.unreachable, done.bad) == ((1,), (1,), ())


def test_a_half_whose_other_half_lies_in_another_store_is_not_removed(moving: Moving, tmp_path: Path) -> None:
    first, second = moving.stores.attached()
    moving.remove()  # all is in b
    shutil.rmtree(tmp_path / "a" / "cache", ignore_errors=True)
    (tmp_path / "b" / "cache").rename(tmp_path / "a" / "cache")
    args = {"miner_id": "1000", "number": "1"}

    for here, other in ((first, second), (second, first)):
        with pytest.raises(DamagedFile, match="it is proven from both and kept"):
            leftover_remove(here.store, args, [other])

    assert moving.window().faults == ()


def test_a_check_finds_nothing_wrong_with_a_moved_sector(moving: Moving) -> None:
    inputs = SectorCheckInputs(
        miner_id=MINER, post_proof=10, randomness=SEED, sectors=(moving.proven,), per_second=0
    )

    done = moving.result(moving.remove, sector_check=inputs)

    assert (done.faults, len(moving.read)) == ((), 2)


def test_the_log_names_the_miner_whose_sectors_were_read(moving: Moving) -> None:
    inputs = SectorCheckInputs(
        miner_id=MINER, post_proof=10, randomness=SEED, sectors=(moving.proven,), per_second=0
    )

    with capture_logs() as lines:
        moving.window()
        moving.result(sector_check=inputs)

    assert [(one["event"], one["miner"]) for one in lines] == [("proved", MINER), ("checked", MINER)]


def test_a_good_second_copy_does_not_hide_a_loss(moving: Moving, tmp_path: Path) -> None:
    inputs = SectorCheckInputs(
        miner_id=MINER,
        post_proof=10,
        randomness=SEED,
        sectors=(moving.proven,),
        per_second=0,
        store=moving.sector.from_uid,
    )

    done = moving.result(lambda: (tmp_path / "a/sealed/s-t01000-1").unlink(), sector_check=inputs)

    [bad] = done.bad
    assert (done.faults, bad.number, bad.elsewhere) == ((1,), 1, moving.sector.to_uid)
    assert bad.path == str(tmp_path / "a/sealed/s-t01000-1")


def test_a_check_of_a_store_that_is_away_says_nothing(moving: Moving, tmp_path: Path) -> None:
    (tmp_path / "a").rename(tmp_path / "gone")
    with pytest.raises(OSError, match="is unavailable"):
        sectors_locate(moving.stores, MINER, [moving.proven], uid=moving.sector.from_uid)


def test_a_win_is_proved_from_the_new_store(moving: Moving) -> None:
    calls: list[Any] = []

    def prove(task: Any) -> Any:
        if not calls:
            moving.remove()
        calls.append(task)
        return winning_post.run(task)

    sealed = cid_to_json(commr_cid(moving.sector.comm_r))
    info = {"SealProof": PROOF, "SectorNumber": 1, "SealedCID": sealed}
    request = {"SectorInfos": [info], "Rand": "Bwc" + 40 * "H" + "="}

    proofs = compute_proof(request, stores=moving.stores, miner_id=MINER, prove=prove)

    assert (len(calls), len(proofs)) == (2, 1)
    winning_post_check(
        winning_post.run(calls[1]).proofs[0],
        post_proof=0,
        randomness=calls[1].seed,
        miner_id=MINER,
        sectors=[(1, moving.sector.comm_r)],
    )


def test_a_sector_that_no_store_has_whole_is_bad(moving: Moving, tmp_path: Path) -> None:
    def damage() -> None:
        for name in "ab":
            (tmp_path / name / "cache/s-t01000-1/sc-02-data-tree-r-last.dat").unlink()

    done = moving.window(damage)

    assert (done.proof, done.faults, [bad.number for bad in done.bad]) == (b"", (1,), [1])
    assert len(moving.read) == 2, "each copy was tried, once"


def test_a_copy_in_the_same_store_is_none(moving: Moving, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "b" / "sealed")
    shutil.rmtree(tmp_path / "b" / "cache")

    done = moving.window(lambda: (tmp_path / "a" / "sealed/s-t01000-1").unlink())

    assert (done.faults, len(moving.read)) == ((1,), 1)
