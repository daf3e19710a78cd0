"""The pool's nodes over REST: an operator lists, tests, adds, changes, promotes and removes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import CodeField, InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.selectors.nodes import node_get, nodes_pool
from apps.chain.selectors.upgrades import Upgrade, readiness, upgrade_next
from apps.chain.services.nodes import node_add, node_promote, node_remove, node_set, node_test
from apps.chain.states import NodeCondition, NodeRole
from apps.core import clock

if TYPE_CHECKING:
    from apps.chain.models import Node

WEIGHT_MAX = 1000


class UpgradeOutput(serializers.Serializer[Any]):
    """A node's readiness for the next network upgrade; null if none is announced."""

    name = serializers.CharField(source="upgrade.name")
    height = serializers.IntegerField(source="upgrade.height")
    network_version = serializers.IntegerField(source="upgrade.network_version", allow_null=True)
    is_ready = serializers.BooleanField(allow_null=True)
    reason = serializers.CharField()


class NodeOutput(serializers.Serializer[Any]):
    """One node with its role and health."""

    id = serializers.IntegerField(allow_null=True)
    url = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=NodeRole.values)
    weight = serializers.IntegerField()
    is_enabled = serializers.BooleanField()
    is_configured = serializers.BooleanField()
    state = serializers.ChoiceField(choices=NodeCondition.values, source="condition")
    error = serializers.CharField()
    error_code = CodeField(source="error")
    version = serializers.CharField()
    network_name = serializers.CharField()
    network_version = serializers.IntegerField(allow_null=True)
    is_devnet = serializers.BooleanField()
    head_height = serializers.IntegerField(allow_null=True)
    lag_epochs = serializers.IntegerField()
    lag_s = serializers.IntegerField()
    peers = serializers.IntegerField(allow_null=True)
    sync = serializers.CharField()
    latency_ms = serializers.FloatField(allow_null=True)
    error_rate = serializers.FloatField()
    checked_at = serializers.DateTimeField(allow_null=True)
    upgrade = serializers.SerializerMethodField()

    @extend_schema_field(UpgradeOutput(allow_null=True))
    def get_upgrade(self, node: Node) -> dict[str, Any] | None:
        """Return how the node stands to the next upgrade, which the view looks up once."""
        upgrade: Upgrade | None = self.context["upgrade"]
        return None if upgrade is None else UpgradeOutput(readiness(node, upgrade)).data


class NodeAddress(InputSerializer):
    """A node's address: a URL or multiaddress, optionally prefixed by its token as in lotus and venus."""

    url = serializers.CharField(max_length=2000)


class NodeInput(NodeAddress):
    """A node to add to the pool."""

    name = serializers.CharField(max_length=100, default="", allow_blank=True)
    role = serializers.ChoiceField(choices=NodeRole.values, default=NodeRole.MAIN.value)
    weight = serializers.IntegerField(min_value=0, max_value=WEIGHT_MAX, default=1)


class NodeChange(InputSerializer):
    """Fields to change; omitted fields stay unchanged."""

    name = serializers.CharField(max_length=100, required=False, allow_blank=True)
    role = serializers.ChoiceField(choices=NodeRole.values, required=False)
    weight = serializers.IntegerField(min_value=0, max_value=WEIGHT_MAX, required=False)
    is_enabled = serializers.BooleanField(required=False)


def values_of(form: type[InputSerializer], request: Request) -> dict[str, Any]:
    """Read a body.  Raises ValidationError."""
    body = form(data=request.data)
    body.is_valid(raise_exception=True)
    values: dict[str, Any] = body.validated_data
    return values


def body_of(node: Node) -> dict[str, Any]:
    """Return a node as JSON; its token stays here."""
    return bodies_of([node])[0]


def bodies_of(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return nodes as JSON; their tokens stay here."""
    context = {"upgrade": upgrade_next()}
    return [NodeOutput(node, context=context).data for node in nodes]


class OperatorView(PoolView):
    """Nodes are the operator's alone."""

    operator_only = True
    perms = {**PoolView.perms, "POST": "admin", "PATCH": "admin", "DELETE": "admin"}
    whole_methods = ("POST", "PATCH", "DELETE")
    confirmed_methods = ("POST", "PATCH", "DELETE")


class NodesView(OperatorView):
    """`/chain/nodes`."""

    filters = ()
    asks_network = True  # safe outside a transaction: the service refuses a node that exists

    @extend_schema(responses=NodeOutput(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's form
        """List the pool's nodes, including disabled ones, in the order of the settings."""
        return Response(bodies_of(nodes_pool()))

    @extend_schema(request=NodeInput, responses={201: NodeOutput})
    def post(self, request: Request) -> Response:
        """Check a node and add it to the pool; refused if it is unusable or on another network."""
        data = values_of(NodeInput, request)
        node = node_add(
            principal=self.principal,
            text=data["url"],
            role=data["role"],
            weight=data["weight"],
            name=data["name"],
            now=clock.now(),
        )
        return created(body_of(node))


class NodeTestView(OperatorView):
    """`/chain/nodes:test`."""

    asks_network = True

    @extend_schema(request=NodeAddress, responses=NodeOutput)
    def post(self, request: Request) -> Response:
        """Check a node without adding it; returns the result, or why it cannot be used."""
        return Response(body_of(node_test(values_of(NodeAddress, request)["url"], now=clock.now())))


class NodeView(OperatorView):
    """`/chain/nodes/{id}`."""

    @extend_schema(responses=NodeOutput)
    def get(self, request: Request, key: str) -> Response:  # noqa: ARG002  # DRF's form
        """Return one node."""
        return Response(body_of(node_get(key)))

    @extend_schema(request=NodeChange, responses=NodeOutput)
    def patch(self, request: Request, key: str) -> Response:
        """Change a node's role, or enable or disable it; safe to repeat."""
        data = values_of(NodeChange, request)
        return Response(body_of(node_set(principal=self.principal, node=node_get(key), **data)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key: str) -> Response:  # noqa: ARG002  # DRF's form
        """Remove a node from the pool; one that is named in the settings can only be disabled."""
        node_remove(principal=self.principal, node=node_get(key))
        return Response(status=status.HTTP_204_NO_CONTENT)


class NodePromoteView(OperatorView):
    """`/chain/nodes/{id}/promote`."""

    bodiless_methods = ("POST",)

    @extend_schema(request=None, responses=NodeOutput)
    def post(self, request: Request, key: str) -> Response:  # noqa: ARG002  # DRF's form
        """Make a node the first to be read; safe to repeat."""
        return Response(body_of(node_promote(principal=self.principal, node=node_get(key))))


urlpatterns = [
    path("chain/nodes", NodesView.as_view(), name="api-chain-nodes"),
    path("chain/nodes:test", NodeTestView.as_view(), name="api-chain-node-test"),
    path("chain/nodes/<str:key>", NodeView.as_view(), name="api-chain-node"),
    path("chain/nodes/<str:key>/promote", NodePromoteView.as_view(), name="api-chain-node-promote"),
]
