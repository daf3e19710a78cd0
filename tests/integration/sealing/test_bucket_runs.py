"""What is done with a sector that lies in a bucket: data into it and out again, its replica made anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import PipelineRun, Sector
from poolsite.filecoin.cids import commr_cid
from tests.integration.sealing.pieces import LARGE, add, data_of
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh
from tests.s3_server import BUCKET, S3Server, serving
from workers.storage.bucket_settings import BucketSettings
from workers.storage.moves import MovedSector, sector_copy, sector_remove
from workers.storage.store import MARK, path_remove
from workers.storage.store_mark import mark_change
from workers.storage.sums import SectorSums

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A server that takes the hosts' key."""
    with serving(tmp_path, monkeypatch) as one:
        yield one


def moved(world: World, server: S3Server, miner: Miner, sector: Sector) -> str:
    """Move a sector into a bucket, the only store that may be written then; give its name there."""
    source = world.stores.attached()[0]
    settings = BucketSettings(server.endpoint, "us-east-1")
    one = world.stores.attach(f"s3://{BUCKET}/pool", init=True, settings=settings)
    comm_r = bytes(fresh(sector).comm_r or b"")
    order = MovedSector(
        "m-1", miner.actor_id or 0, sector.number, miner.seal_proof, comm_r, source.uid, one.uid
    )
    sector_copy(world.stores, order)
    sector_remove(world.stores, order)
    mark_change(world.store.root / MARK, {"ReadOnly": True})
    Sector.objects.filter(pk=sector.pk).update(store=one.name)
    for leases in (world.agent.leases, world.prover.leases):
        leases.stores = (*leases.stores, one.name)
        leases.register()
    return f"s-t0{miner.actor_id}-{sector.number}"


def files_of(server: S3Server, name: str) -> set[str]:
    """Folders of the bucket that have files of a sector."""
    return {key.split("/")[1] for key in server.keys("pool") if name in key}


def left_on_the_host(world: World, name: str) -> list[Path]:
    """What lies of a sector outside of the bucket: in stores, sealing folders and jobs."""
    found = [path for path in world.folder.rglob(f"{name}*") if path.is_file() or any(path.iterdir())]
    return [*found, *world.folder.rglob("fetched")]


def test_data_come_into_a_sector_of_a_bucket_and_out_again(
    world: World, lone: tuple[Miner, Sector], server: S3Server
) -> None:
    miner, sector = lone
    old = bytes(sector.comm_r or b"")
    name = moved(world, server, miner, sector)
    assert files_of(server, name) == {"sealed", "cache", "sums"}
    piece = add(world, miner, LARGE)
    world.epoch(2)

    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(world, "UPDATE_LANDED")
    assert files_of(server, name) == {"sealed", "cache", "update", "update-cache", "sums"}
    run_reach(world, "SNAPPED")

    assert files_of(server, name) - {"sums"} == {"update", "update-cache"}, "the key is cleared"
    sums = SectorSums(world.stores.attached()[1].store.root, name).read()
    assert not [file for file in sums if not file.startswith("update")]
    assert not left_on_the_host(world, name)
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert info["SealedCID"]["/"] == str(commr_cid(bytes(fresh(sector).comm_r or b"")))
    assert bytes(fresh(sector).key_comm_r or b"") == old
    world.epoch(PERIOD, stride=SKIP)  # its windows are proven with the updated replica
    assert fresh(sector).active
    assert Piece.objects.get().state == "ACTIVE"

    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    world.hosts_work()
    assert data_of(world, piece) == LARGE
    assert files_of(server, name) - {"sums"} == {"update", "update-cache"}
    assert not left_on_the_host(world, name)


def test_a_replica_that_a_bucket_lost_is_made_again_there(
    world: World, lone: tuple[Miner, Sector], server: S3Server
) -> None:
    miner, sector = lone
    name = moved(world, server, miner, sector)
    root = world.stores.attached()[1].store.root
    before = (root / "sealed" / name).read_bytes()
    path_remove(root / "sealed" / name)
    world.until(lambda: not fresh(sector).active, epochs=2 * PERIOD, stride=SKIP)

    assert act(world, sector, "rebuild").status_code == 201
    world.hosts_work()

    run = PipelineRun.objects.get()
    assert run.state == "REBUILD_CLEARED", (run.state, run.error)
    assert (root / "sealed" / name).read_bytes() == before
    assert files_of(server, name) == {"sealed", "cache", "sums"}
    assert not left_on_the_host(world, name)
    world.until(lambda: fresh(sector).active, epochs=3 * PERIOD, stride=SKIP)
    world.epoch(1)
    assert PipelineRun.objects.get().state == "REBUILT"
