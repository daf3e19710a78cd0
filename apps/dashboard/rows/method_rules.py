"""Fee rules of methods as the page Gas shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.core import formatting
from apps.messages.models import ActorRules, Receiver
from poolsite.filecoin.actors.decode import method_name
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MethodRuleRow:
    """One rule."""

    key: str
    kind: str
    method: str
    say: str
    """What it sets, in words."""


def kinds_of(codes: list[str]) -> Mapping[str, str]:
    """Return the kinds of actor codes, as far as a receiver of each is known."""
    return dict(Receiver.objects.filter(code__in=codes).values_list("code", "kind"))


def rule_text(row: ActorRules) -> str:
    """Return what a rule sets."""
    parts = [
        (row.max_fee, f"max fee {fil_format(int(row.max_fee))}"),
        (row.gas_fee_cap, f"fee cap {formatting.fee_text(int(row.gas_fee_cap))}"),
        (row.base_fee, f"sent while the base fee is at most {formatting.fee_text(int(row.base_fee))}"),
        (row.gas_over_estimation, f"gas limit × {row.gas_over_estimation:g}"),
        (row.gas_over_premium, f"premium × {row.gas_over_premium:g}"),
    ]
    return ", ".join(say for value, say in parts if value) or "nothing"


def method_rule_rows() -> list[MethodRuleRow]:
    """Return all rules, by kind and method."""
    rows = list(ActorRules.objects.order_by("code", "method"))
    kinds = kinds_of([row.code for row in rows]) if rows else {}
    return [method_rule_row(row, kind=kinds.get(row.code, "")) for row in rows]


def method_rule_row(row: ActorRules, *, kind: str) -> MethodRuleRow:
    """Return one rule; a code of which no receiver is known stands for its kind."""
    return MethodRuleRow(
        key=str(row.pk),
        kind=kind or formatting.shortened(row.code),
        method=method_name(kind, row.method) if kind else f"method {row.method}",
        say=rule_text(row),
    )
