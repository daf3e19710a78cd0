"""Scans of stores over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, newest_page
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.store_scans import scan_get, scans_of
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.sectors.states import ScanState

if TYPE_CHECKING:
    from apps.sectors.models import StoreScan


class StoreScanOutput(serializers.Serializer[Any]):
    """A scan of a store's contents."""

    uuid = serializers.UUIDField()
    store = serializers.CharField()
    host = serializers.CharField()
    state = serializers.ChoiceField(choices=ScanState.values)
    known = serializers.IntegerField(help_text="complete sectors that are recorded in the store")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="findings by kind")
    redeclares = serializers.BooleanField(help_text="whether the database is updated to match")
    drops_missing = serializers.BooleanField(
        help_text="whether missing sectors are no longer recorded in the store"
    )
    settled_at = serializers.DateTimeField(allow_null=True, help_text="when the database was fully updated")
    error = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(help_text=CODE_HELP)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StoreScanList(serializers.Serializer[Any]):
    """Scans, newest first."""

    results = StoreScanOutput(many=True)
    next = serializers.CharField(allow_null=True)


def scan_body(scan: StoreScan) -> dict[str, Any]:
    """Return one scan as JSON."""
    plain = ("state", "known", "counts", "error", "created_at", "updated_at")
    left_out = ("redeclares", "drops_missing", "settled_at")
    facts = {name: getattr(scan, name) for name in (*plain, *left_out)}
    facts["error_code"] = code_of(scan.error)
    return {"uuid": str(scan.uuid), "store": scan.store.name, "host": scan.worker.name, **facts}


class StoreScansView(PoolView):
    """`/stores/{uuid}/scans`: a host lists what lies in a store."""

    filters = ("limit", "cursor")
    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    bodiless_methods = ("POST",)

    @extend_schema(
        responses=StoreScanList,
        parameters=[CURSOR, LIMIT],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, newest first."""
        store = store_get(self.principal, uuid, now=clock.now())
        found, following = newest_page(request, scans_of(store), default=20, most=100)
        return Response({"results": [scan_body(row) for row in found], "next": following})

    @extend_schema(request=None, responses={201: StoreScanOutput})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Scan the store by a host; a running scan is returned instead."""
        store = store_get(self.principal, uuid, now=clock.now())
        scan = scan_begin(store, now=clock.now(), by=self.principal)
        return created(scan_body(scan_get(store, str(scan.uuid))))


class StoreScanView(PoolView):
    """`/stores/{uuid}/scans/{scan}`: one scan."""

    whole_methods = ("DELETE",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"DELETE": "sign"}

    @extend_schema(responses=StoreScanOutput)
    def get(self, request: Request, uuid: str, scan: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its state and how much it found."""
        store = store_get(self.principal, uuid, now=clock.now())
        return Response(scan_body(scan_get(store, scan)))

    @extend_schema(responses={200: StoreScanOutput})
    def delete(self, request: Request, uuid: str, scan: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel it; findings of the previous scan are kept."""
        store = store_get(self.principal, uuid, now=clock.now())
        scan_cancel(scan_get(store, scan), now=clock.now(), by=self.principal)
        return Response(scan_body(scan_get(store, scan)))


urlpatterns = [
    path("stores/<str:uuid>/scans", StoreScansView.as_view(), name="v1-store-scans"),
    path("stores/<str:uuid>/scans/<str:scan>", StoreScanView.as_view(), name="v1-store-scan"),
]
