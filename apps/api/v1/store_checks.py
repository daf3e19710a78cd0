"""Checks of files over REST: of all sectors in a store, or of one, and what they have found."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, newest_page
from apps.api.v1.serializers import CODE_HELP, InputSerializer, SectorField
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_checks import check_get, checks_of, checks_wait
from apps.sectors.selectors.stores import store_get
from apps.sectors.services.stores.checks import PACE, check_begin, check_cancel
from apps.sectors.states import StoreCheckState

if TYPE_CHECKING:
    from apps.sectors.models import StoreCheck


class StoreCheckInput(InputSerializer):
    """One sector, or all, and the maximum read rate."""

    sector = SectorField(required=False)
    bytes_s = serializers.IntegerField(required=False, default=PACE)


class StoreCheckOutput(serializers.Serializer[Any]):
    """A check of sectors' files in a store."""

    uuid = serializers.UUIDField()
    store = serializers.CharField()
    sector = serializers.UUIDField(allow_null=True, help_text="null: all sectors in the store")
    host = serializers.CharField()
    state = serializers.ChoiceField(choices=StoreCheckState.values)
    waits = serializers.CharField(allow_blank=True, help_text="what it is waiting for")
    bytes_s = serializers.IntegerField()
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    bad = serializers.IntegerField(help_text="sectors with bad files")
    unread = serializers.IntegerField(help_text="sectors that the host could not read")
    read_bytes = serializers.IntegerField()
    error = serializers.CharField(allow_blank=True)
    error_code = serializers.CharField(help_text=CODE_HELP)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class StoreCheckList(serializers.Serializer[Any]):
    """Checks, newest first."""

    results = StoreCheckOutput(many=True)
    next = serializers.CharField(allow_null=True)


def check_bodies(checks: Collection[StoreCheck]) -> list[dict[str, Any]]:
    """Return some checks as JSON."""
    waits = checks_wait(checks, now=clock.now())
    return [_body(check, waits[check.pk]) for check in checks]


def check_body(check: StoreCheck) -> dict[str, Any]:
    """Return one check as JSON."""
    [body] = check_bodies([check])
    return body


def _body(check: StoreCheck, wait: str) -> dict[str, Any]:
    counts = ("bytes_s", "total", "done", "bad", "unread", "read_bytes")
    return {
        "uuid": str(check.uuid),
        "store": check.store.name,
        "sector": None if check.sector is None else str(check.sector.uuid),
        "host": check.worker.name,
        "waits": wait,
        "error_code": code_of(check.error),
        **{name: getattr(check, name) for name in ("state", *counts, "error", "created_at", "updated_at")},
    }


class StoreChecksView(PoolView):
    """`/stores/{uuid}/checks`: a host reads the files of a store's sectors."""

    filters = ("limit", "cursor")
    whole_methods = ("POST",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(
        responses=StoreCheckList,
        parameters=[CURSOR, LIMIT],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List them, newest first."""
        store = store_get(self.principal, uuid, now=clock.now())
        rows = checks_of(store, miners=self.principal.miners)
        found, following = newest_page(request, rows, default=20, most=100)
        return Response({"results": check_bodies(found), "next": following})

    @extend_schema(request=StoreCheckInput, responses={201: StoreCheckOutput})
    def post(self, request: Request, uuid: str) -> Response:
        """Verify the files of one sector, or of all, by a host; a running check is returned instead."""
        body = StoreCheckInput(data=request.data)
        body.is_valid(raise_exception=True)
        data, now = body.validated_data, clock.now()
        store = store_get(self.principal, uuid, now=now)
        sector = sector_get(self.principal, str(data["sector"])) if "sector" in data else None
        check = check_begin(store, sector=sector, bytes_s=data["bytes_s"], now=now, by=self.principal)
        return created(check_body(check_get(store, str(check.uuid))))


class StoreCheckView(PoolView):
    """`/stores/{uuid}/checks/{check}`: one check."""

    whole_methods = ("DELETE",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"DELETE": "sign"}

    @extend_schema(responses=StoreCheckOutput)
    def get(self, request: Request, uuid: str, check: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show its progress, and how many sectors have bad files."""
        store = store_get(self.principal, uuid, now=clock.now())
        return Response(check_body(check_get(store, check)))

    @extend_schema(responses={200: StoreCheckOutput})
    def delete(self, request: Request, uuid: str, check: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Cancel it; results so far are kept."""
        store = store_get(self.principal, uuid, now=clock.now())
        check_cancel(check_get(store, check), now=clock.now(), by=self.principal)
        return Response(check_body(check_get(store, check)))


urlpatterns = [
    path("stores/<str:uuid>/checks", StoreChecksView.as_view(), name="v1-store-checks"),
    path("stores/<str:uuid>/checks/<str:check>", StoreCheckView.as_view(), name="v1-store-check"),
]
