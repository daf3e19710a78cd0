"""A restored database takes data back that went into proven sectors since: nothing is made or sent twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db.models import F

from apps.core import clock
from apps.messages.models import Message, UnmatchedMessage
from apps.messages.services.recovery.detect import restore_check
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import PipelineRun, Sector, SectorChange
from apps.sectors.selectors.restored import sectors_recovery
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.cids import commr_cid
from tests.integration.sealing.changes import on_chain
from tests.integration.sealing.pieces import LARGE, add, allocation, data_of, killed_often
from tests.integration.sealing.restored import RESTORED_TABLES
from tests.integration.sealing.snap_up import act, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh
from tests.unit.apps.messages.recovery import Dump

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors

TABLES = (*RESTORED_TABLES, SectorChange, Piece, PipelineRun)
UPDATE = Method.PROVE_REPLICA_UPDATES3


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path, world: World) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}
    restore_check(now=clock.now())


def as_on_chain(world: World, sector: Sector) -> bool:
    info = world.ask("StateSectorGetInfo", sector.miner.address, sector.number, None)
    return bool(info["SealedCID"]["/"] == str(commr_cid(bytes(fresh(sector).comm_r or b""))))


@pytest.mark.parametrize(
    ("made_at", "read_at"),
    [
        ("nothing", "FILLED"),
        ("nothing", "UPDATE_LANDED"),
        ("READY", "SNAPPED"),
        ("PIECES_ASSIGNED", "UPDATE_LANDED"),
        ("SNAP_STORED", "FILLED"),
        ("SNAP_STORED", "SNAPPED"),
        ("UPDATE_SENT", "SNAPPED"),
        ("UPDATE_LANDED", "SNAPPED"),
    ],
)
def test_an_update_goes_on_where_the_chain_has_it(
    world: World, pair: tuple[Miner, list[Sector]], made_at: str, read_at: str
) -> None:
    miner, (sector, _other) = pair
    ran = killed_often(world)
    dump = Dump(*TABLES)
    piece = add(world, miner, LARGE)
    client, number = allocation(world, miner, piece.piece_cid, 1024)
    Piece.objects.filter(pk=piece.pk).update(client=client, allocation=number)
    world.epoch(2)
    if made_at == "READY":
        dump = Dump(*TABLES)
    answer = act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    assert answer.status_code == 201, answer.text
    if made_at == "PIECES_ASSIGNED":
        dump = Dump(*TABLES)
    world.hosts_work()
    assert PipelineRun.objects.get().state == "SNAP_STORED"
    if made_at == "SNAP_STORED":
        dump = Dump(*TABLES)
    world.until(lambda: PipelineRun.objects.get().state == "UPDATE_SENT", epochs=2 * PERIOD)
    if made_at == "UPDATE_SENT":
        dump = Dump(*TABLES)
    if read_at == "FILLED":
        world.until(lambda: Message.objects.filter(kind="snap_up", state="FILLED").exists(), epochs=3)
    else:
        run_reach(world, "UPDATE_LANDED")
    if made_at == "UPDATE_LANDED":
        dump = Dump(*TABLES)
    if read_at == "SNAPPED":
        run_reach(world, "SNAPPED")

    dump.restore()
    restore_check(now=clock.now())  # as the pool's start does
    world.until(lambda: sectors_recovery() is None, epochs=5)
    run_reach(world, "SNAPPED")
    world.epoch(2)

    assert on_chain(miner, UPDATE) == 1
    assert (ran["snap_encode"], ran["snap_prove"]) == (1, 1)
    assert as_on_chain(world, sector)
    assert fresh(sector).key_comm_r is not None
    row = Piece.objects.get()
    assert (row.state, row.piece_cid, row.sector_number) == ("ACTIVE", piece.piece_cid, sector.number)
    assert (row.client, row.allocation, row.offset) == (client, number, 0)
    assert PipelineRun.objects.count() == 1
    assert not Sector.objects.exclude(paused_at=None).exists()
    world.until(lambda: fresh(sector).active, epochs=2 * PERIOD, stride=SKIP)
    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    data_of(world, piece)
    world.hosts_work()
    assert data_of(world, piece)[: len(LARGE)] == LARGE


def test_an_update_of_which_no_message_is_known_is_seen_on_the_chain(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, (sector, _other) = pair
    dump = Dump(*TABLES)
    old = bytes(sector.comm_r or b"")
    piece = add(world, miner, LARGE)
    world.epoch(2)
    act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    run_reach(world, "UPDATE_LANDED")
    world.ids.clear()
    monkeypatch.setattr("apps.messages.services.recovery.matching.OWN_KINDS", {})

    dump.restore()
    restore_check(now=clock.now())  # as the pool's start does
    world.epoch(2)
    UnmatchedMessage.objects.update(decided_at=F("found_at"))
    world.until(lambda: sectors_recovery() is None, epochs=5)
    world.epoch(3)

    row = fresh(sector)
    assert as_on_chain(world, sector)
    assert (bytes(row.key_comm_r or b""), row.comm_d) == (old, None)
    refused = act(world, sector, "snap-up", json={})
    assert refused.json()["code"] == "not_committed_capacity"
    assert on_chain(miner, UPDATE) == 1


def test_nothing_is_begun_while_sectors_are_read_back(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, (sector, _other) = pair
    piece = add(world, miner, LARGE)
    act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    Dump(*TABLES).restore()
    restore_check(now=clock.now())

    assert act(world, sector, "rebuild?dry_run=true").json()["code"] == "miner_not_ready"
    assert act(world, sector, "snap-up?dry_run=true", json={}).json()["code"] == "miner_not_ready"
    world.agent.claim_after = 0.0
    world.agent._claim(0.0)
    assert not world.agent.held
