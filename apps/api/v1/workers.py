"""The workers' side of REST: register, heartbeat, claim, report.

Documents are the dataclasses of `poolsite.wire`; every report names the lease's token, and a stale one
is answered 409 `fenced`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from celery import current_app
from django.db import transaction
from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from kombu.exceptions import OperationalError as BrokerAway
from msgspec.structs import replace
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.job_wait import holding_of
from apps.api.v1.access import caller_of
from apps.api.v1.pagination import header_number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, RawRenderer, created
from apps.api.v1.wire_schema import document_schema
from apps.core import clock
from apps.core.errors import BadValue, NotAllowed
from apps.core.liveness import heartbeat_send
from apps.core.streams import STREAM_MAX_BYTES, DiskAnswer
from apps.miners.selectors import sector_bytes_usual
from apps.sectors.selectors.host_record import log_is_watched
from apps.sectors.selectors.hosts import worker_of
from apps.sectors.services.hosts.versions import unknown_field_note
from apps.sectors.services.hosts.workers import worker_heartbeat, worker_register
from apps.sectors.services.jobs.c1_outputs import c1_give, c1_take, is_sealing
from apps.sectors.services.jobs.claims import jobs_claim, kinds_free
from apps.sectors.services.jobs.reports import job_complete, job_event, job_fail, job_progress, job_release
from apps.sectors.services.runs.unsealing import unsealed_take
from apps.users.principals import Principal
from apps.users.services.bootstrap import POOL
from apps.users.services.join_tokens import host_join
from apps.users.states import JOIN
from poolsite.wire.codec import UNKNOWN_FIELD, BadWire, document_decode, document_encode
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer, Register, Registered
from poolsite.wire.jobs import (
    Claim,
    Claimed,
    Complete,
    Event,
    EventAnswer,
    Fail,
    JobKind,
    Progress,
    Release,
    Work,
)

if TYPE_CHECKING:
    from apps.sectors.models import Worker

T = TypeVar("T")

log = structlog.get_logger(__name__)

SCOPE_OF_KIND: Final = {
    JobKind.SEAL: "sealer",
    JobKind.UNSEAL: "sealer",
    JobKind.SNAP_UP: "sealer",
    JobKind.REBUILD: "sealer",
    JobKind.WINDOW_POST: "prover",
    JobKind.SECTOR_CHECK: "prover",
    JobKind.AGGREGATE: "prover",
}
"""Scope that a token needs for jobs of a kind."""

REPORT_MAX_BYTES: Final = 8 << 20
"""A report carries a proof; the output of C1 has a way of its own (`DataView`)."""


class MayWork(BasePermission):
    """Lets in tokens of level write that are made for sealers or provers, or for everything."""

    def has_permission(self, request: Request, view: Any) -> bool:  # noqa: ARG002  # DRF's signature
        """Raise NotAllowed that says what is missing, or return True."""
        principal = caller_of(request)
        if principal is None:
            return False
        if not principal.may("write"):
            raise NotAllowed(
                gettext("this requires the level 'write', the caller has '{perm}'").format(
                    perm=principal.perm
                )
            )
        if not any(principal.has_scope(scope) for scope in SCOPE_OF_KIND.values()):
            raise NotAllowed(gettext("this requires a token with the scope 'sealer' or 'prover'"))
        return True


class WorkerView(PoolView):
    """A route of the workers' protocol."""

    permission_classes = [MayWork]
    scopes = tuple(dict.fromkeys(SCOPE_OF_KIND.values()))
    body_max_bytes = REPORT_MAX_BYTES

    @property
    def tenant_id(self) -> int:
        """Whose workers and miners the caller's are.  Raises NotAllowed for the pool itself."""
        if self.principal.tenant_id is None:
            raise NotAllowed(gettext("a worker needs a token that belongs to a tenant"))
        return self.principal.tenant_id

    def read(self, kind: type[T], *, worker: str = "") -> T:
        """Read the body, of the worker that its address names.  Raises BadValue naming the field."""
        try:
            return document_decode(kind, self.request.data)
        except BadWire as error:
            reason = error.reason
            if reason == UNKNOWN_FIELD:
                reason = unknown_field_note(
                    self.request.data,
                    field=error.field,
                    uuid=worker,
                    tenant_id=self.tenant_id,
                    now=clock.now(),
                )
            raise BadValue(reason, field=error.field) from None

    def kinds_check(self, kinds: tuple[JobKind, ...]) -> None:
        """Refuse kinds of jobs that the token is not made for.  Raises NotAllowed."""
        for kind in kinds:
            if not self.principal.has_scope(SCOPE_OF_KIND[kind]):
                raise NotAllowed(
                    gettext("this requires a token with the scope '{scope}'").format(
                        scope=SCOPE_OF_KIND[kind]
                    ),
                    field="kinds",
                )

    def worker(self, uuid: str) -> Worker:
        """Find the caller's worker.  Raises WorkerUnknown."""
        return worker_of(self.tenant_id, uuid)


def answer_of(document: Any) -> Response:
    """Answer with a wire document."""
    return Response(document_encode(document))


def heartbeat_note(worker: Worker, *, principal: Principal) -> None:
    """Note that the pool's own sealer or prover lives, under the name that the supervisor uses."""
    if principal.tenant_name != POOL:
        return
    for name in dict.fromkeys(name for kind, name in SCOPE_OF_KIND.items() if kind in worker.kinds):
        heartbeat_send(name, detail=worker.name, pid=0)


def proofs_take() -> None:
    """Process finished proofs at once; without a broker the next head does it."""
    try:
        current_app.send_task(
            "proving.submit", kwargs={"height": 0, "key": ""}, queue="proving", retry=False, expires=10
        )
    except (BrokerAway, OSError) as error:
        log.warning("proofs_not_taken", reason=str(error)[:200])


class JoinInput(InputSerializer):
    """The host that exchanges its join token."""

    uid = serializers.RegexField(r"^[\x21-\x7e]+$", max_length=80)
    name = serializers.CharField(max_length=100)


class JoinOutput(serializers.Serializer[Any]):
    """The host's own token, which is shown only once."""

    token = serializers.CharField()
    sector_bytes = serializers.IntegerField(
        help_text="Sector size of the tenant's miner with most power; 0 if it has none."
    )


class JoinView(PoolView):
    """`/workers:join`: a join token is exchanged for the host's own, once."""

    scope = JOIN
    perms = {**PoolView.perms, "POST": "read"}

    @extend_schema(request=JoinInput, responses={201: JoinOutput})
    def post(self, request: Request) -> Response:
        """Exchange the join token for the host's own token; the same host may repeat this."""
        body = JoinInput(data=request.data)
        body.is_valid(raise_exception=True)
        text = host_join(by=self.principal, uid=body.validated_data["uid"], name=body.validated_data["name"])
        tenant_id = self.principal.tenant_id
        size = sector_bytes_usual(tenant_id) if tenant_id is not None else 0
        return created({"token": text, "sector_bytes": size})


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
        answer = worker_heartbeat(worker, heartbeat, now=clock.now())
        return answer_of(replace(answer, wants_log=log_is_watched(worker)))


class WorkView(WorkerView):
    """`/workers/{id}/work`: a worker waits for work.  A "no" is held back for some seconds (`job_wait`)."""

    perms = {**PoolView.perms, "GET": "write"}

    @extend_schema(responses={(200, "application/json"): document_schema(Work)})
    def get(self, request: Request, uuid: str) -> Response:
        """Respond as soon as a job of the worker's kinds is free, or after some seconds without one."""
        worker = self.worker(uuid)
        heartbeat_note(worker, principal=self.principal)
        wanted = frozenset((self.tenant_id, str(kind)) for kind in worker.kinds)
        if is_free := not wanted.isdisjoint(kinds_free(clock.now())):
            return answer_of(Work(is_free=is_free))
        if (holding := holding_of(request._request)) is not None:
            holding.wanted = wanted
        return answer_of(Work(is_free=False))


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
        return answer_of(jobs_claim(worker, claim, now=clock.now()))


class EventView(WorkerView):
    """`/jobs/{id}/event`: a stage has ended well."""

    @extend_schema(
        request={"application/json": document_schema(Event)},
        responses={(200, "application/json"): document_schema(EventAnswer)},
    )
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record the end of a stage; repeating the same number returns the same response."""
        event = self.read(Event)
        return answer_of(job_event(uuid, event, tenant_id=self.tenant_id, now=clock.now()))


class ProgressView(WorkerView):
    """`/jobs/{id}/progress`: how far a stage is."""

    @extend_schema(request={"application/json": document_schema(Progress)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record the progress of a stage, and extend the lease."""
        job_progress(uuid, self.read(Progress), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class CompleteView(WorkerView):
    """`/jobs/{id}/complete`: a proof is made."""

    @extend_schema(request={"application/json": document_schema(Complete)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record a proof, or the numbers of the sectors that cannot be proven."""
        job_complete(uuid, self.read(Complete), tenant_id=self.tenant_id, now=clock.now())
        transaction.on_commit(proofs_take)
        return Response(status=204)


class FailView(WorkerView):
    """`/jobs/{id}/fail`: a stage or proof has ended badly."""

    @extend_schema(request={"application/json": document_schema(Fail)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Record a failure: it is retried later, or paused until somebody decides."""
        job_fail(uuid, self.read(Fail), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class ReleaseView(WorkerView):
    """`/jobs/{id}/release`: a job is given back."""

    @extend_schema(request={"application/json": document_schema(Release)}, responses={204: None})
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Release a job."""
        job_release(uuid, self.read(Release), tenant_id=self.tenant_id, now=clock.now())
        return Response(status=204)


class DataView(WorkerView):
    """`/jobs/{id}/data`: the bytes that a host unsealed, or what C1 gave where another host does C2."""

    body_max_bytes = STREAM_MAX_BYTES
    perms = {**PoolView.perms, "GET": "write"}
    filters = ()
    renderer_classes = [JSONRenderer, RawRenderer]

    @extend_schema(
        parameters=[OpenApiParameter("Lease-Token", int, OpenApiParameter.HEADER, required=True)],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, uuid: str) -> Any:
        """Return the output of C1, for the host that runs C2."""
        found = c1_give(uuid, token=self.lease_token(request), tenant_id=self.tenant_id)
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
        take = c1_take if is_sealing(uuid) else unsealed_take
        take(uuid, request._request, token=self.lease_token(request), tenant_id=self.tenant_id)
        return Response(status=204)

    def lease_token(self, request: Request) -> int:
        """Return the lease that a request names; none is one that nobody has."""
        token = header_number(request, "Lease-Token")
        return -1 if token is None else token


urlpatterns = [
    path("workers:join", JoinView.as_view(), name="v1-worker-join"),
    path("workers/register", RegisterView.as_view(), name="v1-worker-register"),
    path("workers/<str:uuid>/heartbeat", HeartbeatView.as_view(), name="v1-worker-heartbeat"),
    path("workers/<str:uuid>/work", WorkView.as_view(), name="v1-worker-work"),
    path("jobs:claim", ClaimView.as_view(), name="v1-jobs-claim"),
    path("jobs/<str:uuid>/event", EventView.as_view(), name="v1-job-event"),
    path("jobs/<str:uuid>/progress", ProgressView.as_view(), name="v1-job-progress"),
    path("jobs/<str:uuid>/complete", CompleteView.as_view(), name="v1-job-complete"),
    path("jobs/<str:uuid>/fail", FailView.as_view(), name="v1-job-fail"),
    path("jobs/<str:uuid>/data", DataView.as_view(), name="v1-job-data"),
    path("jobs/<str:uuid>/release", ReleaseView.as_view(), name="v1-job-release"),
]
