"""Tokens over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.urls import path
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.core.addresses import address_fault
from apps.core.errors import BadValue, NotAllowed, NotFound
from apps.users.selectors.grants import address_canonical
from apps.users.selectors.tenants import tenant_by_name
from apps.users.selectors.tokens import token_by_text, token_facts, tokens_visible
from apps.users.services.audit import audit_record
from apps.users.services.tokens import TokenLimits, token_issue, token_limits_check, token_revoke
from apps.users.states import Perm
from poolsite.filecoin.address import BadAddress

if TYPE_CHECKING:
    from apps.users.models import Tenant, Token
    from apps.users.rules.principals import Principal

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
    operator = serializers.BooleanField(default=False)


def limits_of(data: dict[str, Any]) -> TokenLimits:
    """Read what a token is limited to.  Raises BadValue for a signer that is no address."""
    try:
        signers = [address_canonical(text) for text in data["signers"]]
    except BadAddress as error:
        raise BadValue(address_fault(error), field="signers") from None
    return TokenLimits(methods=data["methods"], miners=data["miners"], signers=signers)


class TokensView(PoolView):
    """Tokens up to the caller's own level; their texts are kept nowhere."""

    pagination_class = Pages
    filters = ("limit", "offset")

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(responses=TokenOutput(many=True))
    def get(self, request: Request) -> Response:
        """List tokens."""
        return page_of(self, request, tokens_visible(self.principal), TokenOutput)

    @extend_schema(request=TokenInput, responses={201: TokenMade})
    @transaction.atomic
    def post(self, request: Request) -> Response:
        """Create a token.  Its text is returned only in this response."""
        data = checked(TokenInput(data=request.data))
        tenant = self.tenant_for(data)
        if data["expires_at"] is not None and data["expires_at"] <= clock.now():
            raise BadValue(gettext("must be in the future"), field="expires_at")
        limits = limits_of(data)
        if not data["operator"]:
            token_limits_check(tenant=tenant, limits=limits)
        text = token_issue(
            tenant=tenant,
            name=data["name"],
            perm=data["perm"],
            scopes=data["scopes"],
            expires_at=data["expires_at"],
            is_operator=data["operator"],
            limits=limits,
            by=self.principal,
        )
        row = token_by_text(text)
        shown: dict[str, Any] = {**TokenOutput(row).data}
        audit_record(
            principal=self.principal, action="token.create", target=str(row), after=token_facts(text)
        )
        return created({**shown, "token": text})

    def tenant_for(self, data: dict[str, Any]) -> Tenant:
        """Return the tenant that gets the token: only the operator names another.  Raises NotAllowed."""
        if data["operator"] and not self.principal.is_operator:
            raise NotAllowed(
                gettext("only the operator can create tokens that see every tenant"), field="operator"
            )
        return tenant_to_equip(self.principal, data.get("tenant", ""))


def tenant_to_equip(principal: Principal, name: str) -> Tenant:
    """Return the tenant that gets a token: only the operator names another.  Raises NotAllowed, NotFound."""
    if principal.is_limited:
        raise NotAllowed(gettext("a limited token cannot create other tokens"))
    if not principal.is_operator and name not in ("", principal.tenant_name):
        raise NotFound(gettext("there is no tenant {name!r}").format(name=name), field="tenant")
    return tenant_by_name(name or principal.tenant_name)


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
    @transaction.atomic
    def delete(self, _request: Request, uuid: str) -> Response:
        """Revoke it; its open sockets are closed within a second."""
        row = self.found(uuid)
        token_revoke(row)
        audit_record(principal=self.principal, action="token.revoke", target=str(row))
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
