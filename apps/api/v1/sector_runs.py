"""What is done over a proven sector: clients' data are snapped into it, a lost replica is made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.dry_run import DRY_RUN, PARAMETERS, is_dry_run, verdicts_body
from apps.api.v1.serializers import CODE_HELP, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.reasons import code_of
from apps.sectors.selectors.sealing_context import sealing_context_read
from apps.sectors.selectors.sectors import sector_get
from apps.sectors.services.runs.decisions import run_abort, run_open, run_retry
from apps.sectors.services.runs.snap_up import snap_up_begin
from apps.sectors.services.runs.snap_up_prices import SnapUpPrice, snap_up_price
from poolsite.filecoin.cids import commr_cid
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline import RUN_STATES

if TYPE_CHECKING:
    from apps.sectors.models import PipelineRun

PIECES_MAX = 1_000


class RunOutput(serializers.Serializer[Any]):
    """A pipeline run for a sector; an error with `paused` means that a decision is needed."""

    uuid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=[str(kind) for kind in RUN_KINDS])
    state = serializers.ChoiceField(choices=RUN_STATES)
    stage = serializers.CharField()
    state_since = serializers.DateTimeField()
    paused = serializers.BooleanField()
    error = serializers.CharField()
    error_code = serializers.CharField(help_text=CODE_HELP)
    resume_at = serializers.ListField(child=serializers.CharField())
    comm_r = serializers.CharField(allow_null=True)
    message_id = serializers.CharField(allow_null=True)
    by = serializers.CharField()
    created_at = serializers.DateTimeField()


class RunList(serializers.Serializer[Any]):
    """The runs of a sector, newest first."""

    results = RunOutput(many=True)


class SnapUpPriceOutput(serializers.Serializer[Any]):
    """What would go into the sector, and its cost in attoFIL."""

    pieces = serializers.ListField(child=serializers.CharField())
    padded_bytes = serializers.IntegerField()
    verified_bytes = serializers.IntegerField()
    pledge = serializers.CharField()
    from_balance = serializers.CharField(help_text="attoFIL of it paid from the miner's available balance")
    sent = serializers.CharField(help_text="attoFIL sent with the message, including the margin")
    gas = serializers.CharField()
    signer = serializers.CharField(help_text="why the signer would not sign the message; empty if it would")
    approval = serializers.CharField(
        help_text="rule by which the message would wait for a second person; empty: none"
    )


class SnapUpInput(InputSerializer):
    """Commitments of pieces that wait for a sector; by default as many as fit."""

    pieces = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=PIECES_MAX, default=[]
    )


class RunRetryInput(InputSerializer):
    """An earlier state to continue from; by default the failed stage is retried."""

    state = serializers.ChoiceField(choices=RUN_STATES, required=False)


class RunAbortInput(InputSerializer):
    """Why the run is aborted."""

    reason = serializers.CharField(max_length=1_000)


def run_body(run: PipelineRun) -> dict[str, Any]:
    """Return one run as JSON."""
    return {
        "uuid": str(run.uuid),
        "kind": run.kind,
        "state": run.state,
        "stage": str(run.step.stage),
        "state_since": run.state_since,
        "paused": run.paused_at is not None,
        "error": run.error,
        "error_code": code_of(run.error),
        "resume_at": [str(state) for state in run.step.resume_at] if run.paused_at is not None else [],
        "comm_r": None if run.comm_r is None else str(commr_cid(bytes(run.comm_r))),
        "message_id": run.message_id or None,
        "by": run.actor,
        "created_at": run.created_at,
    }


def price_body(price: SnapUpPrice) -> dict[str, Any]:
    """Return what a snap-up costs, as JSON."""
    return {
        "pieces": [str(piece.piece_cid) for piece in price.packed.pieces],
        "padded_bytes": price.packed.used,
        "verified_bytes": price.verified,
        "pledge": str(price.pledge),
        "from_balance": str(price.funds.from_balance),
        "sent": str(price.funds.sent),
        "gas": str(price.gas),
        **verdicts_body(price.verdicts),
    }


class SectorRunsView(PoolView):
    """`/sectors/{uuid}/runs`: what was done over it since it was proven."""

    filters = ()

    @extend_schema(responses=RunList)
    def get(self, request: Request, uuid: str) -> Response:  # noqa: ARG002  # DRF's signature
        """List snap-ups and rebuilds, newest first."""
        return Response({"results": [run_body(run) for run in sector_get(self.principal, uuid).runs.all()]})


class SectorSnapUpView(PoolView):
    """`/sectors/{uuid}/snap-up`: clients' data into a committed sector."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    write_parameters = PARAMETERS
    asks_network = True

    @extend_schema(
        request=SnapUpInput, responses={201: RunOutput, 200: SnapUpPriceOutput}, parameters=[DRY_RUN]
    )
    def post(self, request: Request, uuid: str) -> Response:
        """Assign pieces to the sector and encode them into it; `dry_run` only returns the cost."""
        body = SnapUpInput(data=request.data)
        body.is_valid(raise_exception=True)
        sector, pieces = sector_get(self.principal, uuid), body.validated_data["pieces"]
        work = sealing_context_read()
        if is_dry_run(request):
            return Response(price_body(snap_up_price(sector, piece_cids=pieces, work=work)))
        key = request.headers.get("Idempotency-Key")
        return created(
            run_body(snap_up_begin(sector, piece_cids=pieces, by=self.principal, work=work, key=key))
        )


class RunView(PoolView):
    """A run that is under way."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    kind: JobKind


class RunRetryView(RunView):
    """`/sectors/{uuid}/…/retry`: go on with one that stopped."""

    @extend_schema(request=RunRetryInput, responses=RunOutput)
    def post(self, request: Request, uuid: str) -> Response:
        """Retry the failed stage, or go back to an earlier state of the table."""
        body = RunRetryInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = run_open(sector_get(self.principal, uuid), kind=self.kind)
        state = body.validated_data.get("state")
        return Response(run_body(run_retry(run, by=self.principal, now=clock.now(), state=state)))


class RunAbortView(RunView):
    """`/sectors/{uuid}/…/abort`: end one; the sector stays as it is."""

    @extend_schema(request=RunAbortInput, responses=RunOutput)
    def post(self, request: Request, uuid: str) -> Response:
        """Abort a run; pieces of a snap-up then wait for another sector; refused once its message is sent."""
        body = RunAbortInput(data=request.data)
        body.is_valid(raise_exception=True)
        run = run_open(sector_get(self.principal, uuid), kind=self.kind)
        reason = body.validated_data["reason"]
        return Response(run_body(run_abort(run, reason=reason, by=self.principal, now=clock.now())))


class SnapUpRetryView(RunRetryView):
    """`/sectors/{uuid}/snap-up/retry`: go on with a snap-up."""

    kind = JobKind.SNAP_UP


class SnapUpAbortView(RunAbortView):
    """`/sectors/{uuid}/snap-up/abort`: end a snap-up."""

    kind = JobKind.SNAP_UP


urlpatterns = [
    path("sectors/<str:uuid>/runs", SectorRunsView.as_view(), name="v1-sector-runs"),
    path("sectors/<str:uuid>/snap-up", SectorSnapUpView.as_view(), name="v1-sector-snap-up"),
    path("sectors/<str:uuid>/snap-up/retry", SnapUpRetryView.as_view(), name="v1-snap-up-retry"),
    path("sectors/<str:uuid>/snap-up/abort", SnapUpAbortView.as_view(), name="v1-snap-up-abort"),
]
