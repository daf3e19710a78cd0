"""Reading sectors, jobs and workers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Prefetch, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.messages.selectors import messages_by_ids
from apps.miners.selectors import miner_get, miners_visible
from apps.sectors.errors import ChangeUnknown, SectorUnknown
from apps.sectors.models import Batch, JobEvent, NumberReservation, Sector, SectorChange, SectorNumbers
from apps.sectors.policy import SealingPolicy, sealing_policy
from apps.sectors.selectors.hosts import is_uuid, worker_is_away, workers_visible
from apps.sectors.selectors.targets import batch_settings_own
from apps.sectors.states import BatchKind, JobState
from poolsite.wire.pipeline import (
    FINAL_STATES,
    NEXT_STAGE,
    RUN_FINAL,
    Owner,
    SectorState,
    Stage,
)
from poolsite.wire.pipeline.changes import OPEN_CHANGES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from apps.messages.models import Message
    from apps.miners.models import Miner
    from apps.sectors.models import PipelineRun, Worker
    from apps.users.principals import Principal


NAMED: Final = re.compile(r"[ft]0(\d{1,18})-(\d{1,18})", re.ASCII)
"""A sector by its miner and number."""

DEPOSIT_OVER: Final = FINAL_STATES | {SectorState.COMMIT_LANDED}
"""States in which a sector's deposit is locked no more, or nothing can be done for it."""


def sectors_visible(viewer: Principal) -> QuerySet[Sector]:
    """Return the sectors that this caller may know of, newest first, with miner and job."""
    sectors = Sector.objects.select_related("miner__tenant", "job__worker", "job__sticky_worker").order_by(
        "-pk"
    )
    if viewer.miners:
        sectors = sectors.filter(miner__actor_id__in=viewer.miners)
    return sectors if viewer.is_operator else sectors.filter(tenant_id=viewer.own_id)


def with_batches(sectors: QuerySet[Sector]) -> QuerySet[Sector]:
    """Read the sectors' batches too: each once, and without its message's parameters."""
    batches = Batch.objects.defer("params")
    return sectors.prefetch_related(
        Prefetch("precommit_batch", queryset=batches), Prefetch("commit_batch", queryset=batches)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorFilter:
    """What a list of sectors is narrowed to; None leaves a question open."""

    miner: str = ""
    number: int | None = None
    host: str = ""
    """Name of the host that seals it, or that sealed it last."""
    store: str = ""
    states: tuple[str, ...] = ()
    is_active: bool | None = None
    is_paused: bool | None = None
    before: int | None = None
    """Only sectors with a smaller row number: the keyset of the next page."""


def sectors_page(viewer: Principal, wanted: SectorFilter, *, limit: int) -> list[Sector]:
    """Return up to `limit` sectors, newest first; a page deep down costs as much as the first."""
    # A page has few miners and hosts: each is read once, not once a row.
    rows = sectors_visible(viewer).select_related(None).select_related("job")
    rows = with_batches(rows).prefetch_related("miner", "job__worker", "job__sticky_worker")
    if wanted.miner:
        rows = rows.filter(miner=miner_get(viewer, wanted.miner))
    if wanted.number is not None:
        rows = rows.filter(number=wanted.number)
        if not wanted.miner:  # one look into the unique index for each miner
            rows = rows.filter(miner__in=list(miners_visible(viewer).values_list("pk", flat=True)))
    if wanted.host:
        rows = rows.filter(of_host(viewer, wanted.host))
    if wanted.store:
        rows = rows.filter(store=wanted.store)
    if wanted.states:
        rows = rows.filter(state__in=wanted.states)
    if wanted.is_active is not None:
        rows = rows.filter(active=wanted.is_active)
    if wanted.is_paused is not None:
        rows = rows.filter(paused_at__isnull=not wanted.is_paused)
    if wanted.before is not None:
        rows = rows.filter(pk__lt=wanted.before)
    return list(rows[:limit])


def of_host(viewer: Principal, name: str) -> Q:
    """Return the condition for sectors that a host of this name seals, or sealed last."""
    hosts = list(workers_visible(viewer).filter(name=name[:100]).values_list("pk", flat=True))
    return Q(job__worker__in=hosts) | Q(job__sticky_worker__in=hosts)


def sector_get(viewer: Principal, name: str) -> Sector:
    """Return one sector by its uuid, or by miner and number as `f01004-12`.

    Raises SectorUnknown if there is none, or not for this caller.
    """
    rows = with_batches(sectors_visible(viewer))
    if is_uuid(name):
        sector = rows.filter(uuid=name).first()
    else:
        found = NAMED.fullmatch(name)
        sector = rows.filter(miner__actor_id=int(found[1]), number=int(found[2])).first() if found else None
    if sector is None:
        raise SectorUnknown(name[:100])
    return sector


def batch_policy(miner: Miner, pool: SealingPolicy | None = None) -> SealingPolicy:
    """Return the policy of a miner's batches: the pool's, with the miner's own settings laid over it."""
    own: dict[str, Any] = {
        name: value for name, value in batch_settings_own(miner).items() if value is not None
    }
    return replace_fields(pool or sealing_policy(), **own)


def sectors_picked(viewer: Principal, uuids: Iterable[object]) -> list[Sector]:
    """Return the named sectors in order.  Raises SectorUnknown for the first that is not there."""
    wanted = list(dict.fromkeys(str(one) for one in uuids))
    rows = sectors_visible(viewer).filter(uuid__in=[one for one in wanted if is_uuid(one)])
    found = {str(row.uuid): row for row in rows}
    missing = next((one for one in wanted if one not in found), None)
    if missing is not None:
        raise SectorUnknown(missing)
    return [found[one] for one in wanted]


def changes_open(viewer: Principal) -> dict[int, SectorChange]:
    """Return the terminations and extensions that are under way, by the sector's key."""
    rows = changes_visible(viewer).filter(state__in=OPEN_CHANGES)
    return {row.sector_id: row for row in rows.select_related(None).only("sector_id", "kind", "state")}


def changes_visible(viewer: Principal) -> QuerySet[SectorChange]:
    """Return the terminations and extensions that this caller may know of, newest first."""
    rows = SectorChange.objects.select_related("sector__miner__tenant", "batch").defer("batch__params")
    if viewer.miners:
        rows = rows.filter(sector__miner__actor_id__in=viewer.miners)
    rows = rows if viewer.is_operator else rows.filter(sector__tenant_id=viewer.own_id)
    return rows.order_by("-pk")


def change_get(viewer: Principal, uuid: str) -> SectorChange:
    """Return one of them.  Raises ChangeUnknown."""
    change = changes_visible(viewer).filter(uuid=uuid).first() if is_uuid(uuid) else None
    if change is None:
        raise ChangeUnknown(uuid)
    return change


def changes_newest(sectors: Iterable[Sector]) -> dict[int, SectorChange]:
    """Return each sector's newest termination or extension, by the sector's key, in one query."""
    rows = SectorChange.objects.filter(sector__in=[sector.pk for sector in sectors])
    rows = rows.select_related("sector__miner", "batch").defer("batch__params")
    return {row.sector_id: row for row in rows.order_by("pk")}


def sectors_by_numbers(
    viewer: Principal, wanted: Iterable[tuple[int, int]]
) -> dict[tuple[int, int | None], Sector]:
    """Return the visible ones of these sectors, by the miner's key and the number."""
    pairs = set(wanted)
    if not pairs:
        return {}
    rows = sectors_visible(viewer).select_related(None)
    rows = rows.filter(miner__in={miner for miner, _ in pairs}, number__in={number for _, number in pairs})
    return {(row.miner_id, row.number): row for row in rows}


def sectors_numbered(miner_id: int, numbers: Iterable[int]) -> dict[int, Sector]:
    """Return the sectors of a miner whom the viewer sees, by number."""
    rows = Sector.objects.filter(miner=miner_id, number__in=list(numbers)).select_related("miner")
    return {row.number: row for row in rows}


def sector_events(sector: Sector) -> QuerySet[JobEvent]:
    """Return a sector's steps and failures, oldest first; those of its snap-ups and rebuilds too."""
    own = Q(job__sector=sector) | Q(job__run__sector=sector)
    return JobEvent.objects.filter(own).order_by("pk")


def run_under_way(sector: Sector) -> PipelineRun | None:
    """Return the snap-up or rebuild of a sector that has not ended."""
    return sector.runs.exclude(state__in=RUN_FINAL).select_related("job").first()


@dataclass(frozen=True, slots=True)
class SectorMessage:
    """A message by which a sector went to the chain."""

    kind: str
    batch: Batch
    message: Message | None
    """None while the batch has not been pushed."""


def sectors_messages(sectors: Iterable[Sector]) -> dict[int, list[SectorMessage]]:
    """Return the messages of sectors of `with_batches` by the sector's pk, in two queries for all."""
    batches: dict[int, list[tuple[str, Batch]]] = {}
    for sector in sectors:
        mine = batches.setdefault(sector.pk, [])
        if sector.precommit_batch is not None:
            mine.append((BatchKind.PRE_COMMIT, sector.precommit_batch))
        if sector.commit_batch is not None:
            mine.append((BatchKind.COMMIT, sector.commit_batch))
    changes = SectorChange.objects.filter(sector__in=list(batches)).exclude(batch=None)
    for change in changes.select_related("batch").defer("batch__params").order_by("pk"):
        if change.batch is not None:
            batches[change.sector_id].append((change.batch.kind, change.batch))
    ids = {batch.message_id for mine in batches.values() for _, batch in mine}
    messages = messages_by_ids(sorted(ids)) if ids else {}
    return {
        pk: [
            SectorMessage(kind=kind, batch=batch, message=messages.get(batch.message_id))
            for kind, batch in mine
        ]
        for pk, mine in batches.items()
    }


def sectors_counts(viewer: Principal) -> dict[str, int]:
    """Count sectors under way by stage, with `PAUSED`, for the overview; sealed ones are not counted."""
    rows = (
        sectors_visible(viewer)
        .select_related(None)
        .order_by()
        .exclude(state__in=FINAL_STATES)
        .values("state")
        .annotate(count=Count("pk"), paused=Count("pk", filter=~Q(paused_at=None)))
    )
    counts = {str(NEXT_STAGE[row["state"]].stage): row["count"] - row["paused"] for row in rows}
    counts["PAUSED"] = sum(row["paused"] for row in rows)
    return counts


@dataclass(frozen=True, slots=True)
class SectorWait:
    """What a sector waits for, in words, with the epoch at which it goes on if that is known."""

    what: str
    until_epoch: int | None = None
    is_odd: bool = False
    """True for what does not belong to a sector's usual way: a host that is away, a stage that failed."""


ERROR_MAX: Final = 200
"""Of an error in a wait's words; the sector has the whole."""
WAIT_WORDS: Final = {
    SectorState.TREE_D_BUILT: _("a ticket from the next head"),
    SectorState.PRECOMMIT_SENT: _("the pre-commit to land"),
    SectorState.COMMIT_SENT: _("the commit to land"),
}
"""Waits that end with an event of which the epoch is not known before."""


def sector_wait(
    sector: Sector, *, height: int, challenge_delay: int, seed_confidence: int, now: datetime
) -> SectorWait | None:
    """Return what a sector waits for at `height`; None if a host is at work or nothing is left to do."""
    if sector.paused_at is not None:
        return SectorWait(gettext("a decision: retry, go back or abort"))
    if sector.not_before is not None and sector.not_before > now:
        failed = sector.error[:ERROR_MAX]
        return SectorWait(
            gettext("its next attempt at {time}; the last one failed: {failed}").format(
                time=f"{sector.not_before:%H:%M:%S}", failed=failed
            ),
            is_odd=True,
        )
    if sector.state in WAIT_WORDS:
        return SectorWait(str(WAIT_WORDS[SectorState(sector.state)]))
    if sector.state in (SectorState.PERSISTED, SectorState.PRECOMMIT_LANDED) and not sector.is_interactive:
        return SectorWait(gettext("the next head"))
    if sector.state in (SectorState.PERSISTED, SectorState.C2_DONE):
        policy = batch_policy(sector.miner)
        waits = {
            SectorState.PERSISTED: max(policy.precommit_wait_epochs, policy.precommit_backlog_epochs),
            SectorState.C2_DONE: max(policy.commit_wait_epochs, policy.commit_backlog_epochs),
        }
        since = height if sector.ready_height is None else sector.ready_height
        return SectorWait(gettext("a batch"), since + waits[SectorState(sector.state)])
    if sector.state == SectorState.PRECOMMIT_LANDED and sector.precommit_epoch is not None:
        return SectorWait(gettext("the seed"), sector.precommit_epoch + challenge_delay + seed_confidence)
    if NEXT_STAGE[sector.state].owner is Owner.WORKER and sector.job.state == JobState.READY:
        if sector.job.is_portable:
            return SectorWait(gettext("any host with a free slot: the console has all its inputs"))
        return _host_wait(sector.job.sticky_worker, sector.stage, now=now)
    return None


def _host_wait(holder: Worker | None, stage: str, *, now: datetime) -> SectorWait:
    """Return which host a sector waits for: once one has its files, it is that one and no other."""
    if holder is not None and worker_is_away(holder, now=now):
        return SectorWait(
            gettext(
                "its host {host}, last seen {time}: no other has its files; retire it if it is gone"
            ).format(host=holder.name, time=f"{holder.seen_at:%H:%M:%S}"),
            is_odd=True,
        )
    if holder is not None and holder.is_paused:
        return SectorWait(
            gettext("its host {host}, which is paused: no other has its files").format(host=holder.name),
            is_odd=True,
        )
    if holder is not None and stage in (Stage.PERSIST, Stage.FINALIZE) and not holder.stores:
        return SectorWait(
            gettext(
                "a store: its host {host} can read none now; bring one back or attach another (Storage page)"
            ).format(host=holder.name),
            is_odd=True,
        )
    return SectorWait(gettext("a worker with a free slot"))


def sectors_bound(viewer: Principal, workers: Iterable[Worker]) -> QuerySet[Sector]:
    """Return the sectors under way whose files lie on these hosts alone."""
    rows = sectors_visible(viewer).exclude(state__in=FINAL_STATES)
    return rows.filter(job__sticky_worker__in=list(workers))


def sectors_in_messages(rows: QuerySet[Sector], keys: Collection[str]) -> QuerySet[Sector]:
    """Return those of these sectors with a deposit on the chain that these messages are to commit."""
    found = rows.select_related(None).order_by().filter(commit_batch__message_id__in=keys)
    return found.exclude(precommit_epoch=None).exclude(state__in=DEPOSIT_OVER)


def resume_choices(sector: Sector) -> tuple[str, ...]:
    """Return the states from which a paused sector can go on, the present one first."""
    return (sector.state, *(str(state) for state in NEXT_STAGE[sector.state].resume_at))


def sectors_sharing(sector: Sector) -> int:
    """Count the sectors of the same miner that wait in the same state, to share a message."""
    return Sector.objects.filter(miner_id=sector.miner_id, state=sector.state, paused_at=None).count()


def numbers_of(miner: Miner) -> SectorNumbers | None:
    """Return a miner's counter of sector numbers; None before the first was given."""
    return SectorNumbers.objects.filter(miner=miner).first()


def reservations_of(miner: Miner) -> QuerySet[NumberReservation]:
    """Return the reservations of a miner's sector numbers, newest first."""
    return NumberReservation.objects.filter(miner=miner).order_by("-pk")
