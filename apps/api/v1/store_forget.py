"""Forgetting a lost store over REST, with all that lay in it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.lost import LostStore, lost_store, store_forget


class ForgetInput(InputSerializer):
    """The store's name, as confirmation."""

    confirm = serializers.CharField(max_length=110, required=False, allow_blank=True, default="")


class LostSectorOutput(serializers.Serializer[Any]):
    """A sector without files."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    state = serializers.CharField()


class LostStoreOutput(serializers.Serializer[Any]):
    """What is lost with a store; `refusal` says why it cannot be forgotten."""

    refusal = serializers.CharField(allow_blank=True)
    proving = serializers.IntegerField()
    under_way = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="raw bytes of the proving sectors")
    pledge = serializers.CharField(help_text="attoFIL locked for them")
    sectors = LostSectorOutput(many=True)


class StoreForgetView(PoolView):
    """`/stores/{uuid}/forget`: a store is lost with all that lay in it."""

    write_parameters = PARAMETERS
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=ForgetInput, responses=LostStoreOutput, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Forget it and mark its sectors as having no files; refused while a host reads it."""
        body = ForgetInput(data=request.data)
        body.is_valid(raise_exception=True)
        store, now = store_get(self.principal, uuid, now=clock.now()), clock.now()
        if is_dry_run(request):
            return Response(lost_body(lost_store(store, now=now)))
        lost = store_forget(store, confirm=body.validated_data["confirm"], now=now, by=self.principal)
        return Response(lost_body(lost))


def lost_body(lost: LostStore) -> dict[str, Any]:
    """Return what is lost, as JSON."""
    return {
        "refusal": lost.refusal,
        "proving": lost.proving,
        "under_way": lost.under_way,
        "bytes": lost.size,
        "pledge": str(lost.pledge),
        "sectors": [
            {"uuid": row.uuid, "miner": row.miner.address, "number": row.number, "state": row.state}
            for row in lost.named
        ],
    }


urlpatterns = [
    path("stores/<str:uuid>/forget", StoreForgetView.as_view(), name="v1-store-forget"),
]
