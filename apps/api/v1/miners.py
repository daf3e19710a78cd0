"""Miners over REST: list, one, its deadlines, and pledging sectors."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Q
from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import number
from apps.api.v1.sectors import SectorOutput, sectors_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.client import chain_client
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import head_current, network_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.miners.onchain import numbers_allocated
from apps.miners.selectors import miner_get, miners_visible, sender_choose
from apps.miners.services.create import MinerSpec, miner_create
from apps.miners.services.importing import miner_import
from apps.miners.services.porep import porep_of
from apps.miners.states import MinerState, ProvenBy, Use
from apps.proving.selectors.deadlines import deadlines_of
from apps.sectors.errors import BadCount
from apps.sectors.policy import sealing_policy
from apps.sectors.selectors.sectors import sectors_visible, with_batches
from apps.sectors.services.sealing.pledge import pledge_create
from apps.sectors.services.sealing.prices import Paying, PledgePrice, paying_of, pledge_price
from apps.users.principals import Principal
from apps.users.selectors import tenant_by_name
from poolsite.filecoin.porep.parameters import ChallengeRule

if TYPE_CHECKING:
    from apps.miners.models import Miner
    from apps.proving.models import Deadline

PAGE_DEFAULT = 100
PAGE_MAX = 1_000


class MinerOutput(serializers.Serializer[Any]):
    """One miner as last read from the chain; found by any of its addresses, or by `uuid` without one."""

    uuid = serializers.UUIDField()
    address = serializers.CharField(allow_null=True)
    robust = serializers.CharField(allow_null=True)
    name = serializers.CharField()
    tenant = serializers.CharField()
    state = serializers.ChoiceField(choices=MinerState.values)
    error = serializers.CharField()
    owner = serializers.CharField()
    worker = serializers.CharField()
    control = serializers.ListField(child=serializers.CharField())
    beneficiary = serializers.CharField(allow_null=True)
    seal_proof = serializers.IntegerField()
    porep = serializers.ChoiceField(
        choices=[str(rule) for rule in ChallengeRule], help_text="how its new sectors are sealed"
    )
    post_proof = serializers.IntegerField()
    sector_size = serializers.IntegerField()
    raw_power = serializers.CharField()
    qa_power = serializers.CharField()
    has_min_power = serializers.BooleanField()
    balance = serializers.CharField()
    available = serializers.CharField()
    locked = serializers.CharField()
    pledge = serializers.CharField()
    deposits = serializers.CharField()
    fee_debt = serializers.CharField()
    live_sectors = serializers.IntegerField()
    active_sectors = serializers.IntegerField()
    faulty_sectors = serializers.IntegerField()
    unlisted_sectors = serializers.IntegerField(
        help_text="live sectors not in the database, counted once per proving period"
    )
    current_deadline = serializers.IntegerField()
    refreshed_height = serializers.IntegerField(allow_null=True)
    works_from = serializers.IntegerField(
        allow_null=True, help_text="the pool proves and mines from this height on; null: always"
    )
    works_until = serializers.IntegerField(
        allow_null=True,
        help_text="another program does from this height on; 0: it already does; null: none does",
    )
    senders = serializers.DictField(child=serializers.CharField())


class MinerPage(serializers.Serializer[Any]):
    """One page, oldest first."""

    results = MinerOutput(many=True)
    next = serializers.CharField(allow_null=True)


class MinerInput(InputSerializer):
    """A miner to create, with `owner`, `worker` and `sector_size`, or to import, with `address`."""

    name = serializers.CharField(max_length=64)
    tenant = serializers.CharField(
        required=False, help_text="set by the operator only; otherwise the caller's own"
    )
    address = serializers.CharField(required=False, help_text="address of a miner that exists on chain")
    proven_by = serializers.ChoiceField(
        choices=ProvenBy.values,
        required=False,
        help_text="imported miner with live sectors: who proves them and makes its blocks now; `other` "
        "does until a height is set by `/miners/{address}/move`",
    )
    owner = serializers.CharField(required=False)
    worker = serializers.CharField(required=False)
    sector_size = serializers.IntegerField(required=False, min_value=1)
    fund_worker = serializers.BooleanField(
        default=False, help_text="send the worker 0.1 FIL first if its address does not exist on chain"
    )


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
    life_epochs = serializers.IntegerField()
    needed = serializers.CharField(help_text="attoFIL that `count` sectors lock")
    from_balance = serializers.CharField(
        help_text="part of it paid from the miner's available balance, which is used first"
    )
    sent = serializers.CharField(help_text="part of it sent with the messages")
    payers = PayerOutput(many=True)


class DeadlineOutput(serializers.Serializer[Any]):
    """One deadline in its present or next window."""

    index = serializers.IntegerField()
    open = serializers.IntegerField()
    close = serializers.IntegerField()
    challenge = serializers.IntegerField()
    fault_cutoff = serializers.IntegerField()
    partitions = serializers.IntegerField()
    live = serializers.IntegerField()
    active = serializers.IntegerField()
    faulty = serializers.IntegerField()
    recovering = serializers.IntegerField()
    forecast = serializers.CharField()
    reason = serializers.CharField()
    miss = serializers.FloatField(
        allow_null=True, help_text="probability that the next proof does not land; null if not measured yet"
    )
    lacks = serializers.DictField(
        child=serializers.CharField(), help_text="preconditions that are not met, with the reason"
    )


class DeadlineList(serializers.Serializer[Any]):
    """All deadlines of a miner by index."""

    results = DeadlineOutput(many=True)


AMOUNTS = ("raw_power", "qa_power", "balance", "available", "locked", "pledge", "deposits", "fee_debt")
PLAIN = (
    "name",
    "state",
    "error",
    "owner",
    "worker",
    "control",
    "seal_proof",
    "post_proof",
    "sector_size",
    "has_min_power",
    "live_sectors",
    "active_sectors",
    "faulty_sectors",
    "unlisted_sectors",
    "works_from",
    "works_until",
    "current_deadline",
)


def miner_body(miner: Miner) -> dict[str, Any]:
    """Write one miner."""
    return {
        "uuid": str(miner.uuid),
        "address": miner.address or None,
        "robust": miner.robust or None,
        "tenant": miner.tenant.name,
        "beneficiary": miner.beneficiary or None,
        "porep": str(porep_of(miner)),
        "refreshed_height": miner.refreshed_height if miner.refreshed_height >= 0 else None,
        "senders": {use.value: sender_choose(miner, use).address for use in Use},
        **{name: getattr(miner, name) for name in PLAIN},
        **{name: str(getattr(miner, name)) for name in AMOUNTS},
    }


def deadline_body(row: Deadline) -> dict[str, Any]:
    """Write one deadline."""
    return {
        "index": row.index,
        "open": row.open_epoch,
        "close": row.close_epoch,
        "challenge": row.challenge_epoch,
        "fault_cutoff": row.cutoff_epoch,
        "partitions": row.partitions_count,
        "live": row.live,
        "active": row.active,
        "faulty": row.faulty,
        "recovering": row.recovering,
        "forecast": row.forecast,
        "reason": row.reason,
        "miss": row.miss,
        "lacks": row.lacks,
    }


def price_body(price: PledgePrice, paying: Paying, *, count: int) -> dict[str, Any]:
    """Write a price."""
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


class MinersView(PoolView):
    """`/miners`: the caller's miners, and one more."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)

    @extend_schema(
        operation_id="v1_miners_add",
        request=MinerInput,
        responses={201: MinerOutput},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request) -> Response:
        """Create a miner, which exists once its message has landed, or import an existing one."""
        body = MinerInput(data=request.data)
        body.is_valid(raise_exception=True)
        return created(miner_body(miner_added(self.principal, **body.validated_data)))

    @extend_schema(
        operation_id="v1_miners_list",
        parameters=[
            OpenApiParameter("state", str, many=True, enum=MinerState.values),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=MinerPage,
    )
    def get(self, request: Request) -> Response:
        """List the miners on chain, or those in a `state`; `cursor` is the `next` of the previous page.

        A miner that is being created has no address yet: it is listed only if `state` asks for its state.
        """
        query = request.query_params
        unknown = set(query) - {"state", "cursor", "limit", "token"}
        if unknown:
            raise BadValue(gettext("there is no such filter"), field=sorted(unknown)[0])
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        after = number(request, "cursor", least=0, default=0, most=10**12)
        states = query.getlist("state")
        if not set(states) <= set(MinerState.values):
            raise BadValue(gettext("there is no such state"), field="state")
        wanted = Q(state__in=states) if states else Q(actor_id__isnull=False)
        rows = list(miners_visible(self.principal).filter(wanted, pk__gt=after)[: limit + 1])
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": [miner_body(row) for row in rows[:limit]], "next": more})


def miner_added(principal: Principal, *, name: str, **body: Any) -> Miner:
    """Do what a body asks.  Raises DomainError with the field to blame."""
    wished = body.get("tenant", principal.tenant_name)
    if wished != principal.tenant_name and not principal.is_operator:
        raise BadValue(gettext("you can only add miners of your own tenant"), field="tenant")
    tenant, client, network = tenant_by_name(wished), chain_client(), network_current()
    if "address" in body:
        return miner_import(
            body["address"],
            name=name,
            principal=principal,
            tenant=tenant,
            client=client,
            network=network,
            proven_by=body.get("proven_by", ""),
        )
    for field in ("owner", "worker", "sector_size"):
        if field not in body:
            raise BadValue(gettext("is required for a new miner"), field=field)
    wish = MinerSpec(
        name=name,
        owner=body["owner"],
        worker=body["worker"],
        sector_size=body["sector_size"],
        key=uuid.uuid4().hex,
        fund_worker=body["fund_worker"],
    )
    return miner_create(wish, principal=principal, tenant=tenant, client=client, network=network)


class MinerSectorsView(PoolView):
    """`/miners/{address}/sectors`: new sectors for a miner."""

    @extend_schema(
        request=PledgeInput,
        responses={201: PledgeOutput},
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request, address: str) -> Response:
        """Pledge sectors: numbers are allocated, and hosts start as soon as they have a free slot."""
        body = PledgeInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        taken = numbers_allocated(chain_client(), miner.address) if miner.address else []
        pledge = pledge_create(
            miner,
            count=body.validated_data["count"],
            actor=self.principal.actor,
            now=clock.now(),
            taken=taken,
            key=request.headers.get("Idempotency-Key"),
            by=self.principal,
        )
        sectors = list(with_batches(sectors_visible(self.principal)).filter(pledge=pledge).order_by("number"))
        return created({"pledge": str(pledge.uuid), "count": pledge.count, "sectors": sectors_body(sectors)})


class MinerPledgePriceView(PoolView):
    """`/miners/{address}/pledge-price`: what new sectors would cost."""

    @extend_schema(responses=PledgePriceOutput, parameters=[OpenApiParameter("count", int)])
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
        price = pledge_price(miner, client=chain_client(), head=head, network=network)
        return Response(price_body(price, paying_of(miner, price), count=count))


class MinerDeadlinesView(PoolView):
    """`/miners/{address}/deadlines`: windows and what will become of them."""

    @extend_schema(responses=DeadlineList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the deadlines of a miner."""
        rows = deadlines_of(miner_get(self.principal, address))
        return Response({"results": [deadline_body(row) for row in rows]})


urlpatterns = [
    path("miners", MinersView.as_view(), name="v1-miners"),
    path("miners/<str:address>/sectors", MinerSectorsView.as_view(), name="v1-miner-sectors"),
    path("miners/<str:address>/pledge-price", MinerPledgePriceView.as_view(), name="v1-miner-pledge-price"),
    path("miners/<str:address>/deadlines", MinerDeadlinesView.as_view(), name="v1-miner-deadlines"),
]
