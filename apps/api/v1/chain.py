"""The chain over REST: the newest head, and the network that the pool is bound to."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.chain.errors import NetworkUnknown
from apps.chain.selectors.epochs import epoch_now
from apps.chain.selectors.heads import head_current
from apps.chain.selectors.network import network_current
from apps.core import clock
from apps.core.marked_texts import gettext
from apps.miners.services.network_unbind import network_unbind


class HeadOutput(serializers.Serializer[Any]):
    """The newest head that the follower wrote."""

    network = serializers.CharField()
    height = serializers.IntegerField()
    epoch = serializers.IntegerField()
    """The epoch that runs now: ahead of the height while epochs pass without a block."""
    cids = serializers.ListField(child=serializers.CharField())
    timestamp = serializers.IntegerField()
    base_fee = serializers.CharField()
    arrived_at = serializers.DateTimeField()


class HeadView(PoolView):
    """`/chain/head`."""

    filters = ()

    @extend_schema(responses=HeadOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """Return the newest head."""
        head = head_current()
        if head is None:
            raise NetworkUnknown(gettext("no chain head is known yet"))
        return Response(
            {
                "network": network_current().name,
                "height": head.height,
                "epoch": epoch_now(clock.now()),
                "cids": head.cids,
                "timestamp": head.timestamp,
                "base_fee": str(head.base_fee),
                "arrived_at": head.arrived_at,
            }
        )


class NetworkOutput(serializers.Serializer[Any]):
    """The network that the pool was bound to."""

    network = serializers.CharField()


class NetworkView(PoolView):
    """`/chain/network`."""

    filters = ()
    operator_only = True
    perms = {**PoolView.perms, "DELETE": "admin"}
    whole_methods = ("DELETE",)
    confirmed_methods = ("DELETE",)

    @extend_schema(responses={200: NetworkOutput})
    def delete(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """Unbind the pool from its network while it has no miner and no message; else 409 with the reason.

        The next node that responds binds it again: remove nodes of a wrong network first.
        """
        return Response({"network": network_unbind(principal=self.principal)})


urlpatterns = [
    path("chain/network", NetworkView.as_view(), name="api-chain-network"),
    path("chain/head", HeadView.as_view(), name="api-chain-head"),
]
