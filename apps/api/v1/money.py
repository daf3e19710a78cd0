"""What miners earned and cost over REST: the sums of some days by miner, and one miner's days."""

from __future__ import annotations

from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages, number, number_parameter, page_of
from apps.api.v1.views import PoolView
from apps.blocks.selectors.money import MoneyLine, lines_sum, miners_with_money, money_by_miner, money_lines
from apps.core import clock
from apps.miners.selectors.miners import miner_get, miners_visible

DAYS_MAX: Final = 366
DAYS_USUAL: Final = 30
DAYS: Final = number_parameter(
    "days", least=1, description=f"today included; {DAYS_USUAL}, at most {DAYS_MAX}"
)


class MoneyOutput(serializers.Serializer[Any]):
    """What moved in a span of time; amounts in attoFIL."""

    day = serializers.DateField(help_text="UTC day on which it began")
    begin = serializers.DateTimeField()
    end = serializers.DateTimeField(allow_null=True, help_text="null: it still runs")
    opening = serializers.CharField(help_text="balance as it began")
    closing = serializers.CharField()
    reward = serializers.CharField(help_text="of blocks, with tips")
    penalty = serializers.CharField(help_text="of blocks")
    blocks = serializers.IntegerField(help_text="whose reward is known")
    unknown_rewards = serializers.IntegerField(help_text="blocks whose reward is not known: it is in `other`")
    received = serializers.CharField(help_text="sent along with the pool's messages")
    withdrawn = serializers.CharField(help_text="by the pool's messages")
    other = serializers.CharField(
        help_text="what else changed the balance: burnt as fees and penalties, or moved by other programs"
    )
    gas = serializers.CharField(help_text="of messages that call the miner; their senders paid it")
    net = serializers.CharField(help_text="reward less penalty, gas, and `other` where that is below 0")


class MinerMoneyOutput(MoneyOutput):
    """The same over all its days, with the miner."""

    miner = serializers.CharField()


def days_of(request: Request) -> int:
    """Read `days`.  Raises BadValue."""
    return number(request, "days", least=1, default=DAYS_USUAL, most=DAYS_MAX)


def line_body(line: MoneyLine) -> dict[str, Any]:
    """Return one line of money as JSON."""
    return {str(name): getattr(line, str(name)) for name in MoneyOutput().fields}


class MoneyView(PoolView):
    """`/money`: the sums of each miner."""

    pagination_class = Pages
    filters = ("days", "limit", "offset")

    @extend_schema(responses=MinerMoneyOutput(many=True), parameters=[DAYS])
    def get(self, request: Request) -> Response:
        """Return what each miner earned and cost, those without a recorded day left out."""
        days, now = days_of(request), clock.now()
        pages = Pages()
        rows = miners_with_money(miners_visible(self.principal), days=days, now=now)
        miners = list(pages.paginate_queryset(rows, request, view=self) or ())
        lines = money_by_miner(miners, days=days, now=now)
        found = [line_body(lines_sum(lines[miner.pk])) | {"miner": miner.address} for miner in miners]
        return pages.get_paginated_response(MinerMoneyOutput(found, many=True).data)


class MinerMoneyView(PoolView):
    """`/miners/{address}/money`: its days."""

    pagination_class = Pages
    filters = ("days", "limit", "offset")

    @extend_schema(responses=MoneyOutput(many=True), parameters=[DAYS])
    def get(self, request: Request, address: str) -> Response:
        """Return a miner's days, newest first."""
        lines = money_lines(miner_get(self.principal, address), days=days_of(request), now=clock.now())
        return page_of(self, request, [line_body(line) for line in lines], MoneyOutput)


urlpatterns = [
    path("money", MoneyView.as_view(), name="v1-money"),
    path("miners/<str:address>/money", MinerMoneyView.as_view(), name="v1-miner-money"),
]
