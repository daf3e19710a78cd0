"""Clients' deals over REST: lists, one deal, and the data of one that come in another way."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT
from apps.api.v1.piece_uploads import FILE_NAME, UploadView
from apps.api.v1.serializers import CODE_HELP, AmountField, InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.selectors.heads import head_current
from apps.core.reasons import code_of
from apps.market.rules import HEADERS_MAX, headers_read, ulid_encode
from apps.market.selectors.deals import DealFilters, deal_get, deals_visible, transfer_of
from apps.market.selectors.earnings import deal_payments
from apps.market.selectors.settlements import settlements_of_deal
from apps.market.services.follow import deal_end
from apps.market.services.transfers import deal_fetch, deal_import
from apps.market.states import DealDoor, DealSource, DealState

if TYPE_CHECKING:
    from apps.market.models import Deal


class TransferOutput(serializers.Serializer[Any]):
    """How far the data of a deal have come."""

    received = serializers.IntegerField(help_text="raw bytes")
    rate = serializers.IntegerField(allow_null=True, help_text="bytes a second; null: not known")
    ends_at = serializers.DateTimeField(allow_null=True, help_text="when all will be here at that rate")
    error = serializers.CharField(help_text="what went wrong with a download that is tried again")


class DealOutput(serializers.Serializer[Any]):
    """One deal."""

    uuid = serializers.UUIDField()
    ulid = serializers.CharField(help_text="the same, as clients of market 2.0 write it")
    miner = serializers.CharField()
    state = serializers.ChoiceField(choices=DealState.values)
    state_since = serializers.DateTimeField()
    reason = serializers.CharField(help_text="why it was refused or failed, or what holds it up")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    door = serializers.ChoiceField(choices=DealDoor.values)
    client = serializers.CharField()
    piece_cid = serializers.CharField()
    padded_size = serializers.IntegerField()
    raw_size = serializers.IntegerField()
    allocation = serializers.IntegerField(allow_null=True, help_text="null: plain data")
    is_verified = serializers.BooleanField(help_text="whether data cap pays for it")
    chain_deal = serializers.IntegerField(
        allow_null=True, help_text="its number at the market actor, once it is published"
    )
    price = AmountField(help_text="attoFIL that the client pays per epoch; 0 of deals off the market actor")
    collateral = AmountField(help_text="attoFIL that publishing locks in the miner's market balance")
    lockup = AmountField(help_text="attoFIL that it locks in the client's")
    start_epoch = serializers.IntegerField(allow_null=True)
    duration = serializers.IntegerField(help_text="epochs")
    removes_copy = serializers.BooleanField(
        help_text="whether its client wants no unsealed copy kept once it is active"
    )
    source = serializers.ChoiceField(choices=DealSource.values)  # type: ignore[assignment]  # a field of DRF's
    data_until = serializers.DateTimeField(allow_null=True, help_text="until when its data may come")
    sector = serializers.IntegerField(allow_null=True)
    upload = serializers.CharField(allow_null=True, help_text="uuid of its piece")
    created_at = serializers.DateTimeField()


class DealSettlementOutput(serializers.Serializer[Any]):
    """A message that has settled the deal, or is to."""

    message = serializers.CharField(allow_null=True, help_text="its id; null: it is not kept any more")
    created_at = serializers.DateTimeField()
    is_open = serializers.BooleanField(help_text="whether its outcome is not known yet")
    payment = AmountField(help_text="attoFIL that it has paid for this deal")
    height = serializers.IntegerField(
        allow_null=True, help_text="epoch in which it landed; null: it has not, or came to nothing"
    )


class DealDetailOutput(DealOutput):
    """One deal, and how far its data have come."""

    transfer = TransferOutput(allow_null=True, help_text="null: no data come now")
    earned = AmountField(help_text="attoFIL of its fee for the epochs that it was active")
    settled = AmountField(
        help_text="attoFIL of it that the market actor has paid, as a node said within a day"
    )
    settlements = DealSettlementOutput(many=True, help_text="of this pool, newest first")


class DealPage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = DealOutput(many=True)
    next = serializers.CharField(allow_null=True)


def deal_body(deal: Deal) -> dict[str, Any]:
    """Return one deal as JSON."""
    names = (
        *("state", "state_since", "reason", "door", "client", "piece_cid", "padded_size", "raw_size"),
        *(
            "allocation",
            "chain_deal",
            "start_epoch",
            "duration",
            "source",
            "data_until",
            "created_at",
            "removes_copy",
        ),
    )
    return {
        "uuid": str(deal.uuid),
        "ulid": ulid_encode(deal.uuid),
        "miner": deal.miner.address,
        "sector": deal.sector_number,
        "is_verified": deal.is_verified or deal.allocation is not None,
        "price": str(deal.price),
        "collateral": str(deal.collateral),
        "lockup": str(deal.lockup),
        "upload": None if deal.piece is None else str(deal.piece.uuid),
        **{name: getattr(deal, name) for name in names},
        "reason_code": code_of(deal.reason),
    }


def detail_body(deal: Deal) -> dict[str, Any]:
    """Return one deal as JSON, with how far its data have come."""
    found, head = transfer_of(deal), head_current()
    paid = deal_payments(deal, height=0 if head is None else head.height)
    return deal_body(deal) | {
        "transfer": None if found is None else asdict(found),
        "earned": str(paid.earned),
        "settled": str(paid.settled),
        "settlements": [
            {
                "message": None if row.settlement.message is None else row.settlement.message.push_id,
                "created_at": row.settlement.created_at,
                "is_open": row.is_open,
                "payment": str(row.payment),
                "height": row.settlement.height,
            }
            for row in settlements_of_deal(deal)
        ],
    }


class DealsView(ListView):
    """`/deals`: the deals of the caller's miners."""

    noun = DealFilters

    @extend_schema(parameters=[*parameters_of(DealFilters), CURSOR, LIMIT], responses=DealPage)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List deals, newest first; `cursor` is the `next` of the previous page."""
        rows, following = self.newest(deals_visible(self.principal))
        return Response({"results": [deal_body(row) for row in rows], "next": following})


class DealView(PoolView):
    """`/deals/{uuid}`: one deal."""

    filters = ()

    @extend_schema(responses=DealDetailOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its state, or why it was refused or failed."""
        return Response(detail_body(deal_get(self.principal, uuid)))


class DealDataView(UploadView):
    """`/deals/{uuid}/data`: the data of a deal that come on disks, or otherwise past the client's doors."""

    filters = ()
    write_parameters = ("file_name",)

    @extend_schema(
        parameters=[FILE_NAME],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses=DealOutput,
    )
    def post(self, request: Request, uuid: str) -> Response:
        """Import them: the body is the raw bytes; others than the deal's are refused, and it waits on."""
        deal = deal_get(self.principal, uuid)
        name = request.query_params.get("file_name", "")
        deal_import(deal, source=request._request, by=self.principal, file_name=name)
        return Response(deal_body(deal))


class DealFetchInput(InputSerializer):
    """URL and headers of the data of an offline deal."""

    url = serializers.CharField(max_length=2_000)
    headers = serializers.ListField(
        child=serializers.CharField(max_length=4_200),
        required=False,
        max_length=HEADERS_MAX,
        help_text="sent to the URL's host, each as `Name: value`; kept encrypted",
    )


class DealFetchView(PoolView):
    """`/deals/{uuid}/data:fetch`: the data of an offline deal that lie behind a URL."""

    @extend_schema(request=DealFetchInput, responses=DealOutput)
    def post(self, request: Request, uuid: str) -> Response:
        """Download an offline deal's data from a URL.

        Until all are here its state is TRANSFERRING, unless the miner has them.  If that fails, it waits.
        """
        body = DealFetchInput(data=request.data)
        body.is_valid(raise_exception=True)
        deal = deal_get(self.principal, uuid)
        headers = headers_read(body.validated_data.get("headers", ()))
        deal_fetch(deal, url=body.validated_data["url"], headers=headers, by=self.principal)
        return Response(deal_body(deal))


class DealEndView(PoolView):
    """`/deals/{uuid}/end`: a deal that is in no message and no sector."""

    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=DealOutput)
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """End a deal that is not published and in no sector: its client sees that it failed."""
        deal = deal_get(self.principal, uuid)
        deal_end(deal, by=self.principal)
        return Response(deal_body(deal))


urlpatterns = [
    path("deals", DealsView.as_view(), name="v1-deals"),
    path("deals/<str:uuid>", DealView.as_view(), name="v1-deal"),
    path("deals/<str:uuid>/data", DealDataView.as_view(), name="v1-deal-data"),
    path("deals/<str:uuid>/end", DealEndView.as_view(), name="v1-deal-end"),
    path("deals/<str:uuid>/data:fetch", DealFetchView.as_view(), name="v1-deal-fetch"),
]
