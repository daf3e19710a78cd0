"""Compaction of a deadline over REST: terminated sectors leave its partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run, verdicts_body
from apps.api.v1.pagination import PAGE_MAX
from apps.api.v1.proving import context_require, integer
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.proving.services.compaction import (
    CompactionPlan,
    compacted_partitions_read,
    compaction_plan,
    compaction_send,
    compaction_verdicts_read,
)

if TYPE_CHECKING:
    from apps.messages.models import Message


class CompactInput(InputSerializer):
    """Which partitions; by default all with terminated sectors and without faults."""

    partitions = serializers.ListField(
        child=serializers.IntegerField(min_value=0), required=False, default=list, max_length=PAGE_MAX
    )


class CompactOutput(serializers.Serializer[Any]):
    """What a compaction does, or would do."""

    deadline = serializers.IntegerField()
    partitions = serializers.ListField(child=serializers.IntegerField())
    removed = serializers.IntegerField(
        allow_null=True,
        help_text="terminated sectors to remove; null for an idempotency key that was used before",
    )
    moved = serializers.IntegerField(
        allow_null=True, help_text="live sectors whose partition may change; null as above"
    )
    gas = serializers.CharField(
        allow_null=True, help_text="burnt gas in attoFIL, approximately; null as above"
    )
    last_epoch = serializers.IntegerField(help_text="last epoch at which the chain accepts it")
    refusal = serializers.CharField(help_text="why the chain would not accept it now")
    message = serializers.CharField(allow_null=True)
    signer = serializers.CharField(
        required=False, help_text="why the signer would not sign it; empty if it would; dry run only"
    )
    approval = serializers.CharField(
        required=False, help_text="rule by which it would wait for a second person; dry run only"
    )


def compaction_body(plan: CompactionPlan, message: Message | None = None) -> dict[str, Any]:
    """Return a compaction as JSON."""
    return {
        "deadline": plan.deadline,
        "partitions": list(plan.partitions),
        "removed": plan.removed,
        "moved": plan.moved,
        "gas": str(plan.gas),
        "last_epoch": plan.last_epoch,
        "refusal": plan.refusal,
        "message": None if message is None else str(message.pk),
    }


def sent_before_body(message: Message, index: int) -> dict[str, Any]:
    """Return the compaction of a key that was used before, as JSON."""
    return {
        "deadline": index,
        "partitions": list(compacted_partitions_read(message)),
        "removed": None,
        "moved": None,
        "gas": None,
        "last_epoch": message.expire_epoch,
        "refusal": "",
        "message": str(message.pk),
    }


class DeadlineCompactView(PoolView):
    """`/miners/{address}/deadlines/{index}/compact`: terminated sectors leave its partitions."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=CompactInput,
        parameters=[DRY_RUN],
        responses={201: CompactOutput, 200: CompactOutput},
    )
    def post(self, request: Request, address: str, index: str) -> Response:
        """Push the message; with `dry_run`, only return what it would do and cost."""
        body = CompactInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner, partitions = miner_get(self.principal, address), body.validated_data["partitions"]
        context = context_require()
        if is_dry_run(request):
            plan = compaction_plan(miner, index=integer(index), partitions=partitions, context=context)
            verdicts = compaction_verdicts_read(miner, plan=plan, by=self.principal)
            return Response(compaction_body(plan) | verdicts_body(verdicts))
        key = request.headers.get("Idempotency-Key")
        sent, message = compaction_send(
            miner, index=integer(index), partitions=partitions, by=self.principal, context=context, key=key
        )
        body_out = (
            sent_before_body(message, integer(index)) if sent is None else compaction_body(sent, message)
        )
        return Response(body_out, status=status.HTTP_201_CREATED)


urlpatterns = [
    path(
        "miners/<str:address>/deadlines/<str:index>/compact",
        DeadlineCompactView.as_view(),
        name="v1-miner-deadline-compact",
    ),
]
