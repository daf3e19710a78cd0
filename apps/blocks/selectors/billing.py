"""Reading what tenants are charged: terms, charges and statements, and up to which day all is settled.

A day is settled once a later one is recorded whose first tipset lies below the network's finality.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from apps.blocks.models import BillingTerms, Charge, Statement
from apps.blocks.states import ChargeKind
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.network import network_current
from apps.core.day_ranges import month_after, today_of
from apps.core.errors import NotFound
from apps.core.filters import Address, Choices, Flag, ListFilters, Month, Words
from apps.core.marked_texts import gettext
from apps.messages.selectors.tracking import tracked_height
from apps.miners.selectors.days import day_after_charged, day_newest_below
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenants_visible


def final_height() -> int:
    """Return the height below which no tipset is reverted.  Raises NetworkUnknown."""
    return tracked_height() - network_current().chain_finality


def settled_until() -> date | None:
    """Return the first day that is not over and final; None before the first one."""
    try:
        return day_newest_below(final_height() + 1)
    except NetworkUnknown:
        return None


def day_unsettled(tenant: Tenant, *, now: datetime) -> date:
    """Return the first day that is neither settled nor charged, from which on a tenant may have new terms."""
    closed = tenant.statements.order_by("-month").values_list("month", flat=True).first()
    known = (settled_until(), day_after_charged(), None if closed is None else month_after(closed))
    return max((day for day in known if day is not None), default=today_of(now))


def terms_on(terms: Iterable[BillingTerms], day: date) -> BillingTerms | None:
    """Return which of a tenant's terms hold on a day; None before the first."""
    held = [row for row in terms if row.from_day <= day]
    return max(held, key=lambda row: (row.from_day, row.pk), default=None)


def percent_number(percent: Decimal) -> str:
    """Write a percentage without zeros at its end: `12.5`."""
    text = f"{percent:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent_text(percent: Decimal) -> str:
    """Write a percentage with its sign: `12.5 %`."""
    return f"{percent_number(percent)} %"


def terms_now(tenants: Sequence[Tenant], *, day: date) -> dict[int, BillingTerms]:
    """Return the terms that hold on a day by the tenant's pk."""
    rows = BillingTerms.objects.filter(tenant__in=tenants, from_day__lte=day)
    return {row.tenant_id: row for row in rows.order_by("tenant", "-from_day", "-pk").distinct("tenant")}


def tenants_billed(viewer: Principal) -> QuerySet[Tenant]:
    """Return the tenants whose charges this caller may see; of those that were deleted, which have some."""
    if not viewer.sees_pool:
        return tenants_visible(viewer)
    has_charges = Exists(Charge.objects.filter(tenant=OuterRef("pk")).order_by())
    return Tenant.objects.filter(Q(deleted_at=None) | has_charges).order_by("name", "pk")


def tenant_billed(viewer: Principal, *, key: UUID) -> Tenant:
    """Find one of these.  Raises NotFound."""
    row = tenants_billed(viewer).filter(uuid=key).first()
    if row is None:
        raise NotFound(gettext("there is no such tenant"))
    return row


def terms_visible(viewer: Principal) -> QuerySet[BillingTerms]:
    """Return the terms that this caller may see, the newest first."""
    return BillingTerms.objects.select_related("tenant").filter(_of_tenant(viewer))


class StatementFilters(ListFilters):
    """Filters of statements."""

    state = Choices(("open", "paid"), method="in_states", about="whether it is paid")
    tenant = Words(field_name="tenant__name", label=_("Tenant"), about="name")
    month = Month(label=_("Month"), about="`2026-11`, in UTC")
    paid = Flag(method="is_paid", about="as `state=paid`, or `state=open`")

    def in_states(self, rows: QuerySet[Statement], _name: str, value: list[str]) -> QuerySet[Statement]:
        """Narrow to statements that are paid, or are not."""
        return rows if len(set(value)) > 1 else self.is_paid(rows, "", value[0] == "paid")

    def is_paid(self, rows: QuerySet[Statement], _name: str, value: bool) -> QuerySet[Statement]:
        """Do the same by yes or no."""
        return rows.filter(paid_at__isnull=not value)


class ChargeFilters(ListFilters):
    """Filters of charges."""

    tenant = Words(field_name="tenant__name", about="name")
    month = Month(method="in_month", about="`2026-11`, in UTC")
    miner = Address(field_name="miner_address", about="f0 address")

    def in_month(self, rows: QuerySet[Charge], _name: str, value: date) -> QuerySet[Charge]:
        """Narrow to the days of a month."""
        return rows.filter(day__gte=value, day__lt=month_after(value))


def statements_visible(viewer: Principal) -> QuerySet[Statement]:
    """Return the statements that this caller may see, the newest first."""
    return Statement.objects.select_related("tenant").filter(_of_tenant(viewer))


def charges_visible(viewer: Principal) -> QuerySet[Charge]:
    """Return the charges that this caller may see, the newest first: for some miners those of these alone."""
    rows = Charge.objects.select_related("tenant", "statement", "terms")
    if viewer.is_partial:
        rows = rows.filter(miner_address__in=[f"f0{actor_id}" for actor_id in viewer.miners])
    return rows if viewer.is_operator else rows.filter(tenant=viewer.own_id)


def _of_tenant(viewer: Principal) -> Q:
    """Return what concerns whole tenants: nothing of it for a token that sees a part of one."""
    if viewer.is_partial:
        return Q(pk__in=[])
    return Q() if viewer.sees_pool else Q(tenant=viewer.own_id)


def statement_get(viewer: Principal, uuid: UUID | str) -> Statement:
    """Find a statement.  Raises NotFound."""
    row = statements_visible(viewer).filter(uuid=uuid).first()
    if row is None:
        raise NotFound(gettext("there is no such statement"))
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeLine:
    """Charges of one kind, miner and terms together, or one correction; amounts in attoFIL."""

    kind: str
    miner: str
    """f0 address; empty: it is for no miner."""
    terms: BillingTerms | None
    basis: int
    """Sum of what it was computed from, without what is unknown."""
    days: int
    """Days with a charge."""
    unknown_days: int
    """Those of them whose basis is unknown: nothing was charged."""
    unknown_blocks: int
    amount: int
    day: date
    """The first one."""
    note: str = ""


def charge_lines(charges: QuerySet[Charge]) -> list[ChargeLine]:
    """Return charges by kind, miner and terms, which add up to them; corrections one by one, last."""
    rows = list(
        charges.exclude(kind=ChargeKind.CORRECTION)
        .order_by("kind", "miner_address", "terms__from_day", "terms")
        .values("kind", "miner_address", "terms")
        .annotate(
            sum=Sum("amount"),
            basis_sum=Sum("basis"),
            days=Count("pk"),
            unknown_days=Count("pk", filter=Q(basis=None)),
            unknown=Sum("unknown_blocks"),
            first=Min("day"),
        )
    )
    terms = BillingTerms.objects.in_bulk({row["terms"] for row in rows})
    order = list(ChargeKind)
    rows.sort(key=lambda row: order.index(ChargeKind(row["kind"])))
    lines = [
        ChargeLine(
            kind=row["kind"],
            miner=row["miner_address"],
            terms=terms.get(row["terms"]),
            basis=int(row["basis_sum"] or 0),
            days=row["days"],
            unknown_days=row["unknown_days"],
            unknown_blocks=row["unknown"],
            amount=int(row["sum"]),
            day=row["first"],
        )
        for row in rows
    ]
    corrections = charges.filter(kind=ChargeKind.CORRECTION).select_related("terms").order_by("day", "pk")
    return lines + [_correction_line(row) for row in corrections]


def _correction_line(row: Charge) -> ChargeLine:
    return ChargeLine(
        kind=row.kind,
        miner=row.miner_address,
        terms=row.terms,
        basis=int(row.basis or 0),
        days=1,
        unknown_days=0,
        unknown_blocks=row.unknown_blocks,
        amount=int(row.amount),
        note=row.note,
        day=row.day,
    )


@dataclass(slots=True)
class Dues:
    """What a tenant was charged and has not paid; amounts in attoFIL."""

    unclosed: int = 0
    """Charges of months that are not closed."""
    open: int = 0
    """Statements that are not paid."""
    statements: int = 0
    """How many these are."""


def dues_by_tenant(tenants: Sequence[Tenant]) -> dict[int, Dues]:
    """Return the open sums by the tenant's pk."""
    found: defaultdict[int, Dues] = defaultdict(Dues)
    unpaid = Statement.objects.filter(tenant__in=tenants, paid_at=None).order_by()
    for pk, total, count in unpaid.values_list("tenant").annotate(Sum("total"), Count("pk")):
        found[pk].open, found[pk].statements = int(total), count
    unclosed = Charge.objects.filter(tenant__in=tenants, statement=None).order_by()
    for pk, total in unclosed.values_list("tenant").annotate(Sum("amount")):
        found[pk].unclosed = int(total)
    return found


def charges_unclosed(tenant: Tenant) -> QuerySet[Charge]:
    """Return a tenant's charges of months that are not closed."""
    return Charge.objects.filter(tenant=tenant, statement=None)
