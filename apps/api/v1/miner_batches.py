"""A miner's settings over REST: how its sectors are filled, paid for and sent to the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import AmountField, InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.sectors.rules.policy import BASE_FEES, BATCH_FIELDS, LIMITS, SealingPolicy, sealing_policy
from apps.sectors.selectors.batch_settings import batch_policy, batch_settings_own
from apps.sectors.services.batches.settings import batch_settings_set

if TYPE_CHECKING:
    from apps.miners.models import Miner


def _count(name: str, help_text: str) -> serializers.IntegerField:
    least, most = LIMITS[name]
    return serializers.IntegerField(
        required=False, allow_null=True, min_value=least, max_value=most, help_text=help_text
    )


def _ceiling() -> AmountField:
    help_text = (
        "attoFIL per gas; while the base fee is higher, the batch waits until it is due; 0: never waits"
    )
    return AmountField(required=False, allow_null=True, help_text=help_text)


class BatchSettingsInput(InputSerializer):
    """Fields to set; null resets one to the pool's value."""

    precommit_batch_max = _count("precommit_batch_max", "maximum sectors per message")
    precommit_wait_epochs = _count("precommit_wait_epochs", "how long the first sector waits for others")
    precommit_backlog_epochs = _count(
        "precommit_backlog_epochs", "how long it waits while more sectors are expected"
    )
    commit_batch_max = _count("commit_batch_max", "maximum sectors per message")
    commit_wait_epochs = _count("commit_wait_epochs", "how long the first sector waits for others")
    commit_backlog_epochs = _count(
        "commit_backlog_epochs", "how long it waits while more sectors are expected"
    )
    terminate_batch_max = _count("terminate_batch_max", "maximum sectors per message")
    terminate_wait_epochs = _count("terminate_wait_epochs", "how long the first sector waits for others")
    extend_batch_max = _count("extend_batch_max", "maximum sectors per message")
    extend_wait_epochs = _count("extend_wait_epochs", "how long the first sector waits for others")
    update_batch_max = _count("update_batch_max", "maximum sectors per message")
    update_wait_epochs = _count("update_wait_epochs", "how long the first sector waits for others")
    precommit_slack_epochs = _count(
        "precommit_slack_epochs",
        "remaining life of the oldest ticket or pre-commit at which its batch is sent at once",
    )
    commit_batch_bytes = _count(
        "commit_batch_bytes", "maximum proof bytes per message; a single larger proof is still sent"
    )
    aggregate_wait_s = _count("aggregate_wait_s", "how long to wait for the aggregate proof")
    pack_wait_s = _count("pack_wait_s", "how long a piece waits for others to fill its new sector")
    pack_start_slack_epochs = _count(
        "pack_start_slack_epochs",
        "remaining time until a piece must be active at which its sector is started",
    )
    sector_life_epochs = _count(
        "sector_life_epochs",
        "target life of a new sector, limited to what the network and the terms of its data allow",
    )
    funds_margin_percent = _count(
        "funds_margin_percent", "added to the pledge, which may grow until the message lands"
    )
    attempts_max = _count("attempts_max", "temporary failures of a stage before the sector is paused")
    pause_s = _count("pause_s", "delay after a temporary failure; doubles each time")
    pause_max_s = _count("pause_max_s", "maximum of this delay")
    aggregate_commits = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="aggregate four or more commits into one proof, if cheaper",
    )
    snap_up_first = serializers.BooleanField(
        required=False, allow_null=True, help_text="put pieces into committed sectors first, if there are any"
    )
    send_funds = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="messages carry the funds that the miner's own balance lacks",
    )
    precommit_base_fee_max = _ceiling()
    commit_base_fee_max = _ceiling()
    terminate_base_fee_max = _ceiling()
    extend_base_fee_max = _ceiling()
    update_base_fee_max = _ceiling()


class BatchPolicyOutput(serializers.Serializer[Any]):
    """Values in effect."""

    precommit_batch_max = serializers.IntegerField()
    precommit_wait_epochs = serializers.IntegerField()
    precommit_backlog_epochs = serializers.IntegerField()
    commit_batch_max = serializers.IntegerField()
    commit_wait_epochs = serializers.IntegerField()
    commit_backlog_epochs = serializers.IntegerField()
    terminate_batch_max = serializers.IntegerField()
    terminate_wait_epochs = serializers.IntegerField()
    extend_batch_max = serializers.IntegerField()
    extend_wait_epochs = serializers.IntegerField()
    update_batch_max = serializers.IntegerField()
    update_wait_epochs = serializers.IntegerField()
    precommit_slack_epochs = serializers.IntegerField()
    commit_batch_bytes = serializers.IntegerField()
    aggregate_wait_s = serializers.IntegerField()
    pack_wait_s = serializers.IntegerField()
    pack_start_slack_epochs = serializers.IntegerField()
    sector_life_epochs = serializers.IntegerField()
    funds_margin_percent = serializers.IntegerField()
    attempts_max = serializers.IntegerField()
    pause_s = serializers.IntegerField()
    pause_max_s = serializers.IntegerField()
    precommit_base_fee_max = AmountField()
    commit_base_fee_max = AmountField()
    terminate_base_fee_max = AmountField()
    extend_base_fee_max = AmountField()
    update_base_fee_max = AmountField()
    aggregate_commits = serializers.BooleanField()
    snap_up_first = serializers.BooleanField()
    send_funds = serializers.BooleanField()


class BatchSettingsOutput(serializers.Serializer[Any]):
    """Values in effect for the miner, the pool's values, and which of them are set for the miner."""

    in_force = BatchPolicyOutput()
    pool = BatchPolicyOutput()
    own = serializers.ListField(child=serializers.CharField())


def settings_body(miner: Miner) -> dict[str, Any]:
    """Return a miner's settings as JSON."""
    own = batch_settings_own(miner)
    return {
        "in_force": policy_body(batch_policy(miner)),
        "pool": policy_body(sealing_policy()),
        "own": [name for name, value in own.items() if value is not None],
    }


def policy_body(policy: SealingPolicy) -> dict[str, Any]:
    """Return the values that a miner may have of its own, as JSON."""
    values: dict[str, Any] = {name: policy.value(name) for name in BATCH_FIELDS}
    return values | {name: str(values[name]) for name in BASE_FEES.values()}


class MinerBatchesView(PoolView):
    """`/miners/{address}/batches`: how its sectors are filled, paid for and sent to the chain."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}
    filters = ()

    @extend_schema(responses=BatchSettingsOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the values in effect."""
        return Response(settings_body(miner_get(self.principal, address)))

    @extend_schema(request=BatchSettingsInput, responses=BatchSettingsOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Change the given fields."""
        body = BatchSettingsInput(data=request.data)
        body.is_valid(raise_exception=True)
        batch_settings_set(miner_get(self.principal, address), values=body.validated_data, by=self.principal)
        return Response(settings_body(miner_get(self.principal, address)))


urlpatterns = [
    path("miners/<str:address>/batches", MinerBatchesView.as_view(), name="v1-miner-batches"),
]
