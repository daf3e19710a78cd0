"""Miners over REST: list them, and add one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Q
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.idempotency import caller_key
from apps.api.v1.miner_output import MinerOutput, miner_bodies, miner_body
from apps.api.v1.pagination import CURSOR, LIMIT, PAGE_MAX, number
from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.chain.node.client import chain_client
from apps.chain.selectors.network import network_current
from apps.core.errors import BadValue
from apps.core.marked_texts import gettext
from apps.miners.selectors.miners import miners_visible
from apps.miners.services.create import miner_create
from apps.miners.services.creation_plan import MinerSpec
from apps.miners.services.importing import miner_import
from apps.miners.states import MinerState, ProvenBy
from apps.users.rules.principals import Principal
from apps.users.selectors.tenants import tenant_resolve

if TYPE_CHECKING:
    from apps.miners.models import Miner

PAGE_DEFAULT = 100


class MinerPage(serializers.Serializer[Any]):
    """One page, oldest first."""

    results = MinerOutput(many=True)
    next = serializers.CharField(allow_null=True)


class MinerInput(InputSerializer):
    """A miner to create, with `owner`, `worker` and `sector_size`, or to import, with `address`."""

    name = serializers.CharField(max_length=64)
    tenant = serializers.CharField(
        required=False, help_text="set by the operator only; otherwise the caller's own"
    )
    address = serializers.CharField(required=False, help_text="address of a miner that exists on chain")
    proven_by = serializers.ChoiceField(
        choices=ProvenBy.values,
        required=False,
        help_text="imported miner with live sectors: who proves them and makes its blocks now; `other` "
        "does until a height is set by `/miners/{address}/move`",
    )
    owner = serializers.CharField(required=False)
    worker = serializers.CharField(required=False)
    sector_size = serializers.IntegerField(required=False, min_value=1)
    fund_worker = serializers.BooleanField(
        default=False, help_text="send the worker 0.1 FIL first if its address does not exist on chain"
    )


class MinersView(PoolView):
    """`/miners`: the caller's miners, and one more."""

    filters = ("state", "cursor", "limit")
    repeatable = ("state",)
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "sign"}
    whole_methods = ("POST",)
    confirmed_methods = ("POST",)
    asks_network = True

    @extend_schema(
        request=MinerInput,
        responses={201: MinerOutput},
    )
    def post(self, request: Request) -> Response:
        """Create a miner, which exists once its message has landed, or import an existing one."""
        body = MinerInput(data=request.data)
        body.is_valid(raise_exception=True)
        key = caller_key(request._request) or uuid.uuid4().hex
        return created(miner_body(miner_added(self.principal, key=key, **body.validated_data)))

    @extend_schema(
        parameters=[
            OpenApiParameter("state", str, many=True, enum=MinerState.values),
            CURSOR,
            LIMIT,
        ],
        responses=MinerPage,
    )
    def get(self, request: Request) -> Response:
        """List the miners on chain, or those in a `state`; `cursor` is the `next` of the previous page.

        A miner that is being created has no address yet: it is listed only if `state` asks for its state.
        """
        query = request.query_params
        limit = number(request, "limit", least=1, default=PAGE_DEFAULT, most=PAGE_MAX)
        after = number(request, "cursor", least=0, default=0, most=10**12)
        states = query.getlist("state")
        if not set(states) <= set(MinerState.values):
            raise BadValue(gettext("there is no such state"), field="state")
        condition = Q(state__in=states) if states else Q(actor_id__isnull=False)
        rows = list(miners_visible(self.principal).filter(condition, pk__gt=after)[: limit + 1])
        more = str(rows[limit - 1].pk) if len(rows) > limit else None
        return Response({"results": miner_bodies(rows[:limit]), "next": more})


def miner_added(principal: Principal, *, key: str, name: str, **body: Any) -> Miner:
    """Do what a body asks; the same key again creates no second miner.

    Raises DomainError with the field to blame.
    """
    tenant = tenant_resolve(principal, name=body.get("tenant", principal.tenant_name))
    client, network = chain_client(), network_current()
    if "address" in body:
        return miner_import(
            body["address"],
            name=name,
            principal=principal,
            tenant=tenant,
            client=client,
            network=network,
            proven_by=body.get("proven_by", ""),
        )
    for field in ("owner", "worker", "sector_size"):
        if field not in body:
            raise BadValue(gettext("is required for a new miner"), field=field)
    spec = MinerSpec(
        name=name,
        owner=body["owner"],
        worker=body["worker"],
        sector_size=body["sector_size"],
        key=key,
        fund_worker=body["fund_worker"],
    )
    return miner_create(spec, principal=principal, tenant=tenant, client=client, network=network)


urlpatterns = [
    path("miners", MinersView.as_view(), name="v1-miners"),
]
