"""Faulty sectors and their recoveries over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.fault_declarations import DeclarationOutput, declaration_body
from apps.api.v1.pagination import PAGE_MAX
from apps.api.v1.proving import context_require, integer
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.deadlines import deadlines_of
from apps.proving.selectors.faults import Fault, faults_of
from apps.proving.selectors.recoveries import recoveries_latest
from apps.proving.services.recovery_requests import recoveries_request
from apps.proving.states import RecoveryState

if TYPE_CHECKING:
    from apps.proving.models import Recovery


class FaultOutput(serializers.Serializer[Any]):
    """A faulty sector."""

    number = serializers.IntegerField()
    deadline = serializers.IntegerField()
    since = serializers.IntegerField(help_text="epoch of the head at which it was first seen faulty")
    recovering = serializers.BooleanField(help_text="whether it is declared recovered")


class FaultList(serializers.Serializer[Any]):
    """The faulty sectors of a miner, by deadline."""

    results = FaultOutput(many=True)


class SectorRecoveryOutput(DeclarationOutput):
    """Faulty sectors of one partition whose files are checked and that are declared recovered."""

    state = serializers.ChoiceField(choices=RecoveryState.values)
    good = serializers.ListField(
        child=serializers.IntegerField(), help_text="of `sectors` those whose files are good, as far as known"
    )


class SectorRecoveryList(serializers.Serializer[Any]):
    """Recoveries, newest first."""

    results = SectorRecoveryOutput(many=True)


class RecoverInput(InputSerializer):
    """The sectors to recover; by default all faulty ones of the deadline that are not declared recovered."""

    sectors = serializers.ListField(
        child=serializers.IntegerField(min_value=0), required=False, default=list, max_length=PAGE_MAX
    )


def fault_body(fault: Fault) -> dict[str, Any]:
    """Return one faulty sector as JSON."""
    return {
        "number": fault.number,
        "deadline": fault.deadline_index,
        "since": fault.since,
        "recovering": fault.is_recovering,
    }


def sector_recovery_body(row: Recovery) -> dict[str, Any]:
    """Return one recovery as JSON."""
    return {**declaration_body(row), "good": row.good}


class MinerFaultsView(PoolView):
    """`/miners/{address}/faults`: the faulty sectors."""

    filters = ()

    @extend_schema(responses=FaultList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the faulty sectors, by deadline."""
        found = faults_of(deadlines_of(miner_get(self.principal, address)).filter(faulty__gt=0))
        return Response({"results": [fault_body(fault) for fault in found]})


class MinerRecoveriesView(PoolView):
    """`/miners/{address}/recoveries`: what becomes of faulty sectors before the next cutoff."""

    filters = ()

    @extend_schema(responses=SectorRecoveryList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the latest recoveries, newest first."""
        rows = recoveries_latest(miner_get(self.principal, address))
        return Response({"results": [sector_recovery_body(row) for row in rows]})


class DeadlineRecoverView(PoolView):
    """`/miners/{address}/deadlines/{index}/recover`: faulty sectors are checked and declared recovered."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    asks_network = True

    @extend_schema(request=RecoverInput, responses={201: SectorRecoveryList})
    def post(self, request: Request, address: str, index: str) -> Response:
        """Check the files now, without the pause after a failure; those that are good are declared."""
        body = RecoverInput(data=request.data)
        body.is_valid(raise_exception=True)
        started = recoveries_request(
            miner_get(self.principal, address),
            index=integer(index),
            numbers=body.validated_data["sectors"],
            by=self.principal,
            context=context_require(),
        )
        return Response(
            {"results": [sector_recovery_body(row) for row in started]}, status=status.HTTP_201_CREATED
        )


urlpatterns = [
    path("miners/<str:address>/faults", MinerFaultsView.as_view(), name="v1-miner-faults"),
    path("miners/<str:address>/recoveries", MinerRecoveriesView.as_view(), name="v1-miner-recoveries"),
    path(
        "miners/<str:address>/deadlines/<str:index>/recover",
        DeadlineRecoverView.as_view(),
        name="v1-miner-deadline-recover",
    ),
]
