"""Hosts over REST, for people and their programs: who they are, their logs."""

from __future__ import annotations

from typing import Any

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import parameter_bool
from apps.api.v1.host_output import WorkerDetail, WorkerOutput, detail_body, worker_body
from apps.api.v1.pagination import CURSOR, LIMIT, cursor_of, cursor_write, number
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.errors import BadValue
from apps.sectors.selectors.host_record import log_watch
from apps.sectors.selectors.hosts import WORKER_STATES, WorkerFilter, host_report, worker_get, workers_page
from apps.sectors.services.hosts.retirement import worker_retire_now


class LogOutput(serializers.Serializer[Any]):
    """The newest lines of a host's log, sent with its heartbeats while they are being requested."""

    at = serializers.DateTimeField(allow_null=True)
    lines = serializers.ListField(child=serializers.CharField())


class WorkerList(serializers.Serializer[Any]):
    """Workers, newest first."""

    results = WorkerOutput(many=True)
    next = serializers.CharField(allow_null=True)


class WorkersView(PoolView):
    """`/workers`: the caller's workers."""

    filters = ("limit", "cursor", "name", "state", "group")

    @extend_schema(
        responses=WorkerList,
        parameters=[
            LIMIT,
            CURSOR,
            OpenApiParameter("name", str, description="Part of the name, or of the machine's name."),
            OpenApiParameter("state", str, enum=WORKER_STATES),
            OpenApiParameter("group", str),
        ],
    )
    def get(self, request: Request) -> Response:
        """List workers, newest first."""
        limit = number(request, "limit", least=1, default=100, most=1000)
        query = request.query_params
        state = query.get("state", "")
        if state and state not in WORKER_STATES:
            raise BadValue(
                gettext("must be one of {words}").format(words=", ".join(WORKER_STATES)),
                field="state",
            )
        filters = WorkerFilter(state=state, group=query.get("group", ""), name=query.get("name", ""))
        rows = workers_page(
            self.principal, filters, before=cursor_of(request), limit=limit + 1, now=clock.now()
        )
        last = rows[limit - 1] if len(rows) > limit else None
        return Response(
            {
                "results": [worker_body(row) for row in rows[:limit]],
                "next": None if last is None else cursor_write(last.created_at, last.pk),
            }
        )


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
