"""Jobs over REST, as workers see them: claim, report, hand over bytes."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import header_number
from apps.api.v1.views import PoolView, RawRenderer
from apps.api.v1.wire_schema import document_schema
from apps.api.v1.worker_view import JobView, WorkerView, answer_of, heartbeat_note
from apps.core import clock
from apps.core.streams import STREAM_MAX_BYTES, DiskAnswer
from apps.proving.services.proof_hints import proof_accept_enqueue
from apps.sectors.selectors.jobs import jobs_of_miners
from apps.sectors.services.jobs.c1_outputs import c1_read, c1_store, is_sealing
from apps.sectors.services.jobs.claims import jobs_claim
from apps.sectors.services.jobs.reports import job_complete, job_fail, job_progress_record, job_release
from apps.sectors.services.jobs.stage_events import job_event_record
from apps.sectors.services.runs.unsealing import unsealed_store
from poolsite.wire.job_reports import Complete, Event, EventAnswer, Fail, Progress, Release
from poolsite.wire.jobs import Claim, Claimed


class ClaimView(WorkerView):
    """`/jobs:claim`: work for a worker with free slots."""

    @extend_schema(
        request={"application/json": document_schema(Claim)},
        responses={(200, "application/json"): document_schema(Claimed)},
    )
    def post(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """Lease jobs; the list is empty if there is nothing to do."""
        claim = self.read(Claim)
        self.kinds_check(claim.kinds)
        worker = self.worker(claim.worker_id)
        heartbeat_note(worker, principal=self.principal)
        among = jobs_of_miners(self.principal.miners)
        return answer_of(jobs_claim(worker, claim=claim, now=clock.now(), among=among))


class EventView(JobView):
    """`/jobs/{id}/event`: a stage has ended well."""

    @extend_schema(
        request={"application/json": document_schema(Event)},
        responses={(200, "application/json"): document_schema(EventAnswer)},
    )
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record the end of a stage; repeating the same number returns the same response."""
        event = self.read(Event)
        return answer_of(job_event_record(uuid, event=event, tenant_id=self.tenant_id, now=clock.now()))


class ProgressView(JobView):
    """`/jobs/{id}/progress`: how far a stage is."""

    @extend_schema(request={"application/json": document_schema(Progress)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record the progress of a stage, and extend the lease."""
        job_progress_record(uuid, progress=self.read(Progress), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class CompleteView(JobView):
    """`/jobs/{id}/complete`: a proof is made."""

    @extend_schema(request={"application/json": document_schema(Complete)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record a proof, or the numbers of the sectors that cannot be proven."""
        job_complete(uuid, complete=self.read(Complete), tenant_id=self.tenant_id, now=clock.now())
        proof_accept_enqueue(uuid)
        return Response(status=204)


class FailView(JobView):
    """`/jobs/{id}/fail`: a stage or proof has ended badly."""

    @extend_schema(request={"application/json": document_schema(Fail)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record a failure: it is retried later, or paused until somebody decides."""
        job_fail(uuid, fail=self.read(Fail), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class ReleaseView(JobView):
    """`/jobs/{id}/release`: a job is given back."""

    @extend_schema(request={"application/json": document_schema(Release)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Release a job."""
        job_release(uuid, release=self.read(Release), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class DataView(JobView):
    """`/jobs/{id}/data`: the bytes that a host unsealed, or what C1 gave where another host does C2."""

    body_max_bytes = STREAM_MAX_BYTES
    streams_body = True
    perms = {**PoolView.perms, "GET": "write"}
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=[OpenApiParameter("Lease-Token", int, OpenApiParameter.HEADER, required=True)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, uuid: str) -> Any:
        """Return the output of C1, for the host that runs C2."""
        found = c1_read(uuid, token=self.lease_token(request), tenant_id=self.tenant_id)
        answer = DiskAnswer(found.chunks)
        answer["Content-Type"] = "application/octet-stream"
        answer["Content-Length"] = str(found.size)
        return answer

    @extend_schema(
        parameters=[OpenApiParameter("Lease-Token", int, OpenApiParameter.HEADER, required=True)],
        request={"application/octet-stream": OpenApiTypes.BINARY},
        responses={204: None},
    )
    def put(self, request: Request, uuid: str) -> Response:
        """Store the bytes of a piece if they are the requested ones, or the output of C1 unchanged."""
        accept = c1_store if is_sealing(uuid) else unsealed_store
        accept(uuid, source=request._request, token=self.lease_token(request), tenant_id=self.tenant_id)
        return Response(status=204)

    def lease_token(self, request: Request) -> int:
        """Return the lease that a request names; none is one that nobody has."""
        token = header_number(request, "Lease-Token")
        return -1 if token is None else token


urlpatterns = [
    path("jobs:claim", ClaimView.as_view(), name="v1-jobs-claim"),
    path("jobs/<str:uuid>/event", EventView.as_view(), name="v1-job-event"),
    path("jobs/<str:uuid>/progress", ProgressView.as_view(), name="v1-job-progress"),
    path("jobs/<str:uuid>/complete", CompleteView.as_view(), name="v1-job-complete"),
    path("jobs/<str:uuid>/fail", FailView.as_view(), name="v1-job-fail"),
    path("jobs/<str:uuid>/data", DataView.as_view(), name="v1-job-data"),
    path("jobs/<str:uuid>/release", ReleaseView.as_view(), name="v1-job-release"),
]
