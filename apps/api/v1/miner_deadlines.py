"""A miner's deadlines over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.proving import integer
from apps.api.v1.serializers import CODE_HELP
from apps.api.v1.views import PoolView
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get
from apps.proving.selectors.deadlines import deadline_of, deadlines_of
from apps.proving.services.compaction import compactable_partitions_list

if TYPE_CHECKING:
    from apps.proving.models import Deadline


class DeadlineOutput(serializers.Serializer[Any]):
    """One deadline in its present or next window."""

    index = serializers.IntegerField()
    open = serializers.IntegerField()
    close = serializers.IntegerField()
    challenge = serializers.IntegerField()
    fault_cutoff = serializers.IntegerField()
    partitions = serializers.IntegerField()
    live = serializers.IntegerField()
    active = serializers.IntegerField()
    faulty = serializers.IntegerField()
    recovering = serializers.IntegerField()
    forecast = serializers.CharField()
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)
    miss = serializers.FloatField(
        allow_null=True, help_text="probability that the next proof does not land; null if not measured yet"
    )
    unmet_preconditions = serializers.DictField(
        child=serializers.CharField(), help_text="preconditions that are not met, with the reason"
    )
    unmet_codes = serializers.DictField(
        child=serializers.CharField(), help_text="the codes of those reasons, by the same names"
    )


class DeadlineList(serializers.Serializer[Any]):
    """All deadlines of a miner by index."""

    results = DeadlineOutput(many=True)


def deadline_body(row: Deadline) -> dict[str, Any]:
    """Return one deadline as JSON."""
    return {
        "index": row.index,
        "open": row.open_epoch,
        "close": row.close_epoch,
        "challenge": row.challenge_epoch,
        "fault_cutoff": row.cutoff_epoch,
        "partitions": row.partitions_count,
        "live": row.live,
        "active": row.active,
        "faulty": row.faulty,
        "recovering": row.recovering,
        "forecast": row.forecast,
        "reason": row.reason,
        "reason_code": code_of(row.reason),
        "miss": row.miss,
        "unmet_preconditions": row.unmet_preconditions,
        "unmet_codes": {name: code_of(reason) for name, reason in row.unmet.items()},
    }


class PartitionOutput(serializers.Serializer[Any]):
    """The sectors of one partition."""

    index = serializers.IntegerField()
    all = serializers.ListField(child=serializers.IntegerField())
    live = serializers.ListField(child=serializers.IntegerField())
    active = serializers.ListField(child=serializers.IntegerField())
    faulty = serializers.ListField(child=serializers.IntegerField())
    recovering = serializers.ListField(child=serializers.IntegerField())


class DeadlinePartitions(DeadlineOutput):
    """One deadline, with the sectors of its partitions."""

    partition_sectors = PartitionOutput(many=True)
    compactable = serializers.ListField(
        child=serializers.IntegerField(), help_text="partitions that compacting would free of ended sectors"
    )


def partitions_body(row: Deadline) -> list[dict[str, Any]]:
    """Return the sectors of a deadline's partitions as JSON."""
    return [
        {
            "index": part.index,
            "all": part.all_sectors,
            "live": part.live,
            "active": part.active,
            "faulty": part.faulty,
            "recovering": part.recovering,
        }
        for part in row.partitions.all()
    ]


class MinerDeadlineView(PoolView):
    """`/miners/{address}/deadlines/{index}`: one deadline, with the sectors of its partitions."""

    @extend_schema(responses=DeadlinePartitions)
    def get(self, request: Request, address: str, index: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Return one deadline."""
        row = deadline_of(miner_get(self.principal, address), integer(index))
        if row is None:
            raise NotFound(gettext("not found"))
        compactable = list(compactable_partitions_list(row))
        return Response(
            deadline_body(row) | {"partition_sectors": partitions_body(row), "compactable": compactable}
        )


class MinerDeadlinesView(PoolView):
    """`/miners/{address}/deadlines`: windows and what will become of them."""

    @extend_schema(responses=DeadlineList)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List the deadlines of a miner."""
        rows = deadlines_of(miner_get(self.principal, address))
        return Response({"results": [deadline_body(row) for row in rows]})


urlpatterns = [
    path("miners/<str:address>/deadlines/<str:index>", MinerDeadlineView.as_view(), name="v1-miner-deadline"),
    path("miners/<str:address>/deadlines", MinerDeadlinesView.as_view(), name="v1-miner-deadlines"),
]
