"""Join tokens over REST, with which a host joins."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.core import clock
from apps.users.selectors.tenants import tenant_resolve
from apps.users.services.join_tokens import VALID_FOR, join_token_issue
from apps.users.states import JOINS


class JoinTokenInput(InputSerializer):
    """A join token to create."""

    part = serializers.ChoiceField(choices=JOINS)
    tenant = serializers.CharField(max_length=50, required=False)


class JoinTokenMade(serializers.Serializer[Any]):
    """A join token, which is shown only once."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class JoinTokensView(PoolView):
    """Join tokens for hosts (`/workers:join`)."""

    perms = {**PoolView.perms, "POST": "admin"}
    confirmed_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(request=JoinTokenInput, responses={201: JoinTokenMade})
    def post(self, request: Request) -> Response:
        """Create a join token.  Its text is returned only in this response."""
        data = checked(JoinTokenInput(data=request.data))
        name = data.get("tenant", "") or self.principal.tenant_name
        tenant = tenant_resolve(self.principal, name=name)
        text = join_token_issue(tenant=tenant, part=data["part"], by=self.principal)
        return created({"token": text, "expires_at": clock.now() + VALID_FOR})


urlpatterns = [
    path("join-tokens", JoinTokensView.as_view(), name="v1-join-tokens"),
]
