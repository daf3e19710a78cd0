"""One miner over REST, and how its new sectors are sealed."""

from __future__ import annotations

from typing import ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.miner_output import CHALLENGE_RULES, MinerOutput, miner_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.selectors.network import network_current
from apps.miners.selectors.miners import miner_get
from apps.miners.services.porep import porep_set


class MinerChange(InputSerializer):
    """Changes to a miner that need no message."""

    porep = serializers.ChoiceField(
        choices=CHALLENGE_RULES,
        help_text="how its new sectors are sealed; sectors with data are never sealed non-interactively",
    )


class MinerView(PoolView):
    """`/miners/{address}`: one miner."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}

    @extend_schema(responses=MinerOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one miner."""
        return Response(miner_body(miner_get(self.principal, address)))

    @extend_schema(request=MinerChange, responses=MinerOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Set how the miner's new sectors are sealed, of what its network supports."""
        miner = miner_get(self.principal, address)
        body = MinerChange(data=request.data)
        body.is_valid(raise_exception=True)
        porep_set(miner, rule=body.validated_data["porep"], network=network_current(), by=self.principal)
        return Response(miner_body(miner_get(self.principal, address)))


urlpatterns = [
    path("miners/<str:address>", MinerView.as_view(), name="v1-miner"),
]
