"""Scans of stores over REST: what lies there, what is adopted, what is removed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.pagination import cursor_read, cursor_write, number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.errors import BadValue
from apps.sectors.selectors.store_scans import findings_page, scan_get, scans_of
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.batches.context import sealing_context_now
from apps.sectors.services.stores.findings import (
    FINDINGS_AT_ONCE,
    findings_adopt,
    findings_picked,
    leftovers_plan,
    leftovers_remove,
)
from apps.sectors.services.stores.redeclarations import redeclaration_begin, redeclaration_plan
from apps.sectors.services.stores.scans import scan_begin, scan_cancel
from apps.sectors.states import FindingKind, FindingState, ScanState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.sectors.models import StoreFinding, StoreScan
    from apps.sectors.services.stores.findings import Planned


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
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StoreScanList(serializers.Serializer[Any]):
    """Scans, newest first."""

    results = StoreScanOutput(many=True)


class StoreFindingOutput(serializers.Serializer[Any]):
    """A difference between the files and the database."""

    uuid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=FindingKind.values)
    state = serializers.ChoiceField(choices=FindingState.values)
    name = serializers.CharField()
    miner_id = serializers.IntegerField(allow_null=True)
    number = serializers.IntegerField(allow_null=True)
    sector = serializers.UUIDField(allow_null=True)
    sector_store = serializers.CharField(
        allow_blank=True, help_text="the store that the sector is recorded in"
    )
    bytes = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    updated_at = serializers.DateTimeField()


class StoreFindingPage(serializers.Serializer[Any]):
    """Findings of the last scan."""

    results = StoreFindingOutput(many=True)
    cursor = serializers.CharField(allow_null=True)


class StorePlannedOutput(serializers.Serializer[Any]):
    """A finding; `refusal` says why it is left unchanged."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=FindingKind.values)
    bytes = serializers.IntegerField()
    refusal = serializers.CharField(allow_blank=True)


class StorePlannedList(serializers.Serializer[Any]):
    """What is done, and what is left unchanged."""

    results = StorePlannedOutput(many=True)


class FindingAdoptInput(InputSerializer):
    """Which findings; by default all that can be adopted."""

    findings = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=FINDINGS_AT_ONCE
    )


class FindingRemoveInput(InputSerializer):
    """Which findings to remove, and why."""

    findings = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=FINDINGS_AT_ONCE)
    reason = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


def scan_body(scan: StoreScan) -> dict[str, Any]:
    """Write one scan."""
    plain = ("state", "known", "counts", "error", "created_at", "updated_at")
    asked = ("redeclares", "drops_missing", "settled_at")
    facts = {name: getattr(scan, name) for name in (*plain, *asked)}
    return {"uuid": str(scan.uuid), "store": scan.store.name, "host": scan.worker.name, **facts}


def finding_body(finding: StoreFinding) -> dict[str, Any]:
    """Write one finding."""
    sector = finding.sector
    plain = ("kind", "state", "name", "miner_id", "number", "error", "updated_at")
    return {
        "uuid": str(finding.uuid),
        "sector": None if sector is None else str(sector.uuid),
        "sector_store": "" if sector is None else sector.store,
        "bytes": finding.size,
        **{name: getattr(finding, name) for name in plain},
    }


def planned_body(plan: Iterable[Planned]) -> dict[str, Any]:
    """Write what is done with findings."""
    return {
        "results": [
            {
                "uuid": str(one.finding.uuid),
                "name": one.finding.name,
                "kind": one.finding.kind,
                "bytes": one.finding.size,
                "refusal": one.refusal,
            }
            for one in plan
        ]
    }


class StoreScansView(PoolView):
    """`/stores/{uuid}/scans`: a host lists what lies in a store."""

    filters = ("limit",)
    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(
        operation_id="v1_store_scans_list",
        responses=StoreScanList,
        parameters=[OpenApiParameter("limit", int)],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, newest first."""
        limit = number(request, "limit", least=1, default=20, most=100)
        store = store_get(self.principal, uuid, now=clock.now())
        return Response({"results": [scan_body(row) for row in scans_of(store)[:limit]]})

    @extend_schema(request=None, responses={201: StoreScanOutput})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Have a host scan the store; a running scan is returned instead."""
        store = store_get(self.principal, uuid, now=clock.now())
        scan = scan_begin(store, now=clock.now(), by=self.principal)
        return created(scan_body(scan_get(store, str(scan.uuid))))


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
        given, now = body.validated_data, clock.now()
        store = store_get(self.principal, uuid, now=now)
        if is_dry_run(request):
            return Response(asdict(redeclaration_plan(store, now=now)))
        scan = redeclaration_begin(
            store,
            drops_missing=given["drop_missing"],
            confirm=given["confirm"],
            now=now,
            by=self.principal,
        )
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

    @extend_schema(responses=StoreScanOutput)
    def delete(self, request: Request, uuid: str, scan: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel it; findings of the previous scan are kept."""
        store = store_get(self.principal, uuid, now=clock.now())
        scan_cancel(scan_get(store, scan), now=clock.now(), by=self.principal)
        return Response(scan_body(scan_get(store, scan)))


class StoreFindingsView(PoolView):
    """`/stores/{uuid}/findings`: where files and rows differ, by the last scan."""

    filters = ("kind", "limit", "cursor")

    @extend_schema(
        operation_id="v1_store_findings_list",
        responses=StoreFindingPage,
        parameters=[
            OpenApiParameter("kind", str, enum=FindingKind.values),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, at most 2,000 of each kind."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        store = store_get(self.principal, uuid, now=clock.now())
        after = 0
        if (cursor := request.query_params.get("cursor")) is not None:
            _, key = cursor_read(cursor)
            if not key.isascii() or not key.isdigit() or len(key) > 18:
                raise BadValue(gettext("is not a cursor of this list"), field="cursor")
            after = int(key)
        kind = request.query_params.get("kind", "")
        rows = findings_page(store, kind=kind, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        body = {"results": [finding_body(row) for row in rows[:limit]]}
        return Response(body | {"cursor": None if last is None else cursor_write(last.created_at, last.pk)})


class StoreAdoptView(PoolView):
    """`/stores/{uuid}/findings:adopt`: rows follow where sectors were found."""

    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=FindingAdoptInput, responses=StorePlannedList)
    def post(self, request: Request, uuid: str) -> Response:
        """Have a host compare comm_r and sizes; sectors that match are then recorded in this store."""
        body = FindingAdoptInput(data=request.data)
        body.is_valid(raise_exception=True)
        given, now = body.validated_data.get("findings"), clock.now()
        store = store_get(self.principal, uuid, now=now)
        uuids = None if given is None else [str(one) for one in given]
        return Response(planned_body(findings_adopt(store, uuids=uuids, now=now, by=self.principal)))


class StoreLeftoversRemoveView(PoolView):
    """`/stores/{uuid}/findings:remove`: leftovers go, for good."""

    whole_methods = ("POST",)
    confirmed_methods: ClassVar[tuple[str, ...]] = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(request=FindingRemoveInput, responses=StorePlannedList, parameters=[DRY_RUN])
    def post(self, request: Request, uuid: str) -> Response:
        """Order a host to remove them; those that must be kept are listed with the reason."""
        body = FindingRemoveInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        store, uuids = (
            store_get(self.principal, uuid, now=clock.now()),
            [str(one) for one in given["findings"]],
        )
        work = sealing_context_now()
        if is_dry_run(request):
            plan = leftovers_plan(findings_picked(store, uuids), work=work)
        else:
            plan = leftovers_remove(store, uuids=uuids, by=self.principal, work=work, reason=given["reason"])
        return Response(planned_body(plan))


urlpatterns = [
    path("stores/<str:uuid>/scans", StoreScansView.as_view(), name="v1-store-scans"),
    path("stores/<str:uuid>/scans/<str:scan>", StoreScanView.as_view(), name="v1-store-scan"),
    path("stores/<str:uuid>/redeclare", StoreRedeclareView.as_view(), name="v1-store-redeclare"),
    path("stores/<str:uuid>/findings", StoreFindingsView.as_view(), name="v1-store-findings"),
    path("stores/<str:uuid>/findings:adopt", StoreAdoptView.as_view(), name="v1-store-findings-adopt"),
    path(
        "stores/<str:uuid>/findings:remove",
        StoreLeftoversRemoveView.as_view(),
        name="v1-store-findings-remove",
    ),
]
