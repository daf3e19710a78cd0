"""Block production over REST: a miner's rounds and blocks, and whether blocks are made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.blocks.selectors.mining_status import mining_status
from apps.blocks.selectors.nodes import f3_leases
from apps.blocks.selectors.rounds import blocks_of, rounds_of
from apps.blocks.services.mining import mining_set
from apps.blocks.states import NotDrawn, RoundState, WhyNot
from apps.blocks.warm_up import warm_up
from apps.core import clock
from apps.miners.selectors import miner_get

if TYPE_CHECKING:
    from apps.blocks.models import Block, F3Lease, Round
    from apps.miners.models import Miner

PAGE_DEFAULT = 100
PAGE_MAX = 1_000
EPOCH_MAX = 10**12 - 1


class StepOutput(serializers.Serializer[Any]):
    """One step of a round, in milliseconds since the base tipset's epoch began."""

    name = serializers.CharField()
    start_ms = serializers.IntegerField()
    ms = serializers.IntegerField()


class RoundOutput(serializers.Serializer[Any]):
    """The outcome of one epoch for a miner."""

    height = serializers.IntegerField()
    base_height = serializers.IntegerField()
    eligible = serializers.BooleanField()
    why_not = serializers.ChoiceField(choices=["", *WhyNot.values])
    expected = serializers.FloatField(help_text="expected wins")
    won = serializers.IntegerField(help_text="wins; 0 for most rounds")
    outcome = serializers.ChoiceField(choices=RoundState.values)
    reason = serializers.CharField()
    sector = serializers.IntegerField(allow_null=True)
    steps = StepOutput(many=True)
    budget_ms = serializers.IntegerField(help_text="time by which a block had to be signed")
    at = serializers.DateTimeField()


class RoundPage(serializers.Serializer[Any]):
    """Rounds, newest first."""

    results = RoundOutput(many=True)
    next = serializers.CharField(allow_null=True)
    why_not_now = serializers.CharField(
        help_text="why no rounds run now, which leaves no row: as `why_not` of `/mining`"
    )


class BlockOutput(serializers.Serializer[Any]):
    """One block that was created."""

    height = serializers.IntegerField()
    cid = serializers.CharField(allow_null=True)
    outcome = serializers.ChoiceField(choices=RoundState.values)
    won = serializers.IntegerField()
    reward = serializers.CharField(
        allow_null=True, help_text="attoFIL, including tips; null until it is recorded"
    )
    penalty = serializers.CharField(allow_null=True)
    messages = serializers.IntegerField()
    submitted_at = serializers.DateTimeField(allow_null=True)


class BlockPage(serializers.Serializer[Any]):
    """Blocks, newest first."""

    results = BlockOutput(many=True)
    next = serializers.CharField(allow_null=True)


class MiningInput(InputSerializer):
    """Whether blocks are made."""

    on = serializers.BooleanField()


class F3LeaseOutput(serializers.Serializer[Any]):
    """How a miner takes part in fast finality."""

    takes_part = serializers.BooleanField(help_text="whether a node votes for it")
    instance = serializers.IntegerField(help_text="current instance of the node when it was last asked")
    until_instance = serializers.IntegerField(help_text="last instance of the lease")
    renewed_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(help_text="why the lease could not be renewed; empty if it could")
    waits_until_instance = serializers.IntegerField(
        allow_null=True,
        help_text="after a restore: until this instance is over, a node may vote with an unrecorded ticket",
    )


class MiningOutput(serializers.Serializer[Any]):
    """Whether blocks are made for a miner."""

    miner = serializers.CharField()
    on = serializers.BooleanField()
    why_not = serializers.CharField(help_text=f"empty while rounds run; {', '.join(NotDrawn.values)}")
    reason = serializers.CharField(help_text="`why_not` as text")
    expected = serializers.FloatField(
        help_text="expected wins per epoch, by its share of the network's power"
    )
    expected_time_to_win_s = serializers.FloatField(allow_null=True, help_text="mean time from now")
    f3 = F3LeaseOutput(allow_null=True, help_text="null: no lease was requested")


def mining_body(miner: Miner) -> dict[str, Any]:
    """Write how a miner stands in the election."""
    now = mining_status(miner, now=clock.now())
    lease = next(iter(f3_leases([miner])), None)
    return {
        "miner": miner.address,
        "on": now.is_on,
        "why_not": now.why_not,
        "reason": now.reason,
        "expected": now.expected,
        "expected_time_to_win_s": None if now.to_win_s is None else round(now.to_win_s, 1),
        "f3": None if lease is None else lease_body(lease),
    }


def lease_body(lease: F3Lease) -> dict[str, Any]:
    """Write how a miner takes part in fast finality."""
    takes_part = lease.runs_at(clock.now())
    return {
        "takes_part": takes_part,
        "instance": lease.instance,
        "until_instance": lease.ends,
        "renewed_at": lease.renewed_at,
        "reason": lease.reason,
        "waits_until_instance": lease.restored_until if lease.is_in_doubt and not takes_part else None,
    }


def round_body(row: Round) -> dict[str, Any]:
    """Write one round."""
    return {
        "height": row.epoch,
        "base_height": row.base_height,
        "eligible": row.is_eligible,
        "why_not": row.why_not,
        "expected": row.expected,
        "won": row.win_count,
        "outcome": row.state,
        "reason": row.reason,
        "sector": row.sector,
        "steps": [{"name": name, "start_ms": start, "ms": length} for name, start, length in row.steps],
        "budget_ms": row.budget_ms,
        "at": row.at,
    }


def block_body(row: Block) -> dict[str, Any]:
    """Write one block."""
    assert row.round is not None
    return {
        "height": row.height,
        "cid": row.cid or None,
        "outcome": row.round.state,
        "won": row.round.win_count,
        "reward": None if row.reward is None else str(row.reward),
        "penalty": None if row.penalty is None else str(row.penalty),
        "messages": row.messages,
        "submitted_at": row.submitted_at,
    }


class MinerRoundsView(PoolView):
    """`/miners/{address}/rounds`: what the miner did at each epoch."""

    filters = ("from", "to", "cursor", "limit")

    @extend_schema(
        operation_id="v1_miners_rounds",
        parameters=[
            OpenApiParameter("from", int, description="first epoch"),
            OpenApiParameter("to", int, description="last epoch"),
            OpenApiParameter("cursor", str),
            OpenApiParameter("limit", int),
        ],
        responses=RoundPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List rounds, newest first; those without a win are kept for `BLOCK_ROUNDS_KEPT_H` hours."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        last = min(
            number(request, "to", least=0, default=EPOCH_MAX, most=EPOCH_MAX),
            number(request, "cursor", least=0, default=EPOCH_MAX, most=EPOCH_MAX),
        )
        first = number(request, "from", least=0, default=0, most=EPOCH_MAX)
        rows = list(rounds_of(miner, first=first, last=last)[: limit + 1])
        more = str(rows[limit].epoch) if len(rows) > limit else None
        why = mining_status(miner, now=clock.now()).why_not
        return Response(
            {"results": [round_body(row) for row in rows[:limit]], "next": more, "why_not_now": why}
        )


class MinerBlocksView(PoolView):
    """`/miners/{address}/blocks`: the blocks that were made for the miner."""

    filters = ("cursor", "limit")

    @extend_schema(
        operation_id="v1_miners_blocks",
        parameters=[OpenApiParameter("cursor", str), OpenApiParameter("limit", int)],
        responses=BlockPage,
    )
    def get(self, request: Request, address: str) -> Response:
        """List blocks, newest first."""
        miner = miner_get(self.principal, address)
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        last = number(request, "cursor", least=0, default=EPOCH_MAX, most=EPOCH_MAX)
        rows = list(blocks_of([miner]).filter(height__lte=last)[: limit + 1])
        more = str(rows[limit].height) if len(rows) > limit else None
        return Response({"results": [block_body(row) for row in rows[:limit]], "next": more})


class MinerMiningView(PoolView):
    """`/miners/{address}/mining`: whether blocks are made for the miner."""

    perms: ClassVar[dict[str, str]] = PoolView.perms

    @extend_schema(operation_id="v1_miners_mining", responses=MiningOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show whether blocks are made."""
        miner = miner_get(self.principal, address)
        return Response(mining_body(miner))

    @extend_schema(operation_id="v1_miners_mining_set", request=MiningInput, responses=MiningOutput)
    def put(self, request: Request, address: str) -> Response:
        """Start or stop making blocks for the miner."""
        body = MiningInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        mining_set(miner, is_on=body.validated_data["on"], principal=self.principal)
        return Response(mining_body(miner))


class WarmUpOutput(serializers.Serializer[Any]):
    """What a warm-up showed."""

    miner = serializers.CharField()
    good = serializers.BooleanField()
    steps = serializers.DictField(
        child=serializers.IntegerField(), help_text="duration of each step, in milliseconds"
    )
    failed = serializers.CharField(help_text="the step that failed; empty if all succeeded")
    reason = serializers.CharField()


class MinerWarmUpView(PoolView):
    """`/miners/{address}/warm-up`: the way of a win with a throw-away challenge."""

    asks_network = True

    @extend_schema(operation_id="v1_miners_warm_up", request=None, responses=WarmUpOutput)
    def post(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Rehearse a win with node, signer and prover; no block is created."""
        miner = miner_get(self.principal, address)
        done = warm_up(miner, viewer=self.principal)
        return Response(
            {
                "miner": miner.address,
                "good": not done.failed,
                "steps": dict(done.steps),
                "failed": done.failed,
                "reason": done.reason,
            }
        )


urlpatterns = [
    path("miners/<str:address>/rounds", MinerRoundsView.as_view(), name="v1-miner-rounds"),
    path("miners/<str:address>/blocks", MinerBlocksView.as_view(), name="v1-miner-blocks"),
    path("miners/<str:address>/warm-up", MinerWarmUpView.as_view(), name="v1-miner-warm-up"),
    path("miners/<str:address>/mining", MinerMiningView.as_view(), name="v1-miner-mining"),
]
