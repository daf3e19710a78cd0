"""Hosts over REST, for people and their programs: who they are, what they hold, commands to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.sectors.selectors import worker_get, worker_is_away, workers_visible
from apps.sectors.services.hosts import worker_command, worker_retire
from poolsite.wire.hosts import Operation

if TYPE_CHECKING:
    from apps.sectors.models import Worker


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
    restarts = serializers.IntegerField()
    last_error = serializers.CharField()
    jobs = serializers.ListField(child=serializers.DictField())


class WorkerList(serializers.Serializer[Any]):
    """The workers by name."""

    results = WorkerOutput(many=True)


class CommandInput(InputSerializer):
    """What a worker is to do."""

    op = serializers.ChoiceField(choices=[str(op) for op in Operation if op is not Operation.REMOVE])
    args = serializers.DictField(child=serializers.CharField(max_length=100), default=dict)


class CommandOutput(serializers.Serializer[Any]):
    """A command on its way."""

    id = serializers.UUIDField()
    op = serializers.CharField()
    args = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


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

    filters = ()

    @extend_schema(operation_id="v1_workers_list", responses=WorkerList)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List workers."""
        return Response({"results": [worker_body(row) for row in workers_visible(self.principal)]})


class OneWorkerView(PoolView):
    """`/workers/{id}`: one worker."""

    whole_methods = ("DELETE",)

    @extend_schema(responses=WorkerOutput)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one worker."""
        return Response(worker_body(worker_get(self.principal, uuid)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Retire a worker: its leases end, its uid is refused from now on."""
        worker_retire(worker_get(self.principal, uuid), now=clock.now(), by=self.principal)
        return Response(status=204)


class CommandsView(PoolView):
    """`/workers/{id}/commands`: tell a worker to do something."""

    whole_methods = ("POST",)

    @extend_schema(request=CommandInput, responses={201: CommandOutput})
    def post(self, request: Request, uuid: str) -> Response:
        """Queue a command; it rides on the answer to the next heartbeat."""
        body = CommandInput(data=request.data)
        body.is_valid(raise_exception=True)
        command = worker_command(
            worker_get(self.principal, uuid),
            op=Operation(body.validated_data["op"]),
            args=body.validated_data["args"],
            actor=self.principal.actor,
            by=self.principal,
        )
        return created(
            {
                "id": str(command.uuid),
                "op": command.op,
                "args": command.args,
                "created_at": command.created_at,
            }
        )


urlpatterns = [
    path("workers", WorkersView.as_view(), name="v1-workers"),
    path("workers/<str:uuid>", OneWorkerView.as_view(), name="v1-worker"),
    path("workers/<str:uuid>/commands", CommandsView.as_view(), name="v1-worker-commands"),
]
