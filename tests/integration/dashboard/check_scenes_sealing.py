"""Scenes of the checks of sectors, hosts and stores: what breaks in a quiet pool, by the check's name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from apps.core.clock import now
from apps.core.reasons import as_reason
from apps.pieces.reasons import UNSEALED_LATE
from apps.pieces.states import PieceState
from apps.sectors.models import (
    ClaimsEnding,
    HostReport,
    Job,
    SealTarget,
    Sector,
    SectorChange,
    SectorCopy,
    Store,
    StoreMove,
)
from apps.sectors.reasons import BASE_FEE_HIGH, MESSAGE_ENDED
from apps.sectors.services.runs.rebuild import rebuild_begin
from apps.sectors.services.runs.steps import run_fail
from apps.sectors.services.stores.reported import stores_note
from apps.sectors.states import JobState, MoveState
from apps.users.rules.principals import SYSTEM
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import STAGED, JobKind
from poolsite.wire.pipeline import SectorState
from poolsite.wire.stores import AttachedStore, StoreCondition
from tests import factories, verified_rows


def epochs_ago(epochs: int) -> Any:
    """Return the time so many epochs of 30 s before now."""
    return now() - timedelta(seconds=30 * epochs)


def deposits_expiring(_: Any) -> None:
    factories.head(10_000_000)
    factories.sector(factories.miner(), state=SectorState.PRECOMMIT_LANDED, precommit_epoch=1000)


def seed_ready(_: Any) -> None:
    factories.sector(factories.miner(), state=SectorState.PRECOMMIT_LANDED, precommit_epoch=900)


def tickets_expiring(_: Any) -> None:
    factories.head(10_000_000)
    factories.sector(factories.miner(), state=SectorState.PC2_DONE, ticket_epoch=1000)


def sectors_paused(_: Any) -> None:
    factories.sector(factories.miner(), state=SectorState.PC1_DONE, paused_at=now(), error="no space")


def proven(**data: Any) -> Sector:
    """A sector that proves, on a host that may work on it."""
    factories.worker("host-a", stores=["store-1"], kinds=[str(kind) for kind in STAGED])
    facts: dict[str, Any] = {"ticket": bytes(32), "comm_r": bytes([1]) * 32, "comm_d": sha254_zero(2048)}
    return factories.sector(
        factories.miner(), state=SectorState.PROVING, active=True, store="store-1", **facts, **data
    )


def runs_stopped(_: Any) -> None:
    run = rebuild_begin(proven(), by=SYSTEM, now=now())
    run_fail(Job.objects.get(pk=run.job_id), error="the disk is full", attempts=5, now=now())


def sectors_unlisted(_: Any) -> None:
    factories.miner(unlisted_sectors=7)


def changes_failed(_: Any) -> None:
    SectorChange.objects.create(
        sector=proven(expiration=200_000),
        kind="EXTEND",
        state="EXTEND_FAILED",
        queued_height=900,
        actor="ann",
        error=MESSAGE_ENDED(exit_code=as_reason(exit_code_text(16))),
    )


def pieces_failed(_: Any) -> None:
    factories.piece(factories.miner(), state=PieceState.FAILED, error=UNSEALED_LATE())


def pieces_stopped(_: Any) -> None:
    factories.piece(
        factories.miner(), purpose="snap-up", start_epoch=1500, state_since=now() - timedelta(hours=1)
    )


def unseals_failed(_: Any) -> None:
    Job.objects.create(
        kind=JobKind.UNSEAL,
        miner=factories.miner(),
        state=JobState.FAILED,
        stage="UNSEAL",
        lease_s=60,
        inputs={"piece": "one"},
        error="the replica cannot be read",
    )


def hosts_away(_: Any) -> None:
    factories.worker("gone", seen_at=now() - timedelta(hours=1))


def stores_away(_: Any) -> None:
    factories.worker("gone", seen_at=now() - timedelta(hours=1), stores=["archive"])
    factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="archive")


def attached(condition: StoreCondition, **told: Any) -> None:
    """A host with one store."""
    store = AttachedStore(
        uid="u-1", name="archive", path="/mnt/a", condition=condition, total_bytes=1 << 40, **told
    )
    stores_note(factories.worker("box"), reported=[store], now=now())


def stores_unproven(_: Any) -> None:
    """A host that joined seals into a store of its own, which the pool's prover does not have.

    A damocles-worker of the tenant seals, and has not asked for proofs.
    """
    asked = {"plans": {"unseal": now().timestamp()}}
    factories.worker("venus", kinds=["damocles"], hardware=asked)
    factories.store(factories.worker("prover", kinds=[str(JobKind.WINDOW_POST)]), "archive")
    fresh = factories.store(factories.worker("joined"), "fresh")
    fresh.attachments.update(since=now() - timedelta(minutes=2))
    factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="fresh")


def stores_unwritable(_: Any) -> None:
    attached(StoreCondition.FULL, reason="1.0 GiB free, a sector needs 33.0 GiB: attach another store")


def moves_failed(_: Any) -> None:
    host = factories.worker("box")
    from_store, to_store = (factories.store(host, name) for name in ("old", "new"))
    sector = factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="old")
    StoreMove.objects.create(
        sector=sector,
        worker=host,
        from_store=from_store,
        to_store=to_store,
        state=MoveState.FAILED,
        actor="ann",
        error="no space left",
    )


def copies_bad(_: Any) -> None:
    store = factories.store(factories.worker("box"), "archive")
    sector = factories.sector(factories.miner(), state=SectorState.PROVING, active=True, store="archive")
    gone = {"name": "sealed/s-t01000-0", "state": "MISSING", "size": 0}
    SectorCopy.objects.create(sector=sector, store=store, condition="BAD", files=[gone], found_at=now())


def stores_filling(_: Any) -> None:
    attached(StoreCondition.READY, free_bytes=1 << 39)
    store = Store.objects.get()
    store.samples.update(at=now() - timedelta(days=1, minutes=1), used_bytes=1 << 38)


def hosts_disk(_: Any) -> None:
    factories.worker("full", hardware={"disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 40})


def host_folders_away(_: Any) -> None:
    told = {"disk_free_bytes": 0, "disk_total_bytes": 0, "disks": [{"folder": "/srv/prover"}]}
    factories.worker("prover", hardware=told)


def sectors_unclaimed(_: Any) -> None:
    host = factories.worker("small", hardware={"disk_free_bytes": 1 << 30, "disk_total_bytes": 1 << 31})
    HostReport.objects.create(
        worker=host, settings=[{"key": "sector_room_bytes", "value": str(1 << 33), "origin": "default"}]
    )
    row = factories.sector(factories.miner())
    Job.objects.filter(pk=row.job.pk).update(updated_at=now() - timedelta(minutes=16))


def slots_missing(_: Any) -> None:
    """The only host that does C2 is off, and the console has what C1 gave."""
    factories.worker("prover-7", slots={"C2": 1}, seen_at=now() - timedelta(hours=1))
    sealer = factories.worker("sealer", slots={"PC1": 4, "C2": 0})
    row = factories.sector(factories.miner(), state=SectorState.C1_DONE, precommit_epoch=990)
    freed = now() - timedelta(minutes=6)
    Job.objects.filter(pk=row.job.pk).update(updated_at=freed, is_portable=True, sticky_worker=sealer)


def sealing_stores_away(_: Any) -> None:
    told = {"folder": "/mnt/b", "sealing": {"sectors": 3, "total_bytes": 0, "reason": "/mnt/b is not there"}}
    factories.worker("sealer", hardware={"disks": [told]})


def hosts_paused(_: Any) -> None:
    factories.worker("idle", is_paused=True)


def hosts_slow(_: Any) -> None:
    row = factories.sector(factories.miner(), state=SectorState.PROVING, number=0)
    for host, seconds in (("quick", 10.0), ("slow", 60.0)):
        factories.events(row, [("PC1", "PC1", seconds)] * 4, worker=factories.worker(host))


def sectors_expiring(_: Any) -> None:
    factories.sector(factories.miner(), state=SectorState.PROVING, active=True, expiration=1500)


def claims_ending(_: Any) -> None:
    first = {"claim": 17, "sector_number": 5, "end_epoch": 1500}
    ClaimsEnding.objects.create(miner=factories.miner(), count=2, size=1024, due_at=now(), **first)


def allocations_ending(_: Any) -> None:
    verified_rows.allocation(factories.miner(), expiration=1500)


def targets_paused(_: Any) -> None:
    held = {
        "held_by": "PRICE",
        "reason": BASE_FEE_HIGH(fee="2 nanoFIL", most="1 nanoFIL"),
        "held_since": now(),
    }
    SealTarget.objects.create(miner=factories.miner(), in_work=1, since=now(), look_at=now(), **held)


def files_of_ended(_: Any) -> None:
    factories.worker("sealer-2", stores=["store-1"])
    sector = factories.sector(factories.miner(), state=SectorState.TERMINATED, store="store-1")
    Sector.objects.filter(pk=sector.pk).update(stage_since=epochs_ago(1000))


SEALING_SCENES: dict[str, Callable[[Any], None]] = {
    scene.__name__: scene
    for scene in (
        deposits_expiring,
        seed_ready,
        sectors_unclaimed,
        slots_missing,
        tickets_expiring,
        sectors_paused,
        runs_stopped,
        sectors_unlisted,
        changes_failed,
        pieces_failed,
        pieces_stopped,
        unseals_failed,
        hosts_away,
        stores_away,
        stores_unproven,
        stores_unwritable,
        moves_failed,
        copies_bad,
        stores_filling,
        hosts_disk,
        host_folders_away,
        sealing_stores_away,
        hosts_paused,
        hosts_slow,
        sectors_expiring,
        claims_ending,
        allocations_ending,
        targets_paused,
        files_of_ended,
    )
}
