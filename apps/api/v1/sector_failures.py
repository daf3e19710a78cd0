"""What failed over REST: grouped by fingerprint, a whole group tried again, any state set by hand."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.access import NotConfirmed, is_proved
from apps.api.v1.sector_actions import RetryInput
from apps.api.v1.sector_output import SectorDetail, detail_body
from apps.api.v1.serializers import CODE_HELP, InputSerializer, RefusedSector
from apps.api.v1.views import PoolView
from apps.core import clock
from apps.core.reasons import code_of
from apps.proving.services.failures import failures_retry, retried_key_read
from apps.sectors.selectors.failures import CHANGES, KINDS, FailureGroup, failure_find, failures_grouped
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.sealing.steps import sector_state_set
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline import SECTOR_STATES

SECTORS_SHOWN = 1_000
STAGED_KINDS = (JobKind.SEAL, *RUN_KINDS)
"""What goes on from a state of its table; the others are asked for once more."""


class FailedSectorOutput(serializers.Serializer[Any]):
    """A sector of a group."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()


class FailedDeadlineOutput(serializers.Serializer[Any]):
    """A deadline of a group."""

    miner = serializers.CharField()
    deadline = serializers.IntegerField()


class FailureGroupOutput(serializers.Serializer[Any]):
    """Failures of the same stage with the same error: sectors being sealed, or actions on proven ones."""

    fingerprint = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    state = serializers.CharField()
    stage = serializers.CharField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    level = serializers.CharField()
    advice = serializers.CharField()
    resume_at = serializers.ListField(child=serializers.CharField())
    count = serializers.IntegerField()
    hosts = serializers.ListField(child=serializers.CharField())
    since = serializers.DateTimeField()
    last = serializers.DateTimeField()
    sectors = FailedSectorOutput(many=True)
    deadlines = FailedDeadlineOutput(many=True, help_text="for compactions, which have no sectors")


class FailuresOutput(serializers.Serializer[Any]):
    """The groups, largest first."""

    results = FailureGroupOutput(many=True)


class GroupRetryOutput(serializers.Serializer[Any]):
    """The result of the retry."""

    retried = serializers.ListField(
        child=serializers.CharField(), help_text="sectors; for compactions, the new messages"
    )
    refused = RefusedSector(many=True)


class StateInput(InputSerializer):
    """The state, and why it is set manually."""

    state = serializers.ChoiceField(choices=SECTOR_STATES)
    reason = serializers.CharField(max_length=500)


def group_body(group: FailureGroup) -> dict[str, Any]:
    """Return one group as JSON."""
    plain = ("kind", "state", "stage", "level", "advice", "count", "hosts", "since", "last")
    return {
        "fingerprint": group.key,
        "error": group.text,
        "error_code": code_of(group.text),
        "resume_at": [group.state, *group.back] if group.kind in STAGED_KINDS else [],
        "sectors": [
            {"uuid": str(one.uuid), "miner": one.miner.address, "number": one.number}
            for one in group.sectors[:SECTORS_SHOWN]
        ],
        "deadlines": [
            {"miner": miner, "deadline": index} for miner, index in group.deadlines[:SECTORS_SHOWN]
        ],
        **{name: getattr(group, name) for name in plain},
    }


class SectorFailuresView(PoolView):
    """`/sector-failures`: paused sectors by what went wrong."""

    filters = ()

    @extend_schema(responses=FailuresOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """List the groups."""
        return Response({"results": [group_body(group) for group in failures_grouped(self.principal)]})


class SectorFailuresRetryView(PoolView):
    """`/sector-failures/{fingerprint}/retry`: go on with a whole group."""

    asks_network = True

    @extend_schema(request=RetryInput, responses=GroupRetryOutput)
    def post(self, request: Request, fingerprint: str) -> Response:
        """Retry the failed stage of each, or go back to an earlier state of the table.

        Terminations and extensions (level `sign`) are requested again unchanged, at their current cost;
        deadlines (level `sign`) are compacted again.
        """
        body = RetryInput(data=request.data)
        body.is_valid(raise_exception=True)
        if failure_find(fingerprint, viewer=self.principal).kind in CHANGES and not is_proved(request):
            raise NotConfirmed
        done, refused = failures_retry(
            fingerprint, by=self.principal, now=clock.now(), state=body.validated_data.get("state")
        )
        return Response(
            {
                "retried": [retried_key_read(one) for one in done],
                "refused": [{"uuid": retried_key_read(one), "reason": why} for one, why in refused],
            }
        )


class SectorStateView(PoolView):
    """`/sectors/{uuid}/state`: set a state by hand."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PUT": "sign"}
    confirmed_methods = ("PUT",)

    @extend_schema(request=StateInput, responses=SectorDetail)
    def put(self, request: Request, uuid: str) -> Response:
        """Set the state regardless of the transition table; whatever the state requires is not created."""
        body = StateInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector = sector_get(self.principal, uuid)
        data = body.validated_data
        sector_state_set(
            sector, state=data["state"], reason=data["reason"], by=self.principal, now=clock.now()
        )
        return Response(detail_body(sector_get(self.principal, uuid)))


urlpatterns = [
    path("sector-failures", SectorFailuresView.as_view(), name="v1-sector-failures"),
    path(
        "sector-failures/<str:fingerprint>/retry",
        SectorFailuresRetryView.as_view(),
        name="v1-sector-failures-retry",
    ),
    path("sectors/<str:uuid>/state", SectorStateView.as_view(), name="v1-sector-state"),
]
