"""Stores over REST: list them, attach, detach, change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.host_commands import CommandOutput
from apps.api.v1.list_filters import PAGE_DEFAULT, ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, newest_page
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.store_output import StoreDetail, StoreOutput, detail_body, store_body
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.selectors.store_filters import StoreFilters
from apps.sectors.selectors.stores import attachment_get, store_get, stores_visible
from apps.sectors.services.stores.orders import StoreChanges, store_attach, store_change, store_detach

if TYPE_CHECKING:
    from apps.sectors.models import WorkerCommand


class StoreList(serializers.Serializer[Any]):
    """Stores, newest first."""

    results = StoreOutput(many=True)
    next = serializers.CharField(allow_null=True)


class AttachInput(InputSerializer):
    """Path and host; `new` marks an empty folder as a new store."""

    worker_id = serializers.CharField(max_length=100)
    path = serializers.CharField(max_length=500)
    new = serializers.BooleanField(default=False)


class DetachInput(InputSerializer):
    """From which host."""

    worker_id = serializers.CharField(max_length=100)


class StoreInput(InputSerializer):
    """Fields to change; omitted fields stay unchanged."""

    weight = serializers.IntegerField(required=False)
    reserve_bytes = serializers.IntegerField(required=False)
    max_bytes = serializers.IntegerField(required=False)
    read_only = serializers.BooleanField(required=False)  # type: ignore[assignment]  # DRF has one of its own
    labels = serializers.ListField(child=serializers.CharField(max_length=50), required=False)


def order_body(command: WorkerCommand) -> dict[str, Any]:
    """Return an order that a host carries out with its next heartbeat, as JSON."""
    plain = {"op": command.op, "args": command.args, "created_at": command.created_at}
    return {"id": str(command.uuid), **plain}


class StoresView(ListView):
    """`/stores`: the caller's stores."""

    noun = StoreFilters
    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(parameters=[*parameters_of(StoreFilters), CURSOR, LIMIT], responses=StoreList)
    def get(self, request: Request) -> Response:
        """List stores, newest first."""
        rows = self.narrowed(stores_visible(self.principal, now=clock.now()).order_by("-pk"))
        found, following = newest_page(request, rows, default=PAGE_DEFAULT, most=PAGE_MAX)
        return Response({"results": [store_body(row) for row in found], "next": following})

    @extend_schema(request=AttachInput, responses={201: CommandOutput})
    def post(self, request: Request) -> Response:
        """Order a host to attach a folder; the host's events record the result."""
        body = AttachInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        worker = worker_get(self.principal, data["worker_id"])
        command = store_attach(worker, path=data["path"], is_new=data["new"], by=self.principal)
        return created(order_body(command))


class StoreView(PoolView):
    """`/stores/{uuid}`: one store."""

    whole_methods = ("PATCH",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}

    @extend_schema(responses=StoreDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one store."""
        return Response(detail_body(store_get(self.principal, uuid, now=clock.now())))

    @extend_schema(request=StoreInput, responses=StoreDetail)
    def patch(self, request: Request, uuid: str) -> Response:
        """Change weight, reserve, limit, read-only or labels; all but labels are written into the store."""
        body = StoreInput(data=request.data)
        body.is_valid(raise_exception=True)
        store = store_get(self.principal, uuid, now=clock.now())
        store_change(store, changes=StoreChanges(**body.validated_data), now=clock.now(), by=self.principal)
        return Response(detail_body(store_get(self.principal, uuid, now=clock.now())))


class StoreDetachView(PoolView):
    """`/stores/{uuid}/detach`: a host lets go of a store."""

    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=DetachInput, responses={201: CommandOutput})
    def post(self, request: Request, uuid: str) -> Response:
        """Order a host to detach it; refused while no other host could prove the sectors in it."""
        body = DetachInput(data=request.data)
        body.is_valid(raise_exception=True)
        store = store_get(self.principal, uuid, now=clock.now())
        row = attachment_get(store, body.validated_data["worker_id"])
        return created(order_body(store_detach(row, now=clock.now(), by=self.principal)))


urlpatterns = [
    path("stores", StoresView.as_view(), name="v1-stores"),
    path("stores/<str:uuid>", StoreView.as_view(), name="v1-store"),
    path("stores/<str:uuid>/detach", StoreDetachView.as_view(), name="v1-store-detach"),
]
