"""What scans of a store found over REST: list it, adopt sectors, remove leftovers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.pagination import CURSOR, LIMIT, cursor_number, cursor_write, number
from apps.api.v1.serializers import CODE_HELP, InputSerializer
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.store_scans import findings_page
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.finding_adoptions import findings_adopt
from apps.sectors.services.stores.findings import FINDINGS_AT_ONCE, Planned, findings_select
from apps.sectors.services.stores.leftover_removals import leftovers_plan, leftovers_remove
from apps.sectors.states import FindingKind, FindingState

if TYPE_CHECKING:
    from apps.sectors.models import StoreFinding


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
    kinds = serializers.CharField(
        allow_blank=True, help_text="of an incomplete sector: the store's folders with files of it"
    )
    error = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(help_text=CODE_HELP)
    updated_at = serializers.DateTimeField()


class StoreFindingPage(serializers.Serializer[Any]):
    """Findings of the last scan."""

    results = StoreFindingOutput(many=True)
    next = serializers.CharField(allow_null=True)


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


def finding_body(finding: StoreFinding) -> dict[str, Any]:
    """Return one finding as JSON."""
    sector = finding.sector
    plain = ("kind", "state", "name", "miner_id", "number", "error", "updated_at")
    return {
        "uuid": str(finding.uuid),
        "sector": None if sector is None else str(sector.uuid),
        "sector_store": "" if sector is None else sector.store,
        "bytes": finding.size,
        "kinds": finding.kinds,
        "error_code": code_of(finding.error),
        **{name: getattr(finding, name) for name in plain},
    }


def planned_body(plan: Iterable[Planned]) -> dict[str, Any]:
    """Return what is done with findings, as JSON."""
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


class StoreFindingsView(PoolView):
    """`/stores/{uuid}/findings`: where files and rows differ, by the last scan."""

    filters = ("kind", "limit", "cursor")

    @extend_schema(
        responses=StoreFindingPage,
        parameters=[
            OpenApiParameter("kind", str, enum=FindingKind.values),
            LIMIT,
            CURSOR,
        ],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, at most 2,000 of each kind."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        store = store_get(self.principal, uuid, now=clock.now())
        kind = request.query_params.get("kind", "")
        rows = findings_page(
            store, kind=kind, miners=self.principal.miners, after=cursor_number(request), limit=limit + 1
        )
        last = rows[limit - 1] if len(rows) > limit else None
        body = {"results": [finding_body(row) for row in rows[:limit]]}
        return Response(body | {"next": None if last is None else cursor_write(last.created_at, last.pk)})


class StoreAdoptView(PoolView):
    """`/stores/{uuid}/findings:adopt`: rows follow where sectors were found."""

    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=FindingAdoptInput, responses=StorePlannedList)
    def post(self, request: Request, uuid: str) -> Response:
        """Compare comm_r and sizes by a host; sectors that match are then recorded in this store."""
        body = FindingAdoptInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, now = body.validated_data.get("findings"), clock.now()
        store = store_get(self.principal, uuid, now=now)
        uuids = None if data is None else [str(one) for one in data]
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
        data = body.validated_data
        store, uuids = (
            store_get(self.principal, uuid, now=clock.now()),
            [str(one) for one in data["findings"]],
        )
        work = sealing_context_read()
        if is_dry_run(request):
            plan = leftovers_plan(findings_select(store, uuids=uuids), work=work)
        else:
            plan = leftovers_remove(store, uuids=uuids, by=self.principal, work=work, reason=data["reason"])
        return Response(planned_body(plan))


urlpatterns = [
    path("stores/<str:uuid>/findings", StoreFindingsView.as_view(), name="v1-store-findings"),
    path("stores/<str:uuid>/findings:adopt", StoreAdoptView.as_view(), name="v1-store-findings-adopt"),
    path(
        "stores/<str:uuid>/findings:remove",
        StoreLeftoversRemoveView.as_view(),
        name="v1-store-findings-remove",
    ),
]
