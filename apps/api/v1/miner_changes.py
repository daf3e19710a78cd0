"""What an operator changes about a miner over REST: whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.miners.selectors.miners import miner_get
from apps.miners.services.transfer import TransferRequest
from apps.proving.services.transfer import miner_transfer
from apps.users.selectors.tenants import tenant_by_name

if TYPE_CHECKING:
    from apps.miners.models import MinerTransfer


class MinerTransferInput(InputSerializer):
    """The tenant to transfer a miner to; with `from_tenant`, only if that tenant has it."""

    tenant = serializers.CharField(max_length=50)
    from_tenant = serializers.CharField(
        max_length=50, required=False, help_text="current tenant, as you saw it"
    )


class MinerTransferOutput(serializers.Serializer[Any]):
    """A transfer with what was moved and what the old tenant's tokens lost."""

    id = serializers.UUIDField()
    miner = serializers.CharField()
    from_tenant = serializers.CharField()
    tenant = serializers.CharField()
    at = serializers.DateTimeField()
    by = serializers.CharField()
    sectors = serializers.IntegerField()
    messages = serializers.IntegerField(
        help_text="open messages to the miner, which stay with the old tenant"
    )
    tokens_kept = serializers.ListField(child=serializers.CharField())
    tokens_revoked = serializers.ListField(child=serializers.CharField())


def transfer_body(row: MinerTransfer) -> dict[str, Any]:
    """Return one transfer as JSON."""
    return {
        "id": str(row.uuid),
        "miner": row.miner.address,
        "from_tenant": row.from_tenant.name,
        "tenant": row.to_tenant.name,
        "at": row.at,
        "by": row.actor,
        "sectors": row.sectors,
        "messages": row.messages,
        "tokens_kept": row.tokens_kept,
        "tokens_revoked": row.tokens_revoked,
    }


class MinerTransferView(PoolView):
    """`/miners/{address}/transfer`: a miner goes to another tenant."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "admin"}
    operator_methods = ("POST",)
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(
        request=MinerTransferInput,
        responses={201: MinerTransferOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Transfer a miner with its sectors, deadlines and settings; safe to repeat."""
        body = MinerTransferInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        transfer = TransferRequest(
            miner=miner,
            to_tenant=tenant_by_name(body.validated_data["tenant"], field="tenant"),
            from_tenant=body.validated_data.get("from_tenant", ""),
            key=request.headers.get("Idempotency-Key", ""),
        )
        done = miner_transfer(transfer, principal=self.principal, now=clock.now())
        return created(transfer_body(done))


urlpatterns = [
    path("miners/<str:address>/transfer", MinerTransferView.as_view(), name="v1-miner-transfer"),
]
