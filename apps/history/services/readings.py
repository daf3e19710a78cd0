"""Recording what is measured: each slot once, into the row of its hour and that of its day.

A run that is killed is made up for by the next one of the same slot, which finds what is written already;
two at once write the same.  Rows are of things, hours and days: they do not grow with sectors or messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.chain.node.isolation import for_each_isolated
from apps.core.clock import DAY
from apps.history.models import Reading
from apps.history.rules import Figure, Number, begin_of, figures_sum
from apps.history.selectors.measured import MEASURED
from apps.history.selectors.sealed import sealed_by_hour, uncounted_since
from apps.history.states import HOUR, RETENTION, SEALED, WALLET_HOURS_RETENTION, Kind
from apps.miners.models import Miner
from apps.miners.states import MinerState

PART: Final = 500
"""Things whose rows are written in one transaction."""
DELETED_AT_ONCE: Final = 10_000


def readings_record(*, now: datetime) -> None:
    """Record all that is measured."""
    for_each_isolated(MEASURED, lambda kind: kind_record(kind, now=now), event="history_not_recorded")
    for_each_isolated([Kind.SEALING], lambda _: sealed_record(now=now), event="history_not_recorded")


def kind_record(kind: Kind, *, now: datetime) -> None:
    """Record what of one kind is not recorded yet in its slot, in parts."""
    every, measure = MEASURED[kind]
    slot = begin_of(now, every)
    recorded = Reading.objects.filter(kind=kind, step=HOUR, at=begin_of(slot, HOUR), slot=slot)
    done = set(recorded.values_list("subject", flat=True))
    measured = sorted((key, figures) for key, figures in measure(now).items() if key not in done)
    for start in range(0, len(measured), PART):
        slot_record(kind, measured=dict(measured[start : start + PART]), slot=slot)


@transaction.atomic
def slot_record(kind: Kind, *, measured: Mapping[int, Mapping[str, Number]], slot: datetime) -> None:
    """Add the figures of some things in one slot to their hours and days; a second time changes nothing."""
    begins = {step: begin_of(slot, step) for step in (HOUR, DAY)}
    here = Q(*((Q(step=step, at=at)) for step, at in begins.items()), _connector=Q.OR)
    known = {
        (row.subject, row.step): row
        for row in Reading.objects.filter(here, kind=kind, subject__in=list(measured))
    }
    rows = []
    for subject, figures in sorted(measured.items()):
        for step, at in begins.items():
            row = known.get((subject, step))
            if row is not None and row.slot >= slot:
                continue
            stored = {} if row is None else row.figures
            new = {name: Figure.measured(value) for name, value in figures.items()}
            merged = stored | {
                name: Figure(*stored[name]).plus(one) if name in stored else one for name, one in new.items()
            }
            rows.append(Reading(kind=kind, subject=subject, step=step, at=at, slot=slot, figures=merged))
    readings_write(rows)


def readings_write(rows: Sequence[Reading]) -> None:
    """Write rows in the place of those of the same things and times."""
    Reading.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["kind", "subject", "step", "at"],
        update_fields=["slot", "figures"],
    )


@transaction.atomic
def sealed_record(*, now: datetime) -> None:
    """Count anew what was sealed since the newest count; an hour in which nothing was gets 0."""
    since = uncounted_since(now)
    by_hour = sealed_by_hour(since)
    miners = sorted(Miner.objects.filter(state=MinerState.ACTIVE).values_list("pk", flat=True))
    hours = [since + HOUR * place for place in range((now - since) // HOUR + 1)]
    rows = [
        Reading(
            kind=Kind.SEALING,
            subject=miner,
            step=HOUR,
            at=hour,
            slot=hour,
            figures={
                name: Figure.measured(count)
                for name, count in {SEALED: 0, **by_hour.get(hour, {}).get(miner, {})}.items()
            },
        )
        for miner in miners
        for hour in hours
    ]
    readings_write(rows)
    for day in sorted({begin_of(hour, DAY) for hour in hours}):
        readings_write(list(_day_sums(day)))


def _day_sums(day: datetime) -> Iterable[Reading]:
    """Yield the row of each miner's day: the sum of its hours."""
    hours = Reading.objects.filter(kind=Kind.SEALING, step=HOUR, at__gte=day, at__lt=day + DAY)
    by_miner: dict[int, dict[str, list[Figure]]] = {}
    for row in hours.order_by("subject", "at"):
        of_miner = by_miner.setdefault(row.subject, {})
        for name, stored in row.figures.items():
            of_miner.setdefault(name, []).append(Figure(*stored))
    for subject, figures in by_miner.items():
        sums = {name: total for name, parts in figures.items() if (total := figures_sum(parts)) is not None}
        yield Reading(
            kind=Kind.SEALING,
            subject=subject,
            step=DAY,
            at=day,
            slot=day,
            figures={name: Figure.measured(total.total) for name, total in sums.items()},
        )


def readings_delete_old(*, now: datetime) -> None:
    """Delete all rows that are older than their kind is kept, some at a time."""
    old = Q(*(Q(step=step, at__lt=now - retention) for step, retention in RETENTION.items()), _connector=Q.OR)
    old |= Q(kind=Kind.WALLET, step=HOUR, at__lt=now - WALLET_HOURS_RETENTION)
    rows = Reading.objects.filter(old, at__lt=now - WALLET_HOURS_RETENTION).order_by("at")
    while keys := list(rows.values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        Reading.objects.filter(pk__in=keys).delete()
