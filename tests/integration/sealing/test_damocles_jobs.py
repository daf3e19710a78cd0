"""Snap-ups, rebuilds and unsealing by a damocles-worker, on a real chain, to their proofs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apps.core import clock
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import DamoclesJob, Job, JobEvent, PipelineRun, Sector, Worker
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.jobs import STAGED, JobKind
from tests import factories
from tests.integration.sealing.damocles_threads import Rebuild, SnapUp, Thread, Unseal
from tests.integration.sealing.damocles_worker import NAME
from tests.integration.sealing.pieces import LARGE, add, allocation, data_of
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh
from tests.people import token
from workers.storage.store import path_remove

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector


@pytest.fixture
def at_once(settings: Any, waiting: None) -> None:
    """No piece waits for others."""
    settings.SEALING = {"pack_wait_s": 0}


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}


@pytest.fixture
def outside(world: World, lone: tuple[Miner, Sector]) -> str:
    """The token of a damocles-worker in a pool whose own sealer takes nothing."""
    world.hosts_work = world.prover_works  # type: ignore[method-assign]
    world.besides = (JobKind.SECTOR_CHECK,)  # it looks at what the worker has stored
    prover, mark = Worker.objects.get(name="prover-1"), world.store.mark()
    factories.store(prover, world.store.name(), uid=mark.uid or mark.name)
    return token("write", of="alice", scopes=["sealer"])


def finished(world: World, thread: Thread, *, epochs: int = 40) -> None:
    """Let epochs pass until a thread is done."""
    thread.ping()
    for _ in range(epochs):
        Worker.objects.filter(name="prover-1").update(seen_at=clock.now())  # nothing else says that it lives
        thread.work(until="Finished")
        if thread.state == "Finished":
            return
        world.epoch(1)
    raise AssertionError((thread.state, thread.errors))


def steps_of(run: PipelineRun) -> list[tuple[str, str]]:
    """What was reported of a run, and by whom."""
    rows = JobEvent.objects.filter(job=run.job, seq__isnull=False).order_by("seq")
    return list(rows.values_list("event", "worker__name"))


def test_data_are_snapped_by_a_damocles_worker_lost_and_made_again(
    world: World, lone: tuple[Miner, Sector], outside: str
) -> None:
    miner, sector = lone
    old, name = bytes(sector.comm_r or b""), f"s-t0{miner.actor_id}-{sector.number}"
    thread = SnapUp(world, outside)
    thread.ping()
    assert thread.step() is False, "nothing waits"
    piece = add(world, miner, LARGE)
    client, number = allocation(world, miner, piece.piece_cid, 1024)
    Piece.objects.filter(pk=piece.pk).update(client=client, allocation=number)
    world.epoch(2)
    Worker.objects.filter(name="sealer-1").update(kinds=["seal"])
    assert act(world, sector, "snap-up", json={}).status_code == 201, "it is begun for the worker that asked"

    finished(world, thread)

    assert any("no prover has checked" in error for error in thread.errors), "it waited to be seen"
    run = PipelineRun.objects.get()
    assert steps_of(run) == [(event, NAME) for event in ("SNAP_ENCODE", "SNAP_PROVE", "PERSIST")]
    assert not run.job.events.filter(is_error=True).exists(), "which is no failure of the worker"
    assert DamoclesJob.objects.get().finished_at is not None
    run_reach(world, "UPDATE_LANDED")
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert info["SealedCID"]["/"] == str(commr_cid(bytes(fresh(sector).comm_r or b"")))
    assert info["SectorKeyCID"]["/"] == str(commr_cid(old))
    world.until(lambda: PipelineRun.objects.get().error, epochs=2 * PERIOD, stride=SKIP)
    run.refresh_from_db()
    words = "the data is in, but the old replica is not cleared: no sealing host has its store"
    assert (run.state, run.paused_at, words in run.error) == ("UPDATE_LANDED", None, True)
    assert fresh(sector).active
    del world.hosts_work  # the pool's own hosts again: one of them clears the old replica
    Worker.objects.filter(name="sealer-1").update(kinds=[str(kind) for kind in STAGED])
    PipelineRun.objects.update(not_before=None)
    run_reach(world, "SNAPPED")
    assert not (world.store.root / "sealed" / name).exists()
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]
    world.epoch(PERIOD, stride=SKIP)  # its windows are proven with the updated replica
    assert fresh(sector).active

    replica = world.store.root / "update" / name
    before = replica.read_bytes()
    path_remove(replica)
    path_remove(world.store.root / "update-cache" / name)
    world.hosts_work = world.prover_works  # type: ignore[method-assign]
    assert act(world, sector, "rebuild").status_code == 201
    again = Rebuild(world, outside, location="/mnt/nvme2")
    finished(world, again)
    assert replica.read_bytes() == before
    assert again.zeros_r == old
    made = PipelineRun.objects.latest("pk")
    assert (made.state, {who for _, who in steps_of(made)}) == ("REBUILD_CLEARED", {NAME})
    del world.hosts_work
    world.until(lambda: PipelineRun.objects.latest("pk").state == "REBUILT", epochs=3 * PERIOD, stride=SKIP)


def test_a_lost_replica_is_made_again_by_a_damocles_worker(
    world: World, lone: tuple[Miner, Sector], outside: str
) -> None:
    miner, sector = lone
    files = [
        world.store.root / kind / f"s-t0{miner.actor_id}-{sector.number}" for kind in ("sealed", "cache")
    ]
    before = files[0].read_bytes()
    path_remove(files[0])
    path_remove(files[1])
    assert Rebuild(world, outside).step() is False, "nothing waits"
    assert act(world, sector, "rebuild").status_code == 201
    thread = Rebuild(world, outside)

    finished(world, thread)

    assert files[0].read_bytes() == before
    run = PipelineRun.objects.get()
    assert run.state == "REBUILD_CLEARED"
    assert [event for event, _ in steps_of(run)] == [
        *("ADD_PIECE", "BUILD_TREE_D", "PC1", "PC2", "SNAP_ENCODE", "PERSIST", "FINALIZE")
    ]


def test_another_replica_than_the_sectors_is_not_taken(
    world: World, lone: tuple[Miner, Sector], outside: str
) -> None:
    _, sector = lone
    act(world, sector, "rebuild")
    thread = Rebuild(world, outside)
    thread.ping()
    thread.step()
    thread.inputs = replace(thread.known(), ticket=bytes(32))

    for _ in range(20):
        Worker.objects.filter(name="prover-1").update(seen_at=clock.now())
        thread.work()
        if "{'persisted': False}" in thread.errors:
            break
        world.epoch(1)

    run = PipelineRun.objects.get()
    assert (run.state, run.job.state) == ("REBUILD_PC1_DONE", "PAUSED"), thread.errors
    assert f"store {world.store.name()} lacks its files" in run.error


def test_a_piece_is_unsealed_by_a_damocles_worker(
    world: World, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = world.miner_create()
    piece = add(world, miner, LARGE)
    world.until(lambda: Piece.objects.get(pk=piece.pk).state == "ACTIVE", epochs=2 * PERIOD + 40, stride=SKIP)
    sector = Sector.objects.get()
    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    monkeypatch.setattr(world, "hosts_work", world.prover_works)
    thread = Unseal(world, token("write", of="alice", scopes=["sealer"]))

    finished(world, thread)

    assert data_of(world, piece) == LARGE
    job = Job.objects.get(kind=JobKind.UNSEAL)
    assert set(job.events.filter(seq__isnull=False).values_list("worker__name", flat=True)) == {NAME}
