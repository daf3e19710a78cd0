"""Packing a miner's pieces into sectors at once, over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.core import clock
from apps.miners.selectors.miners import miner_get
from apps.sectors.services.sealing.packing import PackedSector, packing_plan, packing_request


class PackedSectorOutput(serializers.Serializer[Any]):
    """A sector that would be started for waiting pieces."""

    pieces = serializers.ListField(child=serializers.CharField(), help_text="piece commitments")
    used = serializers.IntegerField(help_text="padded bytes of its pieces; the rest is filled with zeros")
    size = serializers.IntegerField()


class PiecesSealOutput(serializers.Serializer[Any]):
    """Sectors that would be started for waiting pieces."""

    sectors = PackedSectorOutput(many=True)


def packing_body(plan: Sequence[PackedSector]) -> dict[str, Any]:
    """Return the sectors that waiting pieces begin, as JSON."""
    names = [[str(piece.piece_cid) for piece in packed.pieces] for packed in plan]
    rows = zip(names, plan, strict=True)
    return {"sectors": [{"pieces": ids, "used": one.used, "size": one.size} for ids, one in rows]}


class MinerPiecesSealView(PoolView):
    """`/miners/{address}/pieces/seal`: pieces that wait for others to fill their new sectors."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    filters = ()
    bodiless_methods = ("POST",)

    @extend_schema(responses=PiecesSealOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the sectors that the waiting pieces would start now."""
        return Response(packing_body(packing_plan(miner_get(self.principal, address))))

    @extend_schema(request=None, responses=PiecesSealOutput)
    def post(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Start these sectors with the next head, even if part-filled; 409 if no piece is waiting."""
        miner = miner_get(self.principal, address)
        return Response(packing_body(packing_request(miner, now=clock.now(), by=self.principal)))


urlpatterns = [
    path("miners/<str:address>/pieces/seal", MinerPiecesSealView.as_view(), name="v1-miner-pieces-seal"),
]
