"""Hosts over REST, for people and their programs: who they are, their logs."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import parameter_bool
from apps.api.v1.host_output import WorkerDetail, WorkerOutput, detail_body, worker_body
from apps.api.v1.list_filters import PAGE_DEFAULT, ListView, parameters_of
from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, newest_page
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.sectors.selectors.host_filters import HostFilters
from apps.sectors.selectors.host_record import log_watch
from apps.sectors.selectors.hosts import (
    host_report,
    worker_get,
    workers_visible,
)
from apps.sectors.services.hosts.retirement import worker_retire_now


class LogOutput(serializers.Serializer[Any]):
    """The newest lines of a host's log, sent with its heartbeats while they are being requested."""

    at = serializers.DateTimeField(allow_null=True)
    lines = serializers.ListField(child=serializers.CharField())


class WorkerList(serializers.Serializer[Any]):
    """Workers, newest first."""

    results = WorkerOutput(many=True)
    next = serializers.CharField(allow_null=True)


class WorkersView(ListView):
    """`/workers`: the caller's workers."""

    noun = HostFilters

    @extend_schema(parameters=[*parameters_of(HostFilters), CURSOR, LIMIT], responses=WorkerList)
    def get(self, request: Request) -> Response:
        """List workers, newest first."""
        rows = self.narrowed(workers_visible(self.principal).order_by("-pk"))
        found, following = newest_page(request, rows, default=PAGE_DEFAULT, most=PAGE_MAX)
        return Response({"results": [worker_body(row) for row in found], "next": following})


class OneWorkerView(PoolView):
    """`/workers/{id}`: one worker."""

    whole_methods = ("DELETE",)
    write_parameters = ("force",)

    @extend_schema(responses=WorkerDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one worker."""
        return Response(detail_body(worker_get(self.principal, uuid)))

    @extend_schema(
        parameters=[
            OpenApiParameter("force", bool, description="also if it is online with sectors in progress")
        ],
        responses={204: None},
    )
    def delete(self, request: Request, uuid: str) -> Response:
        """Retire a worker: its leases end, and its uid is rejected from now on."""
        worker_retire_now(
            worker_get(self.principal, uuid),
            now=clock.now(),
            by=self.principal,
            is_forced=parameter_bool(request, "force"),
        )
        return Response(status=204)


class LogView(PoolView):
    """`/workers/{id}/log`: the newest lines of a host's log."""

    filters = ()

    whole_methods = ("GET",)  # its lines name sectors of all miners

    @extend_schema(responses=LogOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the latest lines, and have the host send more for 30 seconds."""
        worker = worker_get(self.principal, uuid)
        log_watch(worker)
        report = host_report(worker)
        return Response({"at": report and report.log_at, "lines": [] if report is None else report.log})


urlpatterns = [
    path("workers", WorkersView.as_view(), name="v1-workers"),
    path("workers/<str:uuid>", OneWorkerView.as_view(), name="v1-worker"),
    path("workers/<str:uuid>/log", LogView.as_view(), name="v1-worker-log"),
]
