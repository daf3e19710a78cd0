"""Clients' data into a committed sector on a real chain: encoded, proven, landed, and out of it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import PipelineRun, Sector, SectorCopy, WorkerCommand
from apps.sectors.services.runs import messages as run_messages
from apps.sectors.services.runs import update_batches
from apps.users.models import AuditEntry
from poolsite.filecoin.cids import commr_cid
from tests.integration.sealing.kills import Kills, kills_survived
from tests.integration.sealing.pieces import LARGE, add, allocation, data_of, killed_often
from tests.integration.sealing.snap_up import act, copy_found, run_reach
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh
from workers.storage.store import path_remove

pytestmark = pytest.mark.xdist_group("lone")  # one worker seals the sector


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}


def test_data_are_snapped_into_a_committed_sector_and_come_back(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    old = bytes(sector.comm_r or b"")
    piece = add(world, miner, LARGE)
    client, number = allocation(world, miner, piece.piece_cid, 1024)
    Piece.objects.filter(pk=piece.pk).update(client=client, allocation=number)
    world.epoch(2)

    answer = act(world, sector, "snap-up?dry_run=true", json={})
    assert answer.status_code == 200, answer.text
    price = answer.json()
    assert (price["pieces"], price["verified_bytes"]) == ([piece.piece_cid], 1024)
    assert not PipelineRun.objects.exists()

    headers = {"Idempotency-Key": "once"}
    answers = [act(world, sector, "snap-up", headers=headers, json={}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    run = PipelineRun.objects.get()
    copy_found(sector)
    run_reach(world, "UPDATE_LANDED")
    assert not SectorCopy.objects.exists(), "that was of the old replica"
    sector = fresh(sector)
    info = world.ask("StateSectorGetInfo", miner.address, sector.number, None)
    assert info["SealedCID"]["/"] == str(commr_cid(bytes(sector.comm_r or b"")))
    assert info["SectorKeyCID"]["/"] == str(commr_cid(old))
    assert bytes(sector.key_comm_r or b"") == old != bytes(sector.comm_r or b"")
    assert int(info["VerifiedDealWeight"]) > 0
    name = f"s-t0{miner.actor_id}-{sector.number}"
    assert (world.store.root / "sealed" / name).exists()
    run_reach(world, "SNAPPED")
    world.epoch(PERIOD, stride=SKIP)  # its windows are proven with the updated replica
    assert fresh(sector).active
    run.refresh_from_db()
    assert not (world.store.root / "sealed" / name).exists()
    assert (world.store.root / "update" / name).exists()
    assert not list((world.folder / "sealer" / "sealing").glob(f"*/{name}"))
    assert Piece.objects.get().state == "ACTIVE"
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]
    assert AuditEntry.objects.filter(action="sector.snap-up").count() == 1

    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    world.hosts_work()
    assert data_of(world, piece) == LARGE


def test_a_lost_replica_is_made_again_and_proves(world: World, lone: tuple[Miner, Sector]) -> None:
    miner, sector = lone
    name = f"s-t0{miner.actor_id}-{sector.number}"
    files = [world.store.root / kind / name for kind in ("sealed", "cache")]
    before = files[0].read_bytes()
    path_remove(files[0])
    path_remove(files[1])
    world.until(lambda: not fresh(sector).active, epochs=2 * PERIOD, stride=SKIP)

    plan = act(world, sector, "rebuild?dry_run=true")
    priced = plan.json()
    assert int(priced.pop("gas")) > 0
    assert "could not be asked" in priced.pop("signer"), "no signer is connected"
    assert priced.pop("approval") == ""
    assert priced == {"hosts": ["sealer-1"], "payload_bytes": 0, "is_update": False, "pledge": "0"}
    assert act(world, sector, "rebuild").status_code == 201
    assert act(world, sector, "rebuild").json()["code"] == "run_under_way"
    world.hosts_work()

    assert PipelineRun.objects.get().state == "REBUILD_CLEARED"
    assert files[0].read_bytes() == before
    world.until(lambda: fresh(sector).active, epochs=3 * PERIOD, stride=SKIP)
    world.epoch(1)
    assert PipelineRun.objects.get().state == "REBUILT"
    assert AuditEntry.objects.filter(action="sector.rebuild").count() == 1


def test_another_ticket_gives_another_comm_r_and_stores_nothing(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    Sector.objects.filter(pk=sector.pk).update(ticket=bytes(32))
    kept = world.store.root / "sealed" / f"s-t0{miner.actor_id}-{sector.number}"
    before = kept.read_bytes()

    act(world, sector, "rebuild")
    world.hosts_work()

    run = PipelineRun.objects.get()
    assert (run.state, run.job.state, run.paused_at is None) == ("COMM_R_DIFFERS", "PAUSED", False)
    assert run.error.endswith(bytes(sector.comm_r or b"").hex())
    assert kept.read_bytes() == before
    ended = act(world, sector, "rebuild/abort", json={"reason": "unknown ticket"})
    assert ended.json()["state"] == "REBUILD_ABORTED"


WRITES = [
    (update_batches, "run_console_step"),
    (update_batches, "message_push"),
    (run_messages, "run_console_step"),
    (run_messages, "run_move"),
]


def test_a_host_killed_before_each_report_does_no_stage_of_a_run_twice(
    world: World, lone: tuple[Miner, Sector], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills at each stage of snap-up, the console too, rebuild of what was snapped, and unsealing of it."""
    miner, sector = lone
    piece = add(world, miner, LARGE)
    runs = killed_often(world)
    kills = Kills(monkeypatch, WRITES)
    kills_survived(world)

    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    run_reach(world, "SNAPPED")
    replica = world.store.root / "update" / f"s-t0{miner.actor_id}-{sector.number}"
    before = replica.read_bytes()
    path_remove(replica)
    path_remove(world.store.root / "update-cache" / replica.name)
    assert act(world, sector, "rebuild?dry_run=true").json()["is_update"] is True
    assert act(world, sector, "rebuild").status_code == 201
    world.hosts_work()
    assert PipelineRun.objects.first().state == "REBUILD_CLEARED"  # type: ignore[union-attr]  # there are two
    assert replica.read_bytes() == before
    world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed")
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    world.hosts_work()

    assert data_of(world, piece) == LARGE
    twice = dict.fromkeys(("add_piece", "snap_encode"), 2)
    once = dict.fromkeys(("tree_d", "pc1", "pc2", "snap_prove", "snap_decode"), 1)
    assert {name: count for name, count in runs.items() if name != "window_post"} == once | twice | {
        "add_piece": 3
    }
    assert list(Message.objects.filter(kind="snap_up").values_list("exit_code", flat=True)) == [0]
    assert kills.left == set()
    assert not list((world.folder / "sealer" / "sealing").glob(f"*/{replica.name}"))


def test_an_aborted_snap_up_leaves_the_sector_and_frees_its_pieces(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    miner, sector = lone
    piece = add(world, miner, LARGE)
    act(world, sector, "snap-up", json={})
    piece.refresh_from_db()
    assert (piece.state, piece.sector_number) == ("PACKED", sector.number)
    world.agent.claim_after = 0.0
    world.agent.tick()  # claims and encodes
    world.agent.tick()

    ended = act(world, sector, "snap-up/abort", json={"reason": "another client"})

    assert ended.json()["state"] == "SNAP_ABORTED", ended.text
    piece.refresh_from_db()
    assert (piece.state, piece.sector_number) == ("READY", None)
    assert WorkerCommand.objects.get(op="remove").args["keeps_store"] == "yes"
    assert fresh(sector).active


def test_what_locks_pledge_or_replaces_files_needs_the_level_of_signing(
    world: World, lone: tuple[Miner, Sector]
) -> None:
    _, sector = lone

    for verb in ("snap-up", "rebuild", "snap-up/retry", "snap-up/abort", "rebuild/retry", "rebuild/abort"):
        assert act(world, sector, verb, perm="write", json={}).status_code == 403
