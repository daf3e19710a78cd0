"""Sectors on their way and proven, with jobs, steps, batches and the messages of these."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from apps.core.reasons import quoted
from apps.miners.models import Miner
from apps.sectors.models import Batch, Job, JobEvent, Pledge, Sector, Worker
from apps.sectors.states import BatchKind, BatchState, JobState
from poolsite.demo.messages import landed
from poolsite.demo.miners import shuffled
from poolsite.demo.world import (
    DAY_EPOCHS,
    DEPOSIT,
    PLEDGE,
    SEAL_PROOF,
    SECTOR_BYTES,
    VERIFIED_FACTOR,
    TimesGiven,
    World,
    rows_write,
)
from poolsite.filecoin.actors.miner import Method
from poolsite.filecoin.actors.miner_sectors import (
    PreCommitSectorBatch2Params,
    ProveCommitSectors3Params,
    SectorActivationManifest,
    SectorPreCommitInfo,
)
from poolsite.filecoin.cids import commr_cid
from poolsite.filecoin.codec import to_cbor
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import NEXT_STAGE, WORKER_STAGES, Owner, SectorState, stage_rank

STEPS: Final = (
    ("ADD_PIECE", "ADD_PIECE", "PIECE_ADDED", 45),
    ("BUILD_TREE_D", "TREE_D", "TREE_D_BUILT", 310),
    ("ASSIGN_TICKET", "TICKET", "TICKET_ASSIGNED", 31),
    ("PC1", "PC1", "PC1_DONE", 11_400),
    ("PC2", "PC2", "PC2_DONE", 1_500),
    ("PERSIST", "PERSIST", "PERSISTED", 420),
    ("SEND_PRECOMMIT", "PRECOMMIT", "PRECOMMIT_SENT", 900),
    ("LAND_PRECOMMIT", "PRECOMMIT_WAIT", "PRECOMMIT_LANDED", 90),
    ("ASSIGN_SEED", "WAIT_SEED", "SEED_ASSIGNED", 4_680),
    ("C1", "C1", "C1_DONE", 70),
    ("C2", "C2", "C2_DONE", 640),
    ("SEND_COMMIT", "COMMIT", "COMMIT_SENT", 900),
    ("LAND_COMMIT", "COMMIT_WAIT", "COMMIT_LANDED", 90),
    ("FINALIZE", "FINALIZE", "PROVING", 160),
)
"""A sector's whole way: event, stage that ends, state after it, usual seconds."""
WHOLE: Final = timedelta(seconds=sum(step[3] for step in STEPS) * 1.25)
"""Maximum time of the whole way."""
BATCH: Final = 6
VERIFIED_SHARE: Final = 0.09
"""Share of groups whose sectors hold verified data."""
OLD_SHARE: Final = 0.45
"""Share of sectors from before the time that is told of."""
LIVES: Final = (200, 230, 260, 300, 365, 540)
"""Days that sectors live."""
UNDER_WAY: Final = (3, 0, 4, 8, 3, 10, 6, 3, 4, 11, 1, 3, 5, 9)
"""Steps that are done of the sectors on their way, by miner: most wait for the long ones."""
GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Multiples of it lie evenly between whole numbers, however many there are."""
PLACES: Final = 3
"""Deadlines of each miner that have sectors."""


@dataclass(slots=True)
class Group:
    """Sectors of a miner that go to the chain together."""

    miner: Miner
    began: datetime
    count: int
    done: int
    """Steps that are done."""


def sectors_make(world: World) -> None:
    """Make all sectors, oldest first."""
    chance, count = world.chance, world.scale.sectors
    weights = shuffled(chance, count, len(world.miners))
    groups: list[Group] = []
    old: list[tuple[Miner, int]] = []
    for order, (miner, share) in enumerate(zip(world.miners, weights, strict=True)):
        before = int(share * OLD_SHARE)
        old.append((miner, before))
        rest, groups_of = share - before, []
        while rest > 0:
            size = min(rest, BATCH)
            groups_of.append(size)
            rest -= size
        span = world.scale.days - 2.0
        phase = order * GOLDEN % 1  # else all miners would seal in the same days
        for place, size in enumerate(groups_of):
            ago = span * (len(groups_of) - place - phase) / len(groups_of) + chance.random()
            groups.append(Group(miner, world.now - timedelta(days=ago + 0.9), size, len(STEPS)))
        if order % 3 == 0 and groups_of:
            done = UNDER_WAY[order // 3 % len(UNDER_WAY)]
            groups[-1].done = done
            late = sum(step[3] for step in STEPS[:done]) * 1.1 + min(STEPS[done][3] * 0.4, 3_000)
            groups[-1].began = world.now - timedelta(seconds=late)
    numbers = dict.fromkeys([one.pk for one in world.miners], 0)
    for miner, before in old:
        for place in range(before):
            world.sectors.append(_old(world, miner, numbers[miner.pk], place))
            numbers[miner.pk] += 1
    groups.sort(key=lambda one: one.began)
    batches: list[Batch] = []
    pledges: list[Pledge] = []
    steps: list[tuple[Sector, list[JobEvent]]] = []
    for group in groups:
        steps += _group(world, group, numbers, batches, pledges)
    with TimesGiven(Batch, Sector, Pledge, Job):
        rows_write(Pledge, pledges)
        rows_write(Batch, batches)
        rows_write(Sector, world.sectors)
        jobs = rows_write(Job, [_job(world, one) for one in world.sectors])
    of_sector = {one.sector_id: one for one in jobs}
    events = []
    for sector, own in steps:
        for event in own:
            event.job = of_sector[sector.pk]
            events.append(event)
    events.sort(key=lambda one: one.at)
    rows_write(JobEvent, events)
    _troubles(world)


def host_of(world: World, miner: Miner, turn: int) -> Worker:
    """Return which sealing host works on a miner's sectors."""
    own = [one for one in world.hosts if one.tenant_id == miner.tenant_id] or world.hosts
    return own[turn % len(own)]


def store_of(world: World, miner: Miner, turn: int) -> str:
    """Return in which of its tenant's stores a sector lies."""
    own = [one.name for one in world.stores if one.tenant_id == miner.tenant_id]
    return own[turn % len(own)]


def deadline_of(miner: Miner, turn: int) -> int:
    """Return which deadline proves a sector."""
    return ((miner.actor_id or 0) * 7 + turn % PLACES * 16) % 48


def _base(world: World, miner: Miner, number: int) -> dict[str, Any]:
    return {
        "uuid": world.uuid(),
        "miner": miner,
        "tenant_id": miner.tenant_id,
        "number": number,
        "seal_proof": SEAL_PROOF,
        "sector_size": SECTOR_BYTES,
    }


def _old(world: World, miner: Miner, number: int, place: int) -> Sector:
    """Return a sector that was proven before the time that is told of."""
    ago = world.scale.days + 2 + (place * 13 + (miner.actor_id or 0) * 5) % 100
    at = world.now - timedelta(days=ago)
    life = LIVES[(place + (miner.actor_id or 0)) % len(LIVES)]
    return Sector(
        **_base(world, miner, number),
        without_pledge=True,
        state=SectorState.PROVING,
        stage_since=at,
        comm_d=bytes(32),
        comm_r=_comm_r(world),
        store=store_of(world, miner, place),
        activation=world.height_at(at),
        expiration=world.height_at(at) + life * DAY_EPOCHS,
        deadline=deadline_of(miner, number),
        partition=0,
        initial_pledge=PLEDGE,
        active=True,
        active_since=at + timedelta(hours=14),
        created_at=at - timedelta(hours=8),
        updated_at=at,
    )


def _comm_r(world: World) -> bytes:
    return world.chance.randbytes(31) + b"\x00"


def _group(
    world: World, group: Group, numbers: dict[int, int], batches: list[Batch], pledges: list[Pledge]
) -> list[tuple[Sector, list[JobEvent]]]:
    """Make sectors that go to the chain together, with their batches; return each with its steps."""
    pledge = Pledge(
        uuid=world.uuid(),
        tenant_id=group.miner.tenant_id,
        miner=group.miner,
        count=group.count,
        actor="target",
        created_at=group.began,
        updated_at=group.began,
    )
    pledges.append(pledge)
    pace = 1 + world.chance.random() * 0.12
    amount = PLEDGE * (VERIFIED_FACTOR if world.chance.random() < VERIFIED_SHARE else 1)
    at_of: dict[str, datetime] = {}
    at = group.began
    for event, _, _, seconds in STEPS[: group.done]:
        at += timedelta(seconds=seconds * pace)
        at_of[event] = at
    found: list[tuple[Sector, list[JobEvent]]] = []
    for place in range(group.count):
        number = numbers[group.miner.pk]
        numbers[group.miner.pk] += 1
        sector = _sealed(world, group, number, at_of)
        sector.pledge = pledge
        if group.done < len(STEPS) and STEPS[group.done][1] in WORKER_STAGES and number % 3:
            sector.progress_done, sector.progress_total = 3 + place, 11
        world.sectors.append(sector)
        found.append((sector, _steps(world, group, number, pace)))
    _batches(world, group, [one for one, _ in found], at_of, amount, batches)
    if group.done == len(STEPS):
        for one, _ in found:
            one.active, one.active_since = True, min(at + timedelta(hours=9), world.now)
    return found


def _sealed(world: World, group: Group, number: int, at_of: dict[str, datetime]) -> Sector:
    """Return a sector as its steps so far have left it."""
    at = max(at_of.values(), default=group.began)
    sector = Sector(
        **_base(world, group.miner, number),
        state=STEPS[group.done - 1][2] if group.done else SectorState.ALLOCATED,
        stage_since=at,
        created_at=group.began,
        updated_at=at,
    )
    if "ASSIGN_TICKET" in at_of:
        sector.ticket_epoch = world.height_at(at_of["ASSIGN_TICKET"]) - 900
        sector.ticket = world.chance.randbytes(32)
    if "PC2" in at_of:
        sector.comm_d, sector.comm_r = bytes(32), _comm_r(world)
    if "PERSIST" in at_of:
        sector.store = store_of(world, group.miner, number)
    if "ASSIGN_SEED" in at_of:
        sector.seed_epoch = world.height_at(at_of["LAND_PRECOMMIT"]) + 150
        sector.seed = world.chance.randbytes(32)
    if STEPS[min(group.done, len(STEPS) - 1)][0] in ("SEND_PRECOMMIT", "SEND_COMMIT"):
        sector.ready_height = world.height_at(at)
    return sector


def _steps(world: World, group: Group, number: int, pace: float) -> list[JobEvent]:
    """Return the steps of a sector that are done."""
    host, before, moment, rows = host_of(world, group.miner, number), "ALLOCATED", group.began, []
    for event, stage, after, seconds in STEPS[: group.done]:
        moment += timedelta(seconds=seconds * pace)
        took = seconds * pace * (0.86 + 0.1 * world.chance.random())
        by_host = stage in WORKER_STAGES
        rows.append(
            JobEvent(
                event=event,
                stage=stage,
                from_state=before,
                to_state=after,
                at=moment,
                ms=int(took * 1000) if by_host else None,
                worker=host if by_host else None,
                actor=host.name if by_host else "",
            )
        )
        before = after
    return rows


def _batches(
    world: World,
    group: Group,
    members: list[Sector],
    at_of: dict[str, datetime],
    amount: int,
    batches: list[Batch],
) -> None:
    """Make the batches of a group that landed; `amount` is each sector's pledge in attoFIL."""
    if "LAND_PRECOMMIT" in at_of:
        landed_at = at_of["LAND_PRECOMMIT"]
        height = world.height_at(landed_at)
        params = _params(BatchKind.PRE_COMMIT, members, height)
        batch = _batch(world, group.miner, BatchKind.PRE_COMMIT, landed_at, group.count * DEPOSIT, params)
        batches.append(batch)
        for one in members:
            one.precommit_batch, one.precommit_epoch = batch, height
    if "LAND_COMMIT" in at_of:
        landed_at = at_of["LAND_COMMIT"]
        height = world.height_at(landed_at)
        params = _params(BatchKind.COMMIT, members, height)
        value = group.count * (amount - DEPOSIT)
        batch = _batch(world, group.miner, BatchKind.COMMIT, landed_at, value, params)
        batches.append(batch)
        for one in members:
            one.commit_batch, one.activation = batch, height
            one.expiration = height + LIVES[-1 - (one.number % 3)] * DAY_EPOCHS
            one.initial_pledge = amount
            one.deadline, one.partition = deadline_of(group.miner, one.number), 0


def _params(kind: str, sectors: list[Sector], height: int) -> bytes:
    if kind == BatchKind.PRE_COMMIT:
        infos = tuple(
            SectorPreCommitInfo(
                seal_proof=one.seal_proof,
                sector_number=one.number,
                sealed_cid=commr_cid(bytes(one.comm_r or bytes(32))),
                seal_rand_epoch=one.ticket_epoch or height,
                deal_ids=(),
                expiration=height + 540 * DAY_EPOCHS,
                unsealed_cid=None,
            )
            for one in sectors
        )
        return to_cbor(PreCommitSectorBatch2Params(infos))
    activations = tuple(SectorActivationManifest(one.number, ()) for one in sectors)
    return to_cbor(
        ProveCommitSectors3Params(
            sector_activations=activations,
            sector_proofs=tuple(bytes(192) for _ in sectors),
            aggregate_proof=b"",
            aggregate_proof_type=None,
            require_activation_success=False,
            require_notification_success=False,
        )
    )


def _batch(world: World, miner: Miner, kind: str, lands: datetime, value: int, params: bytes) -> Batch:
    """Return a batch that landed, and add its message."""
    key, sent = world.uuid(), lands - timedelta(seconds=90)
    method = int(
        Method.PRE_COMMIT_SECTOR_BATCH2 if kind == BatchKind.PRE_COMMIT else Method.PROVE_COMMIT_SECTORS3
    )
    wallet = world.workers[miner.pk]
    message = landed(
        world,
        wallet=wallet,
        to=miner.address,
        method=method,
        at=lands,
        gas_used=(18_000_000 if kind == BatchKind.PRE_COMMIT else 62_000_000) + len(params) * 5_000,
        kind=str(kind),
        value=value,
        params=params,
        name=f"{kind}:{key}",
    )
    return Batch(
        uuid=key,
        miner=miner,
        kind=kind,
        state=BatchState.LANDED,
        message_id=message.id,
        closed_height=world.height_at(sent),
        reason="full",
        sender=wallet.address,
        method=method,
        params=params,
        value=value,
        landed_height=message.height,
        exit_code=0,
        created_at=sent,
        updated_at=lands,
    )


def _job(world: World, sector: Sector) -> Job:
    step = NEXT_STAGE[sector.state]
    host = host_of(world, sector.miner, sector.number)
    state = JobState.DONE
    holder = None
    if step.owner is Owner.CONSOLE:
        state = JobState.WAITING
    elif step.owner is Owner.WORKER:
        is_taken = host.seen_at == world.now and not host.is_paused and sector.number % 3 != 0
        state, holder = (JobState.LEASED, host) if is_taken else (JobState.READY, None)
    is_open = state != JobState.DONE
    return Job(
        uuid=world.uuid(),
        kind=JobKind.SEAL,
        state=state,
        miner=sector.miner,
        sector=sector,
        stage=step.stage,
        rank=stage_rank(step.stage),
        worker=holder,
        sticky_worker=host if is_open and sector.ticket_epoch else None,
        lease_token=1,
        lease_s=90,
        lease_until=world.now + timedelta(days=3) if holder is not None else None,
        heard_at=world.now if holder is not None else None,
        created_at=sector.created_at,
        updated_at=sector.updated_at,
    )


def _troubles(world: World) -> None:
    """Pause some sectors that failed, give some up, terminate some, and let some be faulty."""
    now = world.now
    under_way = [one for one in world.sectors if one.state not in (SectorState.PROVING,)]
    early = [
        one
        for one in under_way
        if one.state in ("TICKET_ASSIGNED", "PC1_DONE", "PIECE_ADDED", "SEED_ASSIGNED")
    ]
    for sector, error in zip(
        early[::3],
        (
            "no space left on the sealing disk /nvme/sealing",
            "PC2 ended by signal 9 while it built tree C",
            "the labels of layer 7 do not match the ticket",
        ),
        strict=False,
    ):
        sector.paused_at, sector.attempts = now - timedelta(hours=2), 4
        sector.error = quoted(error, by="worker")
        sector.error_level = "PERMANENT"
        sector.save()
        job = sector.job
        job.state, job.worker, job.lease_until = JobState.PAUSED, None, None
        job.save()
        JobEvent.objects.create(
            job=job,
            event="FAIL",
            stage=str(NEXT_STAGE[sector.state].stage),
            from_state=sector.state,
            to_state=sector.state,
            at=now - timedelta(hours=2),
            ms=840_000,
            worker=host_of(world, sector.miner, sector.number),
            note=sector.error,
            is_error=True,
        )
    proven = [one for one in world.sectors if one.state == SectorState.PROVING]
    for sector in proven[5 :: max(len(proven) // 8, 1)][:6]:
        sector.state, sector.active, sector.updated_at = SectorState.TERMINATED, False, now
        sector.removal_asked_at = now - timedelta(days=20)
        sector.save()
        Job.objects.filter(sector=sector).update(stage=NEXT_STAGE[sector.state].stage)
    faulty_of = world.miners[min(2, len(world.miners) - 1)]
    first = deadline_of(faulty_of, 0)
    faulty = [one for one in proven if one.miner_id == faulty_of.pk and one.deadline == first and one.active][
        :6
    ]
    for sector in faulty:
        sector.active = False
        sector.save(update_fields=["active", "updated_at"])
