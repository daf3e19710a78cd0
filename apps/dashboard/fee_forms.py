"""Fee rules as a form: the same fields for a sender, a method and the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apps.dashboard.amounts import amount_read, amount_shown, factor_read, whole_read

if TYPE_CHECKING:
    from apps.messages.models import ActorRules, Sender, SharedRules

FIELDS: Final = ("quota", "max_fee", "gas_fee_cap", "base_fee", "gas_over_estimation", "gas_over_premium")


def form_of(row: Sender | SharedRules | ActorRules) -> dict[str, str]:
    """The settings as the form shows them; empty where the rules below decide."""
    return {
        "quota": str(getattr(row, "quota", 0) or ""),
        "max_fee": amount_shown(int(row.max_fee)),
        "gas_fee_cap": amount_shown(int(row.gas_fee_cap), is_fee=True),
        "base_fee": amount_shown(int(row.base_fee), is_fee=True),
        "gas_over_estimation": f"{row.gas_over_estimation:g}" if row.gas_over_estimation else "",
        "gas_over_premium": f"{row.gas_over_premium:g}" if row.gas_over_premium else "",
    }


def rules_read(form: dict[str, str]) -> tuple[dict[str, Any], int]:
    """Return the form's fees and quota; an empty field is 0.  Raises BadValue with the field to blame."""
    fees = {
        "max_fee": amount_read(form["max_fee"], field="max_fee"),
        "gas_fee_cap": amount_read(form["gas_fee_cap"], field="gas_fee_cap", is_fee=True),
        "base_fee": amount_read(form["base_fee"], field="base_fee", is_fee=True),
        "gas_over_estimation": factor_read(form["gas_over_estimation"], field="gas_over_estimation"),
        "gas_over_premium": factor_read(form["gas_over_premium"], field="gas_over_premium"),
    }
    return fees, whole_read(form["quota"], field="quota")
