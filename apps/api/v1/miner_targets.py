"""Sealing targets of a miner, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CODE_HELP, AmountField, InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.targets import missing, target_get
from apps.sectors.services.sealing.targets import IN_WORK_MAX, target_remove, target_set
from apps.sectors.states import Hold

if TYPE_CHECKING:
    from apps.sectors.models import SealTarget

BYTES_MOST = 1 << 62


class TargetInput(InputSerializer):
    """Either `in_work` or `day_bytes`; omitted fields are null."""

    in_work = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=IN_WORK_MAX,
        help_text="sectors to keep in progress",
    )
    day_bytes = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BYTES_MOST,
        help_text="bytes of new sectors per day",
    )
    until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="time after which nothing is pledged"
    )
    power_max = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BYTES_MOST,
        help_text="quality-adjusted power in bytes at which pledging stops",
    )
    base_fee_max = AmountField(
        required=False,
        allow_null=True,
        help_text="attoFIL per gas; nothing is pledged while the base fee is higher",
    )
    balance_min = AmountField(
        required=False, allow_null=True, help_text="attoFIL to keep in each paying address"
    )


class TargetOutput(serializers.Serializer[Any]):
    """A target with its progress."""

    in_work = serializers.IntegerField(allow_null=True)
    day_bytes = serializers.IntegerField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)
    power_max = serializers.IntegerField(allow_null=True)
    base_fee_max = AmountField(allow_null=True)
    balance_min = AmountField()
    since = serializers.DateTimeField()
    held_by = serializers.ChoiceField(choices=[str(hold) for hold in Hold], allow_blank=True)
    reason = serializers.CharField(help_text="why nothing is pledged; empty if nothing prevents it")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    held_since = serializers.DateTimeField(allow_null=True)
    missing = serializers.IntegerField(help_text="sectors to pledge now")


def target_body(row: SealTarget) -> dict[str, Any]:
    """Return a target as JSON."""
    amount = None if row.base_fee_max is None else str(row.base_fee_max)
    plain = ("in_work", "day_bytes", "until", "power_max", "since", "held_by", "reason", "held_since")
    return {
        **{name: getattr(row, name) for name in plain},
        "reason_code": code_of(row.reason),
        "base_fee_max": amount,
        "balance_min": str(row.balance_min),
        "missing": missing(row, now=clock.now()),
    }


class MinerTargetView(PoolView):
    """`/miners/{address}/target`: sectors that the pool pledges for it by itself."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PUT": "sign", "DELETE": "sign"}
    filters = ()

    @extend_schema(responses=TargetOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the target; 404 if none is set."""
        return Response(target_body(target_get(miner_get(self.principal, address))))

    @extend_schema(request=TargetInput, responses=TargetOutput)
    def put(self, request: Request, address: str) -> Response:
        """Set the target, replacing any earlier one."""
        body = TargetInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        return Response(
            target_body(target_set(miner, values=body.validated_data, by=self.principal, now=clock.now()))
        )

    @extend_schema(responses={204: None})
    def delete(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove the target; sectors in progress continue."""
        target_remove(miner_get(self.principal, address), by=self.principal)
        return Response(status=204)


urlpatterns = [path("miners/<str:address>/target", MinerTargetView.as_view(), name="v1-miner-target")]
