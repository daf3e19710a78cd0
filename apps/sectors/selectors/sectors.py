"""Reading sectors."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet

from apps.core.uuids import is_uuid
from apps.miners.models import Miner
from apps.sectors.errors.sectors import SectorUnknown
from apps.sectors.models import ActiveSectors, Batch, JobEvent, PipelineRun, Sector, Worker
from apps.sectors.rules.sector_names import sector_name_parse
from apps.users.rules.principals import Principal
from poolsite.filecoin.bitfield import bitfield_from_json
from poolsite.wire.pipeline import FINAL_STATES, NEXT_STAGE, RUN_FINAL, SectorState

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


def sectors_listed(viewer: Principal, *, before: int | None = None) -> QuerySet[Sector]:
    """Return the same with what a list tells of them, of few miners and hosts: each of those is read once.

    `before`: only those with a smaller key; a page deep down costs as much as the first.
    """
    rows = sectors_visible(viewer).select_related(None).select_related("job")
    rows = with_batches(rows).prefetch_related("miner", "job__worker", "job__sticky_worker")
    return rows if before is None else rows.filter(pk__lt=before)


def sector_get(viewer: Principal, name: str) -> Sector:
    """Return one sector by its uuid, or by miner and number as `f01004-12`.

    Raises SectorUnknown if there is none, or not for this caller.
    """
    rows = with_batches(sectors_visible(viewer))
    if is_uuid(name):
        sector = rows.filter(uuid=name).first()
    else:
        place = sector_name_parse(name)
        sector = rows.filter(miner__actor_id=place[0], number=place[1]).first() if place else None
    if sector is None:
        raise SectorUnknown(name[:100])
    return sector


def sectors_picked(viewer: Principal, names: Iterable[object]) -> list[Sector]:
    """Return sectors, each once and in order, by their uuids, or by miner and number as `f01004-12`.

    Raises SectorUnknown for the first that does not exist.
    """
    keys = {str(one): sector_name_parse(str(one)) or _uuid_text(str(one)) for one in names}
    numbers: dict[int, set[int]] = {}
    for key in keys.values():
        if isinstance(key, tuple):
            numbers.setdefault(key[0], set()).add(key[1])
    fits = Q(uuid__in=[key for key in keys.values() if isinstance(key, str) and key])
    for miner, of_miner in numbers.items():
        fits |= Q(miner__actor_id=miner, number__in=of_miner)
    found: dict[str | tuple[int, int], Sector] = {}
    for row in sectors_visible(viewer).filter(fits):
        found |= {str(row.uuid): row, (row.miner.actor_id or 0, row.number): row}
    missing = next((name for name, key in keys.items() if key not in found), None)
    if missing is not None:
        raise SectorUnknown(missing[:100])
    return list({found[key].pk: found[key] for key in keys.values()}.values())


def _uuid_text(name: str) -> str:
    return str(UUID(name)) if is_uuid(name) else ""


def sectors_by_numbers(
    viewer: Principal, sector_ids: Iterable[tuple[int, int]]
) -> dict[tuple[int, int | None], Sector]:
    """Return the visible ones of these sectors, by the miner's key and the number."""
    pairs = set(sector_ids)
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


def events_in_order(sector: Sector, events: Iterable[JobEvent]) -> list[JobEvent]:
    """Return a sector's events with times that never decrease.

    Each has the time of the process that wrote it, taken before rows were locked: the next one's may be
    earlier, on another machine by as much as their clocks differ.
    """
    last, found = sector.created_at, []
    for event in events:
        event.at = last = max(event.at, last)
        found.append(event)
    return found


def run_under_way(sector: Sector) -> PipelineRun | None:
    """Return the snap-up or rebuild of a sector that has not ended."""
    return sector.runs.exclude(state__in=RUN_FINAL).select_related("job").first()


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


def sectors_bound(viewer: Principal, workers: QuerySet[Worker]) -> QuerySet[Sector]:
    """Return the sectors under way whose files lie on these hosts alone."""
    rows = sectors_visible(viewer).exclude(state__in=FINAL_STATES)
    return rows.filter(job__sticky_worker__in=workers.order_by().values("pk"))


def sectors_in_messages(rows: QuerySet[Sector], keys: Collection[str]) -> QuerySet[Sector]:
    """Return those of these sectors with a deposit on the chain that these messages are to commit."""
    found = rows.select_related(None).order_by().filter(commit_batch__message_id__in=keys)
    return found.exclude(precommit_epoch=None).exclude(state__in=DEPOSIT_OVER)


def numbers_precommitted(miner: Miner, *, since: int) -> list[int]:
    """Return the numbers of a miner's sectors whose pre-commit may still lock a deposit: none before `since`.

    That of an aborted sector does so until the pre-commit expires.
    """
    of_miner = Sector.objects.filter(miner=miner)
    sent = Q(state=SectorState.PRECOMMIT_SENT) | Q(precommit_epoch__gte=since)
    under_way = of_miner.exclude(state__in=FINAL_STATES).filter(sent)
    aborted = of_miner.filter(state=SectorState.ABORTED, precommit_epoch__gte=since)
    return [number for rows in (under_way, aborted) for number in rows.values_list("number", flat=True)]


def resume_choices(sector: Sector) -> tuple[str, ...]:
    """Return the states from which a paused sector can go on, the present one first."""
    return (sector.state, *(str(state) for state in NEXT_STAGE[sector.state].resume_at))


def sectors_sharing(sector: Sector) -> int:
    """Count the sectors of the same miner that wait in the same state, to share a message."""
    return Sector.objects.filter(miner_id=sector.miner_id, state=sector.state, paused_at=None).count()


def sector_is_unknown(*, actor_id: int, number: int) -> bool:
    """Return whether a miner has no such sector: the pool knows all that live on chain, and not this one.

    What another program seals has no row: the chain's active ones count as well, which each head renews.
    """
    if Sector.objects.filter(miner__actor_id=actor_id, number=number).exists():
        return False
    known = ActiveSectors.objects.filter(miner__actor_id=actor_id, miner__unlisted_sectors=0)
    active: list[list[int]] = known.order_by().values_list("numbers", flat=True).first() or []
    return any(active) and not any(number in bitfield_from_json(one) for one in active)
