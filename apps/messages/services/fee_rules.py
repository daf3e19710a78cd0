"""The pool's fee rules, and how a row of rules is changed and audited."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction

from apps.core.marked_texts import gettext
from apps.core.units import values_with_units
from apps.messages.errors import BadMessage
from apps.messages.models import FeeRules, SharedRules
from apps.messages.rules.gas_checks import FACTOR_MAX, fee_cap_check
from apps.messages.selectors.fees import SHARED_DEFAULTS
from apps.messages.services.retry import retry_after_rule_change
from apps.users.rules.principals import Principal
from apps.users.services.audit import audit_record
from poolsite.filecoin.amounts import TOTAL_FILECOIN

FEE_FIELDS: Final = ("gas_over_estimation", "max_fee", "gas_fee_cap", "gas_over_premium", "base_fee")
FACTORS: Final = ("gas_over_estimation", "gas_over_premium")


@transaction.atomic
def shared_rules_set(*, principal: Principal, fees: dict[str, Any], quota: int | None = None) -> SharedRules:
    """Change the pool's own rules."""
    row, _ = SharedRules.objects.select_for_update().get_or_create(pk=1, defaults=SHARED_DEFAULTS)
    before = rules_describe(row)
    fees_set(row, fees=fees)
    if quota is not None:
        row.quota = count_read(quota, field="quota")
    row.save()
    retry_after_rule_change()
    rules_audit(principal, action="rules.set", target="pool", before=before, after=rules_describe(row))
    return row


def rules_describe(row: FeeRules) -> dict[str, str | None]:
    """Return a row's settings for the audit log."""
    names = (*FEE_FIELDS, "quota", "state", "nonces_by")
    return values_with_units({name: getattr(row, name) for name in names if hasattr(row, name)})


def rules_audit(
    principal: Principal, *, action: str, target: str, before: dict[str, Any], after: dict[str, Any] | None
) -> None:
    """Write one line that names only what was changed."""
    if after is not None:
        changed = [name for name in after if before.get(name) != after[name]]
        before, after = ({name: row[name] for name in changed} for row in (before, after))
    audit_record(principal=principal, action=action, target=target, before=before, after=after)


def fees_set(row: Any, *, fees: dict[str, Any]) -> None:
    """Set those of the fees that are given, without saving the row.  Raises BadMessage naming the field."""
    for name, value in fees.items():
        if name not in FEE_FIELDS or value is None:
            continue
        if value < 0:
            raise BadMessage(gettext("must not be negative"), field=name)
        if name in FACTORS and value > FACTOR_MAX:
            text = gettext("the factor must be between 0 and {most}").format(most=FACTOR_MAX)
            raise BadMessage(text, field=name)
        if name not in FACTORS and value > TOTAL_FILECOIN:
            raise BadMessage(gettext("the amount must be from 0 to the total FIL supply"), field=name)
        if name == "gas_fee_cap":
            fee_cap_check(value)
        setattr(row, name, value)


def count_read(value: int, *, field: str) -> int:
    """Return a count that a column can hold.  Raises BadMessage naming the field."""
    if not 0 <= value < 1 << 31:
        raise BadMessage(gettext("must be a whole number from 0 to 2147483647"), field=field)
    return value
