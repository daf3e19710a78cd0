"""Sending a miner's waiting batches at once, over REST."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run, verdicts_body
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.heads import head_current
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.services.batches.requests import (
    batches_request,
    waiting_sectors_group,
    waiting_sectors_require,
)
from apps.sectors.services.waiting_verdicts import waiting_verdicts_read


class BatchesWaitingOutput(serializers.Serializer[Any]):
    """Sectors waiting for a batch, by message kind."""

    precommit = serializers.ListField(child=serializers.IntegerField())
    commit = serializers.ListField(child=serializers.IntegerField())
    snap_up = serializers.ListField(child=serializers.IntegerField())
    terminate = serializers.ListField(child=serializers.IntegerField())
    extend = serializers.ListField(child=serializers.IntegerField())
    signer = serializers.CharField(
        required=False,
        help_text="why the signer would not sign one of their messages; empty if it would; dry run only",
    )
    approval = serializers.CharField(
        required=False,
        help_text="rules by which their messages would wait for a second person; dry run only",
    )


class MinerBatchesSendView(PoolView):
    """`/miners/{address}/batches/send`: what waits for others to share a message with."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    filters = ()
    write_parameters = PARAMETERS
    bodiless_methods = ("POST",)
    asks_network = True

    @extend_schema(responses=BatchesWaitingOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the sectors waiting for a batch."""
        return Response(waiting_sectors_group(miner_get(self.principal, address)))

    @extend_schema(request=None, responses=BatchesWaitingOutput, parameters=[DRY_RUN])
    def post(self, request: Request, address: str) -> Response:
        """Send the waiting batches with the next head, whatever the base fee; 409 if none is waiting."""
        miner, head = miner_get(self.principal, address), head_current()
        if is_dry_run(request):
            waiting_sectors_require(miner, by=self.principal)
            verdicts = waiting_verdicts_read(miner, work=sealing_context_read())
            return Response(waiting_sectors_group(miner) | verdicts_body(verdicts))
        if head is None:
            raise NetworkUnknown(gettext("no node has answered yet"))
        batches_request(miner, head=head, by=self.principal)
        return Response(waiting_sectors_group(miner))


urlpatterns = [
    path("miners/<str:address>/batches/send", MinerBatchesSendView.as_view(), name="v1-miner-batches-send"),
]
