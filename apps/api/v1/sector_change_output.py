"""Terminations and extensions as REST writes them, with their price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rest_framework import serializers

from apps.api.v1.serializers import APPROVAL_HELP, CODE_HELP, ErrorSerializer, RefusedSector
from apps.core.reasons import code_of
from apps.sectors.selectors.change_prices import SectorPrice
from apps.sectors.services.changes.plans import ChangePlan
from poolsite.wire.pipeline.changes import ChangeKind, ChangeState

if TYPE_CHECKING:
    from apps.sectors.models import SectorChange


class ChangeOutput(serializers.Serializer[Any]):
    """A termination or an extension of one sector."""

    uuid = serializers.UUIDField()
    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=[str(kind) for kind in ChangeKind])
    state = serializers.ChoiceField(choices=[str(state) for state in ChangeState])
    stage = serializers.CharField()
    expiration = serializers.IntegerField(allow_null=True)
    old_expiration = serializers.IntegerField(allow_null=True)
    fee = serializers.CharField(help_text="termination fee in attoFIL, as of the request")
    reason = serializers.CharField()
    message = serializers.CharField(allow_null=True)
    exit_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class SectorPriceOutput(serializers.Serializer[Any]):
    """What a change would do to one sector; `refusal` says why it is not possible."""

    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    refusal = serializers.CharField()
    refusal_code = serializers.CharField(help_text=CODE_HELP)
    fee = serializers.CharField()
    pledge = serializers.CharField(help_text="attoFIL released once it has ended")
    sends_at = serializers.IntegerField(help_text="first epoch at which its message may be sent")
    old_expiration = serializers.IntegerField(allow_null=True)
    expiration = serializers.IntegerField(allow_null=True)
    power = serializers.CharField(help_text="current quality-adjusted power, in bytes")
    new_power = serializers.CharField()
    daily_fee = serializers.CharField()
    new_daily_fee = serializers.CharField()
    dropped_claims = serializers.ListField(child=serializers.IntegerField())


class ChangePriceOutput(serializers.Serializer[Any]):
    """The cost; amounts in attoFIL, null if the node could not simulate a message."""

    fee = serializers.CharField()
    gas_expected = serializers.CharField(allow_null=True)
    gas_max = serializers.CharField(allow_null=True)
    burnt = serializers.CharField(
        allow_null=True, help_text="fee and expected gas, which are not recoverable"
    )
    pledge = serializers.CharField()
    fee_debts = serializers.DictField(
        child=serializers.CharField(),
        help_text="by miner: the part of its fee that its funds do not cover, and it will owe",
    )
    daily_fee_change = serializers.CharField()
    power_change = serializers.CharField()
    messages = serializers.IntegerField()
    sends_at = serializers.IntegerField()
    error = serializers.CharField()
    signer = serializers.CharField(
        help_text="for a dry run: why a signer would not sign it; empty if it would"
    )
    approval = serializers.CharField(help_text=APPROVAL_HELP)
    sectors = SectorPriceOutput(many=True)
    changes = ChangeOutput(many=True)


class ChangeRefusedOutput(ErrorSerializer):
    """A refusal; with `refused` it is one of all requested sectors, each with its own reason."""

    refused = RefusedSector(many=True, required=False)


def change_body(row: SectorChange) -> dict[str, Any]:
    """Return one change as JSON."""
    plain = ("kind", "state", "stage", "expiration", "old_expiration", "reason", "exit_code", "error")
    return {
        "uuid": str(row.uuid),
        "sector": str(row.sector.uuid),
        "miner": row.sector.miner.address,
        "number": row.sector.number,
        "fee": str(row.fee),
        "message": None if row.batch is None else row.batch.message_id,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "error_code": code_of(row.error),
        **{name: getattr(row, name) for name in plain},
    }


def price_body(one: SectorPrice) -> dict[str, Any]:
    """Return what a change does to one sector, as JSON."""
    live, after = one.live, one.after
    return {
        "sector": str(one.sector.uuid),
        "miner": one.sector.miner.address,
        "number": one.sector.number,
        "refusal": one.refusal,
        "refusal_code": code_of(one.refusal),
        "fee": str(one.fee),
        "pledge": str(one.pledge),
        "sends_at": one.sends_at,
        "old_expiration": None if live is None else live.expiration,
        "expiration": None if after is None else after.expiration,
        "power": str(0 if live is None else live.power),
        "new_power": str(0 if after is None else after.power),
        "daily_fee": str(0 if live is None else live.daily_fee),
        "new_daily_fee": str(0 if after is None else after.daily_fee),
        "dropped_claims": [] if after is None else list(after.dropped),
    }


def plan_body(plan: ChangePlan, changes: Sequence[SectorChange] = ()) -> dict[str, Any]:
    """Return a price, with the changes that were asked for, as JSON."""

    def known(amount: int | None) -> str | None:
        return None if amount is None else str(amount)

    return {
        "fee": str(plan.fee),
        "gas_expected": known(plan.gas_expected),
        "gas_max": known(plan.gas_max),
        "burnt": known(plan.burnt),
        "pledge": str(plan.pledge),
        "fee_debts": {address: str(debt) for address, debt in plan.debts.items()},
        "daily_fee_change": str(plan.daily_fee_change),
        "power_change": str(plan.power_change),
        "messages": plan.messages,
        "sends_at": plan.sends_at,
        "error": plan.trial_error,
        "signer": "",
        "approval": plan.approval,
        "sectors": [price_body(one) for one in plan.sectors],
        "changes": [change_body(row) for row in changes],
    }
