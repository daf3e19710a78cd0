"""A miner's block production over REST: on or off, its lease in F3, a warm-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.block_output import LuckOutput, luck_body
from apps.api.v1.serializers import CODE_HELP, InputSerializer
from apps.api.v1.views import PoolView
from apps.blocks.rounds.warm_up import warm_up
from apps.blocks.selectors.luck import lucks_shared
from apps.blocks.selectors.mining_status import mining_status
from apps.blocks.selectors.nodes import f3_leases
from apps.blocks.services.mining import mining_set
from apps.blocks.states import NotDrawn
from apps.core import clock
from apps.core.reasons import code_of
from apps.miners.selectors.miners import miner_get

if TYPE_CHECKING:
    from apps.blocks.models import F3Lease
    from apps.miners.models import Miner


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
    reason_code = serializers.CharField(help_text=CODE_HELP)
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
    luck = LuckOutput(many=True, help_text="of the last 1, 7 and 30 days")
    f3 = F3LeaseOutput(allow_null=True, help_text="null: no lease was requested")


def mining_body(miner: Miner) -> dict[str, Any]:
    """Return how a miner stands in the election, as JSON."""
    now = mining_status(miner, now=clock.now())
    lease = next(iter(f3_leases([miner])), None)
    return {
        "miner": miner.address,
        "on": now.is_on,
        "why_not": now.why_not,
        "reason": now.reason,
        "expected": now.expected,
        "expected_time_to_win_s": None if now.to_win_s is None else round(now.to_win_s, 1),
        "luck": luck_body(lucks_shared([miner], now=clock.now())[miner.pk]),
        "f3": None if lease is None else lease_body(lease),
    }


def lease_body(lease: F3Lease) -> dict[str, Any]:
    """Return how a miner takes part in fast finality, as JSON."""
    takes_part = lease.runs_at(clock.now())
    return {
        "takes_part": takes_part,
        "instance": lease.instance,
        "until_instance": lease.ends,
        "renewed_at": lease.renewed_at,
        "reason": lease.reason,
        "reason_code": code_of(lease.reason),
        "waits_until_instance": lease.restored_until if lease.is_in_doubt and not takes_part else None,
    }


class MinerMiningView(PoolView):
    """`/miners/{address}/mining`: whether blocks are made for the miner."""

    perms: ClassVar[dict[str, str]] = PoolView.perms

    @extend_schema(responses=MiningOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show whether blocks are made."""
        miner = miner_get(self.principal, address)
        return Response(mining_body(miner))

    @extend_schema(request=MiningInput, responses=MiningOutput)
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
    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=WarmUpOutput)
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
    path("miners/<str:address>/warm-up", MinerWarmUpView.as_view(), name="v1-miner-warm-up"),
    path("miners/<str:address>/mining", MinerMiningView.as_view(), name="v1-miner-mining"),
]
