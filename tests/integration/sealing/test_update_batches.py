"""Snap-ups that share a message, one that leaves the chain again, and pieces that go by themselves."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from apps.messages.models import Message
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.sectors.models import BatchSettings, JobEvent, PipelineRun, Sector, SectorCopy
from apps.sectors.services.runs import update_batches
from poolsite.devnet.forks import reorg
from poolsite.filecoin.actors.miner import Method
from tests.integration.sealing.changes import on_chain
from tests.integration.sealing.pieces import LARGE, add
from tests.integration.sealing.snap_up import act, copy_found, run_reach
from tests.integration.sealing.world import PERIOD, World, fresh

pytestmark = pytest.mark.xdist_group("pair")  # one worker seals the two sectors


@pytest.fixture(autouse=True)
def waiting(settings: Any, tmp_path: Path) -> None:
    """Pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000}


def states() -> set[str]:
    return set(PipelineRun.objects.values_list("state", flat=True))


def test_two_updates_share_a_message_whatever_is_killed(
    world: World, pair: tuple[Miner, list[Sector]], monkeypatch: pytest.MonkeyPatch
) -> None:
    miner, sectors = pair
    for sector, data in zip(sectors, (LARGE, LARGE[::-1]), strict=True):
        piece = add(world, miner, data)
        assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    world.hosts_work()
    assert states() == {"SNAP_STORED"}
    push = update_batches._push
    kills: list[int] = []

    def killed(*args: Any, **named: Any) -> None:
        if not kills:
            kills.append(1)
            raise KeyboardInterrupt
        push(*args, **named)

    monkeypatch.setattr(update_batches, "_push", killed)
    for _ in range(2 * PERIOD):
        if states() == {"UPDATE_LANDED"}:
            break
        with suppress(KeyboardInterrupt):
            world.epoch()

    assert kills
    assert states() == {"UPDATE_LANDED"}
    [message] = Message.objects.filter(kind="snap_up")
    assert message.exit_code == 0
    assert set(PipelineRun.objects.values_list("message_id", flat=True)) == {message.pk}
    assert on_chain(miner, Method.PROVE_REPLICA_UPDATES3) == 1
    assert all(fresh(sector).key_comm_r for sector in sectors)


def test_one_that_the_chain_refuses_spoils_no_other(world: World, pair: tuple[Miner, list[Sector]]) -> None:
    miner, (good, bad) = pair
    for sector, data in ((good, LARGE), (bad, LARGE[::-1])):
        piece = add(world, miner, data)
        act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    world.hosts_work()
    PipelineRun.objects.filter(sector=bad).update(proof=b"no proof")

    run = PipelineRun.objects.get(sector=good)
    world.until(lambda: PipelineRun.objects.get(pk=run.pk).state == "UPDATE_LANDED", epochs=2 * PERIOD)

    other = PipelineRun.objects.get(sector=bad)
    assert other.state == "SNAP_STORED"
    assert other.error.startswith("the chain would refuse the update")


def test_an_update_that_left_the_chain_is_taken_back_and_lands_again(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    miner, (sector, _other) = pair
    old = bytes(fresh(sector).comm_r or b"")
    piece = add(world, miner, LARGE)
    act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]})
    run_reach(world, "UPDATE_LANDED")
    new = bytes(fresh(sector).comm_r or b"")
    landed = PipelineRun.objects.get().landed_height or 0
    copy_found(sector)

    reorg(world.node.devnet, world.height - landed + 2)
    world.head_take()
    world.until(lambda: PipelineRun.objects.get().state == "UPDATE_SENT", epochs=6)
    row = fresh(sector)
    assert (bytes(row.comm_r or b""), row.key_comm_r) == (old, None)
    assert not SectorCopy.objects.exists(), "that was of the updated replica"
    assert [piece.get("payload", 0) for piece in row.pieces] == [0]
    world.until(lambda: Piece.objects.get().state == "PACKED", epochs=3)
    assert JobEvent.objects.filter(event="REVERT_UPDATE").count() == 1

    run_reach(world, "UPDATE_LANDED")
    row = fresh(sector)
    assert (bytes(row.comm_r or b""), bytes(row.key_comm_r or b"")) == (new, old)
    world.epoch(2)
    assert Piece.objects.get().state == "ACTIVE"


def test_a_full_sectors_piece_waits_for_its_snap_up_where_it_says_so(
    world: World, lone: tuple[Miner, Sector], settings: Any
) -> None:
    miner, sector = lone
    settings.SEALING = {"pack_wait_s": 0}
    piece = add(world, miner, bytes(number % 251 for number in range(2032)), purpose="snap-up")

    world.epoch(3)
    assert Sector.objects.filter(miner=miner).count() == 1, "no new sector is begun for it"
    assert act(world, sector, "snap-up", json={}).status_code == 201
    assert PipelineRun.objects.get().sector_id == sector.pk

    piece.refresh_from_db()
    assert (piece.state, piece.sector_number) == ("PACKED", sector.number)


def test_pieces_go_into_committed_sectors_first_where_that_is_wished(
    world: World, pair: tuple[Miner, list[Sector]]
) -> None:
    miner, sectors = pair
    BatchSettings.objects.create(miner=miner, pack_wait_s=0, snap_up_first=True)
    whole = bytes(number % 251 for number in range(2032))

    for turn in range(3):
        add(world, miner, bytes([turn]) + whole[1:])
        world.until(lambda: not Piece.objects.filter(state="READY").exists(), epochs=2 * PERIOD)

    numbers = {sector.number for sector in sectors}
    assert set(PipelineRun.objects.values_list("sector__number", flat=True)) == numbers
    new = Sector.objects.exclude(number__in=numbers).get()
    assert new.state != "PROVING"
    third = Piece.objects.latest("pk")
    assert third.sector_number == new.number
