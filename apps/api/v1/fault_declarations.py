"""Declarations of faults over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.faults import declarations_latest
from apps.proving.states import DeclarationState

if TYPE_CHECKING:
    from apps.proving.models import FaultDeclaration, Recovery


class DeclarationOutput(serializers.Serializer[Any]):
    """Sectors of one partition that are declared faulty."""

    uuid = serializers.UUIDField()
    state = serializers.ChoiceField(choices=DeclarationState.values)
    deadline = serializers.IntegerField()
    partition = serializers.IntegerField()
    open = serializers.IntegerField(help_text="opening epoch of the window that it is for")
    cutoff = serializers.IntegerField()
    sectors = serializers.ListField(child=serializers.IntegerField())
    message = serializers.CharField(allow_null=True)
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)


class DeclarationList(serializers.Serializer[Any]):
    """The latest declarations, newest first."""

    results = DeclarationOutput(many=True)


def declaration_body(row: FaultDeclaration | Recovery) -> dict[str, Any]:
    """Return one declaration of faulty or recovered sectors as JSON."""
    return {
        "uuid": str(row.uuid),
        "state": row.state,
        "deadline": row.deadline_index,
        "partition": row.partition_index,
        "open": row.open_epoch,
        "cutoff": row.cutoff_epoch,
        "sectors": row.sectors,
        "message": row.message_id or None,
        "error": row.error,
        "error_code": code_of(row.error),
    }


class MinerDeclarationsView(PoolView):
    """`/miners/{address}/fault-declarations`: the sectors that were declared faulty."""

    filters = ()

    @extend_schema(responses=DeclarationList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the latest declarations, newest first."""
        miner = miner_get(self.principal, address)
        rows = declarations_latest([miner], since_epoch=-1)
        return Response({"results": [declaration_body(row) for row in rows]})


urlpatterns = [
    path(
        "miners/<str:address>/fault-declarations",
        MinerDeclarationsView.as_view(),
        name="v1-miner-fault-declarations",
    ),
]
