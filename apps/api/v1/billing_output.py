"""Charges and statements as REST writes them; amounts in attoFIL as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.blocks.selectors.billing import percent_number
from apps.blocks.states import ChargeKind

if TYPE_CHECKING:
    from apps.blocks.models import Charge, Statement


class ChargeOutput(serializers.Serializer[Any]):
    """One amount that a tenant is charged, and what it was computed from."""

    tenant = serializers.CharField()
    day = serializers.DateField(help_text="UTC; of a monthly sum the first day that it pays for")
    kind = serializers.ChoiceField(choices=ChargeKind.choices)
    miner = serializers.CharField(allow_blank=True, help_text="empty: for no miner")
    basis = serializers.CharField(
        allow_null=True,
        help_text="REWARDS: attoFIL less penalties; POWER: bytes of QA power; MONTHLY: days; null: unknown",
    )
    reward_percent = serializers.CharField(allow_null=True, help_text="REWARDS: of the basis")
    price = serializers.CharField(
        allow_null=True, help_text="POWER: for a TiB and a day; MONTHLY: for a whole month"
    )
    unknown_blocks = serializers.IntegerField(help_text="blocks whose reward was not known, and is not in it")
    amount = serializers.CharField(help_text="attoFIL, rounded down; below 0 it is a credit")
    note = serializers.CharField(allow_blank=True, help_text="why somebody made a correction")
    statement = serializers.UUIDField(allow_null=True, help_text="null: its month is not closed")


class StatementOutput(serializers.Serializer[Any]):
    """What a tenant owes for a month; but for its payment it never changes."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField()
    month = serializers.CharField(help_text="`2026-11`, in UTC")
    total = serializers.CharField(help_text="attoFIL: the sum of its charges")
    closed_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True, help_text="null: it is open")
    payment = serializers.CharField(allow_blank=True, help_text="a message's CID, or words")


def charge_body(row: Charge) -> dict[str, Any]:
    """Return a charge as JSON."""
    by = row.terms
    prices = {} if by is None else {"POWER": by.power_price, "MONTHLY": by.monthly_sum}
    price = prices.get(row.kind)
    has_percent = by is not None and row.kind not in prices
    return {
        "tenant": row.tenant.name,
        "day": row.day,
        "kind": row.kind,
        "miner": row.miner_address,
        "basis": None if row.basis is None else str(row.basis),
        "reward_percent": percent_number(by.reward_percent) if by is not None and has_percent else None,
        "price": None if price is None else str(price),
        "unknown_blocks": row.unknown_blocks,
        "amount": str(row.amount),
        "note": row.note,
        "statement": None if row.statement is None else row.statement.uuid,
    }


def statement_body(row: Statement) -> dict[str, Any]:
    """Return a statement as JSON."""
    return {
        "uuid": row.uuid,
        "tenant": row.tenant.name,
        "month": f"{row.month:%Y-%m}",
        "total": str(row.total),
        "closed_at": row.closed_at,
        "paid_at": row.paid_at,
        "payment": row.payment,
    }
