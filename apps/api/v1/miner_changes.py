"""What an operator changes about a miner over REST: whose it is."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.miners.handover import HandOverWish
from apps.miners.models import HandOver
from apps.miners.selectors import miner_get
from apps.proving.services.handover import miner_hand_over
from apps.users.errors import TenantUnknown
from apps.users.models import Tenant
from apps.users.selectors import tenant_by_name


class HandOverInput(InputSerializer):
    """To whom a miner goes; with `giver` it goes from that tenant only."""

    tenant = serializers.CharField(max_length=50)
    giver = serializers.CharField(max_length=50, required=False, help_text="who has it, as you saw it")


class HandOverOutput(serializers.Serializer[Any]):
    """A hand-over with what went along and what the giver's tokens lost."""

    id = serializers.UUIDField()
    miner = serializers.CharField()
    giver = serializers.CharField()
    tenant = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    sectors = serializers.IntegerField()
    messages = serializers.IntegerField(help_text="to it and on their way: they stay the giver's")
    tokens_kept = serializers.ListField(child=serializers.CharField())
    tokens_revoked = serializers.ListField(child=serializers.CharField())


def hand_over_body(row: HandOver) -> dict[str, Any]:
    """Write one hand-over."""
    return {
        "id": str(row.uuid),
        "miner": row.miner.address,
        "giver": row.giver.name,
        "tenant": row.receiver.name,
        "at": row.at,
        "by": row.actor,
        "sectors": row.sectors,
        "messages": row.messages,
        "tokens_kept": row.tokens_kept,
        "tokens_revoked": row.tokens_revoked,
    }


def receiver_named(name: str) -> Tenant:
    """Find who is to have the miner.  Raises TenantUnknown."""
    try:
        return tenant_by_name(name)
    except TenantUnknown:
        raise TenantUnknown(name, field="tenant") from None


class MinerHandOverView(PoolView):
    """`/miners/{address}/hand-over`: a miner goes to another tenant."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "admin"}
    operator_methods = ("POST",)
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(
        operation_id="v1_miners_hand_over",
        request=HandOverInput,
        responses={201: HandOverOutput},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request, address: str) -> Response:
        """Hand a miner to another tenant, with its sectors, deadlines and settings; again is no other one."""
        body = HandOverInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        wish = HandOverWish(
            miner=miner,
            receiver=receiver_named(body.validated_data["tenant"]),
            giver=body.validated_data.get("giver", ""),
            key=request.headers.get("Idempotency-Key", ""),
        )
        done = miner_hand_over(wish, principal=self.principal, now=clock.now())
        return created(hand_over_body(done))


urlpatterns = [
    path("miners/<str:address>/hand-over", MinerHandOverView.as_view(), name="v1-miner-hand-over"),
]
