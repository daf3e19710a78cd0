"""Clients of deals over REST: lists, one client, whether miners make deals with it, and its tokens."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import CODE_HELP, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.core.reasons import code_of
from apps.market.selectors.client_tokens import client_token_get, client_tokens
from apps.market.selectors.deals import (
    ClientFilters,
    ClientRule,
    client_get,
    client_reasons,
    client_rules,
    clients_visible,
)
from apps.market.services.client_tokens import NAME_MAX, client_token_create, client_token_revoke
from apps.market.services.markets import client_rule_set
from apps.market.states import DealState
from apps.miners.selectors.miners import miner_get


class ClientOutput(serializers.Serializer[Any]):
    """One client, and how its deals with the caller's miners stand."""

    client = serializers.CharField(help_text="its address")
    active = serializers.IntegerField(help_text="active deals")
    coming = serializers.IntegerField(help_text="deals that were accepted and are not active yet")
    ended = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="of each miner the newest 500 failed deals are kept")
    refused = serializers.IntegerField(help_text="the same of refused ones")
    stored = serializers.IntegerField(help_text="raw bytes of active deals")
    first_at = serializers.DateTimeField(help_text="when the oldest of these deals was proposed")
    last_at = serializers.DateTimeField(help_text="when the newest was")
    blocked_by = serializers.ListField(
        child=serializers.CharField(), help_text="miners whose rule blocks it by name"
    )
    allowed_by = serializers.ListField(
        child=serializers.CharField(), help_text="miners that make deals with named clients only, and name it"
    )


OUTCOMES: Final = (str(DealState.REFUSED), str(DealState.FAILED))


class ReasonOutput(serializers.Serializer[Any]):
    """Why deals came to nothing."""

    state = serializers.ChoiceField(choices=OUTCOMES)
    reason = serializers.CharField()
    reason_code = serializers.CharField(help_text=CODE_HELP)
    count = serializers.IntegerField()


class ClientDetailOutput(ClientOutput):
    """One client, and why its deals were refused or failed."""

    reasons = ReasonOutput(many=True)


class ClientRuleInput(InputSerializer):
    """Whether a miner makes deals with a client."""

    miner = serializers.CharField(max_length=100)
    is_blocked = serializers.BooleanField(help_text="false: it makes deals with it")


def client_body(row: dict[str, Any], rules: dict[str, ClientRule]) -> dict[str, Any]:
    """Return one client as JSON."""
    rule = rules.get(row["client"], ClientRule())
    return {**row, "blocked_by": rule.blocked, "allowed_by": rule.allowed}


class ClientsView(ListView):
    """`/clients`: who proposed deals to the caller's miners."""

    noun = ClientFilters
    pagination_class = Pages

    @extend_schema(parameters=parameters_of(ClientFilters), responses=ClientOutput(many=True))
    def get(self, request: Request) -> Response:
        """List clients, the one with the newest deal first."""
        pages, rules = Pages(), client_rules(self.principal)
        found = pages.paginate_queryset(self.narrowed(clients_visible(self.principal)), request, view=self)
        return pages.get_paginated_response([client_body(row, rules) for row in found or []])


class ClientView(PoolView):
    """`/clients/{address}`: one client."""

    filters = ()
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}

    @extend_schema(responses=ClientDetailOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show how its deals stand, and why some were refused or failed."""
        return self.answer(client_get(self.principal, address)["client"])

    @extend_schema(request=ClientRuleInput, responses=ClientDetailOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Block or allow it by name in a miner's rule; its accepted deals stay."""
        client = client_get(self.principal, address)["client"]
        values = checked(ClientRuleInput(data=request.data))
        miner = miner_get(self.principal, values["miner"])
        client_rule_set(miner, client=client, is_blocked=values["is_blocked"], by=self.principal)
        return self.answer(client)

    def answer(self, address: str) -> Response:
        """Answer one client.  Raises ClientUnknown."""
        body = client_body(client_get(self.principal, address), client_rules(self.principal))
        reasons = [
            {"state": state, "reason": str(reason), "reason_code": code_of(reason), "count": count}
            for state, reason, count in client_reasons(self.principal, address)
        ]
        return Response(body | {"reasons": reasons})


class ClientTokenOutput(serializers.Serializer[Any]):
    """A token by which a client sees its own deals, without its text."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    tenant = serializers.CharField(
        source="tenant.name", default=None, allow_null=True, help_text="whose miners' deals; null: all"
    )
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class ClientTokenMade(ClientTokenOutput):
    """A new token with its text, which is shown only once."""

    token = serializers.CharField()


class ClientTokenInput(InputSerializer):
    """A token to create."""

    name = serializers.CharField(max_length=NAME_MAX)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class ClientTokensView(PoolView):
    """`/clients/{address}/tokens`: tokens by which a client sees its own deals."""

    pagination_class = Pages
    filters = ("limit", "offset")
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(responses=ClientTokenOutput(many=True))
    def get(self, request: Request, address: str) -> Response:
        """List a client's tokens, newest first."""
        client = client_get(self.principal, address)["client"]
        return page_of(self, request, client_tokens(self.principal, client), ClientTokenOutput)

    @extend_schema(request=ClientTokenInput, responses={201: ClientTokenMade})
    def post(self, request: Request, address: str) -> Response:
        """Create a token.  Its text is returned only in this response."""
        values = checked(ClientTokenInput(data=request.data))
        row, text = client_token_create(client=address, by=self.principal, **values)
        return created({**ClientTokenOutput(row).data, "token": text})


class ClientTokenView(PoolView):
    """`/clients/{address}/tokens/{uuid}`: one of them."""

    filters = ()
    perms: ClassVar[dict[str, str]] = PoolView.perms | {"DELETE": "admin"}
    confirmed_methods = ("DELETE",)
    whole_methods = ("DELETE",)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, address: str, uuid: UUID) -> Response:
        """Revoke it: the client's next request with it is refused."""
        client = client_get(self.principal, address)["client"]
        client_token_revoke(client_token_get(self.principal, client, uuid), by=self.principal)
        return Response(status=204)


urlpatterns = [
    path("clients", ClientsView.as_view(), name="v1-clients"),
    path("clients/<str:address>", ClientView.as_view(), name="v1-client"),
    path("clients/<str:address>/tokens", ClientTokensView.as_view(), name="v1-client-tokens"),
    path("clients/<str:address>/tokens/<uuid:uuid>", ClientTokenView.as_view(), name="v1-client-token"),
]
