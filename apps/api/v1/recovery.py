"""Recovery after a restore over REST: why nothing is signed, and deciding about messages without a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CODE_HELP, InputSerializer
from apps.api.v1.views import PoolView
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.reasons import code_of
from apps.messages.selectors.recovery import recovery_row, senders_unread, unmatched_get, unmatched_open
from apps.messages.services.recovery.restore import recovery_end, unmatched_decide
from apps.miners.selectors.miners import miners_with_restored_moves
from apps.moves.services.heights import moves_settle
from apps.sectors.selectors.restored import hosts_unreported, miners_unread, sectors_unpledged
from apps.sectors.services.sealing.pledge import pledges_settle

if TYPE_CHECKING:
    from apps.messages.models import UnmatchedMessage


class UnmatchedOutput(serializers.Serializer[Any]):
    """A message on chain that matches no message in the database."""

    cid = serializers.CharField()
    from_ = serializers.CharField()
    nonce = serializers.IntegerField()
    to = serializers.CharField()
    value = serializers.CharField()
    method = serializers.IntegerField()
    height = serializers.IntegerField(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Name `from`, which is no name in Python."""
        fields = super().get_fields()
        return {name.rstrip("_"): field for name, field in fields.items()}


class RecoveryOutput(serializers.Serializer[Any]):
    """Whether the pool is in recovery, why, and what is left to do."""

    is_on = serializers.BooleanField()
    since = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)
    from_height = serializers.IntegerField()
    read_height = serializers.IntegerField(allow_null=True)
    matched = serializers.IntegerField()
    senders_unread = serializers.ListField(child=serializers.CharField())
    unmatched = UnmatchedOutput(many=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    sectors_since = serializers.DateTimeField(allow_null=True)
    sectors_recovered = serializers.IntegerField()
    miners_unread = serializers.ListField(child=serializers.CharField())
    hosts_unreported = serializers.ListField(child=serializers.CharField())
    sectors_unpledged = serializers.IntegerField(
        help_text="Sectors of lost pledges; their miners' pledges with an idempotency key are refused."
    )
    miners_with_restored_moves = serializers.ListField(
        child=serializers.CharField(),
        help_text="Miners with move heights from the backup, which lacks heights set since.",
    )


class DecisionInput(InputSerializer):
    """Which message it is (empty: sent by another program), or what to confirm about the backup."""

    cid = serializers.CharField(max_length=128, required=False)
    message = serializers.CharField(max_length=256, allow_blank=True, required=False)
    pledges_settled = serializers.BooleanField(
        required=False, help_text="True: confirms that no client repeats a pledge that the backup lacks."
    )
    moves_settled = serializers.BooleanField(
        required=False,
        help_text="True: confirms that the heights of miners' moves are correct as they are now.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a decision."""
        is_settled = attrs.get("pledges_settled") or attrs.get("moves_settled")
        if not is_settled and not attrs.keys() >= {"cid", "message"}:
            raise serializers.ValidationError({"cid": "specify a message, or what is settled"})
        return attrs


def recovery_body() -> dict[str, Any]:
    """Return the state of recovery as JSON."""
    row = recovery_row()
    unread = senders_unread(row).values_list("address", flat=True) if row.since is not None else ()
    is_on = row.since is not None or row.sectors_since is not None
    return {
        "is_on": is_on,
        "since": row.since,
        "reason": row.reason,
        "reason_code": code_of(row.reason),
        "from_height": row.from_height,
        "read_height": row.read_height,
        "matched": row.matched,
        "senders_unread": list(unread),
        "unmatched": [unmatched_body(one) for one in unmatched_open()],
        "ended_at": None if is_on else row.ended_at,
        "sectors_since": row.sectors_since,
        "sectors_recovered": row.sectors_recovered,
        "miners_unread": [miner.address for miner in miners_unread(row)],
        "hosts_unreported": list(hosts_unreported(row).values_list("name", flat=True)),
        "sectors_unpledged": sectors_unpledged(row).count(),
        "miners_with_restored_moves": [miner.address for miner in miners_with_restored_moves(row)],
    }


def unmatched_body(row: UnmatchedMessage) -> dict[str, Any]:
    """Return one message without a row as JSON."""
    return {
        "cid": row.cid,
        "from": row.from_addr,
        "nonce": row.nonce,
        "to": row.to,
        "value": str(row.value),
        "method": row.method,
        "height": row.height,
    }


class RecoveryView(PoolView):
    """`/recovery`: why nothing is signed after a restore, and what is left to do."""

    filters = ()
    perms = {**PoolView.perms, "POST": "admin", "DELETE": "admin"}
    operator_only = True
    asks_network = True

    @extend_schema(responses=RecoveryOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """Show it."""
        return Response(recovery_body())

    @extend_schema(request=DecisionInput, responses=RecoveryOutput)
    def post(self, request: Request) -> Response:
        """Identify one message on chain, or confirm lost pledges or the heights of moves."""
        body = DecisionInput(data=request.data)
        body.is_valid(raise_exception=True)
        settled = [
            settle
            for name, settle in (("pledges_settled", pledges_settle), ("moves_settled", moves_settle))
            if body.validated_data.get(name)
        ]
        for settle in settled:
            settle(principal=self.principal, now=clock.now())
        if settled:
            return Response(recovery_body())
        row = unmatched_get(body.validated_data["cid"])
        unmatched_decide(
            principal=self.principal,
            row=row,
            message_id=body.validated_data["message"],
            client=chain_client(),
            now=clock.now(),
        )
        return Response(recovery_body())

    @extend_schema(responses={200: RecoveryOutput})
    def delete(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """End recovery now; whatever was not read back may be paid twice."""
        recovery_end(principal=self.principal, now=clock.now())
        return Response(recovery_body())


urlpatterns = [path("recovery", RecoveryView.as_view(), name="api-recovery")]
