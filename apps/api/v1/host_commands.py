"""Commands to a host over REST."""

from __future__ import annotations

from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.sectors.selectors.hosts import worker_get
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.retirement import worker_retire_drained
from poolsite.wire.commands import STORE_OPERATIONS, Operation

NOT_PLAIN: Final = (
    Operation.REMOVE,
    Operation.REMOVE_SEALING,
    Operation.RESET_DRIVES,
    Operation.END_STAGE,
    *STORE_OPERATIONS,
)
"""Operations that name files, or lose some: their own requests look first whether these may go."""
RETIRE: Final = "retire"
"""Drain, then retire: the host is told to drain, the rest is the console's."""
OPERATIONS: Final = [*(str(op) for op in Operation if op not in NOT_PLAIN), RETIRE]


class CommandInput(InputSerializer):
    """A command for a worker."""

    op = serializers.ChoiceField(choices=OPERATIONS)
    args = serializers.DictField(child=serializers.CharField(max_length=100), default=dict)


class CommandOutput(serializers.Serializer[Any]):
    """A queued command."""

    id = serializers.UUIDField()
    op = serializers.CharField()
    args = serializers.DictField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


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
            command = worker_command_enqueue(
                worker, op=Operation(op), args=args, actor=actor, by=self.principal
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
    path("workers/<str:uuid>/commands", CommandsView.as_view(), name="v1-worker-commands"),
]
