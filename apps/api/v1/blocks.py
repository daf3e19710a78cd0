"""Rounds and blocks over REST."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.block_output import BlockPage, RoundPage, block_body, round_body
from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, number, number_parameter
from apps.api.v1.views import PoolView
from apps.blocks.selectors.mining_status import mining_status
from apps.blocks.selectors.rounds import blocks_of, rounds_of
from apps.core import clock
from apps.miners.selectors.miners import miner_get

PAGE_DEFAULT = 100
EPOCH_MAX = 10**12 - 1


class MinerRoundsView(PoolView):
    """`/miners/{address}/rounds`: what the miner did at each epoch."""

    filters = ("from", "to", "cursor", "limit")

    @extend_schema(
        parameters=[
            number_parameter("from", least=0, description="first epoch"),
            number_parameter("to", least=0, description="last epoch"),
            CURSOR,
            LIMIT,
        ],
        responses=RoundPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List rounds, newest first; those without a win are kept for `BLOCK_ROUNDS_KEPT_H` hours."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        last = min(
            number(request, "to", least=0, default=EPOCH_MAX, most=EPOCH_MAX),
            number(request, "cursor", least=0, default=EPOCH_MAX, most=EPOCH_MAX),
        )
        first = number(request, "from", least=0, default=0, most=EPOCH_MAX)
        rows = list(rounds_of(miner, first=first, last=last)[: limit + 1])
        more = str(rows[limit].epoch) if len(rows) > limit else None
        why = mining_status(miner, now=clock.now()).why_not
        return Response(
            {"results": [round_body(row) for row in rows[:limit]], "next": more, "why_not_now": why}
        )


class MinerBlocksView(PoolView):
    """`/miners/{address}/blocks`: the blocks that were made for the miner."""

    filters = ("cursor", "limit")

    @extend_schema(
        parameters=[CURSOR, LIMIT],
        responses=BlockPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List blocks, newest first."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        last = number(request, "cursor", least=0, default=EPOCH_MAX, most=EPOCH_MAX)
        rows = list(blocks_of([miner]).filter(height__lte=last)[: limit + 1])
        more = str(rows[limit].height) if len(rows) > limit else None
        return Response({"results": [block_body(row) for row in rows[:limit]], "next": more})


urlpatterns = [
    path("miners/<str:address>/rounds", MinerRoundsView.as_view(), name="v1-miner-rounds"),
    path("miners/<str:address>/blocks", MinerBlocksView.as_view(), name="v1-miner-blocks"),
]
