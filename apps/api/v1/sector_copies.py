"""Copies of sectors in stores over REST, as the last check found them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import CURSOR, LIMIT, cursor_number, cursor_write, number
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.selectors.store_checks import copies_of, copies_page
from apps.sectors.selectors.stores import store_get
from apps.sectors.states import CopyCondition
from poolsite.wire.store_checks import FileState

if TYPE_CHECKING:
    from apps.sectors.models import SectorCopy


class FileOutput(serializers.Serializer[Any]):
    """One file, with its path relative to the store's root."""

    name = serializers.CharField()
    state = serializers.ChoiceField(choices=[str(one) for one in FileState])
    size = serializers.IntegerField()


class CopyOutput(serializers.Serializer[Any]):
    """A sector's files in a store."""

    sector = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    store = serializers.CharField()
    is_counted = serializers.BooleanField(help_text="whether the sector is recorded in this store")
    condition = serializers.ChoiceField(choices=CopyCondition.values)
    files = FileOutput(many=True, help_text="files that are not intact")
    file_count = serializers.IntegerField()
    size = serializers.IntegerField()
    reason = serializers.CharField(allow_blank=True, help_text="why it could not be read")
    reason_code = serializers.CharField(help_text=CODE_HELP)
    found_at = serializers.DateTimeField()
    checked_at = serializers.DateTimeField(allow_null=True)


class CopyList(serializers.Serializer[Any]):
    """Copies of one sector."""

    results = CopyOutput(many=True)


class CopyPage(serializers.Serializer[Any]):
    """Copies in a store."""

    results = CopyOutput(many=True)
    next = serializers.CharField(allow_null=True)


def copy_body(copy: SectorCopy) -> dict[str, Any]:
    """Return what is known of a sector's files in a store, as JSON."""
    plain = ("condition", "files", "file_count", "size", "reason", "found_at", "checked_at")
    return {
        "sector": str(copy.sector.uuid),
        "miner": copy.sector.miner.address,
        "number": copy.sector.number,
        "store": copy.store.name,
        "is_counted": copy.sector.store == copy.store.name,
        "reason_code": code_of(copy.reason),
        **{name: getattr(copy, name) for name in plain},
    }


class StoreCopiesView(PoolView):
    """`/stores/{uuid}/copies`: what was found of each sector's files in a store."""

    filters = ("condition", "limit", "cursor")

    @extend_schema(
        responses=CopyPage,
        parameters=[
            OpenApiParameter("condition", str, enum=CopyCondition.values),
            LIMIT,
            CURSOR,
        ],
    )
    def get(self, request: Request, uuid: str) -> Response:
        """List copies, most recently found first; `condition=BAD` for those with bad files."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        store = store_get(self.principal, uuid, now=clock.now())
        before = cursor_number(request) or None
        condition = request.query_params.get("condition", "")
        rows = copies_page(
            store, condition=condition, miners=self.principal.miners, before=before, limit=limit + 1
        )
        last = rows[limit - 1] if len(rows) > limit else None
        body = {"results": [copy_body(row) for row in rows[:limit]]}
        return Response(body | {"next": None if last is None else cursor_write(last.found_at, last.pk)})


class SectorCopiesView(PoolView):
    """`/sectors/{uuid}/copies`: a sector's files, by store."""

    @extend_schema(responses=CopyList)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the known copies of a sector's files."""
        sector = sector_get(self.principal, uuid)
        return Response({"results": [copy_body(row) for row in copies_of(sector)]})


urlpatterns = [
    path("stores/<str:uuid>/copies", StoreCopiesView.as_view(), name="v1-store-copies"),
    path("sectors/<str:uuid>/copies", SectorCopiesView.as_view(), name="v1-sector-copies"),
]
