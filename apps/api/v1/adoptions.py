"""Sectors that the chain has and the pool no row for, over REST: counted, adopted, followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.pagination import CURSOR, LIMIT, newest_page
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.adoptions import adoption_get, adoptions_of
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.adoptions.plans import AdoptionPlan, adoption_begin, adoption_cancel, adoption_plan
from apps.sectors.services.reservations import numbers_format, numbers_parse
from apps.sectors.states import AdoptionState
from poolsite.filecoin.bitfield import bitfield_of_runs

if TYPE_CHECKING:
    from apps.sectors.models import SectorAdoption

NUMBERS_CHARS = 10_000


class AdoptionInput(InputSerializer):
    """Which sectors; by default all that are live on chain and not in the database."""

    numbers = serializers.CharField(
        required=False, max_length=NUMBERS_CHARS, help_text="in lotus-miner's notation: `5-9,12`"
    )


class AdoptionPlanOutput(serializers.Serializer[Any]):
    """What an adoption would write."""

    count = serializers.IntegerField(help_text="sectors that would be added")
    numbers = serializers.CharField(help_text="the first of them")
    listed = serializers.IntegerField(help_text="requested sectors that are already in the database")
    absent = serializers.CharField(help_text="requested sectors that are not live on chain")


class AdoptionOutput(serializers.Serializer[Any]):
    """An adoption with its progress."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    state = serializers.ChoiceField(choices=AdoptionState.values)
    numbers = serializers.CharField(help_text="the first of them")
    total = serializers.IntegerField()
    written = serializers.IntegerField(help_text="sectors added so far")
    absent = serializers.IntegerField(help_text="sectors that ended on chain before they were reached")
    unplaced = serializers.IntegerField(help_text="sectors of the miner whose files are in no known store")
    unread = serializers.ListField(child=serializers.CharField(), help_text="stores that no host could read")
    by = serializers.CharField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class AdoptionList(serializers.Serializer[Any]):
    """Adoptions, newest first."""

    unlisted = serializers.IntegerField(
        help_text="live sectors not in the database, counted once per proving period"
    )
    results = AdoptionOutput(many=True)
    next = serializers.CharField(allow_null=True)


def adoption_body(row: SectorAdoption) -> dict[str, Any]:
    """Return one adoption as JSON."""
    plain = ("state", "total", "written", "absent", "unplaced", "unread", "created_at", "updated_at")
    return {
        "uuid": str(row.uuid),
        "miner": row.miner.address,
        "numbers": numbers_format(bitfield_of_runs(row.runs)),
        "by": row.actor,
        **{name: getattr(row, name) for name in plain},
    }


def plan_body(plan: AdoptionPlan) -> dict[str, Any]:
    """Return what an adoption would do, as JSON."""
    return {
        "count": len(plan.numbers),
        "numbers": numbers_format(plan.numbers),
        "listed": plan.listed,
        "absent": numbers_format(plan.absent),
    }


class MinerAdoptionsView(PoolView):
    """`/miners/{address}/adoptions`: sectors that the chain has and the pool no row for."""

    filters = ("limit", "cursor")
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    asks_network = True
    write_parameters = PARAMETERS

    @extend_schema(
        responses=AdoptionList,
        parameters=[CURSOR, LIMIT],
    )
    def get(self, request: Request, address: str) -> Response:
        """List adoptions, newest first, with the number of sectors not in the database."""
        miner = miner_get(self.principal, address)
        rows, following = newest_page(request, adoptions_of(miner), default=20, most=100)
        results = [adoption_body(row) for row in rows]
        return Response({"unlisted": miner.unlisted_sectors, "results": results, "next": following})

    @extend_schema(
        request=AdoptionInput,
        parameters=[DRY_RUN],
        responses={200: AdoptionPlanOutput, 201: AdoptionOutput},
    )
    def post(self, request: Request, address: str) -> Response:
        """Start an adoption; it proceeds with each head.  While one is running, it is returned instead."""
        body = AdoptionInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner, work = miner_get(self.principal, address), sealing_context_read()
        text = body.validated_data.get("numbers")
        numbers = None if text is None else numbers_parse(text)
        if is_dry_run(request):
            return Response(plan_body(adoption_plan(miner, numbers=numbers, work=work)))
        made = adoption_begin(miner, numbers=numbers, work=work, by=self.principal)
        return created(adoption_body(made))


class MinerAdoptionView(PoolView):
    """`/miners/{address}/adoptions/{uuid}`: one of them."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"DELETE": "sign"}
    whole_methods = ("DELETE",)

    @extend_schema(responses=AdoptionOutput)
    def get(self, request: Request, address: str, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its progress."""
        return Response(adoption_body(adoption_get(miner_get(self.principal, address), uuid)))

    @extend_schema(responses={200: AdoptionOutput})
    def delete(self, request: Request, address: str, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel it; sectors that were already added stay."""
        miner = miner_get(self.principal, address)
        row = adoption_get(miner, uuid)
        return Response(adoption_body(adoption_cancel(miner, row=row, by=self.principal, now=clock.now())))


urlpatterns = [
    path("miners/<str:address>/adoptions", MinerAdoptionsView.as_view(), name="v1-miner-adoptions"),
    path("miners/<str:address>/adoptions/<str:uuid>", MinerAdoptionView.as_view(), name="v1-miner-adoption"),
]
