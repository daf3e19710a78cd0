"""A host joins over REST: its join token for a token of its own."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView, created
from apps.miners.selectors.miners import sector_bytes_usual
from apps.users.services.join_tokens import host_join
from apps.users.states import JOIN


class JoinInput(InputSerializer):
    """The host that exchanges its join token."""

    uid = serializers.RegexField(r"^[\x21-\x7e]+$", max_length=80)
    name = serializers.CharField(max_length=100)


class JoinOutput(serializers.Serializer[Any]):
    """The host's own token, which is shown only once."""

    token = serializers.CharField()
    sector_bytes = serializers.IntegerField(
        help_text="Sector size of the tenant's miner with most power; 0 if it has none."
    )


class JoinView(PoolView):
    """`/workers:join`: a join token is exchanged for the host's own, once."""

    scope = JOIN
    perms = {**PoolView.perms, "POST": "read"}

    @extend_schema(request=JoinInput, responses={201: JoinOutput})
    def post(self, request: Request) -> Response:
        """Exchange the join token for the host's own token; the same host may repeat this."""
        body = JoinInput(data=request.data)
        body.is_valid(raise_exception=True)
        text = host_join(by=self.principal, uid=body.validated_data["uid"], name=body.validated_data["name"])
        tenant_id = self.principal.tenant_id
        size = sector_bytes_usual(tenant_id) if tenant_id is not None else 0
        return created({"token": text, "sector_bytes": size})


urlpatterns = [
    path("workers:join", JoinView.as_view(), name="v1-worker-join"),
]
