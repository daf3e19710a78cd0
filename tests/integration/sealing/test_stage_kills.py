"""The console dies around each step of every pipeline: each ends, and nothing is sent or done twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from apps.core import clock
from apps.messages.models import Message
from apps.pieces.data.files import piece_path
from apps.sectors.models import Job, PipelineRun, Sector, SectorChange, Store, StoreMove
from apps.sectors.selectors.change_prices import ChangeRequest
from apps.sectors.services.stores.moves import moves_begin
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import PIPELINES
from poolsite.wire.pipeline.changes import ChangeKind
from tests.integration.sealing.changes import TERMINATE, ask
from tests.integration.sealing.kills import kills_survived
from tests.integration.sealing.pieces import LARGE, add, data_of
from tests.integration.sealing.snap_up import act
from tests.integration.sealing.stage_kills import MOVED, StageKills, steps_of
from tests.integration.sealing.world import PERIOD, SKIP, World, fresh, pledged
from tests.people import principal
from workers.console.refusals import ConsoleAway
from workers.storage.store import path_remove
from workers.store_watch import StoreWatch

LONG = 5 * PERIOD


@pytest.fixture(autouse=True)
def at_once(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host tries again at once, and pieces wait to be named."""
    settings.PIECES_DIR = str(tmp_path / "pieces")
    settings.SEALING = {"pack_wait_s": 10_000, "pause_s": 0, "pause_max_s": 0}
    monkeypatch.setattr("workers.agent.loop.REPORT_AGAIN_S", 0.0)


def ended(world: World, kills: StageKills, is_done: Callable[[], bool], *, stride: int = SKIP) -> None:
    """Advance epochs with kills until something is done."""
    with kills.on():
        world.until(is_done, epochs=LONG, stride=stride)
    stopped = Job.objects.filter(state__in=["PAUSED", "FAILED"]).exclude(kind=JobKind.WINDOW_POST)
    assert list(stopped.values_list("kind", "stage", "error")) == []


def run_state() -> str:
    run = PipelineRun.objects.latest("created_at")
    assert run.paused_at is None, (run.state, run.error)
    return str(run.state)


def changed(sector: Sector) -> str:
    return str(SectorChange.objects.filter(sector=sector).latest("pk").state)


class TwoStores:
    """A second store of the world's hosts, and their heartbeats, which carry orders and their ends."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.root = world.folder / "store-2"
        self.root.mkdir()
        world.stores.attach(str(self.root), init=True)
        self.watch = StoreWatch(world.stores, sector_bytes=2 << 10)
        self.hosts = (world.agent.leases, world.prover.leases)
        for leases in self.hosts:
            leases.watch_stores(self.watch)
        self.beat()

    def beat(self) -> None:
        """Inspect the stores, report them to the console, and wait for what it orders."""
        self.watch.tick()
        self._rest(lambda: any(look.is_running for look in self.watch._checks.values()))
        for leases in self.hosts:
            with suppress(ConsoleAway):
                leases.heartbeat()
        self._rest(lambda: None in self.watch.orders._orders.values())

    def _rest(self, is_busy: Callable[[], bool]) -> None:
        end = time.monotonic() + 30
        while is_busy() and time.monotonic() < end:
            time.sleep(0.005)

    def move(self, sector: Sector, kills: StageKills) -> None:
        """Move a sector to the second store."""
        source = Store.objects.get(name=fresh(sector).store)
        target = Store.objects.exclude(pk=source.pk).get()
        moves_begin(source, target=target, numbers=[str(sector.uuid)], now=clock.now(), by=principal())
        with kills.on():
            for _ in range(40):
                self.beat()
                self.world.prover_works()
                if StoreMove.objects.get().state == "MOVED":
                    break
        move = StoreMove.objects.get()
        assert (move.state, move.error) == ("MOVED", "")
        assert fresh(sector).store == target.name


def test_the_console_dies_around_each_step_of_every_pipeline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = world.miner_create()
    kills = StageKills(world, monkeypatch)
    kills_survived(world)
    (sector,) = pledged(world, miner)
    name = f"s-t0{miner.actor_id}-{sector.number}"

    ended(world, kills, lambda: fresh(sector).state == "PROVING", stride=1)
    world.until(lambda: fresh(sector).active, epochs=LONG, stride=SKIP)
    ask([sector], ChangeRequest(kind=ChangeKind.EXTEND))
    ended(world, kills, lambda: changed(sector) == "EXTEND_LANDED")

    piece = add(world, miner, LARGE)
    assert act(world, sector, "snap-up", json={"pieces": [piece.piece_cid]}).status_code == 201
    ended(world, kills, lambda: run_state() == "SNAPPED")

    replica = world.store.root / "update" / name
    before = replica.read_bytes()
    path_remove(replica)
    path_remove(world.store.root / "update-cache" / name)
    assert act(world, sector, "rebuild").status_code == 201
    ended(world, kills, lambda: run_state() == "REBUILT")
    assert replica.read_bytes() == before

    assert world.console._client.delete(f"/api/v1/sectors/{sector.uuid}/unsealed").status_code == 204
    piece_path(piece).unlink(missing_ok=True)  # no transaction ends here, and with it no file goes
    assert world.console._client.get(f"/api/v1/pieces/{piece.piece_cid}/data").status_code == 202
    ended(world, kills, lambda: Job.objects.get(kind="unseal").state == "DONE")
    assert data_of(world, piece) == LARGE

    TwoStores(world).move(sector, kills)
    assert not replica.exists()
    assert (world.folder / "store-2" / "update" / name).read_bytes() == before
    world.until(lambda: fresh(sector).active, epochs=LONG, stride=SKIP)

    ask([sector], TERMINATE)
    ended(world, kills, lambda: changed(sector) == "TERMINATE_LANDED")
    world.epoch(2)
    assert fresh(sector).state == "TERMINATED"

    for table in PIPELINES:
        missed = {step: kills.met.get(step, 0) for step in steps_of(table) if kills.met.get(step) != 2}
        assert missed == {}, table
    assert all(kills.met.get(step) == 2 for step in MOVED)
    assert kills.commits, "nor were other commits left out"
    own = Message.objects.filter(kind__in=["precommit", "commit", "extend", "snap_up", "terminate"])
    sent = sorted(own.exclude(state__in=["FAILED", "REPLACED"]).values_list("kind", "exit_code"))
    assert sent == [(kind, 0) for kind in ("commit", "extend", "precommit", "snap_up", "terminate")]
