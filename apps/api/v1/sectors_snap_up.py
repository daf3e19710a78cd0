"""Clients' data into many committed sectors at once, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run, verdicts_body
from apps.api.v1.serializers import AmountField, InputSerializer, SectorField
from apps.api.v1.views import PoolView
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sectors_picked
from apps.sectors.services.runs.snap_up_many import (
    SNAP_UPS_MAX,
    SnapUp,
    snap_ups_begin,
    snap_ups_plan,
    snap_ups_verdicts_read,
)


class SnapUpsInput(InputSerializer):
    """Which sectors; waiting pieces are put into them in this order."""

    sectors = serializers.ListField(child=SectorField(), min_length=1, max_length=SNAP_UPS_MAX)


class SnapUpsSectorOutput(serializers.Serializer[Any]):
    """One sector; `refusal` says why nothing goes into it."""

    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    refusal = serializers.CharField()
    pieces = serializers.ListField(child=serializers.CharField())
    pledge = AmountField(help_text="additionally locked attoFIL; dry run only")
    from_balance = AmountField(help_text="attoFIL of it paid from the miner's available balance")
    sent = AmountField(help_text="attoFIL sent with the message for this sector, including the margin")
    gas = AmountField(help_text="attoFIL, approximately; dry run only")
    run = serializers.UUIDField(allow_null=True)


class SnapUpsOutput(serializers.Serializer[Any]):
    """What goes, or would go, into each sector."""

    sectors = SnapUpsSectorOutput(many=True)
    signer = serializers.CharField(
        required=False,
        help_text="why a signer would not sign their messages; empty if it would; dry run only",
    )
    approval = serializers.CharField(
        required=False, help_text="rules by which their messages would wait for a second person; dry run only"
    )


def snap_up_body(one: SnapUp) -> dict[str, Any]:
    """Return one sector as JSON."""
    pieces = [] if one.packed is None else [str(piece.piece_cid) for piece in one.packed.pieces]
    return {
        "sector": str(one.sector.uuid),
        "miner": one.sector.miner.address,
        "number": one.sector.number,
        "refusal": one.refusal,
        "pieces": pieces,
        "pledge": str(one.pledge),
        "from_balance": str(one.funds.from_balance),
        "sent": str(one.funds.sent),
        "gas": str(one.gas),
        "run": None if one.run is None else str(one.run.uuid),
    }


class SectorsSnapUpView(PoolView):
    """`/sectors:snap-up`: clients' data into many committed sectors."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(request=SnapUpsInput, parameters=[DRY_RUN], responses=SnapUpsOutput)
    def post(self, request: Request) -> Response:
        """Assign waiting pieces to the sectors; those that cannot take any are listed and left out."""
        body = SnapUpsInput(data=request.data)
        body.is_valid(raise_exception=True)
        sectors = sectors_picked(self.principal, body.validated_data["sectors"])
        work = sealing_context_read()
        if is_dry_run(request):
            plan = snap_ups_plan(sectors, work=work)
            verdicts = snap_ups_verdicts_read(plan, work=work)
            rows = [snap_up_body(one) for one in plan]
            return Response({"sectors": rows, **verdicts_body(verdicts)})
        key = request.headers.get("Idempotency-Key")
        done = snap_ups_begin(sectors, by=self.principal, work=work, key=key)
        return Response({"sectors": [snap_up_body(one) for one in done]})


urlpatterns = [path("sectors:snap-up", SectorsSnapUpView.as_view(), name="v1-sectors-snap-up")]
