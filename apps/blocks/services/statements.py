"""Closing a tenant's months into statements, and marking these as paid; the pool itself moves no money."""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Max, Min, Q, Sum

from apps.blocks.models import BillingTerms, Charge, Statement
from apps.blocks.models.billing import REFERENCE_MAX
from apps.blocks.selectors.billing import settled_until, terms_on
from apps.blocks.services.charges import WAITED_DAYS
from apps.blocks.states import ChargeKind
from apps.chain.node.isolation import for_each_isolated
from apps.core.day_ranges import month_after, today_of
from apps.core.errors import BadValue, Conflict
from apps.core.marked_texts import gettext
from apps.miners.models import RemovedMinerDay
from apps.miners.selectors.days import days_uncharged
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.tenant_management import tenants_manage_check
from poolsite.filecoin.amounts import fil_format


def statements_close(*, now: datetime) -> None:
    """Close each month of each tenant whose days are all settled, the oldest first."""
    until = settled_until()
    if until is None:
        return
    terms: defaultdict[int, list[BillingTerms]] = defaultdict(list)
    for row in BillingTerms.objects.select_related("tenant").order_by("from_day", "pk"):
        terms[row.tenant_id].append(row)
    unclosed = Charge.objects.filter(statement=None).order_by()
    charged = dict(unclosed.values_list("tenant").annotate(Min("day")))
    last = dict(Statement.objects.order_by().values_list("tenant").annotate(Max("month")))

    def close(tenant_id: int) -> None:
        first = min([row.from_day for row in terms[tenant_id]] + [charged.get(tenant_id, until)])
        month = month_after(last[tenant_id]) if tenant_id in last else first.replace(day=1)
        while (end := month_after(month)) <= until:
            is_charged = tenant_id in charged and charged[tenant_id] < end
            if _has_monthly_sum(terms[tenant_id], month) or is_charged:
                if _is_waited_for(tenant_id, before=end, until=until):
                    return
                statement_close(tenant_id, month=month, now=now)
            month = end

    for_each_isolated(sorted({*terms, *charged}), close, event="statement_not_closed")


def _has_monthly_sum(terms: list[BillingTerms], month: date) -> bool:
    """Return whether a tenant owes a monthly sum for a day of a month."""
    return any(True for _ in _monthly_charges(0, month=month, terms=terms))


def _is_waited_for(tenant_id: int, *, before: date, until: date) -> bool:
    """Return whether a day before another one is still to be charged to a tenant, and not given up."""
    waited_for = {"day__lt": before, "day__gte": until - timedelta(days=WAITED_DAYS)}
    its = Q(miner__tenant=tenant_id) | Q(miner__transfers__from_tenant=tenant_id)
    removed = RemovedMinerDay.objects.filter(tenant=tenant_id, **waited_for)
    return days_uncharged().filter(its, **waited_for).exists() or removed.exists()


@transaction.atomic
def statement_close(tenant_id: int, *, month: date, now: datetime) -> Statement | None:
    """Make the statement of a month: what its terms ask for the month, and all charges until its end.

    None where nothing is charged, or another process has closed it.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    if Statement.objects.filter(tenant=tenant_id, month__gte=month).exists():
        return None
    terms = list(BillingTerms.objects.select_related("tenant").filter(tenant=tenant_id))
    monthly = list(_monthly_charges(tenant_id, month=month, terms=terms))
    charges = Charge.objects.filter(tenant=tenant_id, statement=None, day__lt=month_after(month))
    if not monthly and not charges.exists():
        return None
    Charge.objects.bulk_create(monthly)
    row = Statement.objects.create(tenant_id=tenant_id, month=month, total=0, closed_at=now)
    charges.update(statement=row)
    row.total = int(row.charges.aggregate(sum=Sum("amount"))["sum"])
    row.save(update_fields=["total"])
    return row


def _monthly_charges(tenant_id: int, *, month: date, terms: list[BillingTerms]) -> Iterator[Charge]:
    """Yield a monthly sum for each of the terms that held in a month, for the days on which they did.

    The day on which a tenant was deleted is its last one.
    """
    of = monthrange(month.year, month.month)[1]
    ends = [today_of(at) for row in terms if (at := row.tenant.deleted_at) is not None]
    last = min([*ends, month + timedelta(days=of - 1)])
    days = [month + timedelta(days=number) for number in range((last - month).days + 1)]
    held = [(terms_on(terms, day), day) for day in days]
    for by in sorted(terms, key=lambda row: (row.from_day, row.pk)):
        its_days = [day for row, day in held if row is by]
        if its_days and by.monthly_sum:
            yield Charge(
                tenant_id=tenant_id,
                kind=ChargeKind.MONTHLY,
                day=its_days[0],
                terms=by,
                basis=len(its_days),
                amount=by.monthly_fee(len(its_days), of=of),
            )


def reference_read(text: str, *, field: str) -> str:
    """Read a note, or what a payment is known by.  Raises BadValue."""
    found = text.strip()
    if not found:
        raise BadValue(gettext("must not be empty"), field=field)
    if len(found) > REFERENCE_MAX:
        raise BadValue(gettext("at most {most} characters").format(most=REFERENCE_MAX), field=field)
    return found


def _statement_label(row: Statement) -> str:
    """Return what the audit log calls a statement."""
    return f"{row.tenant.name} {row.month:%Y-%m}"


def _locked(statement: Statement) -> Statement:
    rows = Statement.objects.select_for_update(of=("self",)).select_related("tenant")
    return rows.get(pk=statement.pk)


@transaction.atomic
def payment_record(*, principal: Principal, statement: Statement, payment: str, now: datetime) -> Statement:
    """Mark a statement as paid; the same again changes nothing.  Raises NotAllowed, BadValue, Conflict."""
    tenants_manage_check(principal)
    payment, row = reference_read(payment, field="payment"), _locked(statement)
    if row.paid_at is not None and row.payment == payment:
        return row
    if row.paid_at is not None:
        raise Conflict(
            gettext("it is already paid, by {payment}").format(payment=row.payment), field="payment"
        )
    row.paid_at, row.payment = now, payment
    row.save(update_fields=["paid_at", "payment"])
    after = {"payment": f"“{payment}”", "total": fil_format(int(row.total))}
    audit_record(principal=principal, action="statement.pay", target=_statement_label(row), after=after)
    return row


@transaction.atomic
def payment_remove(*, principal: Principal, statement: Statement) -> Statement:
    """Mark a statement as open again; one that is open stays so.  Raises NotAllowed."""
    tenants_manage_check(principal)
    row = _locked(statement)
    if row.paid_at is None:
        return row
    before = {"payment": f"“{row.payment}”", "total": fil_format(int(row.total))}
    row.paid_at, row.payment = None, ""
    row.save(update_fields=["paid_at", "payment"])
    audit_record(principal=principal, action="statement.unpay", target=_statement_label(row), before=before)
    return row
