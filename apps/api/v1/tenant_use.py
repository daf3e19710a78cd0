"""Each tenant's use of the pool and its share, over REST."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.pagination import Pages, page_of
from apps.api.v1.views import PoolView
from apps.checks.selectors.tenant_use import TenantUse, tenant_uses
from apps.core import clock
from apps.users.selectors.tenants import tenants_visible

SHARE_HELP = "0 to 1 of the pool's; null: the pool has none, or the caller does not see all of it"


def share_field() -> serializers.FloatField:
    """Return a field for a share."""
    return serializers.FloatField(allow_null=True, help_text=SHARE_HELP)


class TenantUseOutput(serializers.Serializer[Any]):
    """The use of a tenant: hosts now; proofs and gas of the last 30 UTC days, today included."""

    tenant = serializers.CharField(allow_null=True, help_text="null: the pool itself, last")
    hosts = serializers.IntegerField()
    hosts_share = share_field()
    proofs = serializers.IntegerField(
        allow_null=True, help_text="WindowPoSts that landed; null: no day is counted yet"
    )
    proofs_share = share_field()
    gas = serializers.CharField(help_text="attoFIL of its messages that landed")
    gas_share = share_field()


def use_body(name: str | None, use: TenantUse, everything: TenantUse | None) -> dict[str, Any]:
    """Return a tenant's use as JSON; its share where all of the pool's is given."""

    def share(count: int | None, total: int | None) -> float | None:
        return count / total if count is not None and total else None

    most = everything or TenantUse()
    return {
        "tenant": name,
        "hosts": use.hosts,
        "hosts_share": share(use.hosts, most.hosts),
        "proofs": use.proofs,
        "proofs_share": share(use.proofs, most.proofs),
        "gas": str(use.gas),
        "gas_share": share(use.gas, most.gas),
    }


class TenantUseView(PoolView):
    """`/tenant-use`."""

    pagination_class = Pages
    filters = ("limit", "offset")
    whole_methods = ("GET",)

    @extend_schema(operation_id="tenant_use_list", responses=TenantUseOutput(many=True))
    def get(self, request: Request) -> Response:
        """List tenants with their hosts, proofs and gas: the operator's all, a tenant's its own."""
        viewer = self.principal
        uses, everything = tenant_uses(viewer, now=clock.now())
        names: list[tuple[int | None, str | None]] = [*tenants_visible(viewer).values_list("pk", "name")]
        if viewer.sees_pool and None in uses:
            names.append((None, None))
        none = TenantUse(proofs=None if everything.proofs is None else 0)

        def output(found: Any, *, many: bool) -> Any:
            rows = [
                use_body(name, uses.get(pk, none), everything if viewer.sees_pool else None)
                for pk, name in found
            ]
            return TenantUseOutput(rows, many=many)

        return page_of(self, request, names, output)


urlpatterns = [path("tenant-use", TenantUseView.as_view(), name="v1-tenant-use")]
