"""Hosts over REST, for people and their programs: who they are, what they hold, commands to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import cursor_read, cursor_write, number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.errors import BadValue
from apps.sectors.parallel_plan import BOUNDS, host_parallel_plan
from apps.sectors.selectors.host_record import host_record, log_watch
from apps.sectors.selectors.hosts import (
    WORKER_STATES,
    WorkersWanted,
    host_report,
    worker_get,
    worker_is_away,
    workers_page,
)
from apps.sectors.services.hosts.retirement import worker_retire, worker_retire_drained
from apps.sectors.services.hosts.settings import settings_wanted
from apps.sectors.services.hosts.workers import worker_command
from poolsite.wire.hosts import STORE_OPERATIONS, Operation

if TYPE_CHECKING:
    from apps.sectors.models import HostReport, Worker


NOT_PLAIN: Final = (Operation.REMOVE, Operation.REMOVE_SEALING, *STORE_OPERATIONS)
"""Operations that name files: their own requests look first whether these may go."""
RETIRE: Final = "retire"
"""Drain, then retire: the host is told to drain, the rest is the console's."""


class WorkerOutput(serializers.Serializer[Any]):
    """One worker."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    host = serializers.CharField()
    version = serializers.CharField()
    tenant = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    slots = serializers.DictField(child=serializers.IntegerField())
    stores = serializers.ListField(child=serializers.CharField())
    hardware = serializers.DictField()
    seen_at = serializers.DateTimeField()
    registered_at = serializers.DateTimeField()
    away = serializers.BooleanField()
    paused = serializers.BooleanField()
    draining = serializers.BooleanField()
    retiring = serializers.BooleanField()
    group = serializers.CharField(allow_blank=True)
    restarts = serializers.IntegerField()
    last_error = serializers.CharField()
    jobs = serializers.ListField(child=serializers.DictField())


class SettingOutput(serializers.Serializer[Any]):
    """A setting in effect on the host, and the level that it comes from."""

    key = serializers.CharField()
    value = serializers.CharField()
    origin = serializers.CharField()
    file = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="The host's configuration file, if the value comes from it.",
    )


class FailureOutput(serializers.Serializer[Any]):
    """A stage that failed on the host."""

    at = serializers.DateTimeField()
    stage = serializers.CharField()
    miner = serializers.CharField()
    sector = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()


class BoundOutput(serializers.Serializer[Any]):
    """A limit on concurrent sectors: `have` divided by `each`; for cores, `each` is sectors per core."""

    by = serializers.ChoiceField(choices=BOUNDS)
    count = serializers.IntegerField()
    have = serializers.IntegerField()
    each = serializers.IntegerField()
    is_of_pc1 = serializers.BooleanField(help_text="It limits only sectors in PC1.")


class ParallelOutput(serializers.Serializer[Any]):
    """How many sectors of the miners' size a host can seal at once."""

    sector_bytes = serializers.IntegerField()
    sectors = serializers.IntegerField()
    in_pc1 = serializers.IntegerField()
    bounds = BoundOutput(many=True, help_text="Strictest first.")


class WorkerDetail(WorkerOutput):
    """One worker with its settings in effect, and its work of the last week."""

    settings = SettingOutput(many=True)
    wanted = serializers.DictField(child=serializers.CharField())
    parallel = ParallelOutput(
        allow_null=True, help_text="Null: it seals nothing, or has not reported enough."
    )
    sectors_per_day = serializers.FloatField()
    failures = FailureOutput(many=True)


class LogOutput(serializers.Serializer[Any]):
    """The newest lines of a host's log, sent with its heartbeats while they are being requested."""

    at = serializers.DateTimeField(allow_null=True)
    lines = serializers.ListField(child=serializers.CharField())


class WorkerList(serializers.Serializer[Any]):
    """Workers, newest first."""

    results = WorkerOutput(many=True)
    cursor = serializers.CharField(allow_null=True)


class CommandInput(InputSerializer):
    """A command for a worker."""

    op = serializers.ChoiceField(choices=[str(op) for op in Operation if op not in NOT_PLAIN] + [RETIRE])
    args = serializers.DictField(child=serializers.CharField(max_length=100), default=dict)


class CommandOutput(serializers.Serializer[Any]):
    """A queued command."""

    id = serializers.UUIDField()
    op = serializers.CharField()
    args = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


def parallel_body(worker: Worker, report: HostReport | None) -> dict[str, Any] | None:
    """Write how many sectors a host can seal at once."""
    plan = host_parallel_plan(worker, report)
    if plan is None:
        return None
    bounds = [
        {
            "by": one.by,
            "count": one.count,
            "have": one.have,
            "each": one.each,
            "is_of_pc1": one.is_of_labels,
        }
        for one in plan.bounds
    ]
    return {
        "sector_bytes": plan.sector_bytes,
        "sectors": plan.sectors,
        "in_pc1": plan.labelled,
        "bounds": bounds,
    }


def detail_body(worker: Worker) -> dict[str, Any]:
    """Write one worker with its settings and its record."""
    report, record = host_report(worker), host_record(worker, now=clock.now())
    failures = [
        {
            "at": event.at,
            "stage": event.stage,
            "miner": event.job.miner.address,
            "sector": None if event.job.sector is None else event.job.sector.number,
            "error": event.note,
        }
        for event in record.failures
    ]
    return {
        **worker_body(worker),
        "settings": [] if report is None else report.settings,
        "wanted": settings_wanted(worker),
        "parallel": parallel_body(worker, report),
        "sectors_per_day": round(record.per_day, 2),
        "failures": failures,
    }


def worker_body(worker: Worker) -> dict[str, Any]:
    """Write one worker with the jobs that it holds."""
    plain = ("name", "host", "version", "kinds", "slots", "stores", "hardware", "seen_at", "registered_at")
    held = getattr(worker, "held_jobs", ())
    return {
        "uuid": str(worker.uuid),
        "tenant": worker.tenant.name,
        "away": worker_is_away(worker, now=clock.now()),
        "paused": worker.is_paused,
        "draining": worker.is_draining,
        "retiring": worker.retire_asked_at is not None,
        "group": worker.group,
        "restarts": worker.restarts,
        "last_error": worker.last_error,
        "jobs": [
            {
                "id": str(job.uuid),
                "kind": job.kind,
                "stage": job.stage,
                "miner": job.miner.address,
                "sector": None if job.sector is None else job.sector.number,
            }
            for job in held
        ],
        **{name: getattr(worker, name) for name in plain},
    }


class WorkersView(PoolView):
    """`/workers`: the caller's workers."""

    filters = ("limit", "cursor", "name", "state", "group")

    @extend_schema(
        operation_id="v1_workers_list",
        responses=WorkerList,
        parameters=[
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
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
        wanted = WorkersWanted(state=state, group=query.get("group", ""), name=query.get("name", ""))
        before = cursor_read(query["cursor"]) if "cursor" in query else None
        rows = workers_page(self.principal, wanted, before=before, limit=limit + 1, now=clock.now())
        last = rows[limit - 1] if len(rows) > limit else None
        return Response(
            {
                "results": [worker_body(row) for row in rows[:limit]],
                "cursor": None if last is None else cursor_write(last.created_at, last.pk),
            }
        )


class OneWorkerView(PoolView):
    """`/workers/{id}`: one worker."""

    whole_methods = ("DELETE",)

    @extend_schema(responses=WorkerDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one worker."""
        return Response(detail_body(worker_get(self.principal, uuid)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Retire a worker: its leases end, and its uid is rejected from now on."""
        worker_retire(worker_get(self.principal, uuid), now=clock.now(), by=self.principal)
        return Response(status=204)


class CommandsView(PoolView):
    """`/workers/{id}/commands`: tell a worker to do something; `retire` drains it first."""

    whole_methods = ("POST",)

    @extend_schema(request=CommandInput, responses={201: CommandOutput})
    def post(self, request: Request, uuid: str) -> Response:
        """Queue a command; it is delivered in the response to the next heartbeat."""
        body = CommandInput(data=request.data)
        body.is_valid(raise_exception=True)
        worker, actor, op = worker_get(self.principal, uuid), self.principal.actor, body.validated_data["op"]
        if op == RETIRE:
            command = worker_retire_drained(worker, actor=actor, now=clock.now(), by=self.principal)
        else:
            args = body.validated_data["args"]
            command = worker_command(worker, op=Operation(op), args=args, actor=actor, by=self.principal)
        return created(
            {
                "id": str(command.uuid),
                "op": command.op,
                "args": command.args,
                "created_at": command.created_at,
            }
        )


class LogView(PoolView):
    """`/workers/{id}/log`: the newest lines of a host's log."""

    filters = ()

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
    path("workers/<str:uuid>/commands", CommandsView.as_view(), name="v1-worker-commands"),
]
