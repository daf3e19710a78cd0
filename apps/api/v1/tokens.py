"""Tokens over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.list_filters import ListView, parameters_of
from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.core.errors import NotFound
from apps.core.marked_texts import gettext
from apps.users.selectors.tenants import tenant_resolve
from apps.users.selectors.tokens import TokenFilters, tokens_visible
from apps.users.services.tokens import TokenSpec, token_create, token_revoke
from apps.users.states import Perm

if TYPE_CHECKING:
    from apps.users.models import Token

SCOPES = ("signer", "sealer", "prover")
"""Scopes of the machine interface."""


class TokenOutput(serializers.Serializer[Any]):
    """One token, without its text."""

    uuid = serializers.UUIDField()
    tenant = serializers.CharField(source="tenant.name")
    name = serializers.CharField()
    perm = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    methods = serializers.ListField(child=serializers.CharField())
    miners = serializers.ListField(child=serializers.IntegerField())
    signers = serializers.ListField(child=serializers.CharField())
    operator = serializers.BooleanField(source="is_operator")
    hint = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_used_from = serializers.CharField()


class TokenMade(TokenOutput):
    """A new token with its text, which is shown only once."""

    token = serializers.CharField()


class TokenInput(InputSerializer):
    """A token to create."""

    name = serializers.CharField(max_length=100)
    perm = serializers.ChoiceField(choices=Perm.values)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), default=list)
    methods = serializers.ListField(
        child=serializers.RegexField(r"^[A-Za-z0-9_.*?/-]+$", max_length=100), default=list, max_length=100
    )
    miners = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=2**63 - 1), default=list, max_length=100
    )
    signers = serializers.ListField(child=serializers.CharField(max_length=120), default=list, max_length=100)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    tenant = serializers.CharField(max_length=50, required=False)
    operator = serializers.BooleanField(default=False, source="is_operator")


class TokensView(ListView):
    """Tokens up to the caller's own level; their texts are kept nowhere."""

    pagination_class = Pages
    noun = TokenFilters

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(parameters=parameters_of(TokenFilters), responses=TokenOutput(many=True))
    def get(self, request: Request) -> Response:
        """List tokens."""
        return page_of(self, request, self.narrowed(tokens_visible(self.principal)), TokenOutput)

    @extend_schema(request=TokenInput, responses={201: TokenMade})
    def post(self, request: Request) -> Response:
        """Create a token.  Its text is returned only in this response."""
        data = checked(TokenInput(data=request.data))
        name = data.pop("tenant", "") or self.principal.tenant_name
        tenant = tenant_resolve(self.principal, name=name)
        row, text = token_create(TokenSpec(**data), tenant=tenant, principal=self.principal)
        return created({**TokenOutput(row).data, "token": text})


class TokenView(PoolView):
    """One token."""

    perms = {**PoolView.perms, "DELETE": "admin"}
    confirmed_methods = ("DELETE",)
    whole_methods = ("DELETE",)

    @extend_schema(responses=TokenOutput)
    def get(self, _request: Request, uuid: str) -> Response:
        """Show it."""
        return Response(TokenOutput(self.found(uuid)).data)

    @extend_schema(responses={204: None})
    def delete(self, _request: Request, uuid: str) -> Response:
        """Revoke it; its open sockets are closed within a second."""
        token_revoke(self.found(uuid), by=self.principal)
        return Response(status=204)

    def found(self, uuid: str) -> Token:
        """Find a token that the caller may know of.  Raises NotFound."""
        row = tokens_visible(self.principal).filter(pk=uuid).first()
        if row is None:
            raise NotFound(gettext("there is no such token"))
        return row


urlpatterns = [
    path("tokens", TokensView.as_view(), name="api-tokens"),
    path("tokens/<uuid:uuid>", TokenView.as_view(), name="api-token"),
]
