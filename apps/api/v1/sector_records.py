"""What sectors are made of, over REST: records for another manager, and records from one."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run
from apps.api.v1.pagination import CURSOR, LIMIT, number
from apps.api.v1.serializers import AddressField, InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sector_records import record_of, records_of
from apps.sectors.selectors.sectors import sector_get, sectors_listed
from apps.sectors.services.adoptions.records import RECORDS_MAX, RecordImport, records_import

PAGE_DEFAULT = 100


class RecordPage(serializers.Serializer[Any]):
    """Records in the format of damocles-manager's `export-json` (`SectorState`), newest sectors first."""

    results = serializers.ListField(child=serializers.DictField())
    next = serializers.CharField(allow_null=True)


class RecordsInput(InputSerializer):
    """Records to import: damocles' `SectorState`, or lotus' `SectorInfo` with its miner."""

    records = serializers.ListField(child=serializers.DictField(), min_length=1, max_length=RECORDS_MAX)
    miner = AddressField(required=False, help_text="of records that name none, as lotus' do")


class RecordImportOutput(serializers.Serializer[Any]):
    """The result for one record."""

    miner_id = serializers.IntegerField()
    number = serializers.IntegerField()
    filled = serializers.ListField(child=serializers.CharField(), help_text="fields that were filled in")
    refusal = serializers.CharField()


class RecordsImportOutput(serializers.Serializer[Any]):
    """The result for each record."""

    results = RecordImportOutput(many=True)


def import_body(one: RecordImport) -> dict[str, Any]:
    """Return what became of one record, as JSON."""
    return {
        "miner_id": one.miner_id,
        "number": one.number,
        "filled": list(one.filled),
        "refusal": one.refusal,
    }


class MinerSectorRecordsView(PoolView):
    """`/miners/{address}/sector-records`: ticket, seed, commitments and pieces of its sectors."""

    filters = ("cursor", "limit")

    @extend_schema(
        parameters=[CURSOR, LIMIT],
        responses=RecordPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List them; `cursor` is the `next` of the previous page."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=RECORDS_MAX)
        before = number(request, "cursor", least=1, default=0, most=10**12)
        rows = list(sectors_listed(self.principal, before=before or None).filter(miner=miner)[: limit + 1])
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": records_of(rows[:limit]), "next": more})


class SectorRecordView(PoolView):
    """`/sectors/{uuid}/record`: what one sector is made of."""

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the sector as damocles-manager's `SectorState`."""
        return Response(record_of(sector_get(self.principal, uuid)))


class SectorRecordsImportView(PoolView):
    """`/sector-records:import`: what another manager knows of proving sectors."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS

    @extend_schema(request=RecordsInput, parameters=[DRY_RUN], responses=RecordsImportOutput)
    def post(self, request: Request) -> Response:
        """Fill in missing data; a record that does not match the replica on chain is refused on its own."""
        body = RecordsInput(data=request.data)
        body.is_valid(raise_exception=True)
        data = body.validated_data
        miner = miner_get(self.principal, data["miner"]) if "miner" in data else None
        done = records_import(data["records"], by=self.principal, is_trial=is_dry_run(request), miner=miner)
        return Response({"results": [import_body(one) for one in done]})


urlpatterns = [
    path(
        "miners/<str:address>/sector-records",
        MinerSectorRecordsView.as_view(),
        name="v1-miner-sector-records",
    ),
    path("sectors/<str:uuid>/record", SectorRecordView.as_view(), name="v1-sector-record"),
    path("sector-records:import", SectorRecordsImportView.as_view(), name="v1-sector-records-import"),
]
