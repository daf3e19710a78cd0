"""What miners earned and cost over REST: the sums of some days by miner, and one miner's days."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.day_ranges import NAMES, days_asked, days_parameters
from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.views import PoolView
from apps.blocks.selectors.accounts import Account, Accounts, accounts_read
from apps.blocks.selectors.billing import tenants_billed
from apps.blocks.selectors.money import (
    MinerMoney,
    MoneyLine,
    cost_per_power,
    gas_parts,
    lines_sum,
    miners_with_money,
    money_by_miner,
    money_of,
)
from apps.blocks.selectors.prices import Prices, prices_on
from apps.chain.selectors.heads import head_current
from apps.core import clock
from apps.market.selectors.earnings import payments_of
from apps.miners.selectors.miners import miner_get, miners_visible, reward_estimate
from apps.sectors.selectors.exposure import exposure_of
from apps.users.selectors.tenants import tenant_by_name

DAYS_MAX: Final = 366
DAYS_USUAL: Final = 30
DAYS: Final = days_parameters(usual=DAYS_USUAL, most=DAYS_MAX)


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
    deals = serializers.CharField(
        help_text="clients' fees for the epochs in it, settled or not: they come to the market balance"
    )
    received = serializers.CharField(help_text="sent along with the pool's messages")
    withdrawn = serializers.CharField(help_text="by the pool's messages")
    other = serializers.CharField(
        help_text="what else changed the balance: burnt as fees and penalties, or moved by other programs"
    )
    gas = serializers.CharField(help_text="of the caller's messages that call the miner; senders paid it")
    net = serializers.CharField(
        help_text="reward and deals less penalty, gas, and `other` where that is below 0"
    )


class MinerMoneyOutput(MoneyOutput):
    """The same over all its days, with the miner."""

    miner = serializers.CharField()


class AccountOutput(serializers.Serializer[Any]):
    """Earnings and costs of a tenant or miner; amounts in attoFIL."""

    reward = serializers.CharField(help_text="of blocks, with tips")
    penalty = serializers.CharField(help_text="of blocks")
    blocks = serializers.IntegerField(help_text="whose reward is known")
    unknown_rewards = serializers.IntegerField(help_text="blocks whose reward is not known")
    deals = serializers.CharField(help_text="clients' fees of active deals, settled or not")
    gas = serializers.CharField(help_text="of all messages that landed: the sum of `gas/spend`")
    fees = serializers.CharField(help_text="what else the chain took, or other programs moved out")
    charge = serializers.CharField(
        help_text="what the pool charged; of the pool itself what it was due, negative"
    )
    net = serializers.CharField()


class TenantAccountOutput(AccountOutput):
    """The same of a tenant."""

    tenant = serializers.CharField(allow_null=True, help_text="null: the pool itself")


class MinerGasOutput(serializers.Serializer[Any]):
    """A miner's part; amounts in attoFIL."""

    miner = serializers.CharField()
    reward = serializers.CharField(allow_null=True, help_text="null: no day of it is recorded")
    penalty = serializers.CharField(allow_null=True)
    deals = serializers.CharField(allow_null=True)
    fees = serializers.CharField(allow_null=True)
    gas = serializers.CharField()


class WorthOutput(serializers.Serializer[Any]):
    """The worth of the net sum in another currency, each day at its own price."""

    currency = serializers.CharField()
    value = serializers.DecimalField(
        max_digits=40, decimal_places=2, allow_null=True, help_text="null: no day of them has a price"
    )
    unpriced = serializers.ListField(child=serializers.DateField(), help_text="days that are not in it")


class LiveSectorsOutput(serializers.Serializer[Any]):
    """Fees that live sectors still have to pay, and for ending them now; amounts in attoFIL."""

    sectors = serializers.IntegerField()
    termination = serializers.CharField(help_text="fee for ending all of them now")
    daily_fees = serializers.CharField(allow_null=True, help_text="null: no node has told the supply")
    fees_to_end = serializers.CharField(allow_null=True, help_text="until each has expired")


class DealPaymentsOutput(serializers.Serializer[Any]):
    """Earnings of the present miners' deals up to now; amounts in attoFIL."""

    earned = serializers.CharField(help_text="since their start epochs")
    settled = serializers.CharField(help_text="paid into market balances, as nodes said within a day")
    unsettled = serializers.CharField(
        help_text="locked in clients' market balances until somebody settles it"
    )


class MoneySumsOutput(serializers.Serializer[Any]):
    """The money of some days: of each tenant, of each miner, and the gas that is of no miner."""

    since = serializers.DateField()
    until = serializers.DateField()
    tenants = TenantAccountOutput(many=True)
    miners = MinerGasOutput(many=True)
    not_of_a_miner = serializers.CharField(
        help_text="attoFIL of gas: transfers, new miners, acts of multisigs"
    )
    total = AccountOutput()
    worth = WorthOutput(allow_null=True, help_text="null: the operator has set no source of prices")
    deal_payments = DealPaymentsOutput()
    cost_of_tib_day = serializers.CharField(
        allow_null=True, help_text="attoFIL for a TiB of QA power and day; null: no power is recorded"
    )
    live_sectors = LiveSectorsOutput(allow_null=True, help_text="null: no node has answered yet")


def account_body(account: Account) -> dict[str, Any]:
    """Return an account as JSON."""
    return {str(name): getattr(account, str(name)) for name in AccountOutput().fields}


def sums_body(accounts: Accounts) -> dict[str, Any]:
    """Return the money of some days as JSON."""
    names = accounts.tenants
    order = sorted(accounts.by_tenant, key=lambda pk: (pk is None, names.get(pk or 0, "")))
    return {
        "since": accounts.days.first,
        "until": accounts.days.last,
        "tenants": [{"tenant": names.get(pk or 0), **account_body(accounts.by_tenant[pk])} for pk in order],
        "miners": [
            {"miner": accounts.miners[pk].address, "gas": money.gas, **_earned(money)}
            for pk, money in accounts.by_miner.items()
        ],
        "not_of_a_miner": accounts.elsewhere,
        "total": account_body(total := accounts.total),
        "worth": _worth(total, prices_on(accounts.days)),
        "deal_payments": payments_of(accounts.present),
        "cost_of_tib_day": cost_per_power(accounts.lines, now=clock.now()),
        "live_sectors": _live_sectors(accounts),
    }


def _worth(total: Account, prices: Prices) -> dict[str, Any] | None:
    if not prices.currency:
        return None
    found = prices.worth(total.net_by_day)
    value = None if found.value is None else found.value.quantize(Decimal("0.01"))
    return {"currency": prices.currency, "value": value, "unpriced": list(found.unpriced)}


def _live_sectors(accounts: Accounts) -> dict[str, Any] | None:
    head, reward = head_current(), reward_estimate()
    if head is None or reward is None:
        return None
    return asdict(exposure_of(accounts.present, reward=reward, height=head.height))


def _earned(money: MinerMoney) -> dict[str, int | None]:
    if not money.lines:
        return {"reward": None, "penalty": None, "deals": None, "fees": None}
    line = lines_sum(money.lines)
    return {"reward": line.reward, "penalty": line.penalty, "deals": line.deals, "fees": line.other_cost}


def line_body(line: MoneyLine) -> dict[str, Any]:
    """Return one line of money as JSON."""
    return {str(name): getattr(line, str(name)) for name in MoneyOutput().fields}


class MoneyView(PoolView):
    """`/money`: the sums of each miner."""

    pagination_class = Pages
    filters = (*NAMES, "limit", "offset")

    @extend_schema(responses=MinerMoneyOutput(many=True), parameters=DAYS)
    def get(self, request: Request) -> Response:
        """Return what each miner earned and cost, those without a recorded day left out."""
        days, pages = days_asked(request, usual=DAYS_USUAL, most=DAYS_MAX), Pages()
        rows = miners_with_money(miners_visible(self.principal), days=days)
        miners = list(pages.paginate_queryset(rows, request, view=self) or ())
        money = money_by_miner(miners, days=days, gas=gas_parts(self.principal, days))
        found = [line_body(lines_sum(money[miner.pk].lines)) | {"miner": miner.address} for miner in miners]
        return pages.get_paginated_response(MinerMoneyOutput(found, many=True).data)


class MoneySumsView(PoolView):
    """`/money/sums`: what page *Money* shows."""

    filters = (*NAMES, "tenant")
    whole_methods = ("GET",)

    @extend_schema(
        responses=MoneySumsOutput,
        parameters=[*DAYS, OpenApiParameter("tenant", str, description="name: its money alone")],
    )
    def get(self, request: Request) -> Response:
        """Return what tenants and miners earned and cost, whose gas adds up to that of `gas/spend`."""
        days, tenant = days_asked(request, usual=DAYS_USUAL, most=DAYS_MAX), None
        if name := request.query_params.get("tenant", ""):
            tenant = tenant_by_name(name, field="tenant", of=tenants_billed(self.principal))
        accounts = accounts_read(self.principal, days, tenant=tenant)
        return Response(MoneySumsOutput(sums_body(accounts)).data)


class MinerMoneyView(PoolView):
    """`/miners/{address}/money`: its days."""

    pagination_class = Pages
    filters = (*NAMES, "limit", "offset")

    @extend_schema(responses=MoneyOutput(many=True), parameters=DAYS)
    def get(self, request: Request, address: str) -> Response:
        """Return a miner's days, newest first."""
        days = days_asked(request, usual=DAYS_USUAL, most=DAYS_MAX)
        money = money_of(miner_get(self.principal, address), viewer=self.principal, days=days)
        return page_of(self, request, [line_body(line) for line in money.lines], MoneyOutput)


urlpatterns = [
    path("money", MoneyView.as_view(), name="v1-money"),
    path("money/sums", MoneySumsView.as_view(), name="v1-money-sums"),
    path("miners/<str:address>/money", MinerMoneyView.as_view(), name="v1-miner-money"),
]
