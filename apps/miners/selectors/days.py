"""Reading what miners held as days began, whose they were, and which days are charged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from apps.miners.models import Miner, MinerDay, MinerTransfer, RemovedMinerDay


class DayHeld(NamedTuple):
    """The amounts of a miner's recorded day that spans add up, attoFIL."""

    day: date
    began_at: datetime
    height: int
    balance: int
    received: int
    withdrawn: int
    qa_power: int | None


def miner_days_since(miners: Sequence[Miner], *, since: date) -> dict[int, list[DayHeld]]:
    """Return the days from `since` on by the miner's pk, oldest first."""
    found: defaultdict[int, list[DayHeld]] = defaultdict(list)
    rows = MinerDay.objects.filter(miner__in=miners, day__gte=since).order_by("day")
    for miner, *fields in rows.values_list("miner", *DayHeld._fields):
        found[miner].append(DayHeld(*fields))
    return found


def miner_days_newest(miners: Sequence[Miner]) -> dict[int, MinerDay]:
    """Return the newest day of each miner by its pk."""
    newest = MinerDay.objects.filter(miner=OuterRef("pk")).order_by("-day").values("pk")[:1]
    found = Miner.objects.filter(pk__in=[miner.pk for miner in miners]).values(newest=Subquery(newest))
    return {row.miner_id: row for row in MinerDay.objects.filter(pk__in=found)}


def with_days(miners: QuerySet[Miner], *, since: date, until: date) -> QuerySet[Miner]:
    """Return those of the miners that have a day in a span."""
    days = MinerDay.objects.filter(miner=OuterRef("pk"), day__gte=since, day__lte=until)
    return miners.filter(Exists(days))


def day_newest_below(height: int) -> date | None:
    """Return the newest day that any miner began below a height; None if there is none."""
    rows = MinerDay.objects.filter(height__lt=height).order_by("-day")
    return rows.values_list("day", flat=True).first()


def day_after_charged() -> date | None:
    """Return the day after the newest one for which any miner was charged; None before the first."""
    day = MinerDay.objects.filter(is_charged=True).order_by("-day").values_list("day", flat=True).first()
    return None if day is None else day + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySpan:
    """A miner's time from one recorded day to the next one."""

    pk: int
    """Of the day's row, or of what is left of it."""
    miner_id: int
    """0: it was removed."""
    actor_id: int
    day: date
    next_day: date
    """The next recorded one; with days between them that were not."""
    begin: int
    """Height."""
    end: int
    """Height of the next day's first tipset, which is no more in it."""
    qa_power: int | None
    """Bytes, as the day began; None: unknown."""


def day_spans(days: QuerySet[MinerDay], *, final: int) -> list[DaySpan]:
    """Return the spans of days whose next one began at a height or below it, the oldest first."""
    after = MinerDay.objects.filter(miner=OuterRef("miner"), day__gt=OuterRef("day")).order_by("day")
    rows = days.annotate(
        next_day=Subquery(after.values("day")[:1]), end=Subquery(after.values("height")[:1])
    ).filter(end__lte=final, miner__actor_id__isnull=False)
    return [
        DaySpan(
            pk=row.pk,
            miner_id=row.miner_id,
            actor_id=row.miner.actor_id or 0,
            day=row.day,
            next_day=row.next_day,
            begin=row.height,
            end=row.end,
            qa_power=row.qa_power,
        )
        for row in rows.select_related("miner").order_by("day", "miner")
    ]


def removed_days(*, final: int) -> list[RemovedMinerDay]:
    """Return what is left of removed miners' days that were over at a height, the oldest first."""
    return list(RemovedMinerDay.objects.filter(end__lte=final).order_by("day", "pk"))


def removed_span(row: RemovedMinerDay) -> DaySpan:
    """Return the time of a removed miner's day."""
    return DaySpan(
        pk=row.pk,
        miner_id=0,
        actor_id=row.actor_id,
        day=row.day,
        next_day=row.next_day,
        begin=row.begin,
        end=row.end,
        qa_power=row.qa_power,
    )


def days_uncharged() -> QuerySet[MinerDay]:
    """Return the days of which it is not settled what the pool charges for them."""
    return MinerDay.objects.filter(is_charged=False)


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose some miners were as each day began."""

    now: dict[int, int]
    """Tenant by the miner's pk."""
    transfers: dict[int, list[MinerTransfer]]
    """By the miner's pk, oldest first."""

    def on(self, miner_pk: int, day: date) -> int:
        """Return whose a miner was as a day began: later transfers are undone."""
        transfers = self.transfers.get(miner_pk)
        if transfers is None:
            return self.now[miner_pk]
        began = datetime.combine(day, time.min, UTC)
        first = next((row for row in transfers if row.at > began), None)
        return self.now[miner_pk] if first is None else first.from_tenant_id


def owners_read(miners: Sequence[Miner]) -> Owners:
    """Return whose miners were on any day, by one query."""
    transfers: defaultdict[int, list[MinerTransfer]] = defaultdict(list)
    for row in MinerTransfer.objects.filter(miner__in=miners).order_by("at", "pk"):
        transfers[row.miner_id].append(row)
    return Owners({miner.pk: miner.tenant_id for miner in miners}, dict(transfers))


def miners_owned(tenant_id: int) -> QuerySet[Miner]:
    """Return the miners that a tenant has or had."""
    its = Q(tenant=tenant_id) | Q(transfers__from_tenant=tenant_id)
    return Miner.objects.select_related("tenant").filter(its).distinct().order_by("pk")


def tenants_on(miner_pks: Collection[int], day: date) -> dict[int, int]:
    """Return by the miner's pk whose it was as a day began: later transfers are undone."""
    found = dict(Miner.objects.filter(pk__in=miner_pks).values_list("pk", "tenant"))
    later = MinerTransfer.objects.filter(
        miner__in=miner_pks, at__gt=datetime.combine(day, time.min, UTC)
    ).order_by("miner", "at", "pk")
    found.update(later.distinct("miner").values_list("miner", "from_tenant"))
    return found
