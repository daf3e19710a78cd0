"""A host that never comes back: another one seals its sectors under way, and no deposit is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.miners.models import Miner
from apps.sectors.models import Job, JobEvent, PipelineRun, Sector, Worker
from apps.sectors.services.hosts.retirement import worker_retire
from tests.integration.sealing.pieces import LARGE, add, data_of
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, active_on_chain, fresh, pledged
from workers.console.refusals import ConsoleRefused


def begun(world: World, *, state: str, without: str) -> Sector:
    """A sector that is in a state because its host has no slot for what comes next."""
    world.agent = world.sealer(slots={without: 0})
    (sector,) = pledged(world, world.miner_create())
    world.until(lambda: fresh(sector).state == state, epochs=40)
    return sector


def host_is_gone(world: World, sector: Sector) -> None:
    """Take the host of a sector out of service; another one comes that has none of its files."""
    host = Job.objects.get(sector=sector).sticky_worker
    assert host is not None
    worker_retire(host, now=clock.now())
    old, world.agent = world.agent, world.sealer("another", name="another")
    with pytest.raises(ConsoleRefused):
        old.leases.heartbeat()


def proves(world: World, sector: Sector) -> bool:
    """Return whether the chain has a sector as active, after its first window."""
    world.until(lambda: fresh(sector).active, epochs=2 * PERIOD, stride=SKIP)
    return active_on_chain(world, fresh(sector).miner) == [sector.number]


def done_by(sector: Sector, event: str) -> list[str]:
    """The hosts that reported a stage, in order."""
    events = JobEvent.objects.filter(job__sector=sector, event=event).exclude(worker=None).order_by("pk")
    return list(events.values_list("worker__name", flat=True))


@pytest.mark.parametrize(
    ("state", "without"), [("PIECE_ADDED", "TREE_D"), ("TICKET_ASSIGNED", "PC1"), ("PC2_DONE", "PERSIST")]
)
def test_what_the_chain_does_not_know_begins_again(world: World, state: str, without: str) -> None:
    sector = begun(world, state=state, without=without)
    job = Job.objects.get(sector=sector).uuid

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=80)

    assert done_by(sector, "ADD_PIECE") == ["sealer-1", "another"]
    assert done_by(sector, "FINALIZE") == ["another"]
    assert Job.objects.get(sector=sector).uuid != job, "what the first one still says is of a job nobody has"
    assert Message.objects.filter(kind="precommit").count() == 1
    assert proves(world, sector)


@pytest.mark.parametrize("state", ["PRECOMMIT_LANDED", "SEED_ASSIGNED"])
def test_a_sector_with_a_pre_commit_gets_the_same_replica(world: World, state: str) -> None:
    sector = begun(world, state=state, without="C1")
    before = fresh(sector)

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=80)

    after = fresh(sector)
    assert done_by(sector, "PC2") == ["sealer-1", "another"]
    assert (bytes(after.comm_r or b""), after.ticket_epoch) == (
        bytes(before.comm_r or b""),
        before.ticket_epoch,
    )
    assert after.precommit_epoch == before.precommit_epoch
    assert Message.objects.filter(kind="precommit").count() == 1, "no second deposit"
    assert Message.objects.filter(kind="commit").count() == 1
    assert proves(world, sector)


def test_a_committed_sector_needs_its_host_no_more(world: World) -> None:
    sector = begun(world, state="COMMIT_LANDED", without="FINALIZE")

    host_is_gone(world, sector)
    world.until(lambda: fresh(sector).state == "PROVING", epochs=10)

    assert done_by(sector, "ADD_PIECE") == ["sealer-1"]
    assert proves(world, sector)


@pytest.fixture
def pieces(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named; a host is away at once."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000, "worker_away_s": 0}


def host_is_gone_from_all(world: World) -> None:
    for host in Worker.objects.filter(name="sealer-1"):
        worker_retire(host, now=clock.now())
    world.agent = world.sealer("another", name="another")


@pytest.mark.xdist_group("lone")
@pytest.mark.parametrize("without", ["SNAP_PROVE", "KEY_CLEAR"])
def test_a_snap_up_goes_on_with_another_host_of_the_store(
    world: World, lone: tuple[Miner, Sector], pieces: None, without: str
) -> None:
    miner, sector = lone
    world.agent = world.sealer(slots={without: 0})
    piece = add(world, miner, LARGE)
    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(world, "SNAP_ENCODED" if without == "SNAP_PROVE" else "UPDATE_FINAL")

    host_is_gone_from_all(world)
    run_reach(world, "SNAPPED")

    assert done_by_run("SNAP_ENCODE") == ["sealer-1", "another"][: 2 if without == "SNAP_PROVE" else 1]
    assert done_by_run("CLEAR_KEY") == ["another"]
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]


@pytest.mark.xdist_group("lone")
def test_unsealing_goes_on_with_another_host_of_the_store(
    world: World, lone: tuple[Miner, Sector], pieces: None
) -> None:
    miner, sector = lone
    piece = add(world, miner, LARGE)
    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(world, "SNAPPED")
    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    world.agent = world.sealer(slots={"UPLOAD": 0})
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    world.hosts_work()
    assert Job.objects.get(kind="unseal").stage == "UPLOAD"

    host_is_gone_from_all(world)
    world.epoch(12)

    assert data_of(world, piece) == LARGE
    assert Job.objects.get(kind="unseal").state == "DONE"


def done_by_run(event: str) -> list[str]:
    """The hosts that reported a stage of the newest run, in order."""
    run = PipelineRun.objects.latest("pk")
    events = JobEvent.objects.filter(job=run.job, event=event).exclude(worker=None).order_by("pk")
    return list(events.values_list("worker__name", flat=True))
