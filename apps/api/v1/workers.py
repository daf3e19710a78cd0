"""The workers' side of REST: register, heartbeat, wait for work; `worker_jobs` has their reports.

Documents are the dataclasses of `poolsite.wire`; every report names the lease's token, and a stale one
is answered 409 `fenced`.
"""

from __future__ import annotations

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec.structs import replace
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.job_wait import holding_of
from apps.api.v1.views import PoolView
from apps.api.v1.wire_schema import document_schema
from apps.api.v1.worker_view import SECONDS, WAIT, WorkerView, answer_of, heartbeat_note, work_find
from apps.core import clock
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.sectors.selectors.host_record import log_is_watched
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.registration import worker_register
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer, Register, Registered
from poolsite.wire.jobs import Work


class RegisterView(WorkerView):
    """`/workers/register`: a worker introduces itself."""

    @extend_schema(
        request={"application/json": document_schema(Register)},
        responses={(200, "application/json"): document_schema(Registered)},
    )
    def post(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """Register a worker's start; leases of its earlier starts end."""
        register = self.read(Register)
        self.kinds_check(register.kinds)
        worker, registered = worker_register(
            register, tenant_id=self.tenant_id, now=clock.now(), by=self.principal
        )
        heartbeat_note(worker, principal=self.principal)
        return answer_of(registered)


class HeartbeatView(WorkerView):
    """`/workers/{id}/heartbeat`: leases are renewed, commands handed over."""

    @extend_schema(
        request={"application/json": document_schema(Heartbeat)},
        responses={(200, "application/json"): document_schema(HeartbeatAnswer)},
    )
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Renew leases; the response lists lost leases and the worker's commands."""
        heartbeat = self.read(Heartbeat, worker=uuid)
        worker = self.worker(uuid)
        heartbeat_note(worker, principal=self.principal)
        answer = worker_heartbeat(worker, heartbeat=heartbeat, now=clock.now())
        return answer_of(replace(answer, wants_log=log_is_watched(worker)))


class WorkView(WorkerView):
    """`/workers/{id}/work`: a worker waits for work.  A "no" is held back for some seconds (`job_wait`)."""

    perms = {**PoolView.perms, "GET": "write"}
    filters = (WAIT,)

    @extend_schema(
        parameters=[OpenApiParameter(WAIT, int, description="Seconds for which the response may be held")],
        responses={(200, "application/json"): document_schema(Work)},
    )
    def get(self, request: Request, uuid: str) -> Response:
        """Respond as soon as a job of the worker's kinds is free, or after some seconds without one."""
        wait = request.query_params.get(WAIT, "")
        if wait and not SECONDS.fullmatch(wait):
            raise BadValue(gettext("must be a whole number of seconds"), field=WAIT)
        worker = self.worker(uuid)
        heartbeat_note(worker, principal=self.principal)
        return answer_of(work_find(worker, holding_of(request._request), wait=wait, by=self.principal))


urlpatterns = [
    path("workers/register", RegisterView.as_view(), name="v1-worker-register"),
    path("workers/<str:uuid>/heartbeat", HeartbeatView.as_view(), name="v1-worker-heartbeat"),
    path("workers/<str:uuid>/work", WorkView.as_view(), name="v1-worker-work"),
]
