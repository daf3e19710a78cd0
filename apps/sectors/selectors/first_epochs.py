"""The first epoch at which work that begins now can be on chain, from the times of this farm's hosts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import dropwhile, pairwise, takewhile
from math import ceil
from operator import itemgetter
from typing import Final

from django.core.cache import cache
from django.db.models import Q, QuerySet, Sum
from redis.exceptions import RedisError

from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core.compiled import Compiled
from apps.miners.models import Miner
from apps.pieces.models import Piece
from apps.pieces.states import PiecePurpose, PieceState
from apps.sectors.models import JobEvent, PipelineRun, Sector
from apps.sectors.rules.first_epochs import first_epoch_compute
from apps.sectors.selectors.batch_settings import batch_policy
from apps.sectors.selectors.percentiles import percentile
from poolsite.filecoin.deadlines import DeadlineInfo
from poolsite.filecoin.policy import Network
from poolsite.filecoin.sha254 import sha254_zero
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SEALING, Owner, RebuildState, SectorState, SnapState, Stage, StageSpec
from poolsite.wire.pipeline.rebuilding import REBUILDING
from poolsite.wire.pipeline.snapping import SNAPPING, SnapStage

FINISHED: Final = 40
"""Newest finished sectors, or runs, from which the time of one is learnt."""
FASTEST: Final = 0.1
"""Share of them that is faster than the time that is assumed: what a fast host can do is not refused."""
SLOWEST: Final = 0.9
"""The same of what costs money when it comes late: deals of which a miner's collateral burns."""
WITHOUT_RECORD: Final = 6
"""Before a farm has sealed a sector, this part of a proving period is allowed for: 480 epochs of 2,880.

Source: boost node/config Dealmaking.StartEpochSealingBuffer.
"""
SHARED_S: Final = 300


ZERO_SECTOR: Final[Compiled[tuple[int]]] = Compiled(
    "sector_for_snap_up",
    lambda miner, comm_d: (
        Sector.objects.filter(miner=miner, state=SectorState.PROVING, active=True, key_comm_r=None)
        .filter(comm_d=comm_d)
        .order_by()
        .values_list("pk")[:1]
    ),
    miner="bigint",
    comm_d="bytea",
)


def _hosts_stages(specs: Iterable[StageSpec]) -> tuple[str, ...]:
    return tuple(str(spec.stage) for spec in specs if spec.owner is Owner.WORKER)


STAGES: Final[dict[JobKind, tuple[str, ...]]] = {
    JobKind.SEAL: _hosts_stages(takewhile(lambda spec: spec.stage != Stage.COMMIT, SEALING)),
    JobKind.SNAP_UP: _hosts_stages(takewhile(lambda spec: spec.stage != SnapStage.UPDATE, SNAPPING)),
    JobKind.REBUILD: _hosts_stages(REBUILDING),
}
"""The stages that hosts complete before the last message."""
HOSTS_STATES: Final = tuple(
    str(spec.state) for spec in takewhile(lambda spec: spec.stage != Stage.COMMIT, SEALING)
)
"""States of sectors on which hosts have still to work."""
AFTER_SEED: Final = (str(Stage.C1), str(Stage.C2))
"""The same for a sector that is pre-committed."""
MADE: Final = {
    JobKind.SNAP_UP: (SnapState.UPDATE_LANDED, SnapState.UPDATE_FINAL, SnapState.SNAPPED),
    JobKind.REBUILD: (RebuildState.REBUILT,),
}


def first_epoch_read(
    miner: Miner,
    kind: JobKind,
    *,
    height: int,
    network: Network,
    stages: tuple[str, ...] = (),
    current: DeadlineInfo | None = None,
    index: int | None = None,
) -> int:
    """Return the first epoch at which a sector, snap-up or rebuild of a miner can be on chain.

    `stages`: those that hosts have still to do, where it has begun; the deadline as in `first_epoch_compute`.
    """
    work_s = work_seconds(miner, kind, stages=stages or STAGES[kind])
    return first_epoch_compute(
        kind, height=height, work_s=work_s, network=network, current=current, index=index
    )


def seal_first_epoch_read(
    pieces: Sequence[Piece], *, height: int, network: Network, stages: tuple[str, ...] = ()
) -> int:
    """Return from which epoch on a sector of these pieces can be active; 0 if none has to be by an epoch."""
    urgent = next((piece for piece in pieces if piece.last_epoch is not None), None)
    if urgent is None:
        return 0
    return first_epoch_read(urgent.miner, JobKind.SEAL, height=height, network=network, stages=stages)


def first_data_epoch(miner: Miner, *, purpose: str, height: int, network: Network) -> int:
    """Return the first epoch at which data that arrive now can be active."""
    kinds = [JobKind.SNAP_UP]
    if purpose != PiecePurpose.SNAP_UP:
        is_open = ZERO_SECTOR.rows(miner=miner.pk, comm_d=sha254_zero(miner.sector_size))
        kinds = [JobKind.SEAL, JobKind.SNAP_UP] if is_open else [JobKind.SEAL]
    return min(first_epoch_read(miner, kind, height=height, network=network) for kind in kinds)


def first_data_epoch_read(miner: Miner, *, purpose: str) -> int | None:
    """Return the same; None while no head is known."""
    head = head_current()
    if head is None:
        return None
    with suppress(NetworkUnknown):
        return first_data_epoch(miner, purpose=purpose, height=head.height, network=network_current())
    return None


def first_deal_epoch(miner: Miner, *, height: int, network: Network, waiting_bytes: int = 0) -> int:
    """Return the first epoch at which a deal's data that may go into a sector now can be active.

    A committed sector counts only where the pool fills those by itself, and has done so before.
    `waiting_bytes`: padded bytes of data that are not here yet, its own among them, and are sealed as well.
    """
    seal_s = work_seconds(miner, JobKind.SEAL, stages=STAGES[JobKind.SEAL], share=SLOWEST)
    found = [
        first_epoch_compute(
            JobKind.SEAL,
            height=height if seal_s else height + network.proving.period // WITHOUT_RECORD,
            work_s=max(seal_s, queue_seconds(miner, waiting_bytes=waiting_bytes)),
            network=network,
        )
    ]
    if (
        ZERO_SECTOR.rows(miner=miner.pk, comm_d=sha254_zero(miner.sector_size))
        and batch_policy(miner).snap_up_first
        and (snap_s := work_seconds(miner, JobKind.SNAP_UP, stages=STAGES[JobKind.SNAP_UP], share=SLOWEST))
    ):
        found.append(first_epoch_compute(JobKind.SNAP_UP, height=height, work_s=snap_s, network=network))
    return min(found)


def sector_first_epoch(sector: Sector, *, height: int, network: Network) -> int:
    """Return the first epoch at which a sector that is being sealed can be active, if hosts are slow."""
    left = tuple(dropwhile(lambda spec: spec.state != sector.state, SEALING))
    stages = tuple(stage for stage in _hosts_stages(left) if stage in STAGES[JobKind.SEAL])
    work_s = work_seconds(sector.miner, JobKind.SEAL, stages=stages, share=SLOWEST) if stages else 0.0
    if sector.precommit_epoch is None:
        return first_epoch_compute(JobKind.SEAL, height=height, work_s=work_s, network=network)
    earliest = max(height, sector.precommit_epoch + network.pre_commit_challenge_delay)
    return first_epoch_compute(JobKind.REBUILD, height=earliest, work_s=work_s, network=network)


def queue_seconds(miner: Miner, *, waiting_bytes: int) -> float:
    """Return the seconds until hosts have sealed what is before new data of a miner, and these.

    Those are sectors that hosts have begun or that are urgent, and data that wait for one.
    """
    gap = _gap_seconds(miner)
    if not gap:
        return 0.0
    rows = Sector.objects.filter(tenant_id=miner.tenant_id, miner__sector_size=miner.sector_size)
    rows = rows.filter(state__in=HOSTS_STATES, paused_at=None)
    ahead = rows.filter(Q(job__time_sensitive=True) | Q(job__sticky_worker__isnull=False)).count()
    ready = Piece.objects.filter(miner__tenant_id=miner.tenant_id, miner__sector_size=miner.sector_size)
    size = ready.filter(state=PieceState.READY).aggregate(sum=Sum("padded_size"))["sum"] or 0
    return gap * (ahead + max(ceil((size + waiting_bytes) / miner.sector_size), 1))


def _gap_seconds(miner: Miner) -> float:
    """Return the seconds between the ends of two sectors that hosts seal side by side; 0: not known.

    It is the median over the tenant's newest sectors of this size, so that an outage does not count; kept for
    `SHARED_S`.
    """
    name = f"sealing-gap-{miner.tenant_id}-{miner.sector_size}"
    with suppress(RedisError, OSError):
        if (known := cache.get(name)) is not None:
            return float(known)
    events = _events(miner, JobKind.SEAL).filter(stage__in=STAGES[JobKind.SEAL], is_error=False)
    spans: dict[int, tuple[datetime, datetime]] = {}
    for job, at, ms in events.exclude(ms=None).order_by("pk").values_list("job_id", "at", "ms"):
        first, last = spans.get(job, (at, at))
        spans[job] = min(first, at - timedelta(milliseconds=ms or 0)), max(last, at)
    gaps = [
        (ended - before).total_seconds()
        for (_, before), (started, ended) in pairwise(sorted(spans.values(), key=itemgetter(1)))
        if started < before
    ]
    found = percentile(sorted(gaps), 0.5) or 0.0
    with suppress(RedisError, OSError):
        cache.set(name, found, SHARED_S)
    return found


def first_epoch_now_read(miner: Miner, kind: JobKind) -> int | None:
    """Return the first epoch at which work that begins now can be on chain; None: no head is known."""
    head = head_current()
    if head is None:
        return None
    try:
        return first_epoch_read(miner, kind, height=head.height, network=network_current())
    except NetworkUnknown:
        return None


def work_seconds(miner: Miner, kind: JobKind, *, stages: tuple[str, ...], share: float = FASTEST) -> float:
    """Return the seconds that hosts take for these stages of a sector, snap-up or rebuild, without waits.

    So large a share of the newest of the tenant's sectors of this size was faster; 0 while none is finished.
    Kept for `SHARED_S`, once there is one.
    """
    name = f"work-seconds-{miner.tenant_id}-{miner.sector_size}-{kind}-{stages[0]}-{share}"
    # Without Redis each caller computes them anew.
    with suppress(RedisError, OSError):
        if (known := cache.get(name)) is not None:
            return float(known)
    events = _events(miner, kind).filter(stage__in=stages, is_error=False).order_by("pk")
    took: dict[int, dict[str, int]] = defaultdict(dict)
    for job, stage, ms in events.exclude(ms=None).values_list("job_id", "stage", "ms"):
        took[job][stage] = ms or 0  # what was done again counts once
    found = percentile(sorted(sum(times.values()) / 1000 for times in took.values()), share) or 0.0
    if found:
        with suppress(RedisError, OSError):
            cache.set(name, found, SHARED_S)
    return found


def _events(miner: Miner, kind: JobKind) -> QuerySet[JobEvent]:
    if kind == JobKind.SEAL:
        sectors = Sector.objects.filter(tenant_id=miner.tenant_id, miner__sector_size=miner.sector_size)
        made = sectors.filter(state=SectorState.PROVING).order_by("-pk")
        return JobEvent.objects.filter(job__sector__in=list(made.values_list("pk", flat=True)[:FINISHED]))
    runs = PipelineRun.objects.filter(
        sector__tenant_id=miner.tenant_id, sector__miner__sector_size=miner.sector_size
    )
    done = runs.filter(kind=kind, state__in=MADE[kind]).order_by("-pk")
    return JobEvent.objects.filter(job__in=list(done.values_list("job_id", flat=True)[:FINISHED]))
