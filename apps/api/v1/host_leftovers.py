"""Leftovers in hosts' sealing folders over REST: what lies there without a job, and its removal."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import CODE_HELP, InputSerializer
from apps.api.v1.views import PoolView
from apps.core.reasons import code_of
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.hosts.leftovers import (
    Leftover,
    sealing_leftovers_list,
    sealing_leftovers_plan,
    sealing_leftovers_remove,
)
from poolsite.wire.hosts import LEFTOVERS_MAX


class LeftoverOutput(serializers.Serializer[Any]):
    """A sector in a sealing folder that belongs to no job of its host."""

    id = serializers.CharField()
    miner_id = serializers.IntegerField()
    number = serializers.IntegerField()
    folder = serializers.CharField()
    bytes = serializers.IntegerField()
    sector = serializers.UUIDField(allow_null=True)
    removing = serializers.BooleanField(help_text="removal was ordered")
    error = serializers.CharField(allow_blank=True, help_text="why the last removal failed")
    error_code = serializers.CharField(help_text=CODE_HELP)


class LeftoverList(serializers.Serializer[Any]):
    """Leftovers that a host has reported, largest first."""

    results = LeftoverOutput(many=True)


class LeftoverPlanned(LeftoverOutput):
    """A leftover; `refusal` says why it is kept, empty if it is removed."""

    refusal = serializers.CharField(allow_blank=True)


class LeftoverPlannedList(serializers.Serializer[Any]):
    """What is done with each leftover."""

    results = LeftoverPlanned(many=True)


class LeftoverRemoveInput(InputSerializer):
    """Which leftovers to remove, and why."""

    leftovers = serializers.ListField(
        child=serializers.CharField(max_length=5_000), min_length=1, max_length=LEFTOVERS_MAX
    )
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


def leftover_body(one: Leftover) -> dict[str, Any]:
    """Return one leftover as JSON."""
    return {
        "id": one.id,
        "miner_id": one.miner_id,
        "number": one.number,
        "folder": one.folder,
        "bytes": one.size,
        "sector": None if one.sector is None else str(one.sector.uuid),
        "removing": one.is_ordered,
        "error": one.error,
        "error_code": code_of(one.error),
    }


class HostLeftoversView(PoolView):
    """`/workers/{id}/leftovers`: what lies in a host's sealing folders without a job."""

    filters = ()

    @extend_schema(responses=LeftoverList)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List it."""
        found = sealing_leftovers_list(worker_get(self.principal, uuid))
        seen = [one for one in found if self.principal.may_mine(one.miner_id)]
        return Response({"results": [leftover_body(one) for one in seen]})


class HostLeftoversRemoveView(PoolView):
    """`/workers/{id}/leftovers:remove`: they go, for good."""

    whole_methods = ("POST",)
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(request=LeftoverRemoveInput, responses=LeftoverPlannedList, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Order the host to remove them; those that must be kept are listed with the reason."""
        body = LeftoverRemoveInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, worker = body.validated_data, worker_get(self.principal, uuid)
        ids, work = data["leftovers"], sealing_context_read()
        if is_dry_run(request):
            plan = sealing_leftovers_plan(worker, ids=ids, work=work)
        else:
            plan = sealing_leftovers_remove(
                worker, ids=ids, by=self.principal, work=work, reason=data["reason"]
            )
        return Response({"results": [leftover_body(one.leftover) | {"refusal": one.refusal} for one in plan]})


urlpatterns = [
    path("workers/<str:uuid>/leftovers", HostLeftoversView.as_view(), name="v1-worker-leftovers"),
    path(
        "workers/<str:uuid>/leftovers:remove",
        HostLeftoversRemoveView.as_view(),
        name="v1-worker-leftovers-remove",
    ),
]
