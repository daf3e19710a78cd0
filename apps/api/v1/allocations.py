"""Allocations of verified data for the caller's miners, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT
from apps.api.v1.pieces import PieceOutput, piece_body
from apps.api.v1.views import PoolView
from apps.sectors.selectors.allocations import (
    AllocationFilters,
    allocation_get,
    allocation_state,
    allocations_pieces,
    allocations_read_last,
    allocations_visible,
    height_known,
)
from apps.sectors.states import AllocationState

if TYPE_CHECKING:
    from apps.pieces.models import Piece
    from apps.sectors.models import Allocation


class AllocationOutput(serializers.Serializer[Any]):
    """Data that a client wants a miner to store."""

    allocation = serializers.IntegerField(help_text="its id in the verified registry")
    client = serializers.CharField()
    miner = serializers.CharField()
    piece_cid = serializers.CharField()
    size = serializers.IntegerField(help_text="padded bytes")
    term_min = serializers.IntegerField(
        help_text="epochs that its sector must live at least, from the claim on"
    )
    term_max = serializers.IntegerField()
    expiration = serializers.IntegerField(help_text="last epoch at which it can be claimed")
    state = serializers.ChoiceField(choices=AllocationState.values)
    piece = PieceOutput(allow_null=True, help_text="its data, if they are here or failed to come")


class AllocationPage(serializers.Serializer[Any]):
    """One page, those that expire first first."""

    height = serializers.IntegerField(
        allow_null=True, help_text="head at which the chain was read; null before"
    )
    is_of_all = serializers.BooleanField(
        help_text="false if no node lists the allocations of all clients: some may be missing"
    )
    results = AllocationOutput(many=True)
    next = serializers.CharField(allow_null=True)


def allocation_body(row: Allocation, piece: Piece | None, *, height: int) -> dict[str, Any]:
    """Return one allocation as JSON."""
    names = ("piece_cid", "size", "term_min", "term_max", "expiration")
    return {
        "allocation": row.number,
        "client": f"f0{row.client}",
        "miner": row.miner.address,
        "state": str(allocation_state(row, piece, height=height)),
        "piece": None if piece is None else piece_body(piece),
        **{name: getattr(row, name) for name in names},
    }


class AllocationsView(ListView):
    """`/allocations`: data that clients want the caller's miners to store."""

    noun = AllocationFilters

    @extend_schema(parameters=[*parameters_of(AllocationFilters), CURSOR, LIMIT], responses=AllocationPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List allocations as last read; `cursor` is the `next` of the previous page."""
        rows, following = self.by_end(allocations_visible(self.principal), "expiration")
        pieces, read, height = allocations_pieces(rows), allocations_read_last(), height_known()
        return Response(
            {
                "height": None if read is None else read.height,
                "is_of_all": read is not None and read.is_of_all,
                "results": [allocation_body(row, pieces.get(row.number), height=height) for row in rows],
                "next": following,
            }
        )


class AllocationView(PoolView):
    """`/allocations/{allocation}`: one by its id."""

    filters = ()

    @extend_schema(responses=AllocationOutput)
    def get(self, request: Request, allocation: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one allocation, and where its data are."""
        row = allocation_get(self.principal, allocation)
        piece = allocations_pieces([row]).get(row.number)
        return Response(allocation_body(row, piece, height=height_known()))


urlpatterns = [
    path("allocations", AllocationsView.as_view(), name="v1-allocations"),
    path("allocations/<str:allocation>", AllocationView.as_view(), name="v1-allocation"),
]
