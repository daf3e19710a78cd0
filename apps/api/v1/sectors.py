"""Sectors over REST: list, one with its messages and steps, retry, pause, give up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import number
from apps.api.v1.sector_changes import ChangeOutput, change_body
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors import head_current, network_current
from apps.core import clock
from apps.core.errors import BadValue
from apps.sectors.selectors.sectors import (
    SectorFilter,
    SectorMessage,
    changes_newest,
    resume_choices,
    sector_events,
    sector_get,
    sector_wait,
    sectors_messages,
    sectors_page,
)
from apps.sectors.services.runs.unsealing import unsealed_remove
from apps.sectors.services.sealing.steps import sector_abort, sector_retry, sector_stop
from poolsite.wire.pipeline import STATE_OF_STAGE, SectorState, Stage

if TYPE_CHECKING:
    from apps.sectors.models import JobEvent, Sector

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
EVENTS_MAX = 500


class SectorMessageOutput(serializers.Serializer[Any]):
    """A message of the sector on its way to the chain."""

    id = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.CharField()
    cid = serializers.CharField(allow_null=True)


class WaitOutput(serializers.Serializer[Any]):
    """What the sector is waiting for."""

    what = serializers.CharField()
    until_epoch = serializers.IntegerField(allow_null=True)


class SectorOutput(serializers.Serializer[Any]):
    """One sector."""

    uuid = serializers.UUIDField()
    miner = serializers.CharField()
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[str(state) for state in SectorState])
    stage = serializers.ChoiceField(choices=[str(stage) for stage in Stage])
    stage_since = serializers.DateTimeField()
    progress = serializers.FloatField(allow_null=True)
    active = serializers.BooleanField()
    active_since = serializers.DateTimeField(allow_null=True)
    paused = serializers.BooleanField()
    error = serializers.CharField()
    attempts = serializers.IntegerField()
    worker = serializers.CharField(allow_null=True)
    store = serializers.CharField(allow_null=True)
    seal_proof = serializers.IntegerField()
    sector_size = serializers.IntegerField()
    comm_d = serializers.CharField(allow_null=True)
    comm_r = serializers.CharField(allow_null=True)
    ticket_epoch = serializers.IntegerField(allow_null=True)
    precommit_epoch = serializers.IntegerField(allow_null=True)
    seed_epoch = serializers.IntegerField(allow_null=True)
    activation = serializers.IntegerField(allow_null=True)
    expiration = serializers.IntegerField(allow_null=True)
    deadline = serializers.IntegerField(allow_null=True)
    partition = serializers.IntegerField(allow_null=True)
    initial_pledge = serializers.CharField()
    change = ChangeOutput(allow_null=True, help_text="its latest termination or extension")
    messages = SectorMessageOutput(many=True)
    wait = WaitOutput(allow_null=True)
    created_at = serializers.DateTimeField()


class SectorEventOutput(serializers.Serializer[Any]):
    """One step or failure of a sector."""

    at = serializers.DateTimeField()
    event = serializers.CharField()
    stage = serializers.CharField()
    from_state = serializers.CharField()
    to_state = serializers.CharField()
    ms = serializers.IntegerField(allow_null=True)
    actor = serializers.CharField()
    note = serializers.CharField()
    is_error = serializers.BooleanField()


class SectorDetail(SectorOutput):
    """One sector with its events, and the states from which it can continue when paused."""

    events = SectorEventOutput(many=True)
    resume_at = serializers.ListField(child=serializers.CharField())


class SectorPage(serializers.Serializer[Any]):
    """One page, newest first."""

    results = SectorOutput(many=True)
    next = serializers.CharField(allow_null=True)


class RetryInput(InputSerializer):
    """The state to continue from; by default the failed stage is retried."""

    state = serializers.ChoiceField(choices=[str(state) for state in SectorState], required=False)


class AbortInput(InputSerializer):
    """Why a sector is aborted."""

    reason = serializers.CharField(max_length=500)


PLAIN = (
    "number",
    "state",
    "stage",
    "stage_since",
    "progress",
    "active",
    "active_since",
    "error",
    "attempts",
    "seal_proof",
    "sector_size",
    "ticket_epoch",
    "precommit_epoch",
    "seed_epoch",
    "activation",
    "expiration",
    "deadline",
    "partition",
    "created_at",
)


def sectors_body(sectors: Sequence[Sector]) -> list[dict[str, Any]]:
    """Write sectors with their messages, in two queries for all of them."""
    messages, changes = sectors_messages(sectors), changes_newest(sectors)
    head = head_current()
    height = 0 if head is None else head.height
    try:
        network = network_current()
        delay, confidence = network.pre_commit_challenge_delay, network.confidences.seed
    except NetworkUnknown:
        delay = confidence = 0
    return [
        sector_body(sector, messages[sector.pk])
        | {
            "wait": _wait(sector, height=height, delay=delay, confidence=confidence),
            "change": change_body(changes[sector.pk]) if sector.pk in changes else None,
        }
        for sector in sectors
    ]


def _wait(sector: Sector, *, height: int, delay: int, confidence: int) -> dict[str, Any] | None:
    wait = sector_wait(
        sector, height=height, challenge_delay=delay, seed_confidence=confidence, now=clock.now()
    )
    return None if wait is None else {"what": wait.what, "until_epoch": wait.until_epoch}


def sector_body(sector: Sector, messages: Sequence[SectorMessage]) -> dict[str, Any]:
    """Write one sector."""
    worker = sector.job.worker or sector.job.sticky_worker
    return {
        "uuid": str(sector.uuid),
        "miner": sector.miner.address,
        "paused": sector.paused_at is not None,
        "worker": None if worker is None else worker.name,
        "store": sector.store or None,
        "comm_d": _hex(sector.comm_d),
        "comm_r": _hex(sector.comm_r),
        "initial_pledge": str(sector.initial_pledge),
        "messages": [message_body(one) for one in messages],
        **{name: getattr(sector, name) for name in PLAIN},
    }


def message_body(one: SectorMessage) -> dict[str, Any]:
    """Write one of a sector's messages; before the messager has it, it counts as unfilled."""
    return {
        "id": one.batch.message_id,
        "kind": one.kind,
        "state": "UNFILLED" if one.message is None else one.message.state,
        "cid": None if one.message is None else one.message.cid or None,
    }


def _hex(value: bytes | memoryview | None) -> str | None:
    return None if value is None else bytes(value).hex()


def event_body(row: JobEvent) -> dict[str, Any]:
    """Write one step."""
    names = ("at", "event", "stage", "from_state", "to_state", "ms", "actor", "note", "is_error")
    return {name: getattr(row, name) for name in names}


def detail_body(sector: Sector) -> dict[str, Any]:
    """Write one sector with its steps."""
    return sectors_body([sector])[0] | {
        "events": [event_body(row) for row in sector_events(sector)[:EVENTS_MAX]],
        "resume_at": list(resume_choices(sector)) if sector.paused_at is not None else [],
    }


class SectorsView(PoolView):
    """`/sectors`: the caller's sectors."""

    @extend_schema(
        operation_id="v1_sectors_list",
        parameters=[
            OpenApiParameter("miner", str),
            OpenApiParameter("number", int),
            OpenApiParameter(
                "host", str, description="name of the host that is sealing it, or sealed it last"
            ),
            OpenApiParameter("store", str, description="name of the store with its files"),
            OpenApiParameter("state", str, many=True),
            OpenApiParameter("stage", str, many=True),
            OpenApiParameter("active", bool),
            OpenApiParameter("paused", bool),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=SectorPage,
    )
    def get(self, request: Request) -> Response:
        """List sectors, newest first; `cursor` is the `next` of the previous page."""
        query = request.query_params
        known = {
            "miner",
            "number",
            "host",
            "store",
            "state",
            "stage",
            "active",
            "paused",
            "cursor",
            "limit",
            "token",
        }
        unknown = set(query) - known
        if unknown:
            raise BadValue(gettext("there is no such filter"), field=sorted(unknown)[0])
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        before = number(request, "cursor", least=1, default=0, most=10**12)
        wanted = SectorFilter(
            miner=query.get("miner", ""),
            number=number(request, "number", least=0, default=0, most=2**63 - 1)
            if query.get("number")
            else None,
            host=query.get("host", ""),
            store=query.get("store", ""),
            states=_states(query.getlist("state"), query.getlist("stage")),
            is_active=_flag(query.get("active"), "active"),
            is_paused=_flag(query.get("paused"), "paused"),
            before=before or None,
        )
        rows = sectors_page(self.principal, wanted, limit=limit + 1)
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": sectors_body(rows[:limit]), "next": more})


def _states(states: list[str], stages: list[str]) -> tuple[str, ...]:
    for state in states:
        if state not in list(SectorState):
            raise BadValue(gettext("there is no such state"), field="state")
    for stage in stages:
        if stage not in STATE_OF_STAGE:
            raise BadValue(gettext("there is no such stage"), field="stage")
    return (*states, *(STATE_OF_STAGE[stage] for stage in stages))


def _flag(text: str | None, field: str) -> bool | None:
    words = {"true": True, "1": True, "false": False, "0": False}
    if text is None:
        return None
    if text.lower() not in words:
        raise BadValue(gettext("must be true or false"), field=field)
    return words[text.lower()]


class SectorView(PoolView):
    """`/sectors/{uuid}`: one sector."""

    @extend_schema(responses=SectorDetail)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show one sector."""
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorRetryView(PoolView):
    """`/sectors/{uuid}/retry`: go on with a paused sector."""

    @extend_schema(request=RetryInput, responses=SectorDetail)
    def post(self, request: Request, uuid: str) -> Response:
        """Retry the failed stage, or go back to an earlier state of the table."""
        body = RetryInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector = sector_get(self.principal, uuid)
        sector_retry(
            sector,
            actor=self.principal.actor,
            now=clock.now(),
            state=body.validated_data.get("state"),
            by=self.principal,
        )
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorPauseView(PoolView):
    """`/sectors/{uuid}/pause`: stop a sector where it is."""

    @extend_schema(request=None, responses=SectorDetail)
    def post(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Pause a sector; its files and state are kept."""
        sector = sector_get(self.principal, uuid)
        sector_stop(sector, actor=self.principal.actor, now=clock.now(), by=self.principal)
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorAbortView(PoolView):
    """`/sectors/{uuid}/abort`: give a sector up."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}

    @extend_schema(request=AbortInput, responses=SectorDetail)
    def post(self, request: Request, uuid: str) -> Response:
        """Abort a sector permanently; refused once it is proven on chain."""
        body = AbortInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector = sector_get(self.principal, uuid)
        reason = body.validated_data["reason"]
        sector_abort(sector, actor=self.principal.actor, reason=reason, now=clock.now(), by=self.principal)
        return Response(detail_body(sector_get(self.principal, uuid)))


class SectorUnsealedView(PoolView):
    """`/sectors/{uuid}/unsealed`: the unsealed copies of its pieces."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Remove the unsealed copies; a later request for a piece unseals it again."""
        unsealed_remove(sector_get(self.principal, uuid), by=self.principal)
        return Response(status=204)


urlpatterns = [
    path("sectors", SectorsView.as_view(), name="v1-sectors"),
    path("sectors/<str:uuid>", SectorView.as_view(), name="v1-sector"),
    path("sectors/<str:uuid>/retry", SectorRetryView.as_view(), name="v1-sector-retry"),
    path("sectors/<str:uuid>/pause", SectorPauseView.as_view(), name="v1-sector-pause"),
    path("sectors/<str:uuid>/unsealed", SectorUnsealedView.as_view(), name="v1-sector-unsealed"),
    path("sectors/<str:uuid>/abort", SectorAbortView.as_view(), name="v1-sector-abort"),
]
