"""Setting what a tenant is charged, and correcting what it was."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from apps.blocks.errors import CorrectionKeyReused
from apps.blocks.models import BillingTerms, Charge
from apps.blocks.models.billing import SHARE_PLACES
from apps.blocks.selectors.billing import day_unsettled, percent_text, terms_on
from apps.blocks.services.statements import reference_read
from apps.blocks.states import ChargeKind
from apps.core.day_ranges import today_of
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from apps.users.services.tenant_management import tenants_manage_check
from poolsite.filecoin.amounts import TOTAL_FILECOIN, fil_format

NO_PERCENT: Final = Decimal(0)


@transaction.atomic
def billing_terms_set(
    *,
    principal: Principal,
    tenant: Tenant,
    from_day: date,
    now: datetime,
    reward_percent: Decimal = NO_PERCENT,
    power_price: int = 0,
    monthly_sum: int = 0,
) -> BillingTerms:
    """Charge a tenant by these terms from a day on; what it was charged before stays.

    Amounts in attoFIL; what is left out is not charged.  Raises NotAllowed, BadValue.
    """
    tenants_manage_check(principal)
    _percent_check(reward_percent)
    for field, amount in (("power_price", power_price), ("monthly_sum", monthly_sum)):
        if not 0 <= amount <= TOTAL_FILECOIN:
            raise BadValue(gettext("must be from 0 to all FIL that there is"), field=field)
    row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    first = day_unsettled(row, now=now)
    if from_day < first:
        raise BadValue(
            gettext("must be {day} or later: the days before are settled").format(day=first.isoformat()),
            field="from_day",
        )
    before = terms_on(BillingTerms.objects.filter(tenant=row), from_day)
    terms = BillingTerms.objects.create(
        tenant=row,
        from_day=from_day,
        reward_percent=reward_percent,
        power_price=power_price,
        monthly_sum=monthly_sum,
        actor=principal.actor[:200],
        created_at=now,
    )
    audit_record(
        principal=principal,
        action="billing.terms",
        target=row.name,
        before=None if before is None else _terms_fields(before),
        after=_terms_fields(terms),
    )
    return terms


def _percent_check(percent: Decimal) -> None:
    """Refuse what is no percentage, or is finer than the digits that are kept.  Raises BadValue."""
    exponent = percent.normalize().as_tuple().exponent if percent.is_finite() else None
    if not isinstance(exponent, int) or exponent < -SHARE_PLACES or not 0 <= percent <= 100:
        raise BadValue(
            gettext("must be from 0 to 100, with at most {places} digits after the point").format(
                places=SHARE_PLACES
            ),
            field="reward_percent",
        )


def _terms_fields(row: BillingTerms) -> dict[str, Any]:
    """Return terms as the audit log has them."""
    return {
        "from": row.from_day.isoformat(),
        "rewards": percent_text(Decimal(row.reward_percent)),
        "power": gettext("{amount} per TiB and day").format(amount=fil_format(int(row.power_price))),
        "monthly": fil_format(int(row.monthly_sum)),
    }


@transaction.atomic
def correction_add(
    *, principal: Principal, tenant: Tenant, amount: int, note: str, now: datetime, key: str = ""
) -> Charge:
    """Charge a tenant an amount, or credit one below 0, on the statement of the running month.

    In attoFIL.  The same key again is the same correction.  Raises NotAllowed, BadValue, CorrectionKeyReused.
    """
    tenants_manage_check(principal)
    note = reference_read(note, field="note")
    if not amount or abs(amount) > TOTAL_FILECOIN:
        raise BadValue(gettext("must be an amount other than 0"), field="amount")
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    known = Charge.objects.filter(tenant=tenant, key=key).first() if key else None
    if known is not None:
        if (known.amount, known.note) != (amount, note):
            raise CorrectionKeyReused
        return known
    row = Charge.objects.create(
        tenant=tenant,
        kind=ChargeKind.CORRECTION,
        day=today_of(now),
        amount=amount,
        note=note,
        key=key or None,
    )
    audit_record(
        principal=principal,
        action="billing.correct",
        target=tenant.name,
        after={"amount": fil_format(amount), "note": f"“{note}”"},
    )
    return row
