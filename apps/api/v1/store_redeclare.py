"""Redeclaring a store over REST: a host lists it, and the database follows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.store_scans import StoreScanOutput, scan_body
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.sectors.selectors.store_scans import scan_get
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.redeclarations import redeclaration_begin, redeclaration_plan


class RedeclareInput(InputSerializer):
    """Whether missing sectors are no longer recorded in the store; confirm with the store's name."""

    drop_missing = serializers.BooleanField(required=False, default=False)
    confirm = serializers.CharField(max_length=110, required=False, allow_blank=True, default="")


class RedeclarePlanOutput(serializers.Serializer[Any]):
    """What is known before the host has scanned the store."""

    host = serializers.CharField()
    sectors = serializers.IntegerField(help_text="proving sectors that are recorded in the store")
    missing = serializers.IntegerField(allow_null=True, help_text="as of the last scan")
    elsewhere = serializers.IntegerField(
        allow_null=True, help_text="as of the last scan: found here, recorded elsewhere"
    )


class StoreRedeclareView(PoolView):
    """`/stores/{uuid}/redeclare`: a host lists a store, and the rows follow."""

    write_parameters = PARAMETERS
    whole_methods = ("POST",)
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(
        request=RedeclareInput,
        responses={200: RedeclarePlanOutput, 201: StoreScanOutput},
        parameters=[DRY_RUN],
    )
    def post(self, request: Request, uuid: str) -> Response:
        """Start it and return its scan; `settled_at` says when the database was fully updated."""
        body = RedeclareInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, now = body.validated_data, clock.now()
        store = store_get(self.principal, uuid, now=now)
        if is_dry_run(request):
            return Response(asdict(redeclaration_plan(store, now=now)))
        scan = redeclaration_begin(
            store,
            drops_missing=data["drop_missing"],
            confirm=data["confirm"],
            now=now,
            by=self.principal,
        )
        return created(scan_body(scan_get(store, str(scan.uuid))))


urlpatterns = [
    path("stores/<str:uuid>/redeclare", StoreRedeclareView.as_view(), name="v1-store-redeclare"),
]
