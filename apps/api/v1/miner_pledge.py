"""New sectors for a miner over REST: their price, and the pledge."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import verdicts_body
from apps.api.v1.pagination import number, number_parameter
from apps.api.v1.sector_output import SectorOutput, sectors_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.errors import NetworkUnknown
from apps.chain.node.client import chain_client, page_client
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.errors.pledges import BadCount
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.sectors import sectors_visible, with_batches
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.pledge_verdicts import pledge_verdicts_read
from apps.sectors.services.sealing.prices import PaymentPlan, PledgePrice, payment_plan_make, pledge_price


class PledgeInput(InputSerializer):
    """How many sectors."""

    count = serializers.IntegerField(min_value=1)


class PledgeOutput(serializers.Serializer[Any]):
    """The sectors that were started."""

    pledge = serializers.UUIDField()
    count = serializers.IntegerField()
    sectors = SectorOutput(many=True)


class PayerOutput(serializers.Serializer[Any]):
    """An address that would pay."""

    address = serializers.CharField()
    balance = serializers.CharField()
    promised = serializers.CharField()
    needs = serializers.CharField()
    can_pay = serializers.BooleanField()


class PledgePriceOutput(serializers.Serializer[Any]):
    """The current cost of one new sector in attoFIL, and who would pay for `count`."""

    count = serializers.IntegerField()
    deposit = serializers.CharField()
    topup = serializers.CharField()
    gas = serializers.CharField()
    gas_is_guess = serializers.BooleanField()
    daily_fee = serializers.CharField()
    signer = serializers.CharField(
        required=False, help_text="why the signer would not sign their messages; empty if it would"
    )
    approval = serializers.CharField(
        required=False, help_text="rules by which their messages would wait for a second person; empty: none"
    )
    life_epochs = serializers.IntegerField()
    needed = serializers.CharField(help_text="attoFIL that `count` sectors lock")
    from_balance = serializers.CharField(
        help_text="part of it paid from the miner's available balance, which is used first"
    )
    sent = serializers.CharField(help_text="part of it sent with the messages")
    payers = PayerOutput(many=True)


def price_body(price: PledgePrice, paying: PaymentPlan, *, count: int) -> dict[str, Any]:
    """Return a price as JSON."""
    funds = paying.funds(count)
    return {
        "count": count,
        "deposit": str(price.deposit),
        "topup": str(price.topup),
        "gas": str(price.gas),
        "gas_is_guess": price.is_guess,
        "daily_fee": str(price.daily_fee),
        "life_epochs": price.life_epochs,
        **{name: str(getattr(funds, name)) for name in ("needed", "from_balance", "sent")},
        "payers": [
            {
                "address": payer.address,
                "balance": str(payer.balance),
                "promised": str(payer.promised),
                "needs": str(payer.needs),
                "can_pay": payer.left >= 0,
            }
            for payer in paying.payers(count)
        ],
    }


class MinerSectorsView(PoolView):
    """`/miners/{address}/sectors`: new sectors for a miner."""

    asks_network = True

    @extend_schema(
        request=PledgeInput,
        responses={201: PledgeOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Pledge sectors: numbers are allocated, and hosts start as soon as they have a free slot."""
        body = PledgeInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        allocated = numbers_allocated(chain_client(), miner.address) if miner.address else []
        pledge = pledge_create(
            miner,
            count=body.validated_data["count"],
            actor=self.principal.actor,
            now=clock.now(),
            allocated=allocated,
            key=request.headers.get("Idempotency-Key"),
            by=self.principal,
        )
        sectors = list(with_batches(sectors_visible(self.principal)).filter(pledge=pledge).order_by("number"))
        return created({"pledge": str(pledge.uuid), "count": pledge.count, "sectors": sectors_body(sectors)})


class MinerPledgePriceView(PoolView):
    """`/miners/{address}/pledge-price`: what new sectors would cost."""

    filters = ("count",)

    @extend_schema(responses=PledgePriceOutput, parameters=[number_parameter("count", least=1)])
    def get(self, request: Request, address: str) -> Response:
        """Return deposit, pledge and fee of one sector from a node, and whether `count` can be paid."""
        most = sealing_policy().pledge_max
        count = number(request, "count", least=1, default=1, most=most + 1)
        if count > most:
            raise BadCount(gettext("must be from 1 to {most}").format(most=most), field="count")
        miner = miner_get(self.principal, address)
        network, head = network_current(), head_current()
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        price = pledge_price(miner, client=page_client(), head=head, network=network)
        verdicts = pledge_verdicts_read(miner, price=price, count=count, head=head)
        return Response(
            {
                **price_body(price, payment_plan_make(miner, price=price), count=count),
                **verdicts_body(verdicts),
            }
        )


urlpatterns = [
    path("miners/<str:address>/sectors", MinerSectorsView.as_view(), name="v1-miner-sectors"),
    path("miners/<str:address>/pledge-price", MinerPledgePriceView.as_view(), name="v1-miner-pledge-price"),
]
