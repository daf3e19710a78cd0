"""Charging the days that are over and final, by the terms of whoever had the miner as the day began.

A day is charged once: its row says so, in the transaction that writes the charges.  Everything that depends
on a tenant's terms is written under its row's lock, so that new terms never change a day that was charged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from django.db import transaction

from apps.blocks.models import BillingTerms, Charge
from apps.blocks.selectors.billing import final_height, settled_until, terms_on
from apps.blocks.selectors.rewards import SpanRewards, rewards_by_span
from apps.blocks.states import ChargeKind
from apps.chain.errors import NetworkUnknown
from apps.chain.node.isolation import for_each_isolated
from apps.miners.models import MinerDay, RemovedMinerDay
from apps.miners.selectors.days import (
    DaySpan,
    day_spans,
    days_uncharged,
    removed_days,
    removed_span,
    tenants_on,
)
from apps.users.models import Tenant

WAITED_DAYS: Final = 7
"""So long a day waits for a reward that is not known yet, and a month for a miner that cannot be read."""

CORRECTED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class DayOfTenant:
    """The miners that a tenant had as a day began."""

    tenant_id: int
    day: date
    spans: Sequence[DaySpan] = field(repr=False)


def charges_book() -> None:
    """Charge every day whose blocks are final, the oldest first."""
    removed_days_book()
    until = settled_until()
    if until is None:
        return
    by_day: defaultdict[date, list[DaySpan]] = defaultdict(list)
    for span in day_spans(days_uncharged(), final=final_height()):
        by_day[span.day].append(span)
    groups = []
    for day, spans in by_day.items():
        owners = tenants_on([span.miner_id for span in spans], day)
        by_tenant: defaultdict[int, list[DaySpan]] = defaultdict(list)
        for span in spans:
            by_tenant[owners[span.miner_id]].append(span)
        groups += [DayOfTenant(tenant_id, day, its) for tenant_id, its in by_tenant.items()]
    for_each_isolated(groups, lambda group: _day_charge(group, until=until), event="day_not_charged")


def removed_days_book() -> None:
    """Charge what is left of the days of removed miners, though with the last one no day is recorded more."""
    try:
        final = final_height()
    except NetworkUnknown:
        return
    for_each_isolated(removed_days(final=final), _removed_day_charge, event="removed_day_not_charged")


@transaction.atomic
def _removed_day_charge(row: RemovedMinerDay) -> None:
    Tenant.objects.select_for_update(no_key=True).get(pk=row.tenant_id)
    if not RemovedMinerDay.objects.filter(pk=row.pk).exists():
        return
    terms, span = list(BillingTerms.objects.filter(tenant=row.tenant_id)), removed_span(row)
    rewards = rewards_by_span([span])[span.pk]
    _charges_store(_charges_of(span, rewards, tenant_id=row.tenant_id, terms=terms))
    row.delete()


def _charges_store(charges: Iterable[Charge]) -> None:
    """Store charges.

    A miner that was removed and imported again has a second row of the day on which that was: its power is
    charged by the first that comes, and the rewards of the other are a correction.
    """
    rows = list(charges)
    days, miners = {row.day for row in rows}, {row.miner_address for row in rows}
    known = set(
        Charge.objects.filter(day__in=days, miner_address__in=miners)
        .exclude(kind=ChargeKind.CORRECTION)
        .values_list("miner_address", "day", "kind")
    )
    for row in rows:
        if row.kind == ChargeKind.REWARDS and (row.miner_address, row.day, row.kind) in known:
            row.kind = ChargeKind.CORRECTION
    Charge.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def _day_charge(group: DayOfTenant, *, until: date) -> None:
    """Charge one day of a tenant's miners, but for those whose rewards are still waited for."""
    tenant_id = group.tenant_id
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    rows = days_uncharged().filter(pk__in=[span.pk for span in group.spans])
    due = set(rows.values_list("pk", flat=True))
    terms = list(BillingTerms.objects.filter(tenant=tenant_id, from_day__lt=until))
    if not terms:
        rows.update(is_charged=True)
        return
    open_spans = [span for span in group.spans if span.pk in due]
    rewards = rewards_by_span(open_spans)
    settled = [
        span
        for span in open_spans
        if not rewards[span.pk].unknown or until - span.day > timedelta(days=WAITED_DAYS)
    ]
    charges = [
        charge
        for span in settled
        for charge in _charges_of(span, rewards[span.pk], tenant_id=tenant_id, terms=terms)
    ]
    _charges_store(charges)
    MinerDay.objects.filter(pk__in=[span.pk for span in settled]).update(is_charged=True)


def _charges_of(
    span: DaySpan, rewards: SpanRewards, *, tenant_id: int, terms: Sequence[BillingTerms]
) -> Iterator[Charge]:
    """Yield a miner's charges from one recorded day to the next."""

    def charge(kind: ChargeKind, day: date, by: BillingTerms, basis: int | None, amount: int) -> Charge:
        return Charge(
            tenant_id=tenant_id,
            kind=kind,
            day=day,
            miner_id=span.miner_id or None,
            miner_address=f"f0{span.actor_id}",
            terms=by,
            basis=basis,
            amount=amount,
        )

    by = terms_on(terms, span.day)
    if by is not None and by.reward_percent and (rewards.paid or rewards.unknown):
        row = charge(ChargeKind.REWARDS, span.day, by, rewards.paid, by.reward_fee(rewards.paid))
        row.unknown_blocks = rewards.unknown
        yield row
    if span.qa_power == 0:
        return
    for after in range((span.next_day - span.day).days):
        day = span.day + timedelta(days=after)
        by = terms_on(terms, day)
        if by is not None and by.power_price:
            power = None if after else span.qa_power
            yield charge(ChargeKind.POWER, day, by, power, 0 if power is None else by.power_fee(power))


def corrections_book() -> None:
    """Charge the rewards that have become known since their day was charged, as corrections of it."""
    pending = Charge.objects.select_related("terms").filter(
        unknown_blocks__gt=0, correction=None, miner__isnull=False
    )
    rows = {(row.miner_id, row.day): row for row in pending[:CORRECTED_AT_ONCE]}
    if not rows:
        return
    days = MinerDay.objects.filter(miner__in={pk for pk, _ in rows}, day__in={day for _, day in rows})
    spans = [span for span in day_spans(days, final=final_height()) if (span.miner_id, span.day) in rows]
    rewards = rewards_by_span(spans)
    due = [
        (rows[span.miner_id, span.day], rewards[span.pk])
        for span in spans
        if rewards[span.pk].unknown < rows[span.miner_id, span.day].unknown_blocks
    ]
    for_each_isolated(due, lambda one: _correction_book(*one), event="reward_not_corrected")


@transaction.atomic
def _correction_book(charge: Charge, known: SpanRewards) -> None:
    Tenant.objects.select_for_update(no_key=True).get(pk=charge.tenant_id)
    if charge.terms is None or Charge.objects.filter(corrects=charge).exists():
        return
    Charge.objects.create(
        tenant_id=charge.tenant_id,
        kind=ChargeKind.CORRECTION,
        day=charge.day,
        miner_id=charge.miner_id,
        miner_address=charge.miner_address,
        terms=charge.terms,
        basis=known.paid,
        unknown_blocks=known.unknown,
        corrects=charge,
        amount=charge.terms.reward_fee(known.paid) - charge.terms.reward_fee(int(charge.basis or 0)),
    )
