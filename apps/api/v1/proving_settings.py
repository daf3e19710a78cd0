"""The pace of checks and the sizes of declarations over REST: the pool's, and a miner's own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.serializers import InputSerializer
from apps.api.v1.views import PoolView
from apps.miners.selectors.miners import miner_get
from apps.proving.rules.policy import LIMITS
from apps.proving.selectors.settings import proving_policy, proving_settings_own
from apps.proving.services.settings import proving_settings_set

if TYPE_CHECKING:
    from apps.miners.models import Miner


def _count(name: str, help_text: str) -> serializers.IntegerField:
    least, most = LIMITS[name]
    return serializers.IntegerField(
        required=False, allow_null=True, min_value=least, max_value=most, help_text=help_text
    )


class ProvingSettingsInput(InputSerializer):
    """Settings to change; null resets one to the value of the level above."""

    check_per_s = _count("check_per_s", "sectors that a host checks per second; 0: no limit")
    declare_max = _count("declare_max", "sectors of a deadline declared faulty per window")
    recover_max = _count("recover_max", "sectors of a deadline declared recovered per window")
    declaration_max = _count("declaration_max", "sectors per declaration message")


class ProvingPolicyOutput(serializers.Serializer[Any]):
    """Values in effect."""

    check_per_s = serializers.IntegerField()
    declare_max = serializers.IntegerField()
    recover_max = serializers.IntegerField()
    declaration_max = serializers.IntegerField()


class ProvingSettingsOutput(serializers.Serializer[Any]):
    """Settings in effect, those of the pool, and those set here."""

    in_force = ProvingPolicyOutput()
    pool = ProvingPolicyOutput()
    own = serializers.DictField(child=serializers.IntegerField())


def settings_body(miner: Miner | None) -> dict[str, Any]:
    """Return the settings of a miner, or of the pool, as JSON."""
    key = None if miner is None else miner.pk
    return {
        "in_force": dataclasses.asdict(proving_policy(key)),
        "pool": dataclasses.asdict(proving_policy()),
        "own": proving_settings_own(key),
    }


class ProvingSettingsView(PoolView):
    """`/proving/settings`: what holds for every miner that has nothing of its own."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "admin"}
    operator_methods = ("PATCH",)
    filters = ()

    @extend_schema(responses=ProvingSettingsOutput)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the values in effect."""
        return Response(settings_body(None))

    @extend_schema(request=ProvingSettingsInput, responses=ProvingSettingsOutput)
    def patch(self, request: Request) -> Response:
        """Change the given fields; operator only."""
        body = ProvingSettingsInput(data=request.data)
        body.is_valid(raise_exception=True)
        proving_settings_set(None, values=body.validated_data, by=self.principal)
        return Response(settings_body(None))


class MinerProvingSettingsView(PoolView):
    """`/miners/{address}/proving`: a miner's own, laid over the pool's."""

    perms: ClassVar[dict[str, str]] = PoolView.perms | {"PATCH": "sign"}
    filters = ()

    @extend_schema(responses=ProvingSettingsOutput)
    def get(self, request: Request, address: str) -> Response:  # noqa: ARG002  # DRF's signature
        """Show the values in effect."""
        return Response(settings_body(miner_get(self.principal, address)))

    @extend_schema(request=ProvingSettingsInput, responses=ProvingSettingsOutput)
    def patch(self, request: Request, address: str) -> Response:
        """Change the given fields."""
        body = ProvingSettingsInput(data=request.data)
        body.is_valid(raise_exception=True)
        miner = miner_get(self.principal, address)
        proving_settings_set(miner, values=body.validated_data, by=self.principal)
        return Response(settings_body(miner))


urlpatterns = [
    path("proving/settings", ProvingSettingsView.as_view(), name="v1-proving-settings"),
    path(
        "miners/<str:address>/proving", MinerProvingSettingsView.as_view(), name="v1-miner-proving-settings"
    ),
]
