"""Which addresses send a miner's messages, over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.miners.selectors.senders import senders_of
from apps.miners.services.addresses import SENDERS_MAX, senders_set

if TYPE_CHECKING:
    from apps.miners.models import Miner


def _addresses(help_text: str) -> serializers.ListField:
    child = serializers.CharField(max_length=200)
    return serializers.ListField(child=child, max_length=SENDERS_MAX, required=False, help_text=help_text)


class MinerSendersInput(InputSerializer):
    """Addresses to set, in the order in which they are tried; an empty list resets a use."""

    precommit = _addresses("for pre-commits: owner, worker or control addresses, as keys or f0")
    commit = _addresses("for commits and for updates with data")
    post = _addresses("for proofs, fault and recovery declarations")
    terminate = _addresses("for terminations")
    extend = _addresses("for extensions")


class UseSendersOutput(serializers.Serializer[Any]):
    """The addresses chosen for a use, which one would send now, and why."""

    named = serializers.ListField(child=serializers.CharField())
    now = serializers.CharField()
    reason = serializers.CharField()


class MinerSendersOutput(serializers.Serializer[Any]):
    """Who sends for each use."""

    precommit = UseSendersOutput()
    commit = UseSendersOutput()
    post = UseSendersOutput()
    terminate = UseSendersOutput()
    extend = UseSendersOutput()


def senders_body(miner: Miner) -> dict[str, Any]:
    """Return who sends a miner's messages, as JSON."""
    return {
        row.use.value: {"named": row.named, "now": row.now.address, "reason": row.now.reason}
        for row in senders_of(miner)
    }


class MinerSendersView(PoolView):
    """`/miners/{address}/senders`: which of a miner's addresses send what."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}
    filters = ()

    @extend_schema(responses=MinerSendersOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show who sends for each use, and why."""
        return Response(senders_body(miner_get(self.principal, address)))

    @extend_schema(request=MinerSendersInput, responses=MinerSendersOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Set the addresses of the given uses."""
        body = MinerSendersInput(data=request.data)
        body.is_valid(raise_exception=True)
        senders_set(miner_get(self.principal, address), named=body.validated_data, by=self.principal)
        return Response(senders_body(miner_get(self.principal, address)))


urlpatterns = [
    path("miners/<str:address>/senders", MinerSendersView.as_view(), name="v1-miner-senders"),
]
