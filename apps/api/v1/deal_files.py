"""Files of offline deals in a folder of a host: its reports and uploads, and what people see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.piece_uploads import FILE_NAME
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.api.v1.wire_schema import document_schema
from apps.api.v1.worker_view import WorkerView, answer_of
from apps.core import clock
from apps.core.reasons import code_of
from apps.core.streams import STREAM_MAX_BYTES
from apps.market.selectors.deal_files import files_of_folder, folder_of_host
from apps.market.services.deal_files import deal_file_import, deal_folder_record
from apps.sectors.selectors.hosts import worker_get
from poolsite.wire.deal_files import FolderAnswer, FolderReport

if TYPE_CHECKING:
    from apps.market.models import DealFile


class FolderReportView(WorkerView):
    """`/workers/{id}/deal-files`: what lies in a host's folder of offline deals."""

    @extend_schema(
        request={"application/json": document_schema(FolderReport)},
        responses={(200, "application/json"): document_schema(FolderAnswer)},
    )
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Report all files; the response names those for which deals wait."""
        report, worker = self.read(FolderReport, worker=uuid), self.worker(uuid)
        return answer_of(deal_folder_record(worker, report=report, by=self.principal, now=clock.now()))


class DealFileView(WorkerView):
    """`/workers/{id}/deal-files/{deal}`: the bytes of a file for which a deal waits."""

    body_max_bytes = STREAM_MAX_BYTES
    streams_body = True
    filters = ()
    write_parameters: ClassVar[tuple[str, ...] | None] = ("file_name",)

    @extend_schema(
        parameters=[FILE_NAME],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={204: None},
    )
    def put(self, request: Request, uuid: str, deal: str) -> Response:
        """Import them; others than the deal's are refused, and it waits on."""
        name = request.query_params.get("file_name", "")
        source, worker = request._request, self.worker(uuid)
        deal_file_import(worker, deal=deal, source=source, file_name=name, by=self.principal)
        return Response(status=204)


class DealFileOutput(serializers.Serializer[Any]):
    """One file of the folder."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="bytes")
    piece_cid = serializers.CharField(help_text="of version 2; empty while it is not known")
    deal = serializers.UUIDField(allow_null=True, help_text="that waits for it, or has it")
    reason = serializers.CharField(help_text="why it was taken, or was not")
    reason_code = serializers.CharField(help_text=CODE_HELP)


class DealFolderOutput(serializers.Serializer[Any]):
    """A host's folder of offline deals, as it was reported last."""

    folder = serializers.CharField(help_text="empty: the host has none")
    said_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField(help_text="why the host cannot read it")
    files = DealFileOutput(many=True)


def file_body(row: DealFile) -> dict[str, Any]:
    """Return one file as JSON."""
    return {
        **{name: getattr(row, name) for name in ("name", "size", "piece_cid", "reason")},
        "deal": None if row.deal is None else str(row.deal.uuid),
        "reason_code": code_of(row.reason),
    }


class HostFolderView(PoolView):
    """`/workers/{id}/deal-folder`: the same for people."""

    filters = ()

    @extend_schema(responses=DealFolderOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the files of a host's folder, with why each was taken or not."""
        folder = folder_of_host(worker_get(self.principal, uuid))
        files = [] if folder is None or self.principal.miners else files_of_folder(folder)
        return Response(
            {
                "folder": "" if folder is None else folder.path,
                "said_at": None if folder is None else folder.said_at,
                "error": "" if folder is None else folder.reason,
                "files": [file_body(row) for row in files],
            }
        )


urlpatterns = [
    path("workers/<str:uuid>/deal-files", FolderReportView.as_view(), name="v1-worker-deal-files"),
    path("workers/<str:uuid>/deal-files/<str:deal>", DealFileView.as_view(), name="v1-worker-deal-file"),
    path("workers/<str:uuid>/deal-folder", HostFolderView.as_view(), name="v1-worker-deal-folder"),
]
