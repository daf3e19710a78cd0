"""Changes of the demo's sectors and miners: moves, scans, extensions, snap-ups; and remote wallets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from apps.core.reasons import quoted
from apps.miners.models import Miner
from apps.sectors.models import (
    Job,
    PipelineRun,
    Sector,
    SectorChange,
    Store,
    StoreFinding,
    StoreMove,
    StoreScan,
    Worker,
)
from apps.sectors.reasons import SECTOR_FAULTY
from apps.sectors.states import FindingKind, JobState, MoveState, ScanState
from apps.users.rules.encryption import text_encrypt
from apps.wallets.models import RemoteWallet
from poolsite.demo.data import piece_cid
from poolsite.demo.world import DAY_EPOCHS, HEIGHT, SECTOR_BYTES, TimesGiven, World, rows_write
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import RUN_FINAL, RUN_NEXT, Owner, SectorState
from poolsite.wire.pipeline.changes import ChangeKind, ChangeState
from poolsite.wire.pipeline.snapping import SnapState

REFUSED: Final = "exit code 16: sector 12 cannot be extended by 900 days"
DISK_FAILED: Final = "input/output error while it copied cache/p_aux"
REMOTE_AWAY: Final = "connection refused"
CHANGES: Final = (
    (ChangeKind.EXTEND, ChangeState.EXTEND_LANDED, 6, ""),
    (ChangeKind.EXTEND, ChangeState.EXTEND_SENT, 2, ""),
    (ChangeKind.EXTEND, ChangeState.EXTEND_QUEUED, 2, ""),
    (ChangeKind.EXTEND, ChangeState.EXTEND_FAILED, 1, REFUSED),
    (ChangeKind.EXTEND, ChangeState.EXTEND_CANCELLED, 1, ""),
    (ChangeKind.TERMINATE, ChangeState.TERMINATE_QUEUED, 2, ""),
)
"""Kind, state, how many, and why one failed; what was terminated has sectors of its own."""
RUNS: Final = (
    (SnapState.SNAPPED, 2),
    (SnapState.UPDATE_SENT, 1),
    (SnapState.SNAP_ENCODED, 1),
    (SnapState.PIECES_ASSIGNED, 1),
    (SnapState.SNAP_ABORTED, 1),
)
PAUSED_RUN: Final = SnapState.SNAP_ENCODED
"""State of the run that somebody has to decide about."""
MOVES: Final = (
    (MoveState.MOVED, 4, ""),
    (MoveState.COPYING, 1, ""),
    (MoveState.QUEUED, 2, ""),
    (MoveState.FAILED, 1, DISK_FAILED),
    (MoveState.CANCELLED, 1, ""),
)
LONGER: Final = 90 * DAY_EPOCHS
"""Epochs by which a sector is extended."""
MOVED_IN_DAYS: Final = 20
MOVES_OUT_DAYS: Final = 2
PER_KIND: Final = 2
"""Findings of each kind in the scanned store."""


def changes_make(world: World) -> None:
    """Make all of it of proven sectors that nothing else is done with."""
    free = [one for one in world.sectors if one.state == SectorState.PROVING and one.active]
    _changes(world, free)
    _runs(world, free)
    _store_moves(world, free)
    _scan(world, free)
    _miners_move(world)
    _remote_wallets(world)


def _changes(world: World, free: list[Sector]) -> None:
    rows, place = [], 0
    for kind, state, count, error in CHANGES:
        for _ in range(count):
            place += 1
            at, sector = world.now - timedelta(hours=9 * place), free.pop()
            ends = sector.expiration or HEIGHT + 200 * DAY_EPOCHS
            rows.append(_change(world, sector, kind, state, error=error, ends=ends, at=at))
    for sector in world.sectors:
        if sector.state == SectorState.TERMINATED:
            at = world.now - timedelta(days=20)
            rows.append(
                _change(world, sector, ChangeKind.TERMINATE, ChangeState.TERMINATE_LANDED, ends=HEIGHT, at=at)
            )
    with TimesGiven(SectorChange):
        rows_write(SectorChange, sorted(rows, key=lambda one: one.created_at))


def _change(
    world: World,
    sector: Sector,
    kind: ChangeKind,
    state: ChangeState,
    *,
    ends: int,
    at: datetime,
    error: str = "",
) -> SectorChange:
    is_longer = kind == ChangeKind.EXTEND
    if state == ChangeState.EXTEND_LANDED:  # its row has the new end
        ends -= LONGER
    return SectorChange(
        sector=sector,
        kind=str(kind),
        state=str(state),
        expiration=ends + LONGER if is_longer else None,
        old_expiration=ends,
        fee=0 if is_longer else 31 * 10**15,
        queued_height=world.height_at(at),
        actor="rosa",
        reason="" if is_longer else "drives of rack 4 are retired",
        exit_code=16 if error else None,
        error=quoted(error, by="chain") if error else "",
        created_at=at,
        updated_at=at + timedelta(hours=1),
    )


def _runs(world: World, free: list[Sector]) -> None:
    for place, (state, count) in enumerate(RUNS):
        for number in range(count):
            at, sector = world.now - timedelta(hours=3 + 5 * place + number), free.pop()
            step = RUN_NEXT[state]
            is_paused, cid = state == PAUSED_RUN, piece_cid(f"snap {place} {number}")
            job = Job(
                uuid=world.uuid(),
                kind=JobKind.SNAP_UP,
                state=_job_state(state, is_paused=is_paused),
                miner=sector.miner,
                stage=step.stage,
                lease_token=1,
                lease_s=90,
                created_at=at,
                updated_at=at,
            )
            run = PipelineRun(
                sector=sector,
                job=job,
                kind=JobKind.SNAP_UP,
                state=str(state),
                state_since=at,
                actor="data desk",
                pieces=[{"piece_cid": cid, "size": SECTOR_BYTES, "source": ""}],
                landed_height=world.height_at(at) if state == SnapState.SNAPPED else None,
                paused_at=at if is_paused else None,
                error=SECTOR_FAULTY() if is_paused else "",
                attempts=1 if is_paused else 0,
                created_at=at - timedelta(hours=2),
                updated_at=at,
            )
            with TimesGiven(Job, PipelineRun):
                job.save(force_insert=True)
                run.save(force_insert=True)


def _job_state(state: SnapState, *, is_paused: bool) -> JobState:
    """Return the state of the job of a run: steps of the console are waited for, by no host."""
    if state in RUN_FINAL:
        return JobState.DONE
    if is_paused:
        return JobState.PAUSED
    return JobState.READY if RUN_NEXT[state].owner is Owner.WORKER else JobState.WAITING


def _stores_of(world: World, sector: Sector) -> tuple[Store, Store, Worker] | None:
    """Return the store of a sector, another one of its tenant, and a host that has both."""
    tenant = sector.miner.tenant_id
    stores = [one for one in world.stores if one.tenant_id == tenant]
    hosts = [one for one in world.provers if one.tenant_id == tenant]
    here = next((one for one in stores if one.name == sector.store), None)
    there = next((one for one in stores if one is not here), None)
    return None if here is None or there is None or not hosts else (here, there, hosts[0])


def _store_moves(world: World, free: list[Sector]) -> None:
    rows, place = [], 0
    for state, count, error in MOVES:
        for _ in range(count):
            place += 1
            sector = free.pop()
            if (stores := _stores_of(world, sector)) is None:
                continue
            here, there, worker = stores
            if state == MoveState.MOVED:  # its row names the store to which it went
                here, there = there, here
            at = world.now - timedelta(hours=4 * place)
            rows.append(
                StoreMove(
                    sector=sector,
                    worker=worker,
                    from_store=here,
                    to_store=there,
                    state=state,
                    actor="rosa",
                    error=quoted(error, by="host") if error else "",
                    created_at=at,
                    updated_at=at + timedelta(minutes=50),
                )
            )
    with TimesGiven(StoreMove):
        rows_write(StoreMove, sorted(rows, key=lambda one: one.created_at))


def _scan(world: World, free: list[Sector]) -> None:
    """Make a scan that found something of each kind in one store, and one that failed in another."""
    stores = next((some for one in free if (some := _stores_of(world, one)) is not None), None)
    if stores is None:
        return
    store, other, worker = stores
    held = [one for one in free if one.store == store.name and one.miner.tenant_id == store.tenant_id]
    elsewhere = [one for one in free if one.store == other.name and one.miner.tenant_id == store.tenant_id]
    rows = []
    for kind, sectors in (
        (FindingKind.MISSING, held),
        (FindingKind.ELSEWHERE, elsewhere),
        (FindingKind.UNKNOWN, []),
        (FindingKind.HALF, []),
        (FindingKind.OTHER, []),
    ):
        for number in range(PER_KIND):
            sector = sectors[number] if number < len(sectors) else None
            if sector is None and sectors:
                continue
            rows.append(_finding(store, kind, number, sector))
    counts = {str(kind): sum(one.kind == kind for one in rows) for kind in FindingKind}
    hour = timedelta(hours=1)
    with TimesGiven(StoreScan, StoreFinding):
        rows_write(
            StoreScan,
            [
                StoreScan(
                    store=other,
                    worker=worker,
                    state=ScanState.FAILED,
                    actor="rosa",
                    error=quoted(DISK_FAILED, by="host"),
                    created_at=world.now - 30 * hour,
                    updated_at=world.now - 29 * hour,
                ),
                StoreScan(
                    store=store,
                    worker=worker,
                    state=ScanState.DONE,
                    known=len(held),
                    counts=counts,
                    actor="rosa",
                    created_at=world.now - 7 * hour,
                    updated_at=world.now - 6 * hour,
                ),
            ],
        )
        for row in rows:
            row.created_at = row.updated_at = world.now - 6 * hour
        rows_write(StoreFinding, rows)


def _finding(store: Store, kind: FindingKind, number: int, sector: Sector | None) -> StoreFinding:
    miner_id: int | None = 2_999_117
    own: int | None = (60 if kind == FindingKind.HALF else 40) + number
    if sector is not None:
        miner_id, own = sector.miner.actor_id, sector.number
    elif kind == FindingKind.OTHER:
        miner_id = own = None
    name = ("lost+found", "notes.txt")[number % 2] if own is None else f"s-t0{miner_id}-{own}"
    is_half = kind == FindingKind.HALF
    sizes = {FindingKind.MISSING: 0, FindingKind.OTHER: 4096, FindingKind.HALF: SECTOR_BYTES // 3}
    return StoreFinding(
        store=store,
        sector=sector,
        kind=kind,
        name=name,
        miner_id=miner_id,
        number=own,
        size=sizes.get(kind, SECTOR_BYTES),
        kinds="cache" if is_half else "",
    )


def _miners_move(world: World) -> None:
    """Set the heights of a miner that moved in some weeks ago, and of one that is about to move out."""
    first, last = world.miners[0], world.miners[-1]
    first.works_from = HEIGHT - min(MOVED_IN_DAYS, world.scale.days) * DAY_EPOCHS
    last.works_until = HEIGHT + MOVES_OUT_DAYS * DAY_EPOCHS
    Miner.objects.bulk_update([first, last], ["works_from", "works_until"])


def _remote_wallets(world: World) -> None:
    """Make two wallets that the pool would connect to; switched off, as nothing answers at made-up hosts."""
    tenant, at = world.tenants[0], world.now - timedelta(days=3)
    with TimesGiven(RemoteWallet):
        rows_write(
            RemoteWallet,
            [
                RemoteWallet(
                    uuid=world.uuid(),
                    tenant=tenant,
                    name=name,
                    url=f"https://{name}.example:1777/rpc/v0",
                    token=text_encrypt("made up"),
                    is_enabled=False,
                    answered_at=at if not error else None,
                    error=quoted(error, by="wallet") if error else "",
                    created_at=at - timedelta(days=9),
                    updated_at=at,
                )
                for name, error in (("lotus-wallet", ""), ("venus-wallet", REMOTE_AWAY))
            ],
        )
