"""What a tenant is charged over REST: its terms, and corrections of what it was charged."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.billing_output import ChargeOutput, charge_body
from apps.api.v1.pagination import Pages
from apps.api.v1.serializers import AmountField, InputSerializer, checked
from apps.api.v1.views import PoolView, created
from apps.blocks.selectors.billing import percent_number, tenants_billed, terms_visible
from apps.blocks.services.billing_terms import billing_terms_set, correction_add
from apps.core import clock
from apps.users.selectors.tenants import tenant_by_name

if TYPE_CHECKING:
    from apps.blocks.models import BillingTerms


class TermsOutput(serializers.Serializer[Any]):
    """Terms; amounts in attoFIL."""

    from_day = serializers.DateField(help_text="first UTC day; of several with the same one the newest holds")
    reward_percent = serializers.CharField(help_text="of the rewards of blocks, less their penalties")
    power_price = serializers.CharField(help_text="for a TiB of QA power and a day")
    monthly_sum = serializers.CharField(help_text="for a calendar month; a part of one pays for its days")
    actor = serializers.CharField()
    created_at = serializers.DateTimeField()


class TermsInput(InputSerializer):
    """New terms; what is left out is not charged."""

    from_day = serializers.DateField(help_text="UTC; not before the first day that is not settled")
    reward_percent = serializers.DecimalField(
        max_digits=7, decimal_places=4, min_value=Decimal(0), max_value=Decimal(100), default=Decimal(0)
    )
    power_price = AmountField(required=False)
    monthly_sum = AmountField(required=False)


class CorrectionInput(InputSerializer):
    """A correction of what was charged."""

    amount = AmountField(is_signed=True, help_text="attoFIL as text; below 0 it is a credit")
    note = serializers.CharField(max_length=200, help_text="why")


def terms_body(row: BillingTerms) -> dict[str, Any]:
    """Return terms as JSON."""
    return {
        "from_day": row.from_day,
        "reward_percent": percent_number(row.reward_percent),
        "power_price": str(row.power_price),
        "monthly_sum": str(row.monthly_sum),
        "actor": row.actor,
        "created_at": row.created_at,
    }


class TermsView(PoolView):
    """`/tenants/{name}/terms`: what a tenant is charged, the newest first."""

    pagination_class = Pages
    filters = ("limit", "offset")
    perms = {**PoolView.perms, "POST": "admin"}
    operator_methods = ("POST",)
    whole_methods = ("POST",)

    @extend_schema(responses=TermsOutput(many=True))
    def get(self, request: Request, name: str) -> Response:
        """List a tenant's terms; none: it is charged nothing."""
        tenant, pages = tenant_by_name(name, of=tenants_billed(self.principal)), Pages()
        rows: Any = pages.paginate_queryset(
            terms_visible(self.principal).filter(tenant=tenant), request, view=self
        )
        return pages.get_paginated_response(TermsOutput([terms_body(row) for row in rows], many=True).data)

    @extend_schema(request=TermsInput, responses={201: TermsOutput})
    def post(self, request: Request, name: str) -> Response:
        """Charge a tenant by new terms from a day on; what it was charged before stays."""
        data = checked(TermsInput(data=request.data))
        row = billing_terms_set(
            principal=self.principal, tenant=tenant_by_name(name), now=clock.now(), **data
        )
        return created(TermsOutput(terms_body(row)).data)


class CorrectionsView(PoolView):
    """`/tenants/{name}/corrections`: amounts that the operator charges or credits."""

    operator_only = True
    perms = {**PoolView.perms, "POST": "admin"}
    whole_methods = ("POST",)

    @extend_schema(request=CorrectionInput, responses={201: ChargeOutput})
    def post(self, request: Request, name: str) -> Response:
        """Add a line to the tenant's statement of the running month."""
        data = checked(CorrectionInput(data=request.data))
        row = correction_add(
            principal=self.principal,
            tenant=tenant_by_name(name),
            amount=int(data["amount"]),
            note=data["note"],
            key=request.headers.get("Idempotency-Key", ""),
            now=clock.now(),
        )
        return created(ChargeOutput(charge_body(row)).data)


urlpatterns = [
    path("tenants/<str:name>/terms", TermsView.as_view(), name="v1-terms"),
    path("tenants/<str:name>/corrections", CorrectionsView.as_view(), name="v1-corrections"),
]
